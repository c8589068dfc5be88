"""The content of a version of a rule as a JSON document, which is how it is stored.

```text
{"name", "description", "asset_ids", "tag_ids", "contextual_channels", "metadata",
 "is_enabled", "is_live", "is_external",
 "conditions": [{"id", "version_id", "created_ns",
                 "expression": {"expression", "references": [[reference, name, component], ...],
                                "versions": [[reference, version id], ...],
                                "pins": [[name, version id], ...]}
                     or {"channel": [name, component], "comparator", "threshold", "pins"},
                 "actions": [{"id", "version_id", "created_ns", "kind", "annotation_type",
                              "tag_ids", "assigned_to_user_id", "metadata",
                              "recipient_user_ids", "webhook_id"}]}]}
```

Metadata is `[[key, value], ...]`. Of an action, what is empty is left out, and so are versions and
pins of calculated channels.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sift_server.catalog.rule_content import (
    Action,
    ActionKind,
    AnnotationType,
    Calculated,
    ChannelName,
    Comparator,
    Comparison,
    Condition,
    RuleContent,
    StoredAction,
    StoredCondition,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.catalog.rule_content import ConditionExpression


def to_document(content: RuleContent, stored: Sequence[StoredCondition]) -> str:
    """Write a content, with the ids of its conditions in their order."""
    return json.dumps(
        {
            "name": content.name,
            "description": content.description,
            "asset_ids": content.asset_ids,
            "tag_ids": content.tag_ids,
            "contextual_channels": [
                [one.name, one.component] for one in content.contextual_channels
            ],
            "metadata": content.metadata,
            "is_enabled": content.is_enabled,
            "is_live": content.is_live,
            "is_external": content.is_external,
            "conditions": [
                {
                    "id": ids.condition_id,
                    "version_id": ids.condition_version_id,
                    "created_ns": ids.created_ns,
                    "expression": _expression_document(condition.expression),
                    "actions": [
                        _action_document(action, action_ids)
                        for action, action_ids in zip(condition.actions, ids.actions, strict=True)
                    ],
                }
                for condition, ids in zip(content.conditions, stored, strict=True)
            ],
        },
        separators=(",", ":"),
    )


def from_document(text: str) -> tuple[RuleContent, tuple[StoredCondition, ...]]:
    """Read what `to_document` wrote."""
    document = json.loads(text)
    conditions = document["conditions"]
    content = RuleContent(
        name=document["name"],
        description=document["description"],
        conditions=tuple(
            Condition(_expression(one["expression"]), tuple(map(_action, one["actions"])))
            for one in conditions
        ),
        asset_ids=tuple(document["asset_ids"]),
        tag_ids=tuple(document["tag_ids"]),
        contextual_channels=tuple(ChannelName(*one) for one in document["contextual_channels"]),
        metadata=_pairs(document["metadata"]),
        is_enabled=document["is_enabled"],
        is_live=document["is_live"],
        is_external=document["is_external"],
    )
    return content, tuple(map(_stored, conditions))


def _expression_document(expression: ConditionExpression) -> dict[str, Any]:
    if isinstance(expression, Calculated):
        references = [
            [reference, one.name, one.component] for reference, one in expression.references
        ]
        document: dict[str, Any] = {
            "expression": expression.expression,
            "references": references,
        }
        if expression.versions:
            document["versions"] = expression.versions
    else:
        document = {
            "channel": [expression.channel.name, expression.channel.component],
            "comparator": expression.comparator.value,
            "threshold": expression.threshold,
        }
    if expression.pins:
        document["pins"] = expression.pins
    return document


def _expression(document: dict[str, Any]) -> ConditionExpression:
    pins = _pairs(document.get("pins", ()))
    if "comparator" in document:
        return Comparison(
            ChannelName(*document["channel"]),
            Comparator(document["comparator"]),
            document["threshold"],
            pins,
        )
    references = tuple((one[0], ChannelName(*one[1:])) for one in document["references"])
    versions = _pairs(document.get("versions", ()))
    return Calculated(document["expression"], references, versions, pins)


def _action_document(action: Action, ids: StoredAction) -> dict[str, Any]:
    document = {
        "id": ids.action_id,
        "version_id": ids.action_version_id,
        "created_ns": ids.created_ns,
        "kind": int(action.kind),
        "annotation_type": int(action.annotation_type),
        "tag_ids": action.tag_ids,
        "assigned_to_user_id": action.assigned_to_user_id,
        "metadata": action.metadata,
        "recipient_user_ids": action.recipient_user_ids,
        "webhook_id": action.webhook_id,
    }
    return {key: value for key, value in document.items() if value}


def _action(document: dict[str, Any]) -> Action:
    return Action(
        kind=ActionKind(document["kind"]),
        annotation_type=AnnotationType(document["annotation_type"]),
        tag_ids=tuple(document.get("tag_ids", ())),
        assigned_to_user_id=document.get("assigned_to_user_id", ""),
        metadata=_pairs(document.get("metadata", ())),
        recipient_user_ids=tuple(document.get("recipient_user_ids", ())),
        webhook_id=document.get("webhook_id", ""),
    )


def _stored(document: dict[str, Any]) -> StoredCondition:
    return StoredCondition(
        document["id"],
        document["version_id"],
        document["created_ns"],
        tuple(
            StoredAction(one["id"], one["version_id"], one.get("created_ns", 0))
            for one in document["actions"]
        ),
    )


def _pairs(document: Any) -> tuple[tuple[str, Any], ...]:  # noqa: ANN401 - JSON
    return tuple((key, value) for key, value in document)
