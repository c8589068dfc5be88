"""Reports between their messages and the catalog."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sift.reports.v1 import reports_pb2
from sift_server.api.services.convert import to_metadata, to_timestamp
from sift_server.catalog import ReportDraft, RuleStatus
from sift_server.catalog.report_form import REPORT_NAME_CHARS_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.catalog import Catalog, Report, ReportTemplate, RuleSummary
    from sift_server.rules import AskedTime


ERRORS_BYTES_MAX = 1024 * 1024
"""How much an answer with reports says of why rules could not be evaluated."""


def report_draft(
    catalog: Catalog,
    time: AskedTime,
    annotation_tags: Sequence[str],
    name: str = "",
    template: ReportTemplate | None = None,
) -> ReportDraft:
    """What is said of a report that somebody gets who has rules evaluated on a run.

    Raises:
        NotFoundError: There is no such run.
    """
    run_id = time.run_id or ""
    if template is None:
        # A run may have a longer name than a report.
        of_run = f"Rules of {catalog.runs.get(run_id).draft.name}"[:REPORT_NAME_CHARS_MAX]
        name = name or of_run
        draft = ReportDraft(name, run_id)
    else:
        draft = ReportDraft(
            name or template.draft.name,
            run_id,
            description=template.draft.description,
            report_template_id=template.report_template_id,
            attributes=template.draft.attributes,
        )
    return replace(
        draft,
        start_ns=time.start_ns,
        end_ns=time.end_ns,
        annotation_tags=tuple(dict.fromkeys(annotation_tags)),
    )


def to_report(report: Report) -> reports_pb2.Report:
    """Write a report with the summaries of its rules."""
    (message,) = to_reports([report])
    return message


def to_reports(reports: Sequence[Report]) -> list[reports_pb2.Report]:
    """Write some reports, with the summaries of their rules.

    If very many rules could not be evaluated, it is cut short why: clients take 4 MiB.
    """
    errors = sum(bool(one.error_message) for report in reports for one in report.summaries)
    return [_report(report, ERRORS_BYTES_MAX // max(errors, 1)) for report in reports]


def _report(report: Report, error_bytes_max: int) -> reports_pb2.Report:
    return reports_pb2.Report(
        **_said_of(report),
        summaries=[to_summary(one, error_bytes_max) for one in report.summaries],
        metadata=to_metadata(report.draft.attributes.metadata),
    )


def to_report_with_sum(report: Report) -> reports_pb2.ReportWithCumulativeSummary:
    """Write a report with one summary of all its rules."""
    return reports_pb2.ReportWithCumulativeSummary(
        **_said_of(report), cumulative_summary=_to_sum(report.summaries)
    )


def _said_of(report: Report) -> dict[str, Any]:
    """What both messages of a report have, by their fields."""
    draft = report.draft
    return {
        "report_id": report.report_id,
        "report_template_id": draft.report_template_id,
        "run_id": draft.run_id,
        "organization_id": draft.organization_id,
        "name": draft.name,
        "description": draft.description or None,
        "created_by_user_id": report.created_by_user_id,
        "modified_by_user_id": report.modified_by_user_id,
        "created_date": to_timestamp(report.created_ns),
        "modified_date": to_timestamp(report.modified_ns),
        "tags": [reports_pb2.ReportTag(tag_name=name) for name in draft.attributes.tags],
        "rerun_from_report_id": draft.rerun_from_report_id or None,
        "job_id": report.job_id or None,
        "archived_date": to_timestamp(draft.archived_ns),
        "is_archived": draft.archived_ns is not None,
        "report_type": reports_pb2.REPORT_TYPE_RULE_EVALUATION,
    }


def to_summary(
    summary: RuleSummary, error_bytes_max: int = ERRORS_BYTES_MAX
) -> reports_pb2.ReportRuleSummary:
    """Write what became of a rule of a report."""
    counts = summary.counts
    return reports_pb2.ReportRuleSummary(
        rule_id=summary.rule.rule_id,
        rule_client_key=summary.rule_client_key,
        rule_version_id=summary.rule.rule_version_id,
        rule_version_number=summary.rule_version_number,
        report_rule_version_id=summary.report_rule_version_id,
        num_open=counts.open_count,
        num_failed=counts.failed_count,
        num_passed=counts.passed_count,
        status=reports_pb2.ReportRuleStatus.ValueType(summary.status),
        status_details=_to_details(summary, error_bytes_max),
        created_date=to_timestamp(summary.created_ns),
        modified_date=to_timestamp(summary.modified_ns),
        asset_id=summary.rule.asset_id,
        deleted_date=to_timestamp(summary.rule_deleted_ns),
        display_order=summary.display_order,
    )


def _to_details(summary: RuleSummary, error_bytes_max: int) -> reports_pb2.ReportRuleStatusDetails:
    details = reports_pb2.ReportRuleStatusDetails()
    told = summary.error_message.encode()[:error_bytes_max].decode(errors="ignore")
    match summary.status:
        case RuleStatus.CREATED:
            details.created.SetInParent()
        case RuleStatus.LIVE:
            details.live.SetInParent()
        case RuleStatus.FINISHED:
            details.finished.SetInParent()
        case RuleStatus.FAILED:
            details.failed.error_message = told
        case RuleStatus.CANCELED:
            details.canceled.SetInParent()
        case RuleStatus.ERROR:
            details.error.error_message = told
    return details


def _to_sum(summaries: Sequence[RuleSummary]) -> reports_pb2.ReportCumulativeRuleSummary:
    statuses = [summary.status for summary in summaries]
    counts = [summary.counts for summary in summaries]
    return reports_pb2.ReportCumulativeRuleSummary(
        num_annotations_open=sum(one.open_count for one in counts),
        num_annotations_failed=sum(one.failed_count for one in counts),
        num_annotations_passed=sum(one.passed_count for one in counts),
        num_annotations_total=sum(one.total_count for one in counts),
        num_rules_created=statuses.count(RuleStatus.CREATED),
        num_rules_live=statuses.count(RuleStatus.LIVE),
        num_rules_finished=statuses.count(RuleStatus.FINISHED),
        num_rules_failed=statuses.count(RuleStatus.FAILED),
        num_rules_canceled=statuses.count(RuleStatus.CANCELED),
        num_rules_error=statuses.count(RuleStatus.ERROR),
        num_rules_total=len(statuses),
        num_of_rules_without_annotations=[one.total_count for one in counts].count(0),
    )
