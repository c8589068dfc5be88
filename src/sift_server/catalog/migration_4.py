"""Version 4 of the tables: rules, tags, users and annotations; JSON rules become rules.

What is said of migrations in `migrations` holds here: this is never changed once it was released.
Expressions are not looked at, so that a text that was stored is never refused. What can't be read
in it is left out; a rule without an expression has no condition.
"""

from __future__ import annotations

import getpass
import json
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
    text,
)

from sift_server.catalog.ids import IdSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_metadata = MetaData()
_assets = Table("assets", _metadata, Column("asset_id", Text, nullable=False, unique=True))
_json_rules = Table(
    "json_rules",
    _metadata,
    Column("asset_id", ForeignKey("assets.asset_id"), primary_key=True),
    Column("rules_json", Text, nullable=False),
)


def _sequence() -> Column[int]:
    # SQLite numbers rows by itself only in a column that is declared INTEGER.
    return Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _tags_of(resource: str) -> None:
    Table(
        f"{resource}_tags",
        _metadata,
        Column("owner_id", ForeignKey(f"{resource}s.{resource}_id"), nullable=False),
        Column("position", Integer, nullable=False),
        Column("name", Text, nullable=False),
        PrimaryKeyConstraint("owner_id", "name"),
    )


def _metadata_of(resource: str) -> None:
    Table(
        f"{resource}_metadata",
        _metadata,
        Column("owner_id", ForeignKey(f"{resource}s.{resource}_id"), nullable=False),
        Column("position", Integer, nullable=False),
        Column("key", Text, nullable=False),
        Column("string_value", Text),
        Column("number_value", Double),
        Column("boolean_value", Boolean),
        PrimaryKeyConstraint("owner_id", "key"),
    )


