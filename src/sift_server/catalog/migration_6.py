"""Version 6 of the tables: report templates, reports, what they found, and the jobs that make them.

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
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

_metadata = MetaData()
_THERE = (
    Table("rules", _metadata, Column("rule_id", Text, unique=True)),
    Table("annotations", _metadata, Column("annotation_id", Text, unique=True)),
)
"""Tables of the version before, as far as the new ones refer to them."""


def make_reports(connection: Connection) -> None:
    """Make the tables; there is nothing to put into them yet."""
    new = [table for table in _metadata.sorted_tables if table not in _THERE]
    _metadata.create_all(connection, new)


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


Table(
    "report_templates",
    _metadata,
    _sequence(),
    Column("report_template_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("client_key", Text, unique=True),
    Column("organization_id", Text, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("modified_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("archived_ns", BigInteger),
    Index("report_templates_by_creation", "created_ns", "sequence"),
)
_tags_of("report_template")
_metadata_of("report_template")

Table(
    "report_template_rules",
    _metadata,
    Column("report_template_id", ForeignKey("report_templates.report_template_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("rule_id", ForeignKey("rules.rule_id"), nullable=False),
    PrimaryKeyConstraint("report_template_id", "rule_id"),
)

Table(
    "reports",
    _metadata,
    _sequence(),
    Column("report_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("report_template_id", Text),
    Column("rerun_from_report_id", Text),
    Column("start_ns", BigInteger),
    Column("end_ns", BigInteger),
    Column("annotation_tags_json", Text, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("modified_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("archived_ns", BigInteger),
    Index("reports_by_creation", "created_ns", "sequence"),
    Index("reports_by_run", "run_id"),
)
_tags_of("report")
_metadata_of("report")

Table(
    "report_rules",
    _metadata,
    _sequence(),
    Column("report_rule_version_id", Text, nullable=False, unique=True),
    Column("report_id", ForeignKey("reports.report_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("rule_version_id", Text, nullable=False),
    Column("asset_id", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("error_message", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    UniqueConstraint("report_id", "position"),
)

Table(
    "report_annotations",
    _metadata,
    Column(
        "report_rule_version_id", ForeignKey("report_rules.report_rule_version_id"), nullable=False
    ),
    Column("annotation_id", ForeignKey("annotations.annotation_id"), nullable=False),
    PrimaryKeyConstraint("report_rule_version_id", "annotation_id"),
    Index("report_annotations_by_annotation", "annotation_id"),
)

Table(
    "jobs",
    _metadata,
    _sequence(),
    Column("job_id", Text, nullable=False, unique=True),
    Column("job_type", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("report_id", ForeignKey("reports.report_id"), unique=True),
    Column("starts", Integer, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("modified_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("started_ns", BigInteger),
    Column("completed_ns", BigInteger),
    Index("jobs_by_creation", "created_ns", "sequence"),
    Index("jobs_by_status", "status", "sequence"),
)
