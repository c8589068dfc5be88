"""Rules of an asset: the JSON text that its client sent, stored and given back byte for byte."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from sift_server.catalog import tables
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sift_server.catalog.context import Context

NO_RULES = "[]"
"""The text of an asset that was never given rules."""

_columns = tables.json_rules.c


@dataclass(frozen=True, slots=True)
class RulesUpdate:
    """What became of a list of rules.

    Attributes:
        error: Why the list was refused, or None; refused lists change nothing.
        total_count: How many rules the asset has now.
        created_count: Rules of a name that was not there before.
        updated_count: Rules of a name that was there, with other content.
        deleted_count: Rules whose name is gone.
    """

    error: str | None
    total_count: int
    created_count: int = 0
    updated_count: int = 0
    deleted_count: int = 0


class Rules:
    """The rules of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def view_json(self, asset_id: str) -> str:
        """Return the rules of an asset: a JSON array of objects with a `name`.

        Raises:
            NotFoundError: There is no asset of that id.
        """
        with self._context.database.read() as connection:
            stored = _stored(connection, asset_id)
        return NO_RULES if stored is None else stored

    def update_json(self, asset_id: str, rules_json: str) -> RulesUpdate:
        """Replace the rules of an asset.

        Raises:
            NotFoundError: There is no asset of that id.
        """
        with self._context.database.write() as connection:
            stored = _stored(connection, asset_id)
            before = _by_name(NO_RULES if stored is None else stored)
            try:
                after = _by_name(rules_json)
            except _RefusedError as refused:
                return RulesUpdate(error=str(refused), total_count=len(before))
            values = {"rules_json": rules_json, "modified_ns": self._context.now_ns()}
            if stored is None:
                statement = insert(tables.json_rules).values(asset_id=asset_id, **values)
                connection.execute(statement)
            elif stored != rules_json:
                connection.execute(
                    update(tables.json_rules).where(_columns.asset_id == asset_id).values(values)
                )
        return RulesUpdate(
            error=None,
            total_count=len(after),
            created_count=len(after.keys() - before.keys()),
            updated_count=sum(after[name] != before[name] for name in after.keys() & before.keys()),
            deleted_count=len(before.keys() - after.keys()),
        )


class _RefusedError(Exception):
    """A text is not a list of rules; the message says why."""


def _stored(connection: Connection, asset_id: str) -> str | None:
    """The text of an asset's rules; None when there is none."""
    row = connection.execute(
        select(_columns.rules_json)
        .select_from(tables.assets.outerjoin(tables.json_rules))
        .where(tables.assets.c.asset_id == asset_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(
            f"there is no asset with the id {asset_id!r}; an asset is created with its first"
            " ingestion config"
        )
    return None if row.rules_json is None else str(row.rules_json)


def _by_name(rules_json: str) -> dict[str, Any]:
    try:
        rules = json.loads(rules_json)
    except (ValueError, RecursionError) as error:
        raise _RefusedError(f"the rules are not JSON: {error}") from None
    if not isinstance(rules, list):
        raise _RefusedError(f"the rules are a JSON {_json_type(rules)}, not an array")
    by_name: dict[str, Any] = {}
    for number, rule in enumerate(rules, 1):
        if not isinstance(rule, dict):
            raise _RefusedError(f"rule {number} is a JSON {_json_type(rule)}, not an object")
        name = rule.get("name")
        if not isinstance(name, str) or not name.strip():
            raise _RefusedError(f"rule {number} has no name; every rule needs a text as `name`")
        if name in by_name:
            raise _RefusedError(f"two rules have the name {name!r}; names are unique in an asset")
        by_name[name] = rule
    return by_name


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    names = {dict: "object", list: "array", str: "string", bool: "boolean"}
    return names.get(type(value), "number")
