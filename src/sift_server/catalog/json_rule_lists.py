"""The JSON form of an asset's rules in the tables: its text, and the rules that it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from sift_server.catalog import rule_rows, tables, tags, users
from sift_server.catalog.rule_content import Action, ActionKind, Condition, RuleContent
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from sift_server.catalog.context import Context
    from sift_server.catalog.json_rules import JsonRule
    from sift_server.catalog.rule_rows import Rule

_rules = tables.rules.c


def known(connection: Connection, asset_id: str) -> dict[str, Rule]:
    """The rules that an asset has or had in JSON, by the name in it."""
    query = rule_rows.query().where(_rules.json_asset_id == asset_id)
    rows = connection.execute(query.order_by(_rules.deleted_ns.is_(None), _rules.sequence))
    # Of several of one name, of which one at most is not deleted, that one, or else the newest.
    return {rule.content.name: rule for rule in map(rule_rows.rule_of, rows)}


def contents(
    connection: Connection, context: Context, asset_id: str, wanted: Sequence[JsonRule]
) -> list[RuleContent]:
    """Return what the rules say, with tags and users by their ids, who are made if need be."""
    tag_ids = tags.find_or_create(connection, context, (tag for one in wanted for tag in one.tags))
    names = (one.assignee for one in wanted if one.assignee)
    user_ids = users.find_or_create(connection, context, names)
    return [
        RuleContent(
            name=one.name,
            description=one.description,
            conditions=(
                Condition(
                    one.expression,
                    (
                        Action(
                            ActionKind.ANNOTATION,
                            one.annotation_type,
                            tuple(tag_ids[tag] for tag in one.tags),
                            user_ids.get(one.assignee, ""),
                        ),
                    ),
                ),
            ),
            asset_ids=(asset_id,),
        )
        for one in wanted
    ]


def stored(connection: Connection, asset_id: str) -> str | None:
    """Return the JSON text of an asset's rules; None when there is none.

    Raises:
        NotFoundError: There is no asset of that id.
    """
    row = connection.execute(
        select(tables.json_rules.c.rules_json)
        .select_from(tables.assets.outerjoin(tables.json_rules))
        .where(tables.assets.c.asset_id == asset_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(
            f"there is no asset with the id {asset_id!r}; an asset is created with its first"
            " ingestion config"
        )
    return None if row.rules_json is None else str(row.rules_json)


def store(connection: Connection, asset_id: str, rules_json: str, now_ns: int) -> None:
    """Keep the JSON text of an asset's rules.

    Raises:
        NotFoundError: There is no asset of that id.
    """
    before = stored(connection, asset_id)
    values: dict[str, Any] = {"rules_json": rules_json, "modified_ns": now_ns}
    if before is None:
        connection.execute(insert(tables.json_rules).values(asset_id=asset_id, **values))
    elif before != rules_json:
        of_asset = tables.json_rules.c.asset_id == asset_id
        connection.execute(update(tables.json_rules).where(of_asset).values(values))
