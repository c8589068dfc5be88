"""Conditions that can't be evaluated, or find too much: people are told, and all others go on."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from rules.test_arrival_order import ALWAYS, SECOND_NS, condition_of, views_of
from rules.test_server import PATIENCE_S, Client
from sift.annotations.v1.annotations_pb2 import ListAnnotationsRequest
from sift.annotations.v1.annotations_pb2_grpc import AnnotationServiceStub
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.rule.config import RuleActionCreateDataReviewAnnotation, RuleConfig
from sift_py.ingestion.service import IngestionService
from sift_server.lake import Points
from sift_server.rules import budget, live, memory, run_evaluation
from sift_server.rules.budget import STRETCHES_AT_ONCE_MAX, STRETCHES_PER_S_MAX, StretchBudget
from sift_server.rules.explicit import evaluate_range
from sift_server.rules.run_evaluation import RunEvaluation
from sift_server.rules.trouble import REST_MS_MAX, REST_MS_MIN
from sift_server.server import Server, ServerSettings
from sift_wire.columns import DataType
from support.serving import serving
from support.storage import Storage

if TYPE_CHECKING:
    from pathlib import Path

START_NS = 1_767_225_600_000_000_000
REST_S = REST_MS_MIN / 1_000


class Played:
    """A run of which points of the channel `a` come, a second apart; it has a clock of its own."""

    def __init__(self, condition):
        self.condition = condition
        self.storage = Storage(Random(1))
        self.run = RunEvaluation("", self.storage, StretchBudget())
        self.now_s = 0.0
        self._count = 0

    def take(self, *values):
        """Let points come."""
        times_ns = (np.arange(len(values)) + self._count) * SECOND_NS
        self._count += len(values)
        points = Points(times_ns, pa.array(np.array(values, np.float64).view(np.uint64)))
        self.storage.publish("a", DataType.DOUBLE, points)
        come = {"a": (DataType.DOUBLE, [points])}
        self.storage.write(self.run.take([self.condition], come, self.now_s))
        self.late()

    def late(self):
        """Evaluate what has waited."""
        self.storage.write(self.run.take_late(self.now_s, lambda: self.now_s))

    def stretches(self):
        """What is known, the open ones brought up to date."""
        self.storage.write(self.run.open_stretches())
        return self.storage.stretches([self.condition], "")["key"]

    def everything(self):
        """What evaluating everything once gives."""
        return evaluate_range(self.condition, views_of(self.condition, self.storage), "", *ALWAYS)


class Failing:
    """An expression that can't be evaluated while it is broken."""

    def __init__(self, expression):
        self._expression = expression
        self.is_broken = False

    def __getattr__(self, name):
        return getattr(self._expression, name)

    def advance(self, memory_, inputs):
        """Evaluate, or fail."""
        if self.is_broken:
            raise OSError("the disk went away")
        return self._expression.advance(memory_, inputs)


def test_what_failed_is_tried_again_from_where_it_was():
    """After a minute, then after two; in the end nothing is missing, nor in two pieces."""
    expression = Failing(condition_of("$1 > 0").expression)
    played = Played(replace(condition_of("$1 > 0"), expression=expression))
    played.take(0, 1, 1)
    expression.is_broken = True
    played.take(1, 0)
    ((_, trouble),) = played.run.troubles.items()
    assert trouble.message == "OSError: the disk went away"
    played.take(1)
    played.now_s += REST_S
    played.late()
    assert len(played.run.troubles) == 1
    expression.is_broken = False
    played.now_s += REST_S
    played.late()
    assert len(played.run.troubles) == 1, "the second time it rests twice as long"
    played.now_s += REST_S
    played.late()
    played.take(1, 0, 1)
    assert not played.run.troubles
    assert played.stretches() == played.everything()


def test_what_failed_is_evaluated_after_a_restart():
    """It is among what a flush writes down."""
    expression = Failing(condition_of("$1 > 0").expression)
    played = Played(replace(condition_of("$1 > 0"), expression=expression))
    played.take(0, 1)
    expression.is_broken = True
    played.take(1, 0)
    waiting = played.run.late
    expression.is_broken = False
    played.run = RunEvaluation("", played.storage, StretchBudget())
    for condition, part in waiting:
        played.run.miss([condition], {"a": part}, played.now_s)
    played.late()
    assert played.stretches() == played.everything()


