"""Rules that are asked about, and that can't be evaluated: a sentence, not the answer 0."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import grpc
import pytest

from services.test_rules import condition_of, expression_of, update_of
from sift.rule_evaluation.v1 import rule_evaluation_pb2
from sift.rule_evaluation.v1.rule_evaluation_pb2_grpc import RuleEvaluationServiceStub
from sift.rules.v1 import rules_pb2
from sift.rules.v1.rules_pb2_grpc import RuleServiceStub
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from support.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = datetime(2026, 1, 1, tzinfo=UTC)
SPEED = ChannelConfig("speed", ChannelDataType.DOUBLE)


class Asked:
    """Two assets with ten points each, of which only the rover's speed is a number."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.rules = RuleServiceStub(channel)
        self.evaluation = RuleEvaluationServiceStub(channel)
        label = ChannelConfig("speed", ChannelDataType.STRING)
        rover = IngestionService(
            channel, TelemetryConfig("rover", flows=[FlowConfig("f", [SPEED])])
        )
        pod = IngestionService(channel, TelemetryConfig("pod", flows=[FlowConfig("f", [label])]))
        self.rover_id = rover.ingestion_config.asset_id
        self.pod_id = pod.ingestion_config.asset_id
        for service, value in ((rover, 9.0), (pod, "fast")):
            service.ingest_flows(
                *(
                    {
                        "flow_name": "f",
                        "timestamp": START + timedelta(seconds=second),
                        "channel_values": [value],
                    }
                    for second in range(10)
                )
            )

    def store(self, *asset_ids: str) -> str:
        """A rule about a number, stored whether or not it fits."""
        update = update_of(
            "",
            asset_configuration=rules_pb2.RuleAssetConfiguration(asset_ids=asset_ids),
            conditions=[condition_of(expression_of("$1 > 5", _1="speed"))],
        )
        answer = self.rules.BatchUpdateRules(
            rules_pb2.BatchUpdateRulesRequest(rules=[update], override_expression_validation=True)
        )
        (created,) = answer.created_rule_identifiers
        return created.rule_id

    def evaluate(self, **mode) -> int:
        request = rule_evaluation_pb2.EvaluateRulesRequest(**mode)
        request.assets.assets.names.names.extend(["rover", "pod"])
        return self.evaluation.EvaluateRules(request).created_annotation_count

    def preview(self, **mode) -> int:
        request = rule_evaluation_pb2.EvaluateRulesPreviewRequest(**mode)
        request.run_time_range.SetInParent()
        return self.evaluation.EvaluateRulesPreview(request).created_annotation_count

    def evaluate_as_before(self, rule_id: str, *, dry_run: bool) -> int:
        request = rules_pb2.EvaluateRulesRequest(rule_ids=[rule_id], dry_run=dry_run)
        request.time_range.start_time.FromDatetime(START)
        request.time_range.end_time.FromDatetime(START + timedelta(minutes=1))
        return self.rules.EvaluateRules(request).created_annotation_count


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """What is asked of a server."""
    with serving(tmp_path_factory.mktemp("asked")) as server:
        uri = {"uri": f"http://{server.address}", "apikey": server.api_key}
        with use_sift_channel(uri) as channel:
            yield Asked(channel)


def named(rule_id: str) -> rule_evaluation_pb2.EvaluateRulesFromCurrentRuleVersions:
    wanted = rule_evaluation_pb2.EvaluateRulesFromCurrentRuleVersions()
    wanted.rules.ids.ids.append(rule_id)
    return wanted


@pytest.mark.parametrize(
    "call",
    [
        lambda asked, rule_id: asked.evaluate(rules=named(rule_id)),
        lambda asked, rule_id: asked.preview(rules=named(rule_id)),
        lambda asked, rule_id: asked.evaluate_as_before(rule_id, dry_run=False),
        lambda asked, rule_id: asked.evaluate_as_before(rule_id, dry_run=True),
    ],
    ids=["evaluate", "preview", "older", "older dry run"],
)
def test_a_named_rule_that_fits_nowhere_is_refused(asked: Asked, call: Callable[[Asked, str], int]):
    """With rule, asset, column, channel and type; one that fits is evaluated."""
    with pytest.raises(grpc.RpcError) as refused:
        call(asked, asked.store(asked.pod_id))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    for told in ("rule 'fast'", "asset 'pod'", "column 1", "$1 is speed, a string"):
        assert told in refused.value.details()
    assert call(asked, asked.store(asked.rover_id)) == 1
    # On one of its assets is enough.
    assert call(asked, asked.store(asked.pod_id, asked.rover_id)) == 1


def test_rules_that_nobody_named_are_left_out(asked: Asked):
    """All that apply are those that fit."""
    asked.store(asked.pod_id)
    fitting = asked.store(asked.rover_id)
    assert asked.evaluate(all_applicable_rules=True) >= 1
    assert asked.evaluate(rules=named(fitting)) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "a rule needs a name"),
        ({"conditions": []}, "has no condition"),
        ({"asset_configuration": None}, "the rule 'fast' is about no asset"),
        (None, "there is no rule to evaluate"),
    ],
)
def test_a_preview_of_what_is_no_rule_is_refused(asked: Asked, wrong, said):
    """As storing it is; and a rule about nothing would find nothing."""
    configs = [] if wrong is None else [update_of(asked.rover_id, **wrong)]
    wanted = rule_evaluation_pb2.EvaluateRulesFromRuleConfigs(configs=configs)
    with pytest.raises(grpc.RpcError, match=said) as refused:
        asked.preview(rule_configs=wanted)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
