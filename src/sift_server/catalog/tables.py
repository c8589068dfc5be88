"""The tables of the catalog.

Every resource has two keys: its id, which clients know, and `sequence`, which grows with every row
and so breaks the ties between rows of one moment, in the order in which they were created. Times
are nanoseconds since 1970-01-01T00:00:00Z. What is never looked into by a query (enum types, bit
fields, the channels of a flow) is a JSON document in a text column.
"""

from __future__ import annotations

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
    UniqueConstraint,
    text,
)

SCHEMA_VERSION = 10
"""Version of the tables below. Raised with every change to them; `migrations` has the way there."""

metadata = MetaData()


def _sequence() -> Column[int]:
    # SQLite numbers rows by itself only in a column that is declared INTEGER.
    return Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _tags_of(resource: str) -> Table:
    return Table(
        f"{resource}_tags",
        metadata,
        Column("owner_id", ForeignKey(f"{resource}s.{resource}_id"), nullable=False),
        Column("position", Integer, nullable=False),
        Column("name", Text, nullable=False),
        PrimaryKeyConstraint("owner_id", "name"),
    )


def _metadata_of(resource: str) -> Table:
    return Table(
        f"{resource}_metadata",
        metadata,
        Column("owner_id", ForeignKey(f"{resource}s.{resource}_id"), nullable=False),
        Column("position", Integer, nullable=False),
        Column("key", Text, nullable=False),
        Column("string_value", Text),
        Column("number_value", Double),
        Column("boolean_value", Boolean),
        PrimaryKeyConstraint("owner_id", "key"),
    )


schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

