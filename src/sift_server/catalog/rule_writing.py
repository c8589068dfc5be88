"""New rules and new versions of rules, many written at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select, union, update
from sqlalchemy.exc import IntegrityError

from sift_server.catalog import tables, tags, users
from sift_server.catalog.attributes import Attributes, AttributeTables
from sift_server.catalog.chunks import chunks
from sift_server.catalog.json_rules import RULES_PER_ASSET_MAX
from sift_server.catalog.rule_conditions import assets_by_tag
from sift_server.catalog.rule_documents import to_document
from sift_server.catalog.rule_form import check_form
from sift_server.catalog.rule_ids import with_ids
from sift_server.errors import (
    AlreadyExistsError,
    NotFoundError,
    ResourceExhaustedError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from sift_server.catalog.context import Context
    from sift_server.catalog.rule_content import RuleContent
    from sift_server.catalog.rule_ids import AskedIds
    from sift_server.catalog.rule_rows import Rule

_rules = tables.rules.c
_metadata = AttributeTables("a rule", None, tables.rule_metadata)


@dataclass(frozen=True, slots=True)
class Change:
    """A new rule, or a new version of one.

    Attributes:
        before: The rule as it is, or None.
        asked_ids: What is asked of the ids of its conditions, in their order.
        is_archived: Whether it is archived then.
    """

    before: Rule | None
    content: RuleContent
    notes: str = ""
    client_key: str | None = None
    organization_id: str = ""
    json_asset_id: str | None = None
    asked_ids: tuple[AskedIds, ...] = ()
    is_archived: bool = False


def write(
    connection: Connection, context: Context, position: int, changes: Sequence[Change]
) -> list[str]:
    """Write new rules and new versions, within a transaction; returns the ids of the rules.

    Args:
        connection: Where to write.
        context: What the catalog stands on.
        position: Where in the log live evaluation of them begins.
        changes: At most one for each rule.

    Raises:
        NotFoundError: An asset, tag, user, condition or action does not exist.
        AlreadyExistsError: Another rule has the client key.
        InvalidArgumentError: What `check_form` says.
        ResourceExhaustedError: An asset would have more than `RULES_PER_ASSET_MAX` rules.
    """
    if not changes:
        return []
    _check(connection, changes)
    owner_id, now_ns = users.owner_id(connection, context), context.now_ns()
    rows = [_rows(context, change, owner_id, now_ns) for change in changes]
    try:
        _write_rules(connection, rows)
    except IntegrityError:
        raise _key_taken(changes) from None
    connection.execute(
        insert(tables.rule_versions),
        [{**row.version, "live_from_position": position} for row in rows],
    )
    conditions = [condition for row in rows for condition in row.conditions]
    if conditions:
        connection.execute(insert(tables.rule_conditions), conditions)
    for row in rows:
        # Most rules have none, before and after.
        before = row.change.before
        if row.change.content.metadata or (before is not None and before.content.metadata):
            attributes = Attributes(metadata=row.change.content.metadata)
            _metadata.write(connection, context, row.rule_id, attributes)
    _write_targets(connection, rows)
    _check_room(connection, changes)
    context.rule_changes.count(connection)
    return [row.rule_id for row in rows]


@dataclass(frozen=True, slots=True)
class _Rows:
    change: Change
    rule_id: str
    rule: dict[str, Any]
    version: dict[str, Any]
    conditions: list[dict[str, Any]]


def _rows(context: Context, change: Change, owner_id: str, now_ns: int) -> _Rows:
    before, content = change.before, change.content
    rule_id = context.new_id() if before is None else before.rule_id
    version_id = context.new_id()
    conditions = with_ids(
        content, before.conditions if before else (), change.asked_ids, context.new_id, now_ns
    )
    archived_ns = None
    if change.is_archived:
        archived_ns = (before and before.archived_ns) or now_ns
    rule = {
        "rule_id": rule_id,
        "name": content.name,
        "description": content.description,
        "organization_id": change.organization_id or (before.organization_id if before else ""),
        "client_key": change.client_key or (before.client_key if before else None),
        "is_enabled": content.is_enabled,
        "is_live": content.is_live,
        "is_external": content.is_external,
        "json_asset_id": change.json_asset_id or (before.json_asset_id if before else None),
        "current_version_id": version_id,
        "created_by_user_id": before.created_by_user_id if before else owner_id,
        "modified_by_user_id": owner_id,
        "created_ns": before.created_ns if before else now_ns,
        "modified_ns": now_ns,
        "archived_ns": archived_ns,
        "deleted_ns": None,
    }
    version = {
        "rule_version_id": version_id,
        "rule_id": rule_id,
        "number": before.version.number + 1 if before else 1,
        "notes": change.notes,
        "change_message": _change_message(before, content),
        "content_json": to_document(content, conditions),
        "created_by_user_id": owner_id,
        "created_ns": now_ns,
    }
    condition_rows = [
        {
            "condition_version_id": one.condition_version_id,
            "condition_id": one.condition_id,
            "rule_id": rule_id,
            "rule_version_id": version_id,
        }
        for one in conditions
    ]
    return _Rows(change, rule_id, rule, version, condition_rows)


def _write_rules(connection: Connection, rows: Sequence[_Rows]) -> None:
    created = [row.rule for row in rows if row.change.before is None]
    if created:
        connection.execute(insert(tables.rules), created)
    # Not the id, which would make the database look for whatever refers to it.
    changed = [
        {"known_id" if name == "rule_id" else name: value for name, value in row.rule.items()}
        for row in rows
        if row.change.before
    ]
    if changed:
        known = _rules.rule_id == bindparam("known_id")
        connection.execute(update(tables.rules).where(known), changed)


def _write_targets(connection: Connection, rows: Sequence[_Rows]) -> None:
    changed = [row.rule_id for row in rows if row.change.before]
    for table in (tables.rule_assets, tables.rule_asset_tags):
        for ids in chunks(changed):
            connection.execute(delete(table).where(table.c.rule_id.in_(ids)))
    assets = [
        {"rule_id": row.rule_id, "asset_id": asset_id}
        for row in rows
        for asset_id in dict.fromkeys(row.change.content.asset_ids)
    ]
    if assets:
        connection.execute(insert(tables.rule_assets), assets)
    tagged = [
        {"rule_id": row.rule_id, "tag_id": tag_id}
        for row in rows
        for tag_id in dict.fromkeys(row.change.content.tag_ids)
    ]
    if tagged:
        connection.execute(insert(tables.rule_asset_tags), tagged)


def _check(connection: Connection, changes: Sequence[Change]) -> None:
    """Raise if a rule can't be, or names something that there is not."""
    contents = [change.content for change in changes]
    for content in contents:
        check_form(content)
    actions = [
        action
        for content in contents
        for condition in content.conditions
        for action in condition.actions
    ]
    asset_ids = {one for content in contents for one in content.asset_ids}
    check_known(connection, tables.assets.c.asset_id, asset_ids, "asset")
    user_ids = {one.assigned_to_user_id for one in actions if one.assigned_to_user_id}
    check_known(connection, tables.users.c.user_id, user_ids, "user")
    tag_ids = {one for content in contents for one in content.tag_ids}
    tags.check_known(connection, tag_ids | {one for action in actions for one in action.tag_ids})


