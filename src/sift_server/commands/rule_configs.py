"""Rules of a telemetry config as messages of the protocol, to evaluate what is not stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.annotations.v1 import annotations_pb2
from sift.rules.v1 import rules_pb2
from sift_py.ingestion.rule.config import RuleActionCreatePhaseAnnotation

if TYPE_CHECKING:
    from sift_py.ingestion.rule.config import RuleConfig


def update_of_config(rule: RuleConfig, asset_id: str) -> rules_pb2.UpdateRuleRequest:
    """A rule of an asset that is not stored, as `EvaluateRulesPreview` takes it."""
    is_phase = isinstance(rule.action, RuleActionCreatePhaseAnnotation)
    kind = (
        annotations_pb2.ANNOTATION_TYPE_PHASE
        if is_phase
        else annotations_pb2.ANNOTATION_TYPE_DATA_REVIEW
    )
    action = rules_pb2.UpdateActionRequest(
        action_type=rules_pb2.ANNOTATION,
        configuration=rules_pb2.RuleActionConfiguration(
            annotation=rules_pb2.AnnotationActionConfiguration(annotation_type=kind)
        ),
    )
    calculated = rules_pb2.CalculatedChannelConfig(
        expression=rule.expression,
        channel_references={
            one["channel_reference"]: rules_pb2.ChannelReference(name=one["channel_identifier"])
            for one in rule.channel_references
        },
    )
    condition = rules_pb2.UpdateConditionRequest(
        expression=rules_pb2.RuleConditionExpression(calculated_channel=calculated),
        actions=[action],
    )
    return rules_pb2.UpdateRuleRequest(
        name=rule.name,
        description=rule.description,
        is_enabled=True,
        conditions=[condition],
        asset_configuration=rules_pb2.RuleAssetConfiguration(asset_ids=[asset_id]),
    )
