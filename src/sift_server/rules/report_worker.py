"""Evaluates the rules of reports in the background: one job after the other, on one thread."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from sift_server.catalog import JobStatus, JobType, RuleStatus
from sift_server.catalog.report_rows import UNFINISHED
from sift_server.errors import DiskFullError, ServerError
from sift_server.rules.asked import AskedTime, ForReport
from sift_server.rules.explicit import EvaluationStoppedError

if TYPE_CHECKING:
    from sift_server.catalog import Catalog, Job, Report, RuleSummary
    from sift_server.rules.asked import RuleEvaluation

RETRY_INTERVAL_MS = 1_000
"""How long to wait after a job that could not be gone on with, because the disk is full."""

WAITING_CALLS_MAX = 4
"""How many calls may wait for jobs: others need threads, too."""

_FAILED = "evaluating it failed inside the server; its log says why"
_ENDED = (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELLED)
_logger = logging.getLogger(__name__)


class ReportWorker:
    """Does the jobs of the catalog. Safe from many threads.

    A rule that can't be evaluated ends in an error, which its summary says; all others go on. A job
    that the end of the server interrupts is begun again at the next start, with the rules that are
    left.
    """

    def __init__(self, catalog: Catalog, evaluation: RuleEvaluation) -> None:
        """Take the catalog, and what evaluates its rules."""
        self._catalog = catalog
        self._evaluation = evaluation
        self._changed = threading.Condition()
        self._is_stopping = False
        self._has_work = True
        self._running_job_id = ""
        self._is_cancelled = False
        """Whether the job that runs is to end."""
        self._waiting_calls = 0
        self._thread = threading.Thread(target=self._run, name="sift-reports", daemon=True)

    def start(self) -> None:
        """Begin, with what was left before."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that there is a job."""
        with self._changed:
            self._has_work = True
            self._changed.notify_all()

    def cancel(self, job_id: str) -> None:
        """End a job: at once if it waits, and in the middle of a rule if it runs.

        Raises:
            NotFoundError: There is no job of that id.
        """
        self._catalog.jobs.cancel(job_id)
        with self._changed:
            if job_id == self._running_job_id:
                self._is_cancelled = True
            self._changed.notify_all()

    def wait(self, job_id: str, timeout_ms: int) -> None:
        """Wait until a job ended, time is up, or the server stops.

        Does not wait if `WAITING_CALLS_MAX` do.
        """
        until_s = time.monotonic() + timeout_ms / 1_000
        with self._changed:
            if self._waiting_calls >= WAITING_CALLS_MAX:
                return
            self._waiting_calls += 1
            try:
                while self._catalog.jobs.get(job_id).status not in _ENDED:
                    rest_s = until_s - time.monotonic()
                    if self._is_stopping or rest_s <= 0:
                        return
                    self._changed.wait(rest_s)
            finally:
                self._waiting_calls -= 1

    def ask_to_stop(self) -> None:
        """Have the thread end soon, and nobody wait any more."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread; the job that runs goes on at the next start."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        job: Job | None = None
        is_recovered = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._has_work or self._is_stopping)
                if self._is_stopping:
                    break
                self._has_work = False
            try:
                if not is_recovered:
                    self._catalog.jobs.recover(JobType.RULE_EVALUATION)
                    is_recovered = True
                while not self._is_stopping and (job := job or self._claim()):
                    self._do_or_give_up(job)
                    job = None
            except Exception:
                _logger.exception("jobs could not be gone on with; trying again")
                with self._changed:
                    self._has_work = True
                    self._changed.wait_for(lambda: self._is_stopping, RETRY_INTERVAL_MS / 1_000)
        if job is not None:
            _logger.warning("the job %s is left to the next start", job.job_id)

    def _claim(self) -> Job | None:
        return self._catalog.jobs.claim(JobType.RULE_EVALUATION)

    def _do_or_give_up(self, job: Job) -> None:
        try:
            self._do(job)
        except DiskFullError:
            raise
        except Exception:
            _logger.exception("the job %s failed", job.job_id)
            self._catalog.jobs.give_up(job.job_id, _FAILED)

    def _do(self, job: Job) -> None:
        with self._changed:
            self._running_job_id, self._is_cancelled = job.job_id, False
        # From here on `cancel` knows that it runs; it may have come before.
        if self._catalog.jobs.get(job.job_id).status is JobStatus.CANCEL_REQUESTED:
            self._is_cancelled = True
        report = self._catalog.reports.get(job.report_id)
        for summary in report.summaries:
            if not self._goes_on():
                break
            if summary.status in UNFINISHED:
                self._evaluate(report, summary)
        if self._is_stopping and not self._is_cancelled:
            self._catalog.jobs.give_back(job.job_id)
        else:
            self._catalog.jobs.finish(job.job_id)
        with self._changed:
            self._running_job_id = ""
            self._changed.notify_all()

    def _evaluate(self, report: Report, summary: RuleSummary) -> None:
        reports, draft = self._catalog.reports, report.draft
        reports.set_status(summary.report_rule_version_id, RuleStatus.LIVE)
        try:
            self._evaluation.evaluate(
                self._catalog.rules.conditions([summary.rule.rule_version_id]),
                AskedTime(
                    draft.run_id, frozenset({summary.rule.asset_id}), draft.start_ns, draft.end_ns
                ),
                draft.annotation_tags,
                ForReport(summary.report_rule_version_id, self._goes_on),
            )
        except EvaluationStoppedError:
            return
        except DiskFullError:
            raise
        except ServerError as error:
            status, message = RuleStatus.ERROR, str(error)
        except Exception:
            _logger.exception("the rule %s of a report failed", summary.rule.rule_id)
            status, message = RuleStatus.ERROR, _FAILED
        else:
            status, message = RuleStatus.FINISHED, ""
        reports.set_status(summary.report_rule_version_id, status, message)

    def _goes_on(self) -> bool:
        return not (self._is_stopping or self._is_cancelled)
