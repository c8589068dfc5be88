"""Rules as text for people and as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from sift.annotations.v1 import annotations_pb2
from sift.rules.v1 import rules_pb2
from sift_server.commands.text import shown, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sift.rules.v1.rules_pb2 import Rule, RuleConditionExpression

_COMPARATORS = {
    rules_pb2.LESS_THAN: "<",
    rules_pb2.LESS_THAN_OR_EQUAL: "<=",
    rules_pb2.GREATER_THAN: ">",
    rules_pb2.GREATER_THAN_OR_EQUAL: ">=",
    rules_pb2.EQUAL: "==",
    rules_pb2.NOT_EQUAL: "!=",
}


def rule_lines(rules: Sequence[Rule], assets: Mapping[str, str]) -> Iterator[str]:
    """A table of rules; below each what it says.

    Args:
        rules: The rules.
        assets: Names of assets by their ids.
    """
    head = ("NAME", "MAKES", "VERSION", "LIVE", "ASSETS")
    rows = [
        (
            shown(rule.name),
            " and ".join(sorted({_kind(action) for action in _actions(rule)})) or "nothing",
            str(rule.rule_version.version),
            _liveness(rule),
            shown(", ".join(_assets(rule, assets))),
        )
        for rule in rules
    ]
    return table(head, rows, [_condition_text(rule) for rule in rules])


def rule_document(rule: Rule, assets: Mapping[str, str]) -> dict[str, Any]:
    """A rule with the names of its assets, for JSON."""
    document: dict[str, Any] = json_format.MessageToDict(
        rule, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {**document, "asset_names": _assets(rule, assets)}


def asset_ids(rule: Rule) -> list[str]:
    """The assets that a rule names, by their ids."""
    return list(rule.asset_configuration.asset_ids)


def expression_text(expression: RuleConditionExpression) -> str:
    """What a condition says, with the channels that its references stand for."""
    if expression.HasField("single_channel_comparison"):
        comparison = expression.single_channel_comparison
        match comparison.WhichOneof("threshold"):
            case "double":
                threshold = f"{comparison.double:g}"
            case "string":
                threshold = f'"{comparison.string}"'
            case _:
                threshold = "its value before"
        name = ".".join(filter(None, (comparison.channel_component, comparison.channel_name)))
        return f"{name} {_COMPARATORS.get(comparison.comparator, '?')} {threshold}"
    calculated = expression.calculated_channel
    references = ", ".join(
        f"{reference}: {'.'.join(filter(None, (channel.component, channel.name)))}"
        for reference, channel in sorted(calculated.channel_references.items())
    )
    return f"{calculated.expression}   ({references})" if references else calculated.expression


def _condition_text(rule: Rule) -> str:
    return "; ".join(expression_text(condition.expression) for condition in rule.conditions)


def _actions(rule: Rule) -> Iterator[rules_pb2.RuleAction]:
    for condition in rule.conditions:
        yield from condition.actions


def _kind(action: rules_pb2.RuleAction) -> str:
    if action.action_type != rules_pb2.ANNOTATION:
        return "notification" if action.action_type == rules_pb2.NOTIFICATION else "other"
    kind = action.configuration.annotation.annotation_type
    return "phase" if kind == annotations_pb2.ANNOTATION_TYPE_PHASE else "review"


def _liveness(rule: Rule) -> str:
    if rule.HasField("deleted_date"):
        return "deleted"
    if rule.is_archived:
        return "archived"
    return "yes" if rule.is_live_evaluation_enabled else "no"


def _assets(rule: Rule, names: Mapping[str, str]) -> list[str]:
    return [names.get(each, each) for each in asset_ids(rule)]