def test_a_noisy_condition_rests_and_begins_anew():
    """What was open ends; the time until it begins anew is told."""
    played = Played(condition_of("$1 > 0"))
    played.take(0, 1, 1)
    assert len(played.stretches()) == 1
    played.take(*[0, 1] * (STRETCHES_AT_ONCE_MAX + 1))
    ((_, trouble),) = played.run.troubles.items()
    assert trouble.noisy_count > STRETCHES_AT_ONCE_MAX
    ((one),) = played.stretches()
    assert (one.start_ns, one.end_ns, one.is_open) == (SECOND_NS, 3 * SECOND_NS, False)
    played.take(0, 1)
    assert len(played.stretches()) == 1
    played.now_s += REST_S
    played.late()
    played.take(0, 1, 0)
    assert len(played.stretches()) == 2


def test_a_condition_that_is_noisy_all_the_time_rests_longer_and_longer():
    """Up to an hour."""
    played = Played(condition_of("$1 > 0"))
    noise = [0, 1] * (STRETCHES_AT_ONCE_MAX + 2)
    rests_s = []
    for _ in range(9):
        played.take(0)
        played.take(*noise)
        due_s = played.run.next_late_s
        rests_s.append(due_s - played.now_s)
        played.now_s = due_s
        played.late()
    assert rests_s[:3] == [REST_S, 2 * REST_S, 4 * REST_S]
    assert rests_s[-1] == REST_MS_MAX / 1_000


def test_a_budget_is_filled_by_and_by():
    """So many at once, then so many a second."""
    few = StretchBudget()
    assert few.allows("a", STRETCHES_AT_ONCE_MAX, 0.0)
    assert not few.allows("a", 1 + STRETCHES_PER_S_MAX, 1.0)
    assert few.allows("a", STRETCHES_AT_ONCE_MAX, 1.0), "it begins anew"
    assert few.allows("a", STRETCHES_PER_S_MAX, 2.0)


def test_quiet_conditions_do_not_pay_for_noisy_ones():
    """All together have a budget, from which those that find little are free."""
    few = StretchBudget()
    count = budget.ALL_AT_ONCE_MAX // STRETCHES_AT_ONCE_MAX
    assert all(few.allows(number, STRETCHES_AT_ONCE_MAX, 0.0) for number in range(count))
    assert not few.allows("noisy", budget.QUIET_STRETCHES_MAX + 1, 0.0)
    assert few.allows("quiet", budget.QUIET_STRETCHES_MAX, 0.0)
    assert few.allows("noisy", budget.ALL_PER_S_MAX, 1.0)


def test_a_window_of_too_many_points_is_told(monkeypatch):
    """Asked, and while data comes."""
    monkeypatch.setattr(memory, "CONDITION_BYTES_MAX", 50_000)
    played = Played(condition_of('avg($1, rolling("600s")) > 0'))
    played.take(*[1.0] * 100)
    assert not played.run.troubles
    ((nbytes),) = played.run.memory_bytes().values()
    assert 2 * 8 * 100 <= nbytes < 20_000
    monkeypatch.setattr(memory, "CONDITION_BYTES_MAX", 1_000)
    with pytest.raises(memory.ResourceExhaustedError, match="CONDITION_BYTES_MAX"):
        played.everything()
    played.run.give_up("key", nbytes, played.now_s)
    ((_, trouble),) = played.run.troubles.items()
    assert "shorter windows" in trouble.message


def test_all_conditions_together_remember_only_so_much(tmp_path: Path, monkeypatch):
    """Those that remember most rest, the others go on."""
    monkeypatch.setattr(live, "CONDITIONS_BYTES_MAX", 200_000)
    long = rule("long", 'avg($1, rolling("600s")) > 0', SIGNAL)
    short = rule("short", "$1 > 0", SIGNAL)
    # In this process, whose limit is another one.
    with Server(ServerSettings(tmp_path, port=0)) as server, Client(server) as client:
        service = IngestionService(client.channel, config_of(long, short))
        times_ns = START_NS + np.arange(20_000) * 10_000_000
        ones = np.ones(len(times_ns))
        service.ingest_columns("all", times_ns, {"signal": ones, "other": ones})
        wait_until(lambda: annotations(client, 'name == "long: not evaluated"'))
        (told,) = annotations(client, 'name == "long: not evaluated"')
        assert "CONDITIONS_BYTES_MAX" in told.description
        assert not told.is_noisy_rule
        wait_until(
            lambda: (
                [one.end_time.ToNanoseconds() for one in annotations(client, 'name == "short"')]
                == [times_ns[-1]]
            )
        )


