"""The rules of reports, while they are evaluated: written within transactions of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from sift_server.catalog import tables
from sift_server.catalog.report_rows import UNFINISHED, RuleStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from sift_server.catalog.context import Context
    from sift_server.catalog.report_rows import ReportRule

ERROR_MESSAGE_CHARS_MAX = 2_000
"""How much is kept of why a rule could not be evaluated."""

_columns = tables.report_rules.c


def create(
    connection: Connection, context: Context, report_id: str, rules: Sequence[ReportRule]
) -> None:
    """Give a report its rules, in their order."""
    now_ns = context.now_ns()
    rows = [
        {
            "report_rule_version_id": context.new_id(),
            "report_id": report_id,
            "position": position,
            "status": RuleStatus.CREATED,
            "error_message": "",
            "created_ns": now_ns,
            "modified_ns": now_ns,
            **rule._asdict(),
        }
        for position, rule in enumerate(rules)
    ]
    if rows:
        connection.execute(insert(tables.report_rules), rows)


def set_status(
    connection: Connection,
    context: Context,
    report_rule_version_id: str,
    status: RuleStatus,
    message: str = "",
) -> None:
    """Say how far a rule is; one that is begun has found nothing yet."""
    if len(message) > ERROR_MESSAGE_CHARS_MAX:
        message = f"{message[: ERROR_MESSAGE_CHARS_MAX - 1]}…"
    if status is RuleStatus.LIVE:
        found = tables.report_annotations
        connection.execute(
            delete(found).where(found.c.report_rule_version_id == report_rule_version_id)
        )
    connection.execute(
        update(tables.report_rules)
        .where(_columns.report_rule_version_id == report_rule_version_id)
        .values(status=status, error_message=message, modified_ns=context.now_ns())
    )


def statuses(connection: Connection, report_id: str) -> set[RuleStatus]:
    """How far the rules of a report are."""
    query = select(_columns.status).where(_columns.report_id == report_id).distinct()
    return {RuleStatus(status) for status in connection.execute(query).scalars()}


def end_rest(
    connection: Connection, context: Context, report_id: str, status: RuleStatus, message: str
) -> None:
    """Say of the rules that are not evaluated that they will not be."""
    connection.execute(
        update(tables.report_rules)
        .where(_columns.report_id == report_id, _columns.status.in_(UNFINISHED))
        .values(status=status, error_message=message, modified_ns=context.now_ns())
    )


def begin_anew(connection: Connection, context: Context, report_id: str) -> None:
    """Have the rules evaluated that are not finished."""
    connection.execute(
        update(tables.report_rules)
        .where(_columns.report_id == report_id, _columns.status != RuleStatus.FINISHED)
        .values(status=RuleStatus.CREATED, error_message="", modified_ns=context.now_ns())
    )
