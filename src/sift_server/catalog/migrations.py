"""How the tables of an older version become those of this one, step by step.

A step leads from one version to the next, and is never changed once it was released: a database
may be at any of them. So it says by itself what it needs, and takes nothing from `tables`, which
goes on. What the tables are after the last step is what `tables` makes anew; a test compares them.

To change the tables: change `tables`, raise `SCHEMA_VERSION`, and add a step here. A column that is
added needs a default in both places if it can't be NULL.
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
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.schema import CreateColumn

from sift_server.catalog.migration_4 import make_rules
from sift_server.catalog.migration_5 import make_calculated_channels
from sift_server.catalog.migration_6 import make_reports
from sift_server.catalog.migration_8 import make_retention
from sift_server.catalog.migration_9 import make_data_imports
from sift_server.catalog.migration_10 import make_data_exports

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    Step = Callable[[Connection], None]


def migrate(connection: Connection, version: int, steps: Sequence[Step]) -> None:
    """Take the steps that lead on from a version, in the transaction of the connection."""
    for step in steps[version - 1 :]:
        step(connection)


def _name_what_was_rejected(connection: Connection) -> None:
    """Version 2: rejected messages say their asset, channel, cause, time and size."""
    columns: list[Column[str] | Column[int]] = [
        Column("asset_name", Text, nullable=False, server_default=""),
        Column("channel_name", Text, nullable=False, server_default=""),
        Column("cause", Text, nullable=False, server_default=""),
        Column("timestamp_ns", BigInteger),
        Column("size_bytes", BigInteger, nullable=False, server_default="0"),
    ]
    _add_columns(connection, "error_queue", columns)
    connection.execute(
        text(
            "UPDATE error_queue SET"
            " size_bytes = 500 + length(message) + length(reason) + length(flow_name)"
            " + length(ingestion_config_id),"
            " asset_name = COALESCE((SELECT assets.name FROM assets JOIN ingestion_configs"
            " ON ingestion_configs.asset_id = assets.asset_id"
            " WHERE ingestion_configs.ingestion_config_id = error_queue.ingestion_config_id), '')"
        )
    )
    metadata = MetaData()
    queue = Table(
        "error_queue",
        metadata,
        Column("asset_name", Text),
        Column("received_ns", BigInteger),
        Column("timestamp_ns", BigInteger),
    )
    Index(
        "error_queue_by_asset", queue.c.asset_name, queue.c.received_ns, queue.c.timestamp_ns
    ).create(connection)
    Table(
        "error_queue_totals",
        metadata,
        Column("only_row", Integer, primary_key=True, autoincrement=False),
        Column("kept_messages", BigInteger, nullable=False),
        Column("kept_bytes", BigInteger, nullable=False),
        Column("dropped_messages", BigInteger, nullable=False),
        Column("dropped_bytes", BigInteger, nullable=False),
        Column("dropped_first_ns", BigInteger),
        Column("dropped_last_ns", BigInteger),
        Column("dropped_position", BigInteger),
        Column("dropped_index", BigInteger),
    ).create(connection)


def _keep_api_keys(connection: Connection) -> None:
    """Version 3: API keys beside the one of the folder."""
    Table(
        "api_keys",
        MetaData(),
        Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("key_id", Text, nullable=False, unique=True),
        Column("name", Text, nullable=False),
        Column("scopes", Text, nullable=False),
        Column("digest", LargeBinary, nullable=False),
        Column("created_ns", BigInteger, nullable=False),
        Column("expires_ns", BigInteger),
        Column("revoked_ns", BigInteger),
        Column("changed_ns", BigInteger, nullable=False),
    ).create(connection)


def _note_channels(connection: Connection) -> None:
    """Version 7: what people say of channels: a description, a unit, metadata, archived or not."""
    columns: list[Column[str] | Column[int]] = [
        Column("display_description", Text, nullable=False, server_default=""),
        Column("display_unit", Text, nullable=False, server_default=""),
        Column("archived_ns", BigInteger),
    ]
    _add_columns(connection, "channels", columns)
    metadata = MetaData()
    Table("channels", metadata, Column("channel_id", Text, unique=True))
    Table(
        "channel_metadata",
        metadata,
        Column("owner_id", ForeignKey("channels.channel_id"), nullable=False),
        Column("position", Integer, nullable=False),
        Column("key", Text, nullable=False),
        Column("string_value", Text),
        Column("number_value", Double),
        Column("boolean_value", Boolean),
        PrimaryKeyConstraint("owner_id", "key"),
    ).create(connection)


STEPS: tuple[Step, ...] = (
    _name_what_was_rejected,
    _keep_api_keys,
    make_rules,
    make_calculated_channels,
    make_reports,
    _note_channels,
    make_retention,
    make_data_imports,
    make_data_exports,
)
"""The first leads from version 1 to 2, and so on."""


def _add_columns(
    connection: Connection, table: str, columns: Sequence[Column[str] | Column[int]]
) -> None:
    for column in columns:
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {definition}"))
