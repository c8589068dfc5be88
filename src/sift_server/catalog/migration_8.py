"""Version 8 of the tables: how long, and how many bytes of, the points of an asset are kept.

What is said of migrations in `migrations` holds here: this is never changed once it was released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, ForeignKey, MetaData, Table, Text

if TYPE_CHECKING:
    from sqlalchemy import Connection


def make_retention(connection: Connection) -> None:
    """Make the table; there is nothing to put into it yet."""
    metadata = MetaData()
    Table("assets", metadata, Column("asset_id", Text, unique=True))
    Table(
        "retention_policies",
        metadata,
        Column("asset_id", ForeignKey("assets.asset_id"), primary_key=True),
        Column("age_s", BigInteger),
        Column("size_bytes", BigInteger),
        Column("created_ns", BigInteger, nullable=False),
        Column("modified_ns", BigInteger, nullable=False),
    ).create(connection)
