"""Rules and their versions, as they are read from the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from sift_server.catalog import tables
from sift_server.catalog.chunks import chunks
from sift_server.catalog.identified import check_identified
from sift_server.catalog.rule_documents import from_document
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from sift_server.catalog.rule_content import RuleContent, StoredCondition

_rules = tables.rules.c
_versions = tables.rule_versions.c


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A version of a rule.

    Attributes:
        number: 1 of the first, and so on.
        notes: What who made it said of it.
        change_message: What is other than in the version before, made up by the server.
        live_from_position: The position of the log behind which live evaluation of it begins.
        created_ns: Nanoseconds since 1970 in UTC.
    """

    rule_version_id: str
    rule_id: str
    number: int
    notes: str
    change_message: str
    live_from_position: int
    created_by_user_id: str
    created_ns: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in one of its versions. Times are nanoseconds since 1970 in UTC.

    Attributes:
        version: The version that `content` and `conditions` are of; the newest, if not asked for
            another one.
        content: What it says.
        conditions: The ids of its conditions, in the order of those of `content`.
        current_version_id: The newest version.
        client_key: Unique among rules, and never changed; None for no key.
        json_asset_id: The asset of whose JSON rules it is one, or None.
        archived_ns: When it was archived, or None.
        deleted_ns: When it was deleted, or None.
    """

    rule_id: str
    version: RuleVersion
    content: RuleContent
    conditions: tuple[StoredCondition, ...]
    current_version_id: str
    client_key: str | None
    organization_id: str
    json_asset_id: str | None
    created_by_user_id: str
    modified_by_user_id: str
    created_ns: int
    modified_ns: int
    archived_ns: int | None = None
    deleted_ns: int | None = None


def query() -> Select[Any]:
    """What is read of a rule in its newest version."""
    return select(tables.rules, *_of_version).join(
        tables.rule_versions, _versions.rule_version_id == _rules.current_version_id
    )


def version_query() -> Select[Any]:
    """What is read of a rule in any version."""
    return select(tables.rules, *_of_version).join(
        tables.rule_versions, _versions.rule_id == _rules.rule_id
    )


_of_version = (
    _versions.rule_version_id,
    _versions.number,
    _versions.notes,
    _versions.change_message,
    _versions.content_json,
    _versions.live_from_position,
    _versions.created_by_user_id.label("version_created_by_user_id"),
    _versions.created_ns.label("version_created_ns"),
)


def rule_of(row: Row[Any]) -> Rule:
    """Read a row of `query` or `version_query`."""
    content, conditions = from_document(row.content_json)
    return Rule(
        rule_id=row.rule_id,
        version=version_of(row),
        content=content,
        conditions=conditions,
        current_version_id=row.current_version_id,
        client_key=row.client_key,
        organization_id=row.organization_id,
        json_asset_id=row.json_asset_id,
        created_by_user_id=row.created_by_user_id,
        modified_by_user_id=row.modified_by_user_id,
        created_ns=row.created_ns,
        modified_ns=row.modified_ns,
        archived_ns=row.archived_ns,
        deleted_ns=row.deleted_ns,
    )


def version_of(row: Row[Any]) -> RuleVersion:
    """Read the version alone."""
    return RuleVersion(
        row.rule_version_id,
        row.rule_id,
        row.number,
        row.notes,
        row.change_message,
        row.live_from_position,
        row.version_created_by_user_id,
        row.version_created_ns,
    )


def get(connection: Connection, rule_id: str, client_key: str) -> Rule:
    """Read a rule by its id, or, if that is empty, by its client key.

    Raises:
        NotFoundError: There is none.
        InvalidArgumentError: Both are empty.
    """
    check_identified("rule", rule_id, client_key)
    condition = _rules.rule_id == rule_id if rule_id else _rules.client_key == client_key
    row = connection.execute(query().where(condition)).one_or_none()
    if row is None:
        named = f"id {rule_id!r}" if rule_id else f"client key {client_key!r}"
        raise NotFoundError(f"there is no rule with the {named}; list the rules to find it")
    return rule_of(row)


def versions(connection: Connection, rule_version_ids: Sequence[str]) -> list[Rule]:
    """Read rules as they were in some versions, in the order of the ids.

    Raises:
        NotFoundError: There is no version of one of the ids.
    """
    found: dict[str, Rule] = {}
    for ids in chunks(rule_version_ids):
        query = version_query().where(_versions.rule_version_id.in_(ids))
        for row in connection.execute(query):
            found[row.rule_version_id] = rule_of(row)
    for version_id in rule_version_ids:
        if version_id not in found:
            raise NotFoundError(
                f"there is no version of a rule with the id {version_id!r}; list the versions of"
                " the rule to find it"
            )
    return [found[version_id] for version_id in rule_version_ids]
