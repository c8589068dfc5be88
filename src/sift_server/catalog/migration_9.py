"""Version 9 of the tables: data imports, and the jobs that do them.

What is said of migrations in `migrations` holds here: this is never changed once it was released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

if TYPE_CHECKING:
    from sqlalchemy import Connection

_metadata = MetaData()

_data_imports = Table(
    "data_imports",
    _metadata,
    # SQLite numbers rows by itself only in a column that is declared INTEGER.
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("data_import_id", Text, nullable=False, unique=True),
    Column("source_url", Text, nullable=False),
    Column("config_kind", Text, nullable=False),
    Column("config_json", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("file_digest", LargeBinary),
    Column("error_message", Text, nullable=False),
    Column("warnings_json", Text, nullable=False),
    Column("run_id", Text),
    Column("asset_id", Text),
    Column("data_start_ns", BigInteger),
    Column("data_stop_ns", BigInteger),
    Column("points_processed", BigInteger, nullable=False),
    Column("points_total", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Index("data_imports_by_creation", "created_ns", "sequence"),
)
_jobs = Table("jobs", MetaData(), Column("data_import_id", Text))
_jobs_by_data_import = Index("jobs_by_data_import", _jobs.c.data_import_id, unique=True)


def make_data_imports(connection: Connection) -> None:
    """Make the table, and let jobs refer to it."""
    _metadata.create_all(connection)
    connection.execute(
        text(
            "ALTER TABLE jobs ADD COLUMN data_import_id TEXT"
            " REFERENCES data_imports (data_import_id)"
        )
    )
    _jobs_by_data_import.create(connection)