_users = Table(
    "users",
    _metadata,
    _sequence(),
    Column("user_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("is_owner", Boolean, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)

_tags = Table(
    "tags",
    _metadata,
    _sequence(),
    Column("tag_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)

_rules = Table(
    "rules",
    _metadata,
    _sequence(),
    Column("rule_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("client_key", Text, unique=True),
    Column("is_enabled", Boolean, nullable=False),
    Column("is_live", Boolean, nullable=False),
    Column("is_external", Boolean, nullable=False),
    Column("json_asset_id", ForeignKey("assets.asset_id")),
    Column("current_version_id", Text, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("modified_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("archived_ns", BigInteger),
    Column("deleted_ns", BigInteger),
    Index("rules_by_creation", "created_ns", "sequence"),
    Index("rules_by_json_asset", "json_asset_id", "name"),
)
_metadata_of("rule")

_rule_assets = Table(
    "rule_assets",
    _metadata,
    Column("rule_id", ForeignKey("rules.rule_id"), nullable=False),
    Column("asset_id", ForeignKey("assets.asset_id"), nullable=False),
    PrimaryKeyConstraint("rule_id", "asset_id"),
    Index("rule_assets_by_asset", "asset_id"),
)

Table(
    "rule_asset_tags",
    _metadata,
    Column("rule_id", ForeignKey("rules.rule_id"), nullable=False),
    Column("tag_id", ForeignKey("tags.tag_id"), nullable=False),
    PrimaryKeyConstraint("rule_id", "tag_id"),
)

_rule_versions = Table(
    "rule_versions",
    _metadata,
    _sequence(),
    Column("rule_version_id", Text, nullable=False, unique=True),
    Column("rule_id", ForeignKey("rules.rule_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("notes", Text, nullable=False),
    Column("change_message", Text, nullable=False),
    Column("content_json", Text, nullable=False),
    Column("live_from_position", BigInteger, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("rule_id", "number"),
)

_rule_conditions = Table(
    "rule_conditions",
    _metadata,
    Column("condition_version_id", Text, primary_key=True),
    Column("condition_id", Text, nullable=False),
    Column("rule_id", ForeignKey("rules.rule_id"), nullable=False),
    Column("rule_version_id", ForeignKey("rule_versions.rule_version_id"), nullable=False),
)

Table(
    "rule_changes",
    _metadata,
    Column("only_row", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

Table(
    "annotations",
    _metadata,
    _sequence(),
    Column("annotation_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("end_ns", BigInteger, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("run_id", Text),
    Column("state", Integer),
    Column("annotation_type", Integer, nullable=False),
    Column("assigned_to_user_id", Text, nullable=False),
    Column("legend_config", Text),
    Column("linked_channels_json", Text, nullable=False),
    Column("condition_id", Text),
    Column("condition_version_id", Text),
    Column("rule_id", Text),
    Column("condition_asset_id", Text),
    Column("report_rule_version_id", Text),
    Column("is_pending", Boolean, nullable=False),
    Column("is_touched", Boolean, nullable=False),
    Column("is_withdrawn", Boolean, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("modified_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("archived_ns", BigInteger),
    Column("deleted_ns", BigInteger),
    Index("annotations_by_creation", "created_ns", "sequence"),
    Index("annotations_by_condition", "condition_version_id", "end_ns"),
    Index("annotations_by_rule", "rule_id"),
    Index("annotations_by_run", "run_id"),
    Index("annotations_by_report", "report_rule_version_id"),
    Index(
        "annotations_pending",
        "condition_version_id",
        sqlite_where=text("is_pending"),
        postgresql_where=text("is_pending"),
    ),
)
_tags_of("annotation")
_metadata_of("annotation")

Table(
    "annotation_assets",
    _metadata,
    Column("annotation_id", ForeignKey("annotations.annotation_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("asset_id", ForeignKey("assets.asset_id"), nullable=False),
    PrimaryKeyConstraint("annotation_id", "asset_id"),
    Index("annotation_assets_by_asset", "asset_id"),
)

Table(
    "annotation_logs",
    _metadata,
    _sequence(),
    Column("annotation_log_id", Text, nullable=False, unique=True),
    Column("annotation_id", ForeignKey("annotations.annotation_id"), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("body_json", Text),
    Column("state", Integer),
    Column("assigned_to_user_id", Text),
    Column("created_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Index("annotation_logs_by_annotation", "annotation_id", "created_ns", "sequence"),
)

Table(
    "rule_backlog",
    _metadata,
    Column("run_id", Text, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("first_ns", BigInteger, nullable=False),
    Column("last_ns", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "channel_id"),
)

_OLD = ("assets", "json_rules")
_TYPES = {"review": 1, "phase": 2}


def make_rules(connection: Connection) -> None:
    """Make the tables, and rules of what is stored in JSON."""
    new = [table for table in _metadata.sorted_tables if table.name not in _OLD]
    _metadata.create_all(connection, tables=new)
    writer = _Writer(connection)
    names = connection.execute(
        text("SELECT name FROM asset_tags UNION SELECT name FROM run_tags ORDER BY name")
    ).scalars()
    for name in names.all():
        writer.tag(name)
    for row in connection.execute(select(_json_rules).order_by(_json_rules.c.asset_id)).all():
        for entry in json.loads(row.rules_json):
            writer.rule(row.asset_id, entry)


class _Writer:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._new_id = IdSource()
        self._now_ns = time.time_ns()
        self._tag_ids: dict[str, str] = {}
        self._user_ids: dict[str, str] = {}
        try:
            owner = getpass.getuser()
        except (KeyError, OSError):
            owner = "owner"
        self._owner_id = self._user(owner, is_owner=True)

    def tag(self, name: str) -> str:
        """The id of a tag, made if need be."""
        if name not in self._tag_ids:
            self._tag_ids[name] = self._new_id()
            self._insert(
                _tags,
                tag_id=self._tag_ids[name],
                name=name,
                created_by_user_id=self._owner_id,
                created_ns=self._now_ns,
            )
        return self._tag_ids[name]

    def rule(self, asset_id: str, entry: dict[str, Any]) -> None:
        """Make a rule of an entry of an asset's JSON rules."""
        rule_id, version_id = self._new_id(), self._new_id()
        conditions = self._conditions(entry)
        content = {
            "name": entry["name"],
            "description": _text(entry.get("description")),
            "asset_ids": [asset_id],
            "tag_ids": [],
            "contextual_channels": [],
            "metadata": [],
            "is_enabled": True,
            "is_live": True,
            "is_external": False,
            "conditions": conditions,
        }
        made = {"created_by_user_id": self._owner_id, "created_ns": self._now_ns}
        self._insert(
            _rules,
            rule_id=rule_id,
            name=content["name"],
            description=content["description"],
            organization_id="",
            is_enabled=True,
            is_live=True,
            is_external=False,
            json_asset_id=asset_id,
            current_version_id=version_id,
            modified_by_user_id=self._owner_id,
            modified_ns=self._now_ns,
            **made,
        )
        self._insert(_rule_assets, rule_id=rule_id, asset_id=asset_id)
        self._insert(
            _rule_versions,
            rule_version_id=version_id,
            rule_id=rule_id,
            number=1,
            notes="",
            change_message="Created",
            content_json=json.dumps(content, separators=(",", ":")),
            live_from_position=0,
            **made,
        )
        for condition in conditions:
            self._insert(
                _rule_conditions,
                condition_version_id=condition["version_id"],
                condition_id=condition["id"],
                rule_id=rule_id,
                rule_version_id=version_id,
            )

    def _conditions(self, entry: dict[str, Any]) -> list[dict[str, Any]]:
        expression = entry.get("expression")
        if not isinstance(expression, str) or not expression.strip():
            return []
        action: dict[str, Any] = {
            **self._ids(),
            "kind": 2,
            "annotation_type": _TYPES.get(_text(entry.get("type")), 1),
        }
        tags = [tag for tag in _list(entry.get("tags")) if _text(tag).strip()]
        if tags:
            action["tag_ids"] = [self.tag(tag) for tag in dict.fromkeys(tags)]
        assignee = _text(entry.get("assignee"))
        if assignee:
            action["assigned_to_user_id"] = self._user(assignee)
        references = _references(_list(entry.get("expression_channel_references")))
        said = {"expression": expression, "references": references}
        return [{**self._ids(), "expression": said, "actions": [action]}]

    def _ids(self) -> dict[str, Any]:
        return {"id": self._new_id(), "version_id": self._new_id(), "created_ns": self._now_ns}

    def _user(self, name: str, *, is_owner: bool = False) -> str:
        if name not in self._user_ids:
            self._user_ids[name] = self._new_id()
            self._insert(
                _users,
                user_id=self._user_ids[name],
                name=name,
                is_owner=is_owner,
                created_ns=self._now_ns,
            )
        return self._user_ids[name]

    def _insert(self, table: Table, **values: object) -> None:
        self._connection.execute(insert(table).values(values))


def _references(listed: Iterable[Any]) -> list[list[str]]:
    named = [one for one in listed if isinstance(one, dict)]
    pairs = {
        _text(one.get("channel_reference")): _text(one.get("channel_identifier")) for one in named
    }
    return [[reference, channel, ""] for reference, channel in pairs.items() if reference]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
