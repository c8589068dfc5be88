"""Rules between their messages and the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.annotations.v1 import annotations_pb2
from sift.common.type.v1.calculated_channels_pb2 import CalculatedChannelDependency
from sift.rules.v1 import rules_pb2
from sift_server.api.services.convert import from_metadata, to_metadata, to_timestamp
from sift_server.catalog import (
    Action,
    ActionKind,
    AnnotationType,
    AskedIds,
    Calculated,
    ChannelName,
    Comparator,
    Comparison,
    Condition,
    RuleContent,
    RuleDraft,
)
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sift_server.catalog import Rule, Rules, RuleVersion
    from sift_server.catalog.rule_content import (
        ConditionExpression,
        StoredAction,
        StoredCondition,
    )
    from sift_server.rules import AskedStretches

_COMPARATORS = {
    rules_pb2.LESS_THAN: Comparator.LESS_THAN,
    rules_pb2.LESS_THAN_OR_EQUAL: Comparator.LESS_THAN_OR_EQUAL,
    rules_pb2.GREATER_THAN: Comparator.GREATER_THAN,
    rules_pb2.GREATER_THAN_OR_EQUAL: Comparator.GREATER_THAN_OR_EQUAL,
    rules_pb2.EQUAL: Comparator.EQUAL,
    rules_pb2.NOT_EQUAL: Comparator.NOT_EQUAL,
}
_COMPARATOR_NUMBERS = {comparator: number for number, comparator in _COMPARATORS.items()}


def from_update(request: rules_pb2.UpdateRuleRequest) -> RuleDraft:
    """Read what a rule is to be.

    Raises:
        InvalidArgumentError: A condition has no expression, or something that this server lacks.
    """
    # Clients of the first releases name one asset, and call live evaluation `enabled`.
    configuration = request.asset_configuration
    asset_ids = [*configuration.asset_ids, *([request.asset_id] if request.asset_id else [])]
    is_live = request.is_enabled
    if request.HasField("is_live_evaluation_enabled"):
        is_live = request.is_live_evaluation_enabled
    return RuleDraft(
        content=RuleContent(
            name=request.name,
            description=request.description,
            conditions=tuple(_from_condition(request.name, one) for one in request.conditions),
            asset_ids=tuple(dict.fromkeys(asset_ids)),
            tag_ids=tuple(dict.fromkeys(configuration.tag_ids)),
            contextual_channels=tuple(map(_from_channel, request.contextual_channels.channels)),
            metadata=from_metadata(request.metadata),
            is_enabled=request.is_enabled,
            is_live=is_live,
            is_external=request.is_external,
        ),
        rule_id=request.rule_id,
        client_key=request.client_key,
        organization_id=request.organization_id,
        notes=request.version_notes,
        is_archived=request.is_archived,
        asked_ids=tuple(
            AskedIds(one.rule_condition_id, tuple(action.rule_action_id for action in one.actions))
            for one in request.conditions
        ),
    )


def _from_condition(rule_name: str, message: rules_pb2.UpdateConditionRequest) -> Condition:
    return Condition(
        _from_expression(rule_name, message.expression),
        tuple(_from_action(rule_name, one) for one in message.actions),
    )


def _from_expression(
    rule_name: str, message: rules_pb2.RuleConditionExpression
) -> ConditionExpression:
    kind = message.WhichOneof("expression")
    if kind == "calculated_channel":
        calculated = message.calculated_channel
        channels = calculated.channel_references
        if calculated.function_dependencies:
            raise InvalidArgumentError(
                f"the rule {rule_name!r} uses functions of users, which this server does not have;"
                " write what they compute"
            )
        versions = {
            name: one.calculated_channel_version_id
            for name, one in sorted(channels.items())
            if one.calculated_channel_version_id
        }
        return Calculated(
            calculated.expression,
            tuple(
                (name, _from_channel(channels[name]))
                for name in sorted(channels)
                if name not in versions or channels[name].name
            ),
            tuple(versions.items()),
            asked_version_ids=tuple(
                one.calculated_channel_version_id
                for one in calculated.calculated_channel_dependencies
                if one.calculated_channel_version_id not in versions.values()
            ),
        )
    if kind == "single_channel_comparison":
        return _from_comparison(rule_name, message.single_channel_comparison)
    raise InvalidArgumentError(f"the rule {rule_name!r} has a condition without an expression")


def _from_comparison(
    rule_name: str, message: rules_pb2.SingleChannelComparisonExpression
) -> Comparison:
    comparator = _COMPARATORS.get(message.comparator)
    kind = message.WhichOneof("threshold")
    if comparator is None or kind is None:
        what = "comparator" if comparator is None else "threshold"
        raise InvalidArgumentError(
            f"the rule {rule_name!r} compares {message.channel_name!r} without a {what}"
        )
    threshold = None if kind == "last_value" else getattr(message, kind)
    channel = ChannelName(message.channel_name, message.channel_component)
    return Comparison(channel, comparator, threshold)


def _from_action(rule_name: str, message: rules_pb2.UpdateActionRequest) -> Action:
    configuration = message.configuration
    kind = configuration.WhichOneof("configuration")
    if kind == "notification":
        recipients = tuple(configuration.notification.recipient_user_ids)
        return Action(ActionKind.NOTIFICATION, recipient_user_ids=recipients)
    if kind == "webhook":
        return Action(ActionKind.WEBHOOK, webhook_id=configuration.webhook.webhook_id)
    if kind is None:
        raise InvalidArgumentError(
            f"the rule {rule_name!r} has an action without a configuration; say whether it makes"
            " annotations"
        )
    annotation = configuration.annotation
    is_phase = annotation.annotation_type == annotations_pb2.ANNOTATION_TYPE_PHASE
    return Action(
        ActionKind.ANNOTATION,
        annotation_type=AnnotationType.PHASE if is_phase else AnnotationType.REVIEW,
        tag_ids=tuple(dict.fromkeys(annotation.tag_ids)),
        assigned_to_user_id=annotation.assigned_to_user_id,
        metadata=from_metadata(annotation.metadata),
    )


def _from_channel(message: rules_pb2.ChannelReference) -> ChannelName:
    return ChannelName(ChannelName(message.name, message.component).fqn)


def to_rule(rule: Rule) -> rules_pb2.Rule:
    """Write a rule in the version that it was read in."""
    content = rule.content
    return rules_pb2.Rule(
        rule_id=rule.rule_id,
        # Clients of the first releases know one asset.
        asset_id=content.asset_ids[0] if content.asset_ids else "",
        name=content.name,
        description=content.description,
        is_enabled=content.is_enabled,
        created_date=to_timestamp(rule.created_ns),
        modified_date=to_timestamp(rule.modified_ns),
        created_by_user_id=rule.created_by_user_id,
        modified_by_user_id=rule.modified_by_user_id,
        organization_id=rule.organization_id,
        conditions=[
            _to_condition(rule, condition, ids)
            for condition, ids in zip(content.conditions, rule.conditions, strict=True)
        ],
        rule_version=to_version(rule.version, rule),
        client_key=rule.client_key or "",
        asset_configuration=rules_pb2.RuleAssetConfiguration(
            asset_ids=content.asset_ids, tag_ids=content.tag_ids
        ),
        contextual_channels=rules_pb2.ContextualChannels(
            channels=map(_to_channel, content.contextual_channels)
        ),
        deleted_date=to_timestamp(rule.deleted_ns),
        is_external=content.is_external,
        metadata=to_metadata(content.metadata),
        archived_date=to_timestamp(rule.archived_ns),
        is_archived=rule.archived_ns is not None,
        is_live_evaluation_enabled=content.is_live,
        current_version_id=rule.current_version_id,
    )


def to_version(version: RuleVersion, rule: Rule) -> rules_pb2.RuleVersion:
    """Write a version of a rule."""
    return rules_pb2.RuleVersion(
        rule_id=version.rule_id,
        rule_version_id=version.rule_version_id,
        version=str(version.number),
        created_date=to_timestamp(version.created_ns),
        created_by_user_id=version.created_by_user_id,
        version_notes=version.notes,
        generated_change_message=version.change_message,
        deleted_date=to_timestamp(rule.deleted_ns),
        archived_date=to_timestamp(rule.archived_ns),
        is_archived=rule.archived_ns is not None,
    )


def _to_condition(
    rule: Rule, condition: Condition, ids: StoredCondition
) -> rules_pb2.RuleCondition:
    return rules_pb2.RuleCondition(
        rule_condition_id=ids.condition_id,
        rule_condition_version_id=ids.condition_version_id,
        rule_id=rule.rule_id,
        expression=_to_expression(condition.expression),
        created_date=to_timestamp(ids.created_ns),
        modified_date=to_timestamp(rule.version.created_ns),
        created_by_user_id=rule.created_by_user_id,
        modified_by_user_id=rule.version.created_by_user_id,
        actions=[
            _to_action(rule, ids.condition_id, action, action_ids)
            for action, action_ids in zip(condition.actions, ids.actions, strict=True)
        ],
    )


def _to_expression(expression: ConditionExpression) -> rules_pb2.RuleConditionExpression:
    if isinstance(expression, Calculated):
        return rules_pb2.RuleConditionExpression(
            calculated_channel=rules_pb2.CalculatedChannelConfig(
                channel_references=to_references(expression.references, expression.versions),
                expression=expression.expression,
                calculated_channel_dependencies=[
                    CalculatedChannelDependency(calculated_channel_version_id=version_id)
                    for version_id in dict.fromkeys(
                        one for _, one in (*expression.versions, *expression.pins)
                    )
                ],
            )
        )
    comparison = rules_pb2.SingleChannelComparisonExpression(
        channel_component=expression.channel.component,
        channel_name=expression.channel.name,
        comparator=_COMPARATOR_NUMBERS[expression.comparator],
    )
    if expression.threshold is None:
        comparison.last_value.SetInParent()
    elif isinstance(expression.threshold, str):
        comparison.string = expression.threshold
    else:
        comparison.double = expression.threshold
    return rules_pb2.RuleConditionExpression(single_channel_comparison=comparison)


def to_references(
    references: Iterable[tuple[str, ChannelName]], versions: Iterable[tuple[str, str]] = ()
) -> dict[str, rules_pb2.ChannelReference]:
    """Write what references stand for: channels, and versions of calculated channels."""
    written = {name: _to_channel(channel) for name, channel in references}
    for name, version_id in versions:
        one = written.setdefault(name, rules_pb2.ChannelReference())
        one.calculated_channel_version_id = version_id
    return written


def _to_channel(channel: ChannelName) -> rules_pb2.ChannelReference:
    # Whole, because clients that still write a component do not look at it when they read.
    return rules_pb2.ChannelReference(name=channel.fqn)


def _to_action(
    rule: Rule, condition_id: str, action: Action, ids: StoredAction
) -> rules_pb2.RuleAction:
    return rules_pb2.RuleAction(
        rule_action_id=ids.action_id,
        rule_action_version_id=ids.action_version_id,
        rule_condition_id=condition_id,
        action_type=rules_pb2.ActionKind.ValueType(action.kind),
        configuration=_to_configuration(action),
        created_date=to_timestamp(ids.created_ns),
        modified_date=to_timestamp(rule.version.created_ns),
        created_by_user_id=rule.created_by_user_id,
        modified_by_user_id=rule.version.created_by_user_id,
    )


def _to_configuration(action: Action) -> rules_pb2.RuleActionConfiguration:
    if action.kind is ActionKind.NOTIFICATION:
        return rules_pb2.RuleActionConfiguration(
            notification=rules_pb2.NotificationActionConfiguration(
                recipient_user_ids=action.recipient_user_ids
            )
        )
    if action.kind is ActionKind.WEBHOOK:
        return rules_pb2.RuleActionConfiguration(
            webhook=rules_pb2.WebhookActionConfiguration(webhook_id=action.webhook_id)
        )
    return rules_pb2.RuleActionConfiguration(
        annotation=rules_pb2.AnnotationActionConfiguration(
            tag_ids=action.tag_ids,
            annotation_type=annotations_pb2.AnnotationType.ValueType(action.annotation_type),
            assigned_to_user_id=action.assigned_to_user_id or None,
            metadata=to_metadata(action.metadata),
        )
    )


def keys_of(rule_ids: Sequence[str], client_keys: Sequence[str]) -> list[tuple[str, str]]:
    """Ids and client keys as the catalog takes them."""
    return [*((one, "") for one in rule_ids), *(("", one) for one in client_keys)]


def current_versions(
    rules: Rules, rule_ids: Sequence[str], client_keys: Sequence[str]
) -> list[str]:
    """The newest versions of rules.

    Raises:
        NotFoundError: There is no rule of an id or client key.
    """
    keys = keys_of(rule_ids, client_keys)
    return [rules.get(*key).version.rule_version_id for key in keys]


def to_dry_run(asked: AskedStretches) -> Iterator[rules_pb2.DryRunAnnotation]:
    """Write the annotations that a condition would make."""
    for stretch in asked.stretches:
        yield rules_pb2.DryRunAnnotation(
            condition_id=asked.rule.condition_id,
            condition_version_id=asked.rule.condition_version_id,
            name=asked.rule.name,
            start_time=to_timestamp(stretch.start_ns),
            end_time=to_timestamp(stretch.end_ns),
        )
