"""Version 5 of the tables: calculated channels.

What is said of migrations in `migrations` holds here: this is never changed once it was released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    text,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

_metadata = MetaData()
_assets = Table("assets", _metadata, Column("asset_id", Text, nullable=False, unique=True))
_tags = Table("tags", _metadata, Column("tag_id", Text, nullable=False, unique=True))


def _sequence() -> Column[int]:
    # SQLite numbers rows by itself only in a column that is declared INTEGER.
    return Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


Table(
    "calculated_channels",
    _metadata,
    _sequence(),
    Column("calculated_channel_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("units", Text),
    Column("organization_id", Text, nullable=False),
    Column("client_key", Text, unique=True),
    Column("has_all_assets", Boolean, nullable=False),
    Column("current_version_id", Text, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("modified_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("archived_ns", BigInteger),
    Index("calculated_channels_by_creation", "created_ns", "sequence"),
    Index(
        "calculated_channels_by_name",
        "name",
        unique=True,
        sqlite_where=text("archived_ns IS NULL"),
        postgresql_where=text("archived_ns IS NULL"),
    ),
)
Table(
    "calculated_channel_metadata",
    _metadata,
    Column("owner_id", ForeignKey("calculated_channels.calculated_channel_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("string_value", Text),
    Column("number_value", Double),
    Column("boolean_value", Boolean),
    PrimaryKeyConstraint("owner_id", "key"),
)
Table(
    "calculated_channel_assets",
    _metadata,
    Column(
        "calculated_channel_id",
        ForeignKey("calculated_channels.calculated_channel_id"),
        nullable=False,
    ),
    Column("asset_id", ForeignKey("assets.asset_id"), nullable=False),
    PrimaryKeyConstraint("calculated_channel_id", "asset_id"),
    Index("calculated_channel_assets_by_asset", "asset_id"),
)
Table(
    "calculated_channel_asset_tags",
    _metadata,
    Column(
        "calculated_channel_id",
        ForeignKey("calculated_channels.calculated_channel_id"),
        nullable=False,
    ),
    Column("tag_id", ForeignKey("tags.tag_id"), nullable=False),
    PrimaryKeyConstraint("calculated_channel_id", "tag_id"),
)
Table(
    "calculated_channel_versions",
    _metadata,
    _sequence(),
    Column("version_id", Text, nullable=False, unique=True),
    Column(
        "calculated_channel_id",
        ForeignKey("calculated_channels.calculated_channel_id"),
        nullable=False,
    ),
    Column("number", Integer, nullable=False),
    Column("notes", Text, nullable=False),
    Column("change_message", Text, nullable=False),
    Column("content_json", Text, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("calculated_channel_id", "number"),
)

_OLD = ("assets", "tags")


def make_calculated_channels(connection: Connection) -> None:
    """Make the tables."""
    new = [table for table in _metadata.sorted_tables if table.name not in _OLD]
    _metadata.create_all(connection, tables=new)
