"""Reports and jobs of a catalog that can't be used as they are, and what is made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import case, or_, select, update

from sift_server.catalog import JobStatus, RuleStatus, tables
from sift_server.catalog.jobs import JobType
from sift_server.catalog.report_rows import UNFINISHED
from sift_server.doctor.findings import counted

if TYPE_CHECKING:
    from sqlalchemy import Connection

_reports = tables.reports.c
_report_rules = tables.report_rules.c
_jobs = tables.jobs.c

_AT_WORK = (JobStatus.CREATED, JobStatus.RUNNING, JobStatus.CANCEL_REQUESTED)
_JOBLESS = _report_rules.report_id.not_in(
    select(_jobs.report_id).where(_jobs.report_id.is_not(None), _jobs.status.in_(_AT_WORK))
)
_LEFT = or_(
    _report_rules.status.not_in(list(RuleStatus)),
    _report_rules.status.in_(UNFINISHED) & _JOBLESS,
)
_UNKNOWN_JOB = or_(_jobs.status.not_in(list(JobStatus)), _jobs.job_type.not_in(list(JobType)))


def unreadable_reports(connection: Connection) -> list[str]:
    """Ids of reports whose tags for annotations nobody can read."""
    query = select(_reports.report_id, _reports.annotation_tags_json)
    return [
        report_id for report_id, document in connection.execute(query) if not _is_tags(document)
    ]


def rules_left_behind(connection: Connection) -> list[str]:
    """Ids of rules of reports that no job will ever end, or whose status is none."""
    query = select(_report_rules.report_rule_version_id).where(_LEFT)
    return list(connection.execute(query).scalars())


def unknown_jobs(connection: Connection) -> list[str]:
    """Ids of jobs whose status or type is none."""
    return list(connection.execute(select(_jobs.job_id).where(_UNKNOWN_JOB)).scalars())


def mend_reports(connection: Connection) -> list[str]:
    """Leave no report or job that can't be used; returns what is lost, in sentences.

    Called when rows are dropped that belong to nothing. What nobody will evaluate any more ends in
    an error, so that whoever waits for it is told.
    """
    reports, jobs = unreadable_reports(connection), unknown_jobs(connection)
    for report_id in reports:
        connection.execute(
            update(tables.reports)
            .where(_reports.report_id == report_id)
            .values(annotation_tags_json="[]")
        )
    connection.execute(
        update(tables.jobs)
        .where(_UNKNOWN_JOB)
        .values(
            status=JobStatus.FAILED,
            job_type=case(
                (_jobs.data_import_id.is_not(None), JobType.DATA_IMPORT),
                (_jobs.report_id.is_not(None), JobType.RULE_EVALUATION),
                else_=JobType.DATA_EXPORT,
            ),
        )
    )
    left = rules_left_behind(connection)
    connection.execute(
        update(tables.report_rules)
        .where(_LEFT)
        .values(
            status=RuleStatus.ERROR,
            error_message="a repair of the catalog did not find out what became of it; rerun the"
            " report",
        )
    )
    return [
        f"catalog.sqlite: {counted(len(lost), what, plural)} are lost."
        for lost, what, plural in (
            (reports, "report's tags for annotations", "reports' tags for annotations"),
            (jobs, "job's status", "jobs' statuses"),
            (left, "status of a rule of a report", "statuses of rules of reports"),
        )
        if lost
    ]


def _is_tags(document: str) -> bool:
    try:
        tags = json.loads(document)
    except (ValueError, TypeError):
        return False
    return isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
