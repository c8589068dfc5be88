"""Rules on a server, from registration to annotations, through kills."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sift.annotations.v1.annotations_pb2 import ListAnnotationsRequest
from sift.annotations.v1.annotations_pb2_grpc import AnnotationServiceStub
from sift.common.type.v1.resource_identifier_pb2 import NamedResources, Names
from sift.rule_evaluation.v1 import rule_evaluation_pb2
from sift.rule_evaluation.v1.rule_evaluation_pb2_grpc import RuleEvaluationServiceStub
from sift.rules.v1.rules_pb2 import DeleteRuleRequest, ListRulesRequest, UpdateRuleRequest
from sift.rules.v1.rules_pb2_grpc import RuleServiceStub
from sift.runs.v2.runs_pb2 import StopRunRequest
from sift.runs.v2.runs_pb2_grpc import RunServiceStub
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    double_value,
    enum_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.rule.config import (
    RuleActionCreateDataReviewAnnotation,
    RuleActionCreatePhaseAnnotation,
    RuleConfig,
)
from sift_py.ingestion.service import IngestionService
from support.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)
IDLE, ACCELERATING = 0, 1
PATIENCE_S = 20

VELOCITY = ChannelConfig("velocity", ChannelDataType.DOUBLE, component="mainmotor")
STATE = ChannelConfig(
    "state",
    ChannelDataType.ENUM,
    enum_types=[ChannelEnumType("Idle", IDLE), ChannelEnumType("Accelerating", ACCELERATING)],
)
CONFIG = TelemetryConfig(
    "rover",
    "rover-v1",
    flows=[FlowConfig("drive", [VELOCITY, STATE])],
    rules=[
        RuleConfig(
            "overspeed",
            "Accelerates above its limit.",
            '$1 == "Accelerating" && $2 > 80',
            RuleActionCreateDataReviewAnnotation(assignee="ann@example.org", tags=["drive"]),
            [
                {"channel_reference": "$1", "channel_config": STATE},
                {"channel_reference": "$2", "channel_config": VELOCITY},
            ],
        ),
        RuleConfig(
            "moving",
            "",
            "persistence($1 > 0, 2)",
            RuleActionCreatePhaseAnnotation(tags=[]),
            [{"channel_reference": "$1", "channel_config": VELOCITY}],
        ),
    ],
)


def drive(second):
    """Velocity and state in a second: it moves from 1 s to 30 s, and accelerates until 20 s."""
    velocity = 5.0 * second if second < 30 else 0.0
    state = ACCELERATING if second < 20 else IDLE
    return {
        "flow_name": "drive",
        "timestamp": START + timedelta(seconds=second),
        "channel_values": [double_value(velocity), enum_value(state)],
    }


EXPECTED = {("overspeed", 17, 20, False), ("moving", 3, 30, False)}


class Client:
    """A channel to a server, and what is asked over it."""

    def __init__(self, server):
        self.channel = use_sift_channel(
            {"uri": f"http://{server.address}", "apikey": server.api_key}
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def annotations(self, filter_=""):
        """Name, start and end in seconds, and whether it is pending, of every annotation."""
        request = ListAnnotationsRequest(page_size=1000, filter=filter_)
        found = AnnotationServiceStub(self.channel).ListAnnotations(request).annotations
        return {
            (
                each.name,
                each.start_time.seconds - int(START.timestamp()),
                each.end_time.seconds - int(START.timestamp()),
                each.pending,
            )
            for each in found
        }

    def wait_for(self, expected):
        """Wait until the annotations are these; says what they are if they never are."""
        begin = time.monotonic()
        while (found := self.annotations()) != expected:
            assert time.monotonic() - begin < PATIENCE_S, found
            time.sleep(0.02)


def test_rules_make_annotations_while_data_comes(tmp_path: Path):
    """With what the rule says: type, tags, assignee, channels; pending until it ends."""
    with serving(tmp_path) as server, Client(server) as client:
        service = IngestionService(client.channel, CONFIG)
        service.ingest_flows(*map(drive, range(19)))
        client.wait_for({("overspeed", 17, 18, True), ("moving", 3, 18, True)})
        service.ingest_flows(*map(drive, range(19, 40)))
        client.wait_for(EXPECTED)
        stub = AnnotationServiceStub(client.channel)
        overspeed, moving = sorted(
            stub.ListAnnotations(ListAnnotationsRequest()).annotations,
            key=lambda each: each.name,
            reverse=True,
        )
        assert list(overspeed.tags) == ["drive"]
        assert overspeed.assigned_to_user.user_name == "ann@example.org"
        assert overspeed.description == "Accelerates above its limit."
        assert len(overspeed.linked_channels) == 2
        assert (overspeed.annotation_type, moving.annotation_type) == (1, 2)


@pytest.mark.proves("annotations-same")
@pytest.mark.parametrize("order", [1, -1])
def test_kills_change_nothing(tmp_path: Path, order):
    """Rows in any order, each sent twice, and a server that is killed between them."""
    seconds = list(range(40))[::order]
    for first in range(0, 40, 10):
        with serving(tmp_path, "--hot-mib", "2") as server, Client(server) as client:
            service = IngestionService(client.channel, CONFIG)
            for _ in range(2):
                service.ingest_flows(*map(drive, seconds[first : first + 10]))
            if first == 30:
                client.wait_for(EXPECTED)
            server.kill()
    with serving(tmp_path) as server, Client(server) as client:
        client.wait_for(EXPECTED)


def rover_names():
    return NamedResources(names=Names(names=["rover"]))


def time_range(first, last):
    """The rover, between two seconds."""
    start = int(START.timestamp())
    return rule_evaluation_pb2.AssetsTimeRange(
        assets=rover_names(),
        start_time=Timestamp(seconds=start + first),
        end_time=Timestamp(seconds=start + last),
    )


def test_what_was_there_before_a_rule_is_evaluated_when_asked(tmp_path: Path):
    """A look makes nothing; asked twice, annotations are there once."""
    with serving(tmp_path) as server, Client(server) as client:
        plain = TelemetryConfig("rover", "rover-v1", flows=CONFIG.flows)
        IngestionService(client.channel, plain).ingest_flows(*map(drive, range(40)))
        IngestionService(client.channel, CONFIG)
        evaluation = RuleEvaluationServiceStub(client.channel)
        request = rule_evaluation_pb2.EvaluateRulesRequest(
            assets=time_range(0, 100), all_applicable_rules=True
        )
        assert client.annotations() == set()
        assert evaluation.EvaluateRules(request).created_annotation_count == 2
        assert client.annotations() == EXPECTED
        assert evaluation.EvaluateRules(request).created_annotation_count == 0
        assert client.annotations() == EXPECTED
        # A part of the time leaves what it knows nothing of as it is.
        request.assets.CopyFrom(time_range(10, 18))
        assert evaluation.EvaluateRules(request).created_annotation_count == 0
        assert client.annotations() == EXPECTED


def test_a_changed_rule_ends_what_is_pending(tmp_path: Path):
    """Its annotations stay, and the new version begins with what comes."""
    with serving(tmp_path) as server, Client(server) as client:
        service = IngestionService(client.channel, CONFIG)
        service.ingest_flows(*map(drive, range(19)))
        client.wait_for({("overspeed", 17, 18, True), ("moving", 3, 18, True)})
        rules = RuleServiceStub(client.channel)
        (rule,) = rules.ListRules(ListRulesRequest(filter='name == "overspeed"')).rules
        update = UpdateRuleRequest(
            rule_id=rule.rule_id,
            name=rule.name,
            is_enabled=True,
            asset_configuration=rule.asset_configuration,
        )
        update.conditions.add(expression=rule.conditions[0].expression).actions.add(
            action_type=rule.conditions[0].actions[0].action_type,
            configuration=rule.conditions[0].actions[0].configuration,
        )
        update.conditions[
            0
        ].expression.calculated_channel.expression = '$1 == "Accelerating" && $2 > 70'
        rules.UpdateRule(update)
        service.ingest_flows(drive(19), drive(20))
        client.wait_for(
            {
                ("overspeed", 17, 18, False),
                ("overspeed", 19, 20, False),
                ("moving", 3, 20, True),
            }
        )


def test_what_is_pending_ends_with_its_run(tmp_path: Path):
    """Where it was true last; a point that comes behind the stop still moves the end."""
    with serving(tmp_path) as server, Client(server) as client:
        service = IngestionService(client.channel, CONFIG)
        service.attach_run(client.channel, "drive 1")
        service.ingest_flows(*map(drive, range(19)))
        client.wait_for({("overspeed", 17, 18, True), ("moving", 3, 18, True)})
        RunServiceStub(client.channel).StopRun(StopRunRequest(run_id=service.run_id))
        ended = {("overspeed", 17, 18, False), ("moving", 3, 18, False)}
        assert client.annotations() == ended
        assert client.annotations("pending == true") == set()
        assert client.annotations("pending == false") == ended
        service.ingest_flows(drive(19))
        client.wait_for({("overspeed", 17, 19, False), ("moving", 3, 19, False)})


def test_what_is_pending_ends_with_its_rule(tmp_path: Path):
    """Also if the server is killed before it noticed that the rule is gone."""
    with serving(tmp_path) as server, Client(server) as client:
        service = IngestionService(client.channel, CONFIG)
        service.ingest_flows(*map(drive, range(19)))
        client.wait_for({("overspeed", 17, 18, True), ("moving", 3, 18, True)})
        rules = RuleServiceStub(client.channel)
        for rule in rules.ListRules(ListRulesRequest()).rules:
            rules.DeleteRule(DeleteRuleRequest(rule_id=rule.rule_id))
        server.kill()
    with serving(tmp_path) as server, Client(server) as client:
        client.wait_for({("overspeed", 17, 18, False), ("moving", 3, 18, False)})
