"""Waits for a report: a server that has much to evaluate answers before it is done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sift.reports.v1.reports_pb2 import (
    REPORT_RULE_STATUS_CREATED,
    REPORT_RULE_STATUS_LIVE,
    GetReportRequest,
)
from sift.reports.v1.reports_pb2_grpc import ReportServiceStub

if TYPE_CHECKING:
    from sift.reports.v1.reports_pb2 import Report
    from sift_py.grpc.transport import SiftChannel

POLL_INTERVAL_S = 0.5
_UNFINISHED = {REPORT_RULE_STATUS_CREATED, REPORT_RULE_STATUS_LIVE}


def finished_report(channel: SiftChannel, report_id: str) -> Report:
    """Return a report once all of its rules are evaluated, or will not be any more."""
    stub: Any = ReportServiceStub(channel)
    while True:
        report: Report = stub.GetReport(GetReportRequest(report_id=report_id)).report
        if not _UNFINISHED & {summary.status for summary in report.summaries}:
            return report
        time.sleep(POLL_INTERVAL_S)
