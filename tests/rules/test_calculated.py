"""Rules over calculated channels are rules with their expressions written out."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from sift.annotations.v1 import annotations_pb2, annotations_pb2_grpc
from sift.calculated_channels.v2 import calculated_channels_pb2 as channels_pb2
from sift.calculated_channels.v2 import calculated_channels_pb2_grpc as channels_pb2_grpc
from sift.common.type.v1.calculated_channels_pb2 import CalculatedChannelDependency
from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType as Type
from sift.rule_evaluation.v1 import rule_evaluation_pb2
from sift.rule_evaluation.v1.rule_evaluation_pb2_grpc import RuleEvaluationServiceStub
from sift.rules.v1 import rules_pb2, rules_pb2_grpc
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.server import Server, ServerSettings
from support.serving import plain_channel
from support.telemetry import Config, create_config, ingest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

S = 10**9
PATIENCE_S = 20
DOUBLE = Type.CHANNEL_DATA_TYPE_DOUBLE
WRITTEN_OUT = {
    "hot": "persistence(avg(v * i, rolling('3s')) > 4, 2)",
    "sum": "(v * i) + (deriv((v * i), '1s')) > 6",
    "compared": "(v * i) > 5",
    "by version": "(v * i) + 1 > 5",
}
BY_NAME = {
    "hot": "persistence(avg(power, rolling('3s')) > 4, 2)",
    "sum": "power + $1 > 6",
}
Found = dict[str, set[tuple[int, int]]]
"""Starts and ends by the name of the rule."""


class Rig:
    """A server with a rover whose channels have different rates."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.rules = rules_pb2_grpc.RuleServiceStub(channel)
        self.calculated = channels_pb2_grpc.CalculatedChannelServiceStub(channel)
        self.rover: Config = create_config(channel, {"v": {"v": DOUBLE}, "i": {"i": DOUBLE}})

    def calculate(self, name: str, expression: str) -> channels_pb2.CalculatedChannel:
        """Declare a calculated channel, or change it."""
        configuration = channels_pb2.CalculatedChannelConfiguration()
        configuration.asset_configuration.all_assets = True
        configuration.query_configuration.sel.expression = expression
        found = self.calculated.ListCalculatedChannels(
            channels_pb2.ListCalculatedChannelsRequest(filter=f"name == '{name}'")
        ).calculated_channels
        if found:
            found[0].calculated_channel_configuration.CopyFrom(configuration)
            request = channels_pb2.UpdateCalculatedChannelRequest(calculated_channel=found[0])
            request.update_mask.paths.append("calculated_channel_configuration")
            return self.calculated.UpdateCalculatedChannel(request).calculated_channel
        return self.calculated.CreateCalculatedChannel(
            channels_pb2.CreateCalculatedChannelRequest(
                name=name, calculated_channel_configuration=configuration
            )
        ).calculated_channel

    def declare(self, expressions: dict[str, str], **references: str) -> Any:
        """Replace the JSON rules; returns the response."""
        listed = [
            {"channel_reference": f"${name[1:]}", "channel_identifier": channel}
            for name, channel in references.items()
        ]
        rules = [
            {
                "name": name,
                "expression": text,
                "type": "review",
                "expression_channel_references": [
                    one for one in listed if one["channel_reference"] in text
                ],
            }
            for name, text in expressions.items()
        ]
        request = rules_pb2.UpdateJsonRulesRequest()
        request.request.asset_id = self.rover.asset_id
        request.request.rules_json = json.dumps(rules)
        return self.rules.UpdateJsonRules(request).response

    def rule(self, name: str, expression: rules_pb2.RuleConditionExpression) -> Any:
        """What a client sends of a rule."""
        update = rules_pb2.UpdateRuleRequest(name=name, is_live_evaluation_enabled=True)
        update.asset_configuration.asset_ids.append(self.rover.asset_id)
        condition = update.conditions.add(expression=expression)
        action = condition.actions.add(action_type=rules_pb2.ANNOTATION)
        action.configuration.annotation.annotation_type = (
            annotations_pb2.ANNOTATION_TYPE_DATA_REVIEW
        )
        return update

    def create(self, name: str, expression: rules_pb2.RuleConditionExpression) -> rules_pb2.Rule:
        request = rules_pb2.CreateRuleRequest(update=self.rule(name, expression))
        return self.get(self.rules.CreateRule(request).rule_id)

    def get(self, rule_id: str) -> rules_pb2.Rule:
        return self.rules.GetRule(rules_pb2.GetRuleRequest(rule_id=rule_id)).rule

    def listed(self) -> Any:
        stub = annotations_pb2_grpc.AnnotationServiceStub(self.channel)
        request = annotations_pb2.ListAnnotationsRequest(page_size=1000)
        return stub.ListAnnotations(request).annotations

    def annotations(self) -> Found:
        return by_name(self.listed())

    def previewed(self, *updates: rules_pb2.UpdateRuleRequest) -> Found:
        """What stored rules, or these, would find."""
        request = rule_evaluation_pb2.EvaluateRulesPreviewRequest()
        request.run_time_range.run.id = self.run_id
        request.run_time_range.start_time.FromNanoseconds(0)
        request.run_time_range.end_time.FromNanoseconds(10**6 * S)
        if updates:
            request.rule_configs.configs.extend(updates)
        else:
            known = self.rules.ListRules(rules_pb2.ListRulesRequest()).rules
            ids = (rule.current_version_id for rule in known)
            request.rule_versions.rule_version_ids.extend(ids)
        stub = RuleEvaluationServiceStub(self.channel)
        return by_name(stub.EvaluateRulesPreview(request).dry_run_annotations)

    def drive(self) -> None:
        """Send points of a run, out of order, in several streams."""
        stub = runs_pb2_grpc.RunServiceStub(self.channel)
        self.run_id = stub.CreateRun(runs_pb2.CreateRunRequest(name="drive")).run.run_id
        chance = random.Random(7)
        rows = [
            self.rover.row(name, at * step, [chance.uniform(0, 4)], self.run_id)
            for name, step in (("v", S), ("i", S * 7 // 3))
            for at in range(60)
        ]
        chance.shuffle(rows)
        for start in range(0, len(rows), 30):
            ingest(self.channel, rows[start : start + 30])


def by_name(annotations: Any) -> Found:
    found: Found = {}
    for one in annotations:
        times = (one.start_time.ToNanoseconds(), one.end_time.ToNanoseconds())
        found.setdefault(one.name.removesuffix(" written"), set()).add(times)
    return found


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with (
        Server(ServerSettings(tmp_path / "telemetry", port=0)) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        yield Rig(channel)


def comparison(channel: str, threshold: float) -> rules_pb2.RuleConditionExpression:
    return rules_pb2.RuleConditionExpression(
        single_channel_comparison=rules_pb2.SingleChannelComparisonExpression(
            channel_name=channel, comparator=rules_pb2.GREATER_THAN, double=threshold
        )
    )


def calculated(text: str, dependencies: tuple[str, ...] = (), **versions: str) -> Any:
    return rules_pb2.RuleConditionExpression(
        calculated_channel=rules_pb2.CalculatedChannelConfig(
            expression=text,
            channel_references={
                f"${name[1:]}": rules_pb2.ChannelReference(calculated_channel_version_id=one)
                for name, one in versions.items()
            },
            calculated_channel_dependencies=[
                CalculatedChannelDependency(calculated_channel_version_id=one)
                for one in dependencies
            ],
        )
    )


def test_they_find_the_same_live_and_when_asked(rig):
    """By name in JSON and in comparisons, by version, nested; whatever order the points come in."""
    power = rig.calculate("power", "v * i")
    rig.calculate("change", "deriv(power, '1s')")
    assert rig.declare(BY_NAME, _1="change").success
    rig.create("compared", comparison("power", 5))
    by_version = rig.create("by version", calculated("$p + 1 > 5", _p=power.version_id))
    (condition,) = by_version.conditions
    reference = condition.expression.calculated_channel.channel_references["$p"]
    assert reference.calculated_channel_version_id == power.version_id
    for name, text in WRITTEN_OUT.items():
        rig.create(f"{name} written", calculated(text))
    rig.drive()
    begin = time.monotonic()
    while True:
        live = rig.annotations()
        if live.keys() == WRITTEN_OUT.keys() and live == rig.previewed():
            break
        assert time.monotonic() - begin < PATIENCE_S, (live, rig.previewed())
        time.sleep(0.05)
    linked = {
        (one.calculated_channel.calculated_channel_version_id, one.WhichOneof("type"))
        for annotation in rig.listed()
        if annotation.name == "by version"
        for one in annotation.linked_channels
    }
    assert linked == {(power.version_id, "calculated_channel"), ("", "channel")}
    # Both forms of a rule have the same annotations: each is there twice.
    assert len(rig.listed()) == 2 * sum(map(len, live.values()))
    unsaved = rig.previewed(
        rig.rule("compared", comparison("power", 5)),
        rig.rule("by version", calculated("power + 1 > 5")),
        rig.rule("sum", calculated("power + change > 6")),
    )
    assert unsaved == {name: live[name] for name in unsaved}
    assert len(unsaved) == 3


def test_a_version_of_a_rule_always_means_the_same(rig):
    """It is about the version that the calculated channel had, until the rule is declared again."""
    first = rig.calculate("power", "v * i")
    assert rig.declare({"hot": "power > 4"}).rules_created_count == 1
    assert rig.declare({"hot": "power > 4"}).rules_updated_count == 0
    (rule,) = rig.rules.ListRules(rules_pb2.ListRulesRequest()).rules
    second = rig.calculate("power", "v * i * 0")
    rig.drive()
    begin = time.monotonic()
    while not rig.annotations():
        assert time.monotonic() - begin < PATIENCE_S
        time.sleep(0.05)
    assert rig.get(rule.rule_id) == rule
    # What a client reads and sends back unchanged is the same.
    expression = rule.conditions[0].expression
    dependencies = expression.calculated_channel.calculated_channel_dependencies
    assert [one.calculated_channel_version_id for one in dependencies] == [first.version_id]
    update = rig.rule("hot", expression)
    update.rule_id = rule.rule_id
    update.is_enabled = True
    rig.rules.UpdateRule(update)
    assert rig.get(rule.rule_id).rule_version == rule.rule_version
    assert rig.declare({"hot": "power > 4"}).rules_updated_count == 1
    (now,) = rig.rules.ListRules(rules_pb2.ListRulesRequest()).rules
    assert now.rule_version.version == "2"
    dependencies = now.conditions[0].expression.calculated_channel.calculated_channel_dependencies
    assert [one.calculated_channel_version_id for one in dependencies] == [second.version_id]
    found = rig.calculated.GetCalculatedChannelDependents(
        channels_pb2.GetCalculatedChannelDependentsRequest(
            calculated_channel_id=first.calculated_channel_id
        )
    )
    assert list(found.rules) == [now]


def test_what_does_not_fit_is_refused(rig):
    """A name that there is not, a type that does not fit, a version that there is not."""
    rig.calculate("power", "v * i")
    response = rig.declare({"a": "powr > 1", "b": "power == 'x'", "c": "$1 > 1"}, _1="pow")
    assert not response.success
    for said in (
        "rule 'a': the expression 'powr > 1', at column 1, names powr",
        "rule 'b': the expression \"power == 'x'\", at column 1, compares power (a double)",
        "rule 'c': $1 stands for the channel 'pow', which the asset does not have",
    ):
        assert said in response.error_messages
    with pytest.raises(grpc.RpcError, match="no version of a calculated channel with the id 'x'"):
        rig.create("d", calculated("$p > 1", _p="x"))
    with pytest.raises(grpc.RpcError, match="no version of a calculated channel with the id 'x'"):
        rig.create("d", calculated("p > 1", dependencies=("x",)))
