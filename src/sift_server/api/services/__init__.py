"""The services that this server has, one module each.

A service is a plain class: `SERVICE_NAME` is the full name of the service, and every method of it
that is there is a method of the class, in snake case, from request message to response message. It
may be called from many threads, and raises `sift_server.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.api.services import (
    assets,
    calculated_channels_v1,
    calculated_channels_v2,
    channels_v2,
    channels_v3,
    data_imports,
    data_v1,
    data_v2,
    dlq_errors,
    exports,
    ingestion_configs_v1,
    ingestion_configs_v2,
    jobs,
    ping,
    report_templates,
    reports,
    retention,
    rule_evaluation,
    rules,
    runs,
    tags,
    units,
    users,
)
from sift_server.api.services.annotation_logs import AnnotationLogService
from sift_server.api.services.annotations import AnnotationService

if TYPE_CHECKING:
    from sift_server.api.exporting import Exporting
    from sift_server.catalog import Catalog
    from sift_server.imports import ImportWorker
    from sift_server.lake import PointStore
    from sift_server.retention import Deletion
    from sift_server.rules import RunReports

__all__ = ["services"]


def services(
    catalog: Catalog,
    store: PointStore,
    run_reports: RunReports,
    deletion: Deletion,
    imports: ImportWorker,
    exporting: Exporting,
) -> list[object]:
    """Make all services over a catalog, the points, and what reports, deletes, imports, exports."""
    return [
        ping.PingService(),
        ingestion_configs_v1.IngestionConfigService(catalog),
        ingestion_configs_v2.IngestionConfigService(catalog),
        assets.AssetService(catalog),
        runs.RunService(catalog),
        rules.RuleService(catalog, run_reports),
        rule_evaluation.RuleEvaluationService(catalog, run_reports),
        report_templates.ReportTemplateService(catalog),
        reports.ReportService(catalog, run_reports),
        jobs.JobService(catalog, run_reports, imports, exporting.worker),
        retention.RetentionService(catalog, deletion),
        exports.ExportService(catalog, exporting),
        data_imports.DataImportService(catalog, imports),
        AnnotationService(catalog),
        AnnotationLogService(catalog),
        tags.TagService(catalog),
        users.UserService(catalog),
        units.UnitService(catalog),
        calculated_channels_v1.CalculatedChannelsService(catalog),
        calculated_channels_v2.CalculatedChannelService(catalog, store),
        channels_v2.ChannelService(catalog),
        channels_v3.ChannelService(catalog),
        data_v1.DataService(catalog, store),
        data_v2.DataService(catalog, store),
        dlq_errors.DlqErrorsService(catalog),
    ]
