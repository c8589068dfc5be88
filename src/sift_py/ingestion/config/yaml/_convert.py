"""From the checked content of YAML files to the configs it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift_py.errors import TelemetryConfigValidationError
from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelDataTypeStrRep,
    ChannelEnumType,
)
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.rule.config import (
    RuleAction,
    RuleActionAnnotationKind,
    RuleActionCreateDataReviewAnnotation,
    RuleActionCreatePhaseAnnotation,
    RuleConfig,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sift_py.ingestion.config.yaml.spec import (
        ChannelConfigYamlSpec,
        FlowYamlSpec,
        RuleYamlSpec,
    )


def flow_from_yaml(spec: FlowYamlSpec) -> FlowConfig:
    """Return the flow that a spec stands for."""
    return FlowConfig(
        name=spec["name"], channels=[_channel_from_yaml(channel) for channel in spec["channels"]]
    )


def rule_from_yaml(spec: RuleYamlSpec, named_expressions: Mapping[str, str]) -> RuleConfig:
    """Return the rule that a spec stands for.

    Channels that are referred to may be in no flow.

    Raises:
        TelemetryConfigValidationError: The named expression is not among those given.
        RuleConfigError: A sub-expression does not fit the expression, or is missing.
    """
    expression = spec["expression"]
    if not isinstance(expression, str):
        name = expression["name"]
        if name not in named_expressions:
            raise TelemetryConfigValidationError(
                f"Named expression '{name}' of rule '{spec['name']}' could not be found. Make sure"
                " that the module which has it was loaded in."
            )
        expression = named_expressions[name]
    sub_expressions: dict[str, Any] = {}
    for some in spec.get("sub_expressions") or []:
        sub_expressions.update(some)
    return RuleConfig(
        name=spec["name"],
        description=spec.get("description") or "",
        expression=expression,
        action=_action_from_yaml(spec),
        channel_references=[
            {"channel_reference": reference, "channel_config": _channel_from_yaml(channel)}
            for some in spec.get("channel_references") or []
            for reference, channel in some.items()
        ],
        sub_expressions=sub_expressions,
    )


def _action_from_yaml(spec: RuleYamlSpec) -> RuleAction:
    match RuleActionAnnotationKind.from_str(spec["type"]):
        case RuleActionAnnotationKind.REVIEW:
            return RuleActionCreateDataReviewAnnotation(spec.get("assignee"), spec.get("tags"))
        case RuleActionAnnotationKind.PHASE:
            return RuleActionCreatePhaseAnnotation(spec.get("tags"))


def _channel_from_yaml(spec: ChannelConfigYamlSpec) -> ChannelConfig:
    return ChannelConfig(
        name=spec["name"],
        data_type=ChannelDataType[ChannelDataTypeStrRep(spec["data_type"]).name],
        description=spec.get("description"),
        unit=spec.get("unit"),
        component=spec.get("component"),
        bit_field_elements=[
            ChannelBitFieldElement(element["name"], element["index"], element["bit_count"])
            for element in spec.get("bit_field_elements") or []
        ],
        enum_types=[
            ChannelEnumType(enum_type["name"], enum_type["key"])
            for enum_type in spec.get("enum_types") or []
        ],
    )
