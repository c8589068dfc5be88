"""Conditions of rules, with all that evaluating them needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from sqlalchemy import select

from sift_server.catalog import tables, tags
from sift_server.catalog.chunks import chunks
from sift_server.catalog.rule_content import (
    Action,
    ActionKind,
    Condition,
    RuleContent,
    StoredCondition,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from sift_server.catalog.attributes import MetadataValue
    from sift_server.catalog.rule_content import AnnotationType
    from sift_server.catalog.rule_rows import Rule


@dataclass(frozen=True, slots=True)
class AnnotationAction:
    """What the annotations of a condition are to be.

    Attributes:
        tags: Names.
        assigned_to_user_id: Or empty.
    """

    annotation_type: AnnotationType
    tags: tuple[str, ...]
    assigned_to_user_id: str
    metadata: tuple[tuple[str, MetadataValue], ...]


@dataclass(frozen=True, slots=True)
class RuleCondition:
    """A condition that makes annotations, with all that evaluating it needs.

    Attributes:
        name: The name of its rule, and of its annotations.
        asset_ids: The assets that it is about, also by their tags, each once.
        expression: CEL; it was checked when it was declared, but channels may have changed since.
        references: What stands for which channel, by fully qualified name.
        versions: What stands for which version of a calculated channel.
        pins: Which version of a calculated channel a name stands for that is no channel.
        live_from_position: Live evaluation of this version is about what comes behind this position
            of the log.
    """

    rule_id: str
    rule_version_id: str
    condition_id: str
    condition_version_id: str
    name: str
    description: str
    asset_ids: tuple[str, ...]
    expression: str
    references: Mapping[str, str]
    action: AnnotationAction
    live_from_position: int
    versions: Mapping[str, str]
    pins: Mapping[str, str]


class Declared(NamedTuple):
    """A version of a rule, stored or only thought of."""

    rule_id: str
    rule_version_id: str
    content: RuleContent
    conditions: tuple[StoredCondition, ...]
    live_from_position: int

    @classmethod
    def of(cls, rule: Rule) -> Self:
        """A rule, as it is stored."""
        version = rule.version
        return cls(
            rule.rule_id,
            version.rule_version_id,
            rule.content,
            tuple(rule.conditions),
            version.live_from_position,
        )


def conditions(connection: Connection, rules: Iterable[Declared]) -> list[RuleCondition]:
    """Return the conditions of rules that make annotations."""
    made = [
        (rule, condition, ids.condition_id, ids.condition_version_id, action)
        for rule in rules
        for condition, ids in zip(rule.content.conditions, rule.conditions, strict=True)
        for action in _annotation_actions(condition)
    ]
    by_tag = assets_by_tag(
        connection, (tag_id for rule, *_ in made for tag_id in rule.content.tag_ids)
    )
    tag_ids = (tag_id for *_, action in made for tag_id in action.tag_ids)
    tag_names = tags.known_names(connection, tag_ids)
    return [
        RuleCondition(
            rule_id=rule.rule_id,
            rule_version_id=rule.rule_version_id,
            condition_id=condition_id,
            condition_version_id=condition_version_id,
            name=rule.content.name,
            description=rule.content.description,
            asset_ids=assets_of(rule.content, by_tag),
            expression=condition.expression.expression,
            references={name: one.fqn for name, one in condition.expression.references},
            action=AnnotationAction(
                action.annotation_type,
                tuple(tag_names[tag_id] for tag_id in action.tag_ids if tag_id in tag_names),
                action.assigned_to_user_id,
                action.metadata,
            ),
            live_from_position=rule.live_from_position,
            versions=dict(condition.expression.versions),
            pins=dict(condition.expression.pins),
        )
        for rule, condition, condition_id, condition_version_id, action in made
    ]


def _annotation_actions(condition: Condition) -> list[Action]:
    return [one for one in condition.actions if one.kind is ActionKind.ANNOTATION]


def assets_of(content: RuleContent, by_tag: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the assets that a rule is about, each once, from the assets of each tag."""
    tagged = [asset_id for tag_id in content.tag_ids for asset_id in by_tag.get(tag_id, ())]
    return tuple(dict.fromkeys([*content.asset_ids, *tagged]))


def assets_by_tag(connection: Connection, tag_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return which assets have which tags: ids by id."""
    assets: dict[str, list[str]] = {}
    for ids in chunks(list(dict.fromkeys(tag_ids))):
        for row in connection.execute(
            select(tables.tags.c.tag_id, tables.asset_tags.c.owner_id)
            .join(tables.asset_tags, tables.asset_tags.c.name == tables.tags.c.name)
            .where(tables.tags.c.tag_id.in_(ids))
            .order_by(tables.asset_tags.c.owner_id)
        ):
            assets.setdefault(row.tag_id, []).append(row.owner_id)
    return assets
