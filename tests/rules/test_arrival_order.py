"""However points arrive, the stretches are those of evaluating everything once at the end."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from sift_server.expressions import Source, Type, compile_condition
from sift_server.lake import Points
from sift_server.rules.budget import StretchBudget
from sift_server.rules.condition import Condition
from sift_server.rules.explicit import evaluate_range, within
from sift_server.rules.part import Part
from sift_server.rules.run_evaluation import RunEvaluation
from sift_server.rules.sources import SourceKey
from sift_server.rules.stretches import Stretch
from sift_wire.columns import DataType
from support.storage import Storage

SECOND_NS = 1_000_000_000
ALWAYS = (-(2**63), 2**63 - 1)
PLANS_PER_EXPRESSION = 40

EXPRESSIONS = [
    "$1 > 0",
    "$1 > 0 && $2 > 0",
    "$1 > $2",
    "$1 > 0 && $1 < 2 && $2 > -1",
    "persistence($1 > 0, 3)",
    'deriv($1, "1s") > 0.5',
    "prev($1) > 0",
    'avg($1, rolling("5s")) > 0 || $2 > 1',
    'max($2, rolling("60s")) > 1',
    'count($1, rolling("10s")) > 3',
    "first($1) > 0 && $2 > 0",
    "last($1) > 0 && $2 > 0",
]


def source(channel_id):
    """A channel of doubles."""
    return Source(channel_id, SourceKey(channel_id, DataType.DOUBLE), Type.DOUBLE)


def condition_of(text):
    """A condition over the channels `a` and `b`."""
    return Condition("key", compile_condition(text, {"$1": source("a"), "$2": source("b")}))


@dataclass
class Batch:
    """Points of a channel that come at once."""

    channel_id: str
    points: Points


def batches_of(rng, channel_id, scale_ns):
    """A channel of up to 60 points, several of them at one time, cut into batches."""
    count = rng.randint(1, 60)
    times_ns = np.array(sorted(rng.randrange(2 * count) for _ in range(count)), np.int64)
    values = np.round([rng.gauss(0, 1) for _ in range(count)], 1)
    if rng.random() < 0.5:
        values = np.repeat(values, 5)[:count]
    first = 0
    while first < count:
        last = min(first + rng.randint(1, 8), count)
        words = np.ascontiguousarray(values[first:last]).view(np.uint64)
        yield Batch(channel_id, Points(times_ns[first:last] * scale_ns, pa.array(words)))
        first = last


def arranged(rng, batches):
    """In order, nearly so, or not at all; some of them more than once."""
    batches.sort(key=lambda batch: batch.points.timestamps_ns[0])
    arrangement = rng.choice(["in order", "nearly", "not at all"])
    if arrangement == "nearly":
        places = sorted(range(len(batches)), key=lambda place: place + rng.random() * 4)
        batches = [batches[place] for place in places]
    elif arrangement == "not at all":
        rng.shuffle(batches)
    if rng.random() < 0.5:
        batches += rng.choices(batches, k=3)
    return batches


def extents_of(batches):
    """In which time each channel has points."""
    extents = {}
    for batch in batches:
        times_ns = batch.points.timestamps_ns
        part = Part(int(times_ns.min()), int(times_ns.max()))
        extents[batch.channel_id] = part.with_part(extents.get(batch.channel_id, part))
    return extents


def roughly(rng, extents):
    """The times of blocks of rows, in which a channel may have fewer points, or none."""
    if not extents:
        return {}
    hull = functools.reduce(Part.with_part, extents.values())
    return {
        channel_id: rng.choice([extents.get(channel_id, hull), hull]) for channel_id in ("a", "b")
    }


class Live:
    """A run that is evaluated as its points come, in a process that is started again sometimes."""

    def __init__(self, rng, condition, storage):
        self._rng = rng
        self._condition = condition
        self._storage = storage
        self._run = RunEvaluation("", storage, StretchBudget())
        self._restarts = rng.choice([0.1, 0.5])
        self._now_s = 0.0

    def take(self, batches):
        """Evaluate what came; sometimes it is only told that it came."""
        if self._rng.random() < self._restarts:
            self._start_again()
        points = {}
        for batch in batches:
            points.setdefault(batch.channel_id, (DataType.DOUBLE, []))[1].append(batch.points)
        names = self._condition.channel_ids & points.keys()
        wanted = [self._condition] if names else []
        if self._rng.random() < 0.1:
            self._run.miss(wanted, roughly(self._rng, extents_of(batches)), self._now_s)
        else:
            self._storage.write(self._run.take(wanted, points, self._now_s))
        self._now_s += self._rng.choice([0.0, 0.05, 2.0])
        self._take_late()

    def finish(self):
        """Evaluate what still waits."""
        self._now_s += 10
        self._take_late()
        self._storage.write(self._run.open_stretches())
        assert not self._run.troubles

    def _take_late(self):
        self._storage.write(self._run.take_late(self._now_s, lambda: self._now_s))

    def _start_again(self):
        self._storage.write(self._run.open_stretches())
        waiting = self._run.late
        self._run = RunEvaluation("", self._storage, StretchBudget())
        for condition, part in waiting:
            extents = dict.fromkeys(condition.channel_ids, part)
            self._run.miss([condition], extents, self._now_s)


def play(rng, text):
    """Let points of two channels come as they may; the condition, the storage, and its times."""
    scale_ns = rng.choice([SECOND_NS // 10, SECOND_NS, 100 * SECOND_NS, 400 * SECOND_NS])
    condition = condition_of(text)
    storage = Storage(rng)
    live = Live(rng, condition, storage)
    waiting = []
    takes = rng.choice([0.2, 0.7])
    for batch in arranged(rng, [*batches_of(rng, "a", scale_ns), *batches_of(rng, "b", scale_ns)]):
        storage.publish(batch.channel_id, DataType.DOUBLE, batch.points)
        waiting.append(batch)
        if rng.random() < takes:
            # What is stored is ahead of what came, sometimes.
            behind = len(waiting) if rng.random() < 0.5 else rng.randint(1, len(waiting))
            live.take(waiting[:behind])
            waiting = waiting[behind:]
    live.take(waiting)
    live.finish()
    return condition, storage, scale_ns


def views_of(condition, storage):
    """What is stored of the condition's channels."""
    return storage.views({each.channel_id: each.data_type for each in condition.sources})


