"""What all services have in common."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool

from sift_server.api.exporting import Exporting
from sift_server.api.import_configs import plan_of
from sift_server.api.services import services
from sift_server.exports import ExportLimits
from sift_server.imports import ImportWorker, UrlPolicy
from sift_server.rules import CatalogBook, RuleEvaluation, RunReports

SERVICES = {
    "sift.ping.v1.PingService",
    "sift.ingestion_configs.v1.IngestionConfigService",
    "sift.ingestion_configs.v2.IngestionConfigService",
    "sift.assets.v1.AssetService",
    "sift.runs.v2.RunService",
    "sift.jobs.v1.JobService",
    "sift.report_templates.v1.ReportTemplateService",
    "sift.reports.v1.ReportService",
    "sift.server.v1.RetentionService",
    "sift.rule_evaluation.v1.RuleEvaluationService",
    "sift.rules.v1.RuleService",
    "sift.calculated_channels.v1.CalculatedChannelsService",
    "sift.calculated_channels.v2.CalculatedChannelService",
    "sift.channels.v2.ChannelService",
    "sift.channels.v3.ChannelService",
    "sift.data.v1.DataService",
    "sift.data.v2.DataService",
    "sift.data_imports.v2.DataImportService",
    "sift.dlq_errors.v2.DlqErrorsService",
    "sift.exports.v1.ExportService",
    "sift.annotations.v1.AnnotationService",
    "sift.annotation_logs.v1.AnnotationLogService",
    "sift.tags.v2.TagService",
    "sift.users.v2.UserService",
    "sift.unit.v2.UnitService",
}


@pytest.fixture
def listed(catalog) -> list[object]:
    """All services; none of them reads while it is made."""
    evaluation = RuleEvaluation(catalog, CatalogBook(catalog, None))
    return services(
        catalog,
        None,
        RunReports(catalog, evaluation),
        None,
        ImportWorker(catalog, None, None, UrlPolicy.OFF, plan_of),
        Exporting.over(catalog, None, Path("exports"), ExportLimits()),
    )


def test_every_service_is_listed_once(listed):
    """Those that the server is meant to have."""
    assert sorted(service.SERVICE_NAME for service in listed) == sorted(SERVICES)


def test_every_method_is_one_of_its_service(listed):
    """A public method that no call reaches would be a mistake in its name."""
    for service in listed:
        descriptor = descriptor_pool.Default().FindServiceByName(service.SERVICE_NAME)
        known = {_snake(method.name) for method in descriptor.methods}
        methods = {
            name for name in dir(service) if name[0].islower() and callable(getattr(service, name))
        }
        assert methods
        assert methods <= known, service.SERVICE_NAME


def _snake(name: str) -> str:
    return re.sub(r"(?<=.)([A-Z])", r"_\1", name).lower()