def test_a_rule_that_fits_no_more_is_told(tmp_path: Path):
    """Its channel was described anew, as another type; it is told once, also after a restart."""
    texts = ChannelConfig("signal", ChannelDataType.STRING)
    other = TelemetryConfig("rover", "rover-v2", flows=[FlowConfig("all", [texts])])
    for _ in range(2):
        with serving(tmp_path) as server, Client(server) as client:
            if not annotations(client):
                IngestionService(client.channel, config_of(rule("hot", "$1 > 0", SIGNAL)))
                IngestionService(client.channel, other)
            pending = 'name == "hot: not evaluated" && pending == true'
            wait_until(lambda: annotations(client, pending))  # noqa: B023
            assert "signal" in annotations(client)[0].description


def test_recent_points_are_bounded(monkeypatch):
    """One can go back less far, and what comes later than that is read from what is stored."""
    monkeypatch.setattr(run_evaluation, "RECENT_BYTES_MAX", 1_000)
    played = Played(condition_of("$1 > 0"))
    for number in range(100):
        played.take(*[number % 3] * 10)
    assert played.run.recent_bytes <= 1_000
    assert played.stretches() == played.everything()


SIGNAL = ChannelConfig("signal", ChannelDataType.DOUBLE)
OTHER = ChannelConfig("other", ChannelDataType.DOUBLE)


def wait_until(holds):
    """Wait for a condition; fails if it never holds."""
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() - begin < PATIENCE_S, holds()
        time.sleep(0.02)


def rule(name, expression, channel):
    """A rule over a channel."""
    return RuleConfig(
        name,
        "",
        expression,
        RuleActionCreateDataReviewAnnotation(tags=["motor"]),
        [{"channel_reference": "$1", "channel_config": channel}],
    )


def config_of(*rules):
    """The rover with two channels."""
    return TelemetryConfig(
        "rover", "rover-v1", flows=[FlowConfig("all", [SIGNAL, OTHER])], rules=list(rules)
    )


def annotations(client, filter_=""):
    """All that there are."""
    request = ListAnnotationsRequest(filter=filter_, page_size=1_000)
    return AnnotationServiceStub(client.channel).ListAnnotations(request).annotations


def test_people_are_told_of_a_noisy_rule(tmp_path: Path):
    """By an annotation of the rule; other rules on the same points are as ever."""
    count = 4 * STRETCHES_AT_ONCE_MAX
    times_ns = START_NS + np.arange(count) * 1_000_000
    toggling = np.arange(count) % 2 + 0.0
    with serving(tmp_path) as server, Client(server) as client:
        rules = rule("noisy", "$1 > 0", SIGNAL), rule("quiet", "$1 > 0", OTHER)
        service = IngestionService(client.channel, config_of(*rules))
        other = (np.arange(count) == count // 2) + 0.0
        service.ingest_columns("all", times_ns, {"signal": toggling, "other": other})
        wait_until(lambda: len(annotations(client, 'name != "noisy"')) == 2)
        told, quiet = sorted(annotations(client, 'name != "noisy"'), key=lambda one: one.name)
        assert quiet.start_time.ToNanoseconds() == times_ns[count // 2]
        assert told.name == "noisy: noisy"
        assert told.is_noisy_rule
        assert told.batched_triggers > 100
        assert "persistence" in told.description
        assert told.pending
        assert told.tags == ["motor"]
        assert told.created_by_rule_condition_version_id
        (found,) = annotations(client, 'metadata["rule_trouble"] == "noisy"')
        assert found.annotation_id == told.annotation_id
        # A rule that is declared anew begins anew, and what was told of the other one ends.
        calm = rule("noisy", "persistence($1 > 0, 1)", SIGNAL)
        IngestionService(client.channel, config_of(calm, rules[1]))
        wait_until(lambda: not annotations(client, 'pending == true && name == "noisy: noisy"'))


def test_what_was_told_ends_with_the_server(tmp_path: Path):
    """The next one evaluates the rule again."""
    count = 4 * STRETCHES_AT_ONCE_MAX
    times_ns = START_NS + np.arange(count) * 1_000_000
    toggling = np.arange(count) % 2 + 0.0
    with serving(tmp_path) as server, Client(server) as client:
        service = IngestionService(client.channel, config_of(rule("noisy", "$1 > 0", SIGNAL)))
        service.ingest_columns("all", times_ns, {"signal": toggling, "other": toggling})
        wait_until(lambda: annotations(client, 'name == "noisy: noisy" && pending == true'))
    with serving(tmp_path) as server, Client(server) as client:
        assert len(annotations(client, 'name == "noisy: noisy" && pending == false')) == 1