@pytest.mark.proves("annotations-same")
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_live_is_what_evaluating_everything_gives(text):
    """Late, twice, in pieces, over restarts: the same stretches, to the nanosecond."""
    for plan in range(PLANS_PER_EXPRESSION):
        rng = random.Random(f"{text} {plan}")
        condition, storage, _ = play(rng, text)
        everything = evaluate_range(condition, views_of(condition, storage), "", *ALWAYS)
        assert storage.stretches([condition], "")["key"] == everything, plan


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_range_is_a_part_of_everything(text):
    """A stretch that began before the range begins with it, as if all had been evaluated."""
    for plan in range(PLANS_PER_EXPRESSION // 4):
        rng = random.Random(f"{text} {plan}")
        condition, storage, scale_ns = play(rng, text)
        views = views_of(condition, storage)
        start_ns = rng.randrange(120) * scale_ns
        part = within(evaluate_range(condition, views, "", start_ns, ALWAYS[1]), start_ns)
        everything = evaluate_range(condition, views, "", *ALWAYS)
        assert part == [
            Stretch(max(one.start_ns, start_ns), one.end_ns, one.is_open)
            for one in everything
            if one.end_ns > start_ns or (one.is_open and one.end_ns == start_ns)
        ], plan


def batch_of(points):
    """Points of the channel `a`: values by seconds."""
    times_ns = np.array([int(second * SECOND_NS) for second in points], np.int64)
    words = np.array(list(points.values()), np.float64).view(np.uint64)
    return Batch("a", Points(times_ns, pa.array(words)))


class Started:
    """A run of one condition, in a process that is started again before each part."""

    def __init__(self, text):
        self.condition = condition_of(text)
        self.storage = Storage(random.Random(1))
        self.run = RunEvaluation("", self.storage, StretchBudget())

    def take(self, *parts, start_again=True):
        """Store all parts, and then evaluate one after the other."""
        if start_again:
            self.run = RunEvaluation("", self.storage, StretchBudget())
        batches = [batch_of(points) for points in parts]
        for batch in batches:
            self.storage.publish("a", DataType.DOUBLE, batch.points)
        for batch in batches:
            points = {"a": (DataType.DOUBLE, [batch.points])}
            self.storage.write(self.run.take([self.condition], points, 0.0))
            self.storage.write(self.run.take_late(1.0, lambda: 1.0))
        self.storage.write(self.run.open_stretches())

    def stretches(self):
        """In seconds; None is the end of one that is open."""
        return [
            (one.start_ns / SECOND_NS, None if one.is_open else one.end_ns / SECOND_NS)
            for one in self.storage.stretches([self.condition], "")["key"]
        ]


@pytest.mark.parametrize("late", [{2.5: 0}, {2: 9, 2.5: 0}, {1: 0}, {0.5: 1, 1.5: 0, 2.25: 0}])
def test_a_late_point_that_is_stored_first_loses_no_stretch(late):
    """The point behind it is evaluated with it already, and it is told of afterwards."""
    started = Started("$1 > 0")
    started.take({1: 1, 2: 1})
    started.take({3: 1}, late)
    everything = evaluate_range(
        started.condition, views_of(started.condition, started.storage), "", *ALWAYS
    )
    assert started.storage.stretches([started.condition], "")["key"] == everything


def test_a_late_point_before_all_that_was_evaluated_ends_nothing():
    """A new version of a rule has not seen what is between it and the first point that it knows."""
    started = Started("$1 > 0")
    started.storage.publish("a", DataType.DOUBLE, batch_of({1: 1, 2: 1}).points)
    started.take({3: 1, 4: 0, 5: 1, 6: 0})
    assert started.stretches() == [(3, 4), (5, 6)]
    started.take({1.5: 0}, start_again=False)
    assert started.stretches() == [(2, 4), (5, 6)]


def test_a_time_without_points_ends_nothing():
    """A block of rows has one time for all channels, of which one may have no point in it."""
    started = Started("$1 > 0")
    started.take({1: 1, 2: 1})
    started.run = RunEvaluation("", started.storage, StretchBudget())
    part = Part(700 * SECOND_NS, 800 * SECOND_NS)
    started.run.miss([started.condition], {"a": part}, 0.0)
    started.storage.write(started.run.take_late(1.0, lambda: 1.0))
    assert started.stretches() == [(1, None)]
    started.take({900: 0})
    assert started.stretches() == [(1, 602)]