users = Table(
    "users",
    metadata,
    _sequence(),
    Column("user_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    # Of one: who owns the folder.
    Column("is_owner", Boolean, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)

# Every name that something was tagged with, or was to be.
tags = Table(
    "tags",
    metadata,
    _sequence(),
    Column("tag_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)

assets = Table(
    "assets",
    metadata,
    _sequence(),
    Column("asset_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("organization_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("archived_ns", BigInteger),
    Index("assets_by_creation", "created_ns", "sequence"),
)
asset_tags = _tags_of("asset")
asset_metadata = _metadata_of("asset")

ingestion_configs = Table(
    "ingestion_configs",
    metadata,
    _sequence(),
    Column("ingestion_config_id", Text, nullable=False, unique=True),
    Column("asset_id", ForeignKey("assets.asset_id"), nullable=False),
    # NULL where the client gave none, so that only given keys have to be unique.
    Column("client_key", Text, unique=True),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Index("ingestion_configs_by_creation", "created_ns", "sequence"),
)

flows = Table(
    "flows",
    metadata,
    _sequence(),
    Column("flow_id", Text, nullable=False, unique=True),
    Column(
        "ingestion_config_id",
        ForeignKey("ingestion_configs.ingestion_config_id"),
        nullable=False,
    ),
    Column("name", Text, nullable=False),
    Column("channels_json", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("ingestion_config_id", "name"),
    Index("flows_by_creation", "ingestion_config_id", "created_ns", "sequence"),
)

channels = Table(
    "channels",
    metadata,
    _sequence(),
    Column("channel_id", Text, nullable=False, unique=True),
    Column("asset_id", ForeignKey("assets.asset_id"), nullable=False),
    # The fully qualified name; `component.` and `local_name` where a client gave a component.
    Column("name", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("local_name", Text, nullable=False),
    Column("data_type", Integer, nullable=False),
    Column("unit", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("enum_types_json", Text, nullable=False),
    Column("bit_field_elements_json", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    # What people say of it, whatever its flows say.
    Column("display_description", Text, nullable=False, server_default=""),
    Column("display_unit", Text, nullable=False, server_default=""),
    Column("archived_ns", BigInteger),
    UniqueConstraint("asset_id", "name", "data_type"),
    Index("channels_by_creation", "created_ns", "sequence"),
)
channel_metadata = _metadata_of("channel")

runs = Table(
    "runs",
    metadata,
    _sequence(),
    Column("run_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("client_key", Text, unique=True),
    Column("start_ns", BigInteger),
    Column("stop_ns", BigInteger),
    Column("is_pinned", Boolean, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("archived_ns", BigInteger),
    Index("runs_by_creation", "created_ns", "sequence"),
    Index("runs_by_name", "name"),
)
run_tags = _tags_of("run")
run_metadata = _metadata_of("run")

rules = Table(
    "rules",
    metadata,
    _sequence(),
    Column("rule_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("client_key", Text, unique=True),
    Column("is_enabled", Boolean, nullable=False),
    Column("is_live", Boolean, nullable=False),
    Column("is_external", Boolean, nullable=False),
    # The asset of whose JSON rules it is one.
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
rule_metadata = _metadata_of("rule")

rule_assets = Table(
    "rule_assets",
    metadata,
    Column("rule_id", ForeignKey("rules.rule_id"), nullable=False),
    Column("asset_id", ForeignKey("assets.asset_id"), nullable=False),
    PrimaryKeyConstraint("rule_id", "asset_id"),
    Index("rule_assets_by_asset", "asset_id"),
)

# It is about every asset with such a tag.
rule_asset_tags = Table(
    "rule_asset_tags",
    metadata,
    Column("rule_id", ForeignKey("rules.rule_id"), nullable=False),
    Column("tag_id", ForeignKey("tags.tag_id"), nullable=False),
    PrimaryKeyConstraint("rule_id", "tag_id"),
)

rule_versions = Table(
    "rule_versions",
    metadata,
    _sequence(),
    Column("rule_version_id", Text, nullable=False, unique=True),
    Column("rule_id", ForeignKey("rules.rule_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("notes", Text, nullable=False),
    Column("change_message", Text, nullable=False),
    Column("content_json", Text, nullable=False),
    # The position of the log behind which live evaluation of it begins.
    Column("live_from_position", BigInteger, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("rule_id", "number"),
)

rule_conditions = Table(
    "rule_conditions",
    metadata,
    Column("condition_version_id", Text, primary_key=True),
    Column("condition_id", Text, nullable=False),
    Column("rule_id", ForeignKey("rules.rule_id"), nullable=False),
    Column("rule_version_id", ForeignKey("rule_versions.rule_version_id"), nullable=False),
)

# Grows with whatever may change which rules are evaluated, or what they mean. One row, or none yet.
rule_changes = Table(
    "rule_changes",
    metadata,
    Column("only_row", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

# Times of points that rules have still to be evaluated on, when the log forgot them.
rule_backlog = Table(
    "rule_backlog",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("first_ns", BigInteger, nullable=False),
    Column("last_ns", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "channel_id"),
)

json_rules = Table(
    "json_rules",
    metadata,
    Column("asset_id", ForeignKey("assets.asset_id"), primary_key=True),
    Column("rules_json", Text, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
)

# Not `annotations`, which is what the module imports from `__future__`.
calculated_channels = Table(
    "calculated_channels",
    metadata,
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
    # Names can be used again once a calculated channel is archived.
    Index(
        "calculated_channels_by_name",
        "name",
        unique=True,
        sqlite_where=text("archived_ns IS NULL"),
        postgresql_where=text("archived_ns IS NULL"),
    ),
)
calculated_channel_metadata = _metadata_of("calculated_channel")

calculated_channel_assets = Table(
    "calculated_channel_assets",
    metadata,
    Column(
        "calculated_channel_id",
        ForeignKey("calculated_channels.calculated_channel_id"),
        nullable=False,
    ),
    Column("asset_id", ForeignKey("assets.asset_id"), nullable=False),
    PrimaryKeyConstraint("calculated_channel_id", "asset_id"),
    Index("calculated_channel_assets_by_asset", "asset_id"),
)

# Every asset with such a tag has it.
calculated_channel_asset_tags = Table(
    "calculated_channel_asset_tags",
    metadata,
    Column(
        "calculated_channel_id",
        ForeignKey("calculated_channels.calculated_channel_id"),
        nullable=False,
    ),
    Column("tag_id", ForeignKey("tags.tag_id"), nullable=False),
    PrimaryKeyConstraint("calculated_channel_id", "tag_id"),
)

calculated_channel_versions = Table(
    "calculated_channel_versions",
    metadata,
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

annotations_table = Table(
    "annotations",
    metadata,
    _sequence(),
    Column("annotation_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    # Of a pending one: as far as it is known.
    Column("end_ns", BigInteger, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("run_id", Text),
    Column("state", Integer),
    Column("annotation_type", Integer, nullable=False),
    Column("assigned_to_user_id", Text, nullable=False),
    Column("legend_config", Text),
    Column("linked_channels_json", Text, nullable=False),
    # What made it, if a rule did: a condition, on an asset.
    Column("condition_id", Text),
    Column("condition_version_id", Text),
    Column("rule_id", Text),
    Column("condition_asset_id", Text),
    Column("report_rule_version_id", Text),
    Column("is_pending", Boolean, nullable=False),
    # Whether people made something of it, so that no evaluation removes it.
    Column("is_touched", Boolean, nullable=False),
    # Whether an evaluation archived it, because its condition is not true there any more.
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
annotation_tags = _tags_of("annotation")
annotation_metadata = _metadata_of("annotation")

annotation_assets = Table(
    "annotation_assets",
    metadata,
    Column("annotation_id", ForeignKey("annotations.annotation_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("asset_id", ForeignKey("assets.asset_id"), nullable=False),
    PrimaryKeyConstraint("annotation_id", "asset_id"),
    Index("annotation_assets_by_asset", "asset_id"),
)

annotation_logs = Table(
    "annotation_logs",
    metadata,
    _sequence(),
    Column("annotation_log_id", Text, nullable=False, unique=True),
    Column("annotation_id", ForeignKey("annotations.annotation_id"), nullable=False),
    Column("kind", Integer, nullable=False),
    # What its kind needs: a comment's body, the new state, or who it was assigned to.
    Column("body_json", Text),
    Column("state", Integer),
    Column("assigned_to_user_id", Text),
    Column("created_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Index("annotation_logs_by_annotation", "annotation_id", "created_ns", "sequence"),
)

report_templates = Table(
    "report_templates",
    metadata,
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
report_template_tags = _tags_of("report_template")
report_template_metadata = _metadata_of("report_template")

report_template_rules = Table(
    "report_template_rules",
    metadata,
    Column("report_template_id", ForeignKey("report_templates.report_template_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("rule_id", ForeignKey("rules.rule_id"), nullable=False),
    PrimaryKeyConstraint("report_template_id", "rule_id"),
)

reports = Table(
    "reports",
    metadata,
    _sequence(),
    Column("report_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    # These are only names: a report says what was found, also when they are lost.
    Column("run_id", Text, nullable=False),
    Column("report_template_id", Text),
    Column("rerun_from_report_id", Text),
    # The part of the run that it is about; NULL for no limit.
    Column("start_ns", BigInteger),
    Column("end_ns", BigInteger),
    # Tags that its annotations get beside those of their rules.
    Column("annotation_tags_json", Text, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("modified_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("archived_ns", BigInteger),
    Index("reports_by_creation", "created_ns", "sequence"),
    Index("reports_by_run", "run_id"),
)
report_tags = _tags_of("report")
report_metadata = _metadata_of("report")

# A version of a rule on an asset, in a report.
report_rules = Table(
    "report_rules",
    metadata,
    _sequence(),
    Column("report_rule_version_id", Text, nullable=False, unique=True),
    Column("report_id", ForeignKey("reports.report_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("rule_version_id", Text, nullable=False),
    # Empty for a rule that is about no asset.
    Column("asset_id", Text, nullable=False),
    Column("status", Integer, nullable=False),
    # Why it could not be evaluated.
    Column("error_message", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    UniqueConstraint("report_id", "position"),
)

# What evaluating them found, also what was there before.
report_annotations = Table(
    "report_annotations",
    metadata,
    Column(
        "report_rule_version_id", ForeignKey("report_rules.report_rule_version_id"), nullable=False
    ),
    Column("annotation_id", ForeignKey("annotations.annotation_id"), nullable=False),
    PrimaryKeyConstraint("report_rule_version_id", "annotation_id"),
    Index("report_annotations_by_annotation", "annotation_id"),
)

# A file that a client sends, or has fetched. How far it is, its job says; before that, the file is
# waited for.
data_imports = Table(
    "data_imports",
    metadata,
    _sequence(),
    Column("data_import_id", Text, nullable=False, unique=True),
    # Empty for a file that is sent.
    Column("source_url", Text, nullable=False),
    # The member of `CreateDataImportFromUploadRequest` that says what is in the file, and its JSON.
    Column("config_kind", Text, nullable=False),
    Column("config_json", Text, nullable=False),
    # What the client calls the file; for messages only.
    Column("file_name", Text, nullable=False),
    # SHA-256 of the file; NULL until all of it is there.
    Column("file_digest", LargeBinary),
    Column("error_message", Text, nullable=False),
    Column("warnings_json", Text, nullable=False),
    Column("run_id", Text),
    Column("asset_id", Text),
    Column("data_start_ns", BigInteger),
    Column("data_stop_ns", BigInteger),
    Column("points_processed", BigInteger, nullable=False),
    # 0 until that is known.
    Column("points_total", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Index("data_imports_by_creation", "created_ns", "sequence"),
)

jobs = Table(
    "jobs",
    metadata,
    _sequence(),
    Column("job_id", Text, nullable=False, unique=True),
    Column("job_type", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    # The report that it makes.
    Column("report_id", ForeignKey("reports.report_id"), unique=True),
    # How often it was begun since it was asked for.
    Column("starts", Integer, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("modified_by_user_id", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("started_ns", BigInteger),
    Column("completed_ns", BigInteger),
    # The data import that it does.
    Column("data_import_id", ForeignKey("data_imports.data_import_id")),
    Index("jobs_by_creation", "created_ns", "sequence"),
    Index("jobs_by_status", "status", "sequence"),
    Index("jobs_by_data_import", "data_import_id", unique=True),
)

data_exports = Table(
    "data_exports",
    metadata,
    Column("job_id", ForeignKey("jobs.job_id"), primary_key=True),
    # An `ExportDataRequest`.
    Column("request_json", Text, nullable=False),
    # Empty until the file is there.
    Column("file_name", Text, nullable=False),
    Column("error_message", Text, nullable=False),
)

error_queue = Table(
    "error_queue",
    metadata,
    Column("position", BigInteger, nullable=False),
    Column("message_index", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("ingestion_config_id", Text, nullable=False),
    Column("flow_name", Text, nullable=False),
    Column("received_ns", BigInteger, nullable=False),
    Column("asset_name", Text, nullable=False, server_default=""),
    Column("channel_name", Text, nullable=False, server_default=""),
    Column("cause", Text, nullable=False, server_default=""),
    # What the message itself says; NULL where that can't be read, or is out of range.
    Column("timestamp_ns", BigInteger),
    # What the entry counts as towards the limit of the queue.
    Column("size_bytes", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("position", "message_index"),
    Index("error_queue_by_asset", "asset_name", "received_ns", "timestamp_ns"),
)

# What is in the queue, and what had to leave it since the first message. One row, or none yet.
error_queue_totals = Table(
    "error_queue_totals",
    metadata,
    Column("only_row", Integer, primary_key=True, autoincrement=False),
    Column("kept_messages", BigInteger, nullable=False),
    Column("kept_bytes", BigInteger, nullable=False),
    Column("dropped_messages", BigInteger, nullable=False),
    Column("dropped_bytes", BigInteger, nullable=False),
    # When the first and the last of them had come.
    Column("dropped_first_ns", BigInteger),
    Column("dropped_last_ns", BigInteger),
    # The last of them: a replay of the log brings none back that comes before it.
    Column("dropped_position", BigInteger),
    Column("dropped_index", BigInteger),
)

api_keys = Table(
    "api_keys",
    metadata,
    _sequence(),
    Column("key_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    # Separated by blanks.
    Column("scopes", Text, nullable=False),
    # SHA-256 of the key, which is kept nowhere.
    Column("digest", LargeBinary, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),
    Column("revoked_ns", BigInteger),
    # The largest one grows with every change.
    Column("changed_ns", BigInteger, nullable=False),
)

# How long, and how many bytes of, the points of an asset are kept. NULL for no limit.
retention_policies = Table(
    "retention_policies",
    metadata,
    Column("asset_id", ForeignKey("assets.asset_id"), primary_key=True),
    Column("age_s", BigInteger),
    Column("size_bytes", BigInteger),
    Column("created_ns", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
)
