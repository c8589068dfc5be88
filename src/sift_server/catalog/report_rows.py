"""Reports and the rules in them, as they are read from the tables."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from sift_server.catalog import report_counts, tables
from sift_server.catalog.attributes import NO_ATTRIBUTES, Attributes, AttributeTables
from sift_server.catalog.chunks import chunks
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from sift_server.catalog.report_counts import AnnotationCounts

_reports = tables.reports.c
_report_rules = tables.report_rules.c
attribute_tables = AttributeTables("a report", tables.report_tags, tables.report_metadata)


class RuleStatus(enum.IntEnum):
    """How far a rule of a report is; the numbers of `sift.reports.v1`."""

    CREATED = 1
    LIVE = 2
    FINISHED = 3
    FAILED = 4
    CANCELED = 5
    ERROR = 6


UNFINISHED = (RuleStatus.CREATED, RuleStatus.LIVE)
"""Of a rule that is still to be evaluated."""


class ReportRule(NamedTuple):
    """A version of a rule on an asset; an empty id stands for no asset."""

    rule_id: str
    rule_version_id: str
    asset_id: str


@dataclass(frozen=True, slots=True)
class ReportDraft:
    """What can be said of a report. Times are nanoseconds since 1970 in UTC.

    Attributes:
        name: Not blank.
        run_id: The run that it is about.
        report_template_id: The template that it was made from, or empty.
        rerun_from_report_id: The report that it repeats, or empty.
        start_ns: Where the part of the run begins that it is about; None for no limit.
        end_ns: Where it ends, which is excluded; None for no limit.
        annotation_tags: Tags that annotations which it makes get beside those of their rules.
    """

    name: str
    run_id: str
    description: str = ""
    report_template_id: str = ""
    rerun_from_report_id: str = ""
    organization_id: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    annotation_tags: tuple[str, ...] = ()
    archived_ns: int | None = None
    attributes: Attributes = NO_ATTRIBUTES


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """What became of a rule of a report.

    Attributes:
        rule_client_key: Empty for none.
        rule_version_number: 0 if the version is lost.
        error_message: Why it could not be evaluated, or empty.
        counts: Its annotations now, by what people think of them.
        display_order: Its place in the report.
        rule_deleted_ns: When its rule was deleted, or None.
    """

    report_rule_version_id: str
    report_id: str
    rule: ReportRule
    rule_client_key: str
    rule_version_number: int
    status: RuleStatus
    error_message: str
    counts: AnnotationCounts
    display_order: int
    created_ns: int
    modified_ns: int
    rule_deleted_ns: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """A report, as it is stored, with what became of its rules so far.

    Attributes:
        job_id: The job that makes it.
        summaries: Of its rules, in their order.
    """

    report_id: str
    draft: ReportDraft
    job_id: str
    summaries: tuple[RuleSummary, ...]
    created_by_user_id: str
    modified_by_user_id: str
    created_ns: int
    modified_ns: int


def query() -> Select[Any]:
    """What is read of a report."""
    return select(tables.reports, tables.jobs.c.job_id).outerjoin(
        tables.jobs, tables.jobs.c.report_id == _reports.report_id
    )


def get(connection: Connection, report_id: str) -> Report:
    """Read a report.

    Raises:
        NotFoundError: There is none of that id.
    """
    rows = connection.execute(query().where(_reports.report_id == report_id)).all()
    if not rows:
        raise NotFoundError(
            f"there is no report with the id {report_id!r}; list the reports to find it"
        )
    (report,) = read(connection, rows)
    return report


def read(connection: Connection, rows: Sequence[Row[Any]]) -> list[Report]:
    """Read the reports of rows of `query`, with what other tables have of them."""
    attributes: dict[str, Attributes] = {}
    summaries: dict[str, list[RuleSummary]] = {}
    for ids in chunks([row.report_id for row in rows]):
        attributes.update(attribute_tables.read(connection, ids))
        of_reports = summary_query().where(_report_rules.report_id.in_(ids))
        found = connection.execute(of_reports.order_by(_report_rules.position)).all()
        for summary in read_summaries(connection, found):
            summaries.setdefault(summary.report_id, []).append(summary)
    return [
        _report(row, attributes[row.report_id], summaries.get(row.report_id, ())) for row in rows
    ]


def summary_query() -> Select[Any]:
    """What is read of a rule of a report; the rule itself may be lost."""
    rules, versions = tables.rules, tables.rule_versions
    return (
        select(tables.report_rules, rules.c.client_key, rules.c.deleted_ns, versions.c.number)
        .outerjoin(rules, rules.c.rule_id == _report_rules.rule_id)
        .outerjoin(versions, versions.c.rule_version_id == _report_rules.rule_version_id)
    )


def read_summaries(connection: Connection, rows: Sequence[Row[Any]]) -> list[RuleSummary]:
    """Read the summaries of rows of `summary_query`, with their counts."""
    counts = report_counts.read(connection, [row.report_rule_version_id for row in rows])
    return [
        RuleSummary(
            report_rule_version_id=row.report_rule_version_id,
            report_id=row.report_id,
            rule=ReportRule(row.rule_id, row.rule_version_id, row.asset_id),
            rule_client_key=row.client_key or "",
            rule_version_number=row.number or 0,
            status=RuleStatus(row.status),
            error_message=row.error_message,
            counts=counts[row.report_rule_version_id],
            display_order=row.position,
            created_ns=row.created_ns,
            modified_ns=row.modified_ns,
            rule_deleted_ns=row.deleted_ns,
        )
        for row in rows
    ]


def values_of(draft: ReportDraft) -> dict[str, Any]:
    """What the row of a report has of a draft."""
    return {
        "name": draft.name,
        "description": draft.description,
        "organization_id": draft.organization_id,
        "run_id": draft.run_id,
        "report_template_id": draft.report_template_id or None,
        "rerun_from_report_id": draft.rerun_from_report_id or None,
        "start_ns": draft.start_ns,
        "end_ns": draft.end_ns,
        "annotation_tags_json": json.dumps(draft.annotation_tags, separators=(",", ":")),
        "archived_ns": draft.archived_ns,
    }


def _report(row: Row[Any], attributes: Attributes, summaries: Sequence[RuleSummary]) -> Report:
    draft = ReportDraft(
        name=row.name,
        run_id=row.run_id,
        description=row.description,
        report_template_id=row.report_template_id or "",
        rerun_from_report_id=row.rerun_from_report_id or "",
        organization_id=row.organization_id,
        start_ns=row.start_ns,
        end_ns=row.end_ns,
        annotation_tags=tuple(json.loads(row.annotation_tags_json)),
        archived_ns=row.archived_ns,
        attributes=attributes,
    )
    return Report(
        row.report_id,
        draft,
        row.job_id or "",
        tuple(summaries),
        row.created_by_user_id,
        row.modified_by_user_id,
        row.created_ns,
        row.modified_ns,
    )
