"""Version 10 of the tables: data exports.

What is said of migrations in `migrations` holds here: this is never changed once it was released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, ForeignKey, MetaData, Table, Text

if TYPE_CHECKING:
    from sqlalchemy import Connection


def make_data_exports(connection: Connection) -> None:
    """Make the table."""
    metadata = MetaData()
    Table("jobs", metadata, Column("job_id", Text, unique=True))
    Table(
        "data_exports",
        metadata,
        Column("job_id", ForeignKey("jobs.job_id"), primary_key=True),
        Column("request_json", Text, nullable=False),
        Column("file_name", Text, nullable=False),
        Column("error_message", Text, nullable=False),
    ).create(connection)
