"""Checks the rules of a telemetry config against an asset, before a program declares them.

The server says whether a rule fits what the asset has. Of a rule that names channels which only the
config has, and which the asset gets with it, the same check is made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sift.ingestion_configs.v2 import ingestion_configs_pb2
from sift.rules.v1.rules_pb2 import JsonRulesRequest, JsonRulesResponse, ValidateJsonRulesRequest
from sift.rules.v1.rules_pb2_grpc import RuleServiceStub
from sift_py._internal.convert.json import to_json
from sift_server.api.services.flows import from_flows
from sift_server.catalog import CalculatedReference, Channel
from sift_server.errors import InvalidArgumentError
from sift_server.readback import list_channels
from sift_server.rules.checks import AssetSources, Written, compiled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import grpc

    from sift_py.ingestion.config.telemetry import TelemetryConfig
    from sift_py.ingestion.rule.config import RuleConfig


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """A rule, and why it does not fit; None if it does."""

    rule: RuleConfig
    problem: str | None


def check_rules(
    config: TelemetryConfig, channel: grpc.Channel | None, asset_id: str
) -> list[CheckedRule]:
    """Check each rule of a config by itself.

    Args:
        config: The config.
        channel: The server; None to look at the channels of the config alone.
        asset_id: The asset, or empty if the server does not have it yet.
    """
    declared = _declared(config)
    known = _channels(channel, asset_id) if channel is not None and asset_id else {}
    together = {**known, **declared}
    new = [
        name
        for name, one in declared.items()
        if name not in known or known[name].config.data_type != one.config.data_type
    ]
    sources = AssetSources(
        lambda names: {name: together[name] for name in names if name in together}
    )
    checked = []
    for rule in config.rules:
        if channel is None or not asset_id or _mentions(rule, new):
            problem = _found(rule, sources)
        else:
            problem = _told(channel, asset_id, rule)
        checked.append(CheckedRule(rule, problem))
    return checked


def update_of(
    channel: grpc.Channel, asset_id: str, rules: Sequence[RuleConfig]
) -> JsonRulesResponse:
    """What would become of an asset's rules, if these took their place."""
    stub: Any = RuleServiceStub(channel)
    request = JsonRulesRequest(asset_id=asset_id, rules_json=to_json(rules))
    answer: JsonRulesResponse = stub.ValidateJsonRules(
        ValidateJsonRulesRequest(request=request)
    ).response
    return answer


def _told(channel: grpc.Channel, asset_id: str, rule: RuleConfig) -> str | None:
    answer = update_of(channel, asset_id, [rule])
    if answer.success:
        return None
    # Of a list it also says which rule of which asset.
    _, _, problem = answer.error_messages.partition(f"rule {rule.name!r}: ")
    return problem or answer.error_messages


def _found(rule: RuleConfig, sources: AssetSources) -> str | None:
    references = tuple(
        CalculatedReference(one["channel_reference"], one["channel_identifier"])
        for one in rule.channel_references
    )
    try:
        compiled(Written(rule.expression, references, {}), sources, None)
    except InvalidArgumentError as error:
        return str(error)
    return None


def _mentions(rule: RuleConfig, names: Iterable[str]) -> bool:
    """Whether a rule names one of some channels, or may do so."""
    identifiers = [f"{one['channel_identifier']}." for one in rule.channel_references]
    return any(
        name in rule.expression or any(each.startswith(f"{name}.") for each in identifiers)
        for name in names
    )


def _declared(config: TelemetryConfig) -> dict[str, Channel]:
    messages = [flow.as_pb(ingestion_configs_pb2.FlowConfig) for flow in config.flows]
    return {
        one.fqn: Channel("", "", one, 0, 0)
        for flow in from_flows(messages)
        for one in flow.channels
    }


def _channels(channel: grpc.Channel, asset_id: str) -> dict[str, Channel]:
    """What the asset has; of several channels of a name the one that was described last."""
    found = sorted(
        list_channels(channel, asset_id), key=lambda one: one.modified_date.ToNanoseconds()
    )
    flow = ingestion_configs_pb2.FlowConfig(
        channels=[
            ingestion_configs_pb2.ChannelConfig(
                name=one.name,
                data_type=one.data_type,
                enum_types=one.enum_types,
                bit_field_elements=one.bit_field_elements,
            )
            for one in found
        ]
    )
    (read,) = from_flows([flow])
    return {one.fqn: Channel("", "", one, 0, 0) for one in read.channels}
