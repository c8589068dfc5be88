"""`sift.reports.v1.ReportService`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift.reports.v1 import reports_pb2
from sift_server.api.services.convert import (
    from_metadata,
    from_timestamp,
    list_request,
    to_metadata,
)
from sift_server.api.services.masks import archived_since, update_paths, with_fields
from sift_server.api.services.report_messages import (
    to_report,
    to_report_with_sum,
    to_reports,
    to_summary,
)
from sift_server.api.services.rule_messages import current_versions
from sift_server.catalog import Attributes, ReportDraft
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sift_server.catalog import Catalog, MetadataValue
    from sift_server.rules import RunReports


class ReportService:
    """Creates, gets, lists, updates, reruns and cancels reports."""

    SERVICE_NAME = "sift.reports.v1.ReportService"

    def __init__(self, catalog: Catalog, reports: RunReports) -> None:
        self._catalog = catalog
        self._reports = reports

    def get_report(self, request: reports_pb2.GetReportRequest) -> reports_pb2.GetReportResponse:
        """Return a report with the summaries of its rules."""
        report = self._catalog.reports.get(request.report_id)
        return reports_pb2.GetReportResponse(report=to_report(report))

    def create_report(
        self, request: reports_pb2.CreateReportRequest
    ) -> reports_pb2.CreateReportResponse:
        """Create a report, which is evaluated in the background."""
        metadata = from_metadata(request.metadata)
        match request.WhichOneof("request"):
            case "report_from_report_template_request":
                wanted = request.report_from_report_template_request
                template = self._catalog.report_templates.get(wanted.report_template_id)
                name, tags = template.draft.name, template.draft.attributes.tags
                description, template_id = template.draft.description, template.report_template_id
                metadata = _merged(template.draft.attributes.metadata, metadata)
                version_ids = template.version_ids
            case "report_from_rules_request":
                rules = request.report_from_rules_request
                name, tags = rules.name, tuple(rules.tag_names)
                description, template_id = rules.description, ""
                version_ids = self._version_ids(rules)
            case _:
                raise InvalidArgumentError(
                    "say what to make the report of: report_from_report_template_request or"
                    " report_from_rules_request"
                )
        draft = ReportDraft(
            name=request.name or name,
            run_id=request.run_id,
            description=description,
            report_template_id=template_id,
            organization_id=request.organization_id,
            attributes=Attributes(tags, metadata),
        )
        report = self._reports.create(draft, version_ids)
        return reports_pb2.CreateReportResponse(report=to_report(report))

    def list_reports(
        self, request: reports_pb2.ListReportsRequest
    ) -> reports_pb2.ListReportsResponse:
        """Return a page of the reports."""
        page = self._catalog.reports.list(list_request(request))
        return reports_pb2.ListReportsResponse(
            reports=to_reports(page.items), next_page_token=page.next_token
        )

    def list_reports_with_cumulative_summary(
        self, request: reports_pb2.ListReportsWithCumulativeSummaryRequest
    ) -> reports_pb2.ListReportsWithCumulativeSummaryResponse:
        """Return a page of the reports, each with one summary of all its rules."""
        page = self._catalog.reports.list(list_request(request))
        return reports_pb2.ListReportsWithCumulativeSummaryResponse(
            reports=map(to_report_with_sum, page.items), next_page_token=page.next_token
        )

    def update_report(
        self, request: reports_pb2.UpdateReportRequest
    ) -> reports_pb2.UpdateReportResponse:
        """Replace the fields of a report that the mask names."""
        wanted = request.report
        paths = update_paths(request.update_mask, wanted, _UPDATABLE)

        def change(draft: ReportDraft) -> ReportDraft:
            draft = with_fields(draft, wanted, paths, _CHANGES)
            archived_ns = archived_since(
                draft.archived_ns, paths, self._catalog.now_ns, is_archived=wanted.is_archived
            )
            return replace(draft, archived_ns=archived_ns)

        self._catalog.reports.update(wanted.report_id, change)
        return reports_pb2.UpdateReportResponse()

    def rerun_report(
        self, request: reports_pb2.RerunReportRequest
    ) -> reports_pb2.RerunReportResponse:
        """Evaluate the rules of a report once more, for another report."""
        report = self._reports.rerun(request.report_id)
        return reports_pb2.RerunReportResponse(job_id=report.job_id, report_id=report.report_id)

    def cancel_report(
        self, request: reports_pb2.CancelReportRequest
    ) -> reports_pb2.CancelReportResponse:
        """Evaluate no more rules of a report."""
        self._reports.cancel_report(request.report_id)
        return reports_pb2.CancelReportResponse()

    def list_report_rule_summaries(
        self, request: reports_pb2.ListReportRuleSummariesRequest
    ) -> reports_pb2.ListReportRuleSummariesResponse:
        """Return a page of what became of the rules of a report."""
        page = self._catalog.reports.list_summaries(request.report_id, list_request(request))
        return reports_pb2.ListReportRuleSummariesResponse(
            report_rule_summaries=map(to_summary, page.items), next_page_token=page.next_token
        )

    def list_report_metadata_values(
        self, request: reports_pb2.ListReportMetadataValuesRequest
    ) -> reports_pb2.ListReportMetadataValuesResponse:
        """Return a page of the metadata of a report."""
        page = self._catalog.reports.list_metadata(request.report_id, list_request(request))
        return reports_pb2.ListReportMetadataValuesResponse(
            metadata_values=to_metadata(page.items), next_page_token=page.next_token
        )

    def _version_ids(self, rules: reports_pb2.CreateReportFromRulesRequest) -> list[str]:
        if rules.WhichOneof("rule_identifiers") == "rule_version_ids":
            return list(rules.rule_version_ids.rule_version_ids)
        return current_versions(
            self._catalog.rules, rules.rule_ids.rule_ids, rules.rule_client_keys.rule_client_keys
        )


def _merged(
    ours: Iterable[tuple[str, MetadataValue]], wanted: Iterable[tuple[str, MetadataValue]]
) -> tuple[tuple[str, MetadataValue], ...]:
    """The metadata of a template, with what is asked for in place of what it has of a key."""
    return tuple({**dict(ours), **dict(wanted)}.items())


def _with_tags(draft: ReportDraft, wanted: reports_pb2.Report) -> ReportDraft:
    tags = tuple(one.tag_name for one in wanted.tags)
    return replace(draft, attributes=replace(draft.attributes, tags=tags))


def _with_metadata(draft: ReportDraft, wanted: reports_pb2.Report) -> ReportDraft:
    metadata = from_metadata(wanted.metadata)
    return replace(draft, attributes=replace(draft.attributes, metadata=metadata))


def _archived_since_date(draft: ReportDraft, wanted: reports_pb2.Report) -> ReportDraft:
    archived_ns = None
    if wanted.HasField("archived_date"):
        archived_ns = from_timestamp(wanted.archived_date, "archived_date")
    return replace(draft, archived_ns=archived_ns)


_CHANGES: dict[str, Callable[[ReportDraft, reports_pb2.Report], ReportDraft]] = {
    "name": lambda draft, wanted: replace(draft, name=wanted.name),
    "description": lambda draft, wanted: replace(draft, description=wanted.description),
    "tags": _with_tags,
    "metadata": _with_metadata,
    "archived_date": _archived_since_date,
}
"""What an update changes, by the path of the mask."""

_UPDATABLE = (*_CHANGES, "is_archived")
