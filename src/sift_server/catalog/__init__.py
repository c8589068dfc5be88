"""What the server knows of assets, configs, channels, runs, rules and annotations, in a database.

`Catalog` is the door: it has a part for each of them, and the error queue. Lists take a
`ListRequest`, whose filter is CEL, and answer a `Page`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from sift_server.catalog.annotation_logs import AnnotationLog, CommentPart, LogDraft, LogKind
from sift_server.catalog.annotation_rows import (
    Annotation,
    AnnotationDraft,
    AnnotationState,
    LinkedChannel,
)
from sift_server.catalog.annotations import Annotations
from sift_server.catalog.api_keys import ApiKey, ApiKeys, Scope
from sift_server.catalog.assets import Asset, Assets
from sift_server.catalog.attributes import Attributes, MetadataValue
from sift_server.catalog.calculated_channels import CalculatedChannels
from sift_server.catalog.calculated_content import (
    CalculatedContent,
    CalculatedReference,
    InlineExpression,
)
from sift_server.catalog.calculated_rows import CalculatedChannel
from sift_server.catalog.changes import RuleChanges
from sift_server.catalog.channel_notes import ChannelNotes
from sift_server.catalog.channels import (
    CHANNEL_FIELDS,
    COMPONENT_CHANNEL_FIELDS,
    BitFieldElement,
    Channel,
    ChannelConfig,
    Channels,
    EnumType,
)
from sift_server.catalog.condition_annotations import ConditionStretches, Replaced
from sift_server.catalog.condition_troubles import ConditionTrouble, TroublePlace
from sift_server.catalog.context import Context
from sift_server.catalog.data_exports import DataExport, DataExports
from sift_server.catalog.data_imports import (
    DataImport,
    DataImports,
    ImportProgress,
    ImportStatus,
)
from sift_server.catalog.database import CatalogSchemaError, Database
from sift_server.catalog.error_counts import AssetErrors, ErrorCount, ErrorCounts
from sift_server.catalog.error_queue import ErrorQueue, RejectedEntry
from sift_server.catalog.error_room import ErrorQueueLimits, ErrorQueueTotals
from sift_server.catalog.flows import ConfiguredFlow, FlowConfig
from sift_server.catalog.ids import IdSource
from sift_server.catalog.ingestion_configs import IngestionConfig, IngestionConfigs
from sift_server.catalog.jobs import Job, Jobs, JobStatus, JobType
from sift_server.catalog.json_rules import RULES_PER_ASSET_MAX, JsonRule
from sift_server.catalog.listing import Listing
from sift_server.catalog.paging import ListRequest, Page
from sift_server.catalog.report_counts import AnnotationCounts
from sift_server.catalog.report_rows import (
    Report,
    ReportDraft,
    ReportRule,
    RuleStatus,
    RuleSummary,
)
from sift_server.catalog.report_template_rows import ReportTemplate, ReportTemplateDraft
from sift_server.catalog.report_templates import ReportTemplates
from sift_server.catalog.reports import Reports
from sift_server.catalog.retention import RetentionPolicies, RetentionPolicy
from sift_server.catalog.rule_backlog import RuleBacklog, Waiting
from sift_server.catalog.rule_conditions import AnnotationAction, RuleCondition
from sift_server.catalog.rule_content import (
    Action,
    ActionKind,
    AnnotationType,
    Calculated,
    ChannelName,
    Comparator,
    Comparison,
    Condition,
    RuleContent,
)
from sift_server.catalog.rule_ids import AskedIds
from sift_server.catalog.rule_rows import Rule, RuleVersion
from sift_server.catalog.rule_search import RuleSearch
from sift_server.catalog.rules import PutRules, RuleDraft, Rules, RulesUpdate
from sift_server.catalog.runs import Run, RunDraft, Runs
from sift_server.catalog.stretches import Stretch
from sift_server.catalog.tags import Tag, Tags, TagUse
from sift_server.catalog.units import Units
from sift_server.catalog.users import User, Users

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "CHANNEL_FIELDS",
    "COMPONENT_CHANNEL_FIELDS",
    "RULES_PER_ASSET_MAX",
    "Action",
    "ActionKind",
    "Annotation",
    "AnnotationAction",
    "AnnotationCounts",
    "AnnotationDraft",
    "AnnotationLog",
    "AnnotationState",
    "AnnotationType",
    "Annotations",
    "ApiKey",
    "ApiKeys",
    "AskedIds",
    "Asset",
    "AssetErrors",
    "Assets",
    "Attributes",
    "BitFieldElement",
    "Calculated",
    "CalculatedChannel",
    "CalculatedChannels",
    "CalculatedContent",
    "CalculatedReference",
    "Catalog",
    "CatalogSchemaError",
    "Channel",
    "ChannelConfig",
    "ChannelName",
    "ChannelNotes",
    "Channels",
    "CommentPart",
    "Comparator",
    "Comparison",
    "Condition",
    "ConditionStretches",
    "ConditionTrouble",
    "ConfiguredFlow",
    "DataExport",
    "DataImport",
    "DataImports",
    "EnumType",
    "ErrorCount",
    "ErrorCounts",
    "ErrorQueue",
    "ErrorQueueLimits",
    "ErrorQueueTotals",
    "FlowConfig",
    "ImportProgress",
    "ImportStatus",
    "IngestionConfig",
    "IngestionConfigs",
    "InlineExpression",
    "Job",
    "JobStatus",
    "JobType",
    "Jobs",
    "JsonRule",
    "LinkedChannel",
    "ListRequest",
    "Listing",
    "LogDraft",
    "LogKind",
    "MetadataValue",
    "Page",
    "PutRules",
    "RejectedEntry",
    "Replaced",
    "Report",
    "ReportDraft",
    "ReportRule",
    "ReportTemplate",
    "ReportTemplateDraft",
    "ReportTemplates",
    "Reports",
    "RetentionPolicies",
    "RetentionPolicy",
    "Rule",
    "RuleCondition",
    "RuleContent",
    "RuleDraft",
    "RuleSearch",
    "RuleStatus",
    "RuleSummary",
    "RuleVersion",
    "Rules",
    "RulesUpdate",
    "Run",
    "RunDraft",
    "Runs",
    "Scope",
    "Stretch",
    "Tag",
    "TagUse",
    "Tags",
    "TroublePlace",
    "User",
    "Users",
    "Waiting",
]


class Catalog:
    """The catalog of one server. Safe from many threads; what a call returned is on disk.

    Example:
        ```python
        with Catalog.open("telemetry/catalog.sqlite") as catalog:
            flow = FlowConfig("readings", (ChannelConfig("voltage", DataType.DOUBLE),))
            config = catalog.ingestion_configs.create("NostromoLV426", "nostromo-v1", [flow])
            catalog.ingestion_configs.flow(config.ingestion_config_id, "readings").channel_ids
        ```

    Attributes:
        assets: The assets.
        ingestion_configs: The ingestion configs and their flows.
        channels: The channels.
        runs: The runs.
        rules: The rules, and their JSON form.
        calculated_channels: The calculated channels.
        annotations: The annotations that rules and people made.
        reports: The reports.
        report_templates: The report templates.
        data_imports: The files that clients send, and what became of them.
        data_exports: The files that clients ask for.
        jobs: The jobs, which make reports and do data imports.
        tags: The tags.
        users: The users.
        units: The units of channels.
        error_queue: Messages that could not be taken.
        api_keys: The keys that callers may have.
        retention: How long points are kept.
        listing: Whole tables, for readers that look for themselves.
        now_ns: Its clock, nanoseconds since 1970 in UTC.
    """

    def __init__(
        self,
        database: Database,
        now_ns: Callable[[], int] = time.time_ns,
        new_id: Callable[[], str] | None = None,
        error_limits: ErrorQueueLimits | None = None,
    ) -> None:
        """Take the database, the clock, the source of ids, and what the error queue may hold."""
        self._database = database
        self.now_ns = now_ns
        context = Context(database, now_ns, new_id or IdSource(), RuleChanges(database))
        self.assets = Assets(context)
        self.ingestion_configs = IngestionConfigs(context)
        self.channels = Channels(context)
        self.runs = Runs(context)
        self.rules = Rules(context)
        self.calculated_channels = CalculatedChannels(context)
        self.rule_backlog = RuleBacklog(context)
        self.annotations = Annotations(context)
        self.reports = Reports(context)
        self.report_templates = ReportTemplates(context)
        self.data_imports = DataImports(context)
        self.data_exports = DataExports(context)
        self.jobs = Jobs(context)
        self.tags = Tags(context)
        self.users = Users(context)
        self.units = Units(context)
        self.error_queue = ErrorQueue(context, error_limits)
        self.api_keys = ApiKeys(context)
        self.listing = Listing(context)
        self.retention = RetentionPolicies(context)

    @classmethod
    def open(
        cls,
        address: str | Path,
        error_limits: ErrorQueueLimits | None = None,
        *,
        upgrades: bool = True,
    ) -> Self:
        """Open the catalog at the path of a SQLite file, or at a database URL of SQLAlchemy.

        Raises:
            CatalogSchemaError: It was written by a later version of the server, or one of an older
                version can't be changed.
        """
        return cls(Database.open(address, upgrades=upgrades), error_limits=error_limits)

    @classmethod
    def open_to_read(cls, path: Path) -> Self:
        """Open the catalog of a SQLite file, which a server may be writing to, and only read it.

        Raises:
            FileNotFoundError: There is no such file.
            CatalogSchemaError: It was written by another version of the server.
        """
        return cls(Database.open_to_read(path))

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