def check_known(connection: Connection, column: Any, ids: Collection[str], what: str) -> None:  # noqa: ANN401 - a column
    """Check that there is something of each id.

    Raises:
        NotFoundError: There is not; `what` says of what.
    """
    found: set[str] = set()
    for some in chunks(sorted(ids)):
        found.update(connection.execute(select(column).where(column.in_(some))).scalars())
    for missing in sorted(set(ids) - found):
        raise NotFoundError(
            f"there is no {what} with the id {missing!r}; list the {what}s to find it"
        )


def _key_taken(changes: Sequence[Change]) -> AlreadyExistsError:
    keys = [change.client_key for change in changes if change.client_key]
    return AlreadyExistsError(
        f"a rule with the client key {', or '.join(map(repr, keys))} exists, which may be archived"
        " or deleted; update that one, or choose another client key"
    )


def _check_room(connection: Connection, changes: Sequence[Change]) -> None:
    asset_ids = {one for change in changes for one in change.content.asset_ids}
    tag_ids = [one for change in changes for one in change.content.tag_ids]
    for found in assets_by_tag(connection, tag_ids).values():
        asset_ids.update(found)
    targets = union(
        select(tables.rule_assets.c.rule_id, tables.rule_assets.c.asset_id),
        select(tables.rule_asset_tags.c.rule_id, tables.asset_tags.c.owner_id)
        .join(tables.tags, tables.tags.c.tag_id == tables.rule_asset_tags.c.tag_id)
        .join(tables.asset_tags, tables.asset_tags.c.name == tables.tags.c.name),
    ).subquery()
    for ids in chunks(sorted(asset_ids)):
        full = connection.execute(
            select(targets.c.asset_id, func.count().label("rules"))
            .join(tables.rules, _rules.rule_id == targets.c.rule_id)
            .where(_rules.deleted_ns.is_(None), targets.c.asset_id.in_(ids))
            .group_by(targets.c.asset_id)
            .having(func.count() > RULES_PER_ASSET_MAX)
        ).first()
        if full is not None:
            raise ResourceExhaustedError(
                f"the asset {full.asset_id!r} would have {full.rules:,} rules; the limit is"
                f" {RULES_PER_ASSET_MAX:,}. Delete rules that nobody needs"
            )


_FIELDS = {
    "name": "the name",
    "description": "the description",
    "conditions": "the conditions",
    "asset_ids": "the assets",
    "tag_ids": "the tags of assets",
    "contextual_channels": "the contextual channels",
    "metadata": "the metadata",
    "is_enabled": "whether it is enabled",
    "is_live": "whether it is evaluated live",
    "is_external": "whether it is external",
}


def _change_message(before: Rule | None, content: RuleContent) -> str:
    if before is None:
        return "Created"
    changed = [
        said
        for field, said in _FIELDS.items()
        if getattr(before.content, field) != getattr(content, field)
    ]
    if before.deleted_ns is not None:
        return "Brought back" + (f"; changed {', '.join(changed)}" if changed else "")
    return f"Changed {', '.join(changed)}" if changed else "Confirmed"
