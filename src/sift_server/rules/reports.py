"""Reports: rules evaluated on a run, by jobs in the background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sift_server.catalog import ReportDraft, ReportRule
from sift_server.rules.asked import AskedTime
from sift_server.rules.report_worker import ReportWorker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.catalog import Catalog, Job, Report
    from sift_server.rules.asked import RuleEvaluation

EVALUATION_WAIT_MS_MAX = 10_000
"""How long `evaluate` waits for a report."""


@dataclass(frozen=True, slots=True)
class MadeReport:
    """A report, if there is one, and how many annotations were made for it so far."""

    report: Report | None
    created_count: int


class RunReports:
    """Makes reports, and sees to their jobs. Safe from many threads.

    Attributes:
        evaluation: What evaluates rules of which no report is made.
    """

    def __init__(self, catalog: Catalog, evaluation: RuleEvaluation) -> None:
        """Take the catalog, and what evaluates its rules."""
        self._catalog = catalog
        self.evaluation = evaluation
        self._worker = ReportWorker(catalog, self.evaluation)

    def start(self) -> None:
        """Begin to evaluate, with what was left before."""
        self._worker.start()

    def ask_to_stop(self) -> None:
        """Have evaluating end soon, and no call wait for it any more."""
        self._worker.ask_to_stop()

    def stop(self) -> None:
        """End evaluating; what is not done is done after the next start."""
        self._worker.stop()

    def create(self, draft: ReportDraft, rule_version_ids: Sequence[str]) -> Report:
        """Create a report, whose rules are evaluated in the background.

        A rule is evaluated on those of its assets that have points in the run, each of which is a
        rule of the report; if none has, on the first.

        Args:
            draft: What is said of it.
            rule_version_ids: The versions of rules.

        Raises:
            NotFoundError: There is no such run or version.
            InvalidArgumentError: There is no rule, or more than the catalog takes; its name is
                blank, or its end not behind its start.
            ResourceExhaustedError: Too many jobs wait.
        """
        return self._create(draft, self._rules(draft, rule_version_ids))

    def evaluate(
        self, draft: ReportDraft, rule_version_ids: Sequence[str], *, only_applicable: bool = False
    ) -> MadeReport:
        """Create a report, and wait for it, `EVALUATION_WAIT_MS_MAX` at the most.

        Args:
            draft: What is said of it.
            rule_version_ids: The versions of rules.
            only_applicable: Leave rules out that are about no asset with points in the run; if that
                leaves none, there is no report.

        Raises as `create`.
        """
        rules = self._rules(draft, rule_version_ids, only_applicable=only_applicable)
        if only_applicable and not rules:
            return MadeReport(None, 0)
        report = self._create(draft, rules)
        self._worker.wait(report.job_id, EVALUATION_WAIT_MS_MAX)
        return MadeReport(report, self._catalog.reports.created_count(report.report_id))

    def rerun(self, report_id: str) -> Report:
        """Create a report of the same versions of rules, on what there is of the run now.

        Raises:
            NotFoundError: There is no such report, or its run is gone.
            ResourceExhaustedError: Too many jobs wait.
        """
        known = self._catalog.reports.get(report_id)
        draft = replace(known.draft, rerun_from_report_id=report_id, archived_ns=None)
        version_ids = [one.rule.rule_version_id for one in known.summaries]
        return self.create(draft, version_ids)

    def cancel_report(self, report_id: str) -> None:
        """End the job of a report; one that ended stays as it is.

        Raises:
            NotFoundError: There is no such report.
        """
        self._worker.cancel(self._catalog.reports.get(report_id).job_id)

    def cancel_job(self, job_id: str) -> None:
        """End a job; one that ended stays as it is.

        Raises:
            NotFoundError: There is no such job.
        """
        self._worker.cancel(job_id)

    def retry_job(self, job_id: str) -> Job:
        """Have the rules evaluated that a job did not finish, which failed or was cancelled.

        Raises:
            NotFoundError: There is no such job.
            FailedPreconditionError: It did all, or is not at its end yet.
            ResourceExhaustedError: Too many jobs wait.
        """
        job = self._catalog.jobs.retry(job_id)
        self._worker.wake()
        return job

    def _create(self, draft: ReportDraft, rules: Sequence[ReportRule]) -> Report:
        report = self._catalog.reports.create(draft, rules)
        self._worker.wake()
        return report

    def _rules(
        self,
        draft: ReportDraft,
        rule_version_ids: Sequence[str],
        *,
        only_applicable: bool = False,
    ) -> list[ReportRule]:
        self._catalog.runs.get(draft.run_id)
        version_ids = list(dict.fromkeys(rule_version_ids))
        rules = self._catalog.rules.versions(version_ids)
        conditions = self._catalog.rules.conditions(version_ids)
        time = AskedTime(draft.run_id, None, draft.start_ns, draft.end_ns)
        places = self.evaluation.places(conditions, time)
        found = []
        for rule in rules:
            version_id = rule.version.rule_version_id
            asset_ids = places.get(version_id, ())
            if not (asset_ids or only_applicable):
                asset_ids = self._catalog.rules.assets_of(rule.content)[:1] or ("",)
            found += [ReportRule(rule.rule_id, version_id, one) for one in asset_ids]
        return found
