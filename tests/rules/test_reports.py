"""Reports: rules evaluated on a run in the background, and what became of each of them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sift_server.catalog import (
    Action,
    ActionKind,
    AnnotationState,
    Calculated,
    ChannelName,
    Condition,
    JobStatus,
    JobType,
    ListRequest,
    ReportDraft,
    ReportRule,
    RuleContent,
    RuleDraft,
    RuleStatus,
    RunDraft,
    jobs,
)
from sift_server.catalog.reports import RULES_PER_REPORT_MAX
from sift_server.errors import (
    DiskFullError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from sift_server.lake import PointStore
from sift_server.rules import CatalogBook, RuleEvaluation, RunReports, reports
from sift_server.rules.report_worker import WAITING_CALLS_MAX
from sift_wire.columns import DataType
from support.catalogs import flow_of, open_catalog
from support.points import make_block, make_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sift_server.catalog import Catalog, Report

PATIENCE_S = 20
SPEEDS = [0, 1, 6, 7, 1, 8, 9, 2, 1, 1]
"""Of seconds 0 to 9: above 5 from 2 s to 4 s, and from 5 s to 7 s."""


class Gate(RuleEvaluation):
    """Evaluates, but each rule only when it may."""

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        super().__init__(catalog, CatalogBook(catalog, store))
        self.begun: list[str] = []
        self._may = threading.Semaphore(0)
        self._is_open = False

    def let(self, count: int = 1) -> None:
        """Let some rules be evaluated."""
        self._may.release(count)

    def open(self) -> None:
        """Let all be evaluated."""
        self._is_open = True
        self._may.release()

    def evaluate(self, rules, time, more_tags=(), report=None):
        """As `RuleEvaluation`, which asks before it reads the first points."""
        if report is not None:
            self.begun += [rule.name for rule in rules]
            while not self._is_open and report.go_on() and not self._may.acquire(timeout=0.01):
                pass
        return super().evaluate(rules, time, more_tags, report)


class Rig:
    """A catalog, points of one run in a store, and what makes reports of them."""

    def __init__(self, folder: Path) -> None:
        self.catalog = open_catalog(folder)
        self.store = PointStore.open(folder / "lake")
        self.asset_id = self.catalog.ingestion_configs.create(
            "rover", "rover-v1", [flow_of("drive", "speed", "torque")]
        ).asset_id
        self.run_id = self.catalog.runs.create(RunDraft("hot fire")).run_id
        self.publish(SPEEDS, self.run_id)
        self.gate = Gate(self.catalog, self.store)
        self.reports = RunReports(self.catalog, self.gate)

    def publish(self, speeds: list[float], run_id: str, first_s: int = 0) -> None:
        """Ingest a speed a second, and ten times as much torque."""
        channels = self.catalog.channels.named(self.asset_id, ["speed", "torque"])
        ids = tuple(channels[name].channel_id for name in ("speed", "torque"))
        layout = make_layout("drive", {"speed": DataType.DOUBLE, "torque": DataType.DOUBLE})
        rows = [
            (second * 10**9, [float(speed), 10.0 * speed])
            for second, speed in enumerate(speeds, first_s)
        ]
        self.store.publish(first_s + 1, [make_block(layout, ids, rows, run_id)])

    def rule(self, expression: str = "$1 > 5", name: str = "fast", **more) -> str:
        """Create a rule about the rover; returns its version."""
        return self.rule_of(
            RuleContent(
                name,
                conditions=(
                    Condition(
                        Calculated(expression, (("$1", ChannelName("speed")),)),
                        (Action(ActionKind.ANNOTATION),),
                    ),
                ),
                asset_ids=(self.asset_id,),
                is_live=False,
                **more,
            )
        )

    def rule_of(self, content: RuleContent) -> str:
        """Create a rule; returns its version."""
        return self.catalog.rules.create(RuleDraft(content)).version.rule_version_id

    def create(self, *version_ids: str, **more) -> Report:
        """Ask for a report."""
        return self.reports.create(ReportDraft("all", self.run_id, **more), version_ids)

    def wait(self, report: Report, *statuses: JobStatus) -> Report:
        """The report, once its job has a status; else what it has."""
        wanted = statuses or (JobStatus.FINISHED,)
        until(lambda: self.catalog.jobs.get(report.job_id).status in wanted)
        return self.catalog.reports.get(report.report_id)

    def annotations(self, filter_: str = "") -> list[tuple[str, float, float]]:
        """Name, start and end in seconds, in the order of time."""
        request = ListRequest(filter_, "start_time", 1000)
        found = self.catalog.annotations.list(request).items
        return [(one.draft.name, one.draft.start_ns / 1e9, one.draft.end_ns / 1e9) for one in found]

    def close(self) -> None:
        self.reports.stop()
        self.store.close()
        self.catalog.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def statuses(report: Report) -> list[str]:
    return [summary.status.name for summary in report.summaries]


def counts(report: Report) -> list[tuple[int, int, int]]:
    """Open, failed and passed annotations of each rule."""
    return [
        (one.counts.open_count, one.counts.failed_count, one.counts.passed_count)
        for one in report.summaries
    ]


@contextmanager
def rig_in(folder: Path) -> Iterator[Rig]:
    made = Rig(folder)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """One whose reports are evaluated at once."""
    with rig_in(tmp_path) as made:
        made.gate.open()
        made.reports.start()
        yield made


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Rig]:
    """One whose rules wait until they may be evaluated."""
    with rig_in(tmp_path) as made:
        made.reports.start()
        yield made


FAST = [("fast", 2, 4), ("fast", 5, 7)]


def test_a_report_has_what_its_rules_found(rig):
    """Each rule with its version, asset, place and counts; annotations say whose they are."""
    fast, slow, never = rig.rule(), rig.rule("$1 < 1", "slow"), rig.rule("$1 > 100", "never")
    report = rig.create(fast, slow, never)
    assert {one.status for one in report.summaries} <= {RuleStatus.CREATED, RuleStatus.LIVE}
    report = rig.wait(report)
    assert statuses(report) == ["FINISHED"] * 3
    assert [one.rule.rule_version_id for one in report.summaries] == [fast, slow, never]
    assert [one.display_order for one in report.summaries] == [0, 1, 2]
    assert {one.rule.asset_id for one in report.summaries} == {rig.asset_id}
    assert counts(report) == [(2, 0, 0), (1, 0, 0), (0, 0, 0)]
    assert rig.annotations() == [("slow", 0, 1), *FAST]
    assert rig.annotations(f"report_id == '{report.report_id}'") == [("slow", 0, 1), *FAST]
    assert rig.annotations("report_id == 'another'") == []
    (annotation, _) = rig.catalog.annotations.list(ListRequest("name == 'fast'")).items
    assert annotation.report_rule_version_id == report.summaries[0].report_rule_version_id


def test_counts_follow_what_people_decide(rig):
    """As annotations are flagged, resolved, archived, taken out again and deleted."""
    report = rig.wait(rig.create(rig.rule()))
    first, second = rig.catalog.annotations.list(ListRequest(order_by="start_time")).items

    def decide(annotation, state):
        rig.catalog.annotations.update(
            annotation.annotation_id, lambda draft: replace(draft, state=state)
        )

    def now():
        (found,) = counts(rig.catalog.reports.get(report.report_id))
        return found

    decide(first, AnnotationState.FLAGGED)
    assert now() == (1, 1, 0)
    decide(second, AnnotationState.RESOLVED)
    assert now() == (0, 1, 1)
    rig.catalog.annotations.set_archived([first.annotation_id], archived=True)
    assert now() == (0, 0, 1)
    rig.catalog.annotations.set_archived([first.annotation_id], archived=False)
    assert now() == (0, 1, 1)
    rig.catalog.annotations.delete([second.annotation_id])
    assert now() == (0, 1, 0)


def test_a_rerun_is_another_report_of_the_same_annotations(rig):
    """With what was decided about them; what came meanwhile is in the new one only."""
    report = rig.wait(rig.create(rig.rule(), annotation_tags=("night",)))
    first = rig.catalog.annotations.list(ListRequest(order_by="start_time")).items[0]
    assert first.draft.attributes.tags == ("night",)
    rig.catalog.annotations.update(
        first.annotation_id, lambda draft: replace(draft, state=AnnotationState.FLAGGED)
    )
    rig.publish([9, 1], rig.run_id, first_s=20)
    again = rig.wait(rig.reports.rerun(report.report_id))
    assert again.report_id != report.report_id
    assert again.draft.rerun_from_report_id == report.report_id
    assert counts(again) == [(2, 1, 0)]
    assert counts(rig.catalog.reports.get(report.report_id)) == [(1, 1, 0)]
    assert rig.annotations() == [*FAST, ("fast", 20, 21)]
    assert rig.annotations(f"report_id == '{report.report_id}'") == FAST
    assert rig.annotations(f"report_id == '{again.report_id}'") == rig.annotations()


def test_a_report_may_be_about_a_part_of_a_run(rig):
    """From a time on, before another; what is behind is not looked at."""
    report = rig.wait(rig.create(rig.rule(), start_ns=0, end_ns=5 * 10**9))
    assert counts(report) == [(1, 0, 0)]
    assert rig.annotations() == FAST[:1]


def test_a_rule_that_fails_says_why_and_others_go_on(rig):
    """The job failed; to retry it evaluates what failed, once it can be evaluated."""
    content = RuleContent(
        "broken",
        conditions=(
            Condition(
                Calculated("$1 > 5", (("$1", ChannelName("height")),)),
                (Action(ActionKind.ANNOTATION),),
            ),
        ),
        asset_ids=(rig.asset_id,),
    )
    broken, fast = rig.rule_of(content), rig.rule()
    report = rig.wait(rig.create(broken, fast), JobStatus.FAILED)
    assert statuses(report) == ["ERROR", "FINISHED"]
    assert (
        "the channel 'height', which the asset does not have" in report.summaries[0].error_message
    )
    assert rig.annotations() == FAST
    rig.catalog.ingestion_configs.create("rover", "rover-v2", [flow_of("other", "height")])
    assert rig.reports.retry_job(report.job_id).status is JobStatus.CREATED
    assert statuses(rig.wait(report)) == ["FINISHED"] * 2
    assert rig.gate.begun == ["broken", "fast", "broken"]
    with pytest.raises(FailedPreconditionError, match="is FINISHED; a job can be retried that"):
        rig.reports.retry_job(report.job_id)


def test_a_rule_is_evaluated_where_the_run_has_points(rig):
    """Each asset that has some is one of the report's; if none has, the first one is."""
    other = rig.catalog.ingestion_configs.create(
        "other", "other-v1", [flow_of("drive", "speed")]
    ).asset_id
    both = RuleContent(
        "both",
        conditions=(
            Condition(
                Calculated("$1 > 5", (("$1", ChannelName("speed")),)),
                (Action(ActionKind.ANNOTATION),),
            ),
        ),
        asset_ids=(other, rig.asset_id),
    )
    fast, both_id = rig.rule(), rig.rule_of(both)
    elsewhere = rig.rule_of(replace(both, name="elsewhere", asset_ids=(other,)))
    nowhere = rig.rule_of(replace(both, name="nowhere", asset_ids=()))
    report = rig.wait(rig.create(fast, both_id, elsewhere, nowhere))
    assert [one.rule.asset_id for one in report.summaries] == [
        rig.asset_id, rig.asset_id, other, "",
    ]  # fmt: skip
    assert counts(report) == [(2, 0, 0), (2, 0, 0), (0, 0, 0), (0, 0, 0)]
    draft = ReportDraft("applicable", rig.run_id)
    versions = rig.catalog.rules.current_versions()
    applicable = rig.reports.evaluate(draft, versions, only_applicable=True).report
    assert [one.rule.rule_version_id for one in applicable.summaries] == [fast, both_id]
    empty = replace(draft, run_id=rig.catalog.runs.create(RunDraft("empty")).run_id)
    made = rig.reports.evaluate(empty, versions, only_applicable=True)
    assert (made.report, made.created_count) == (None, 0)


def test_what_can_be_no_report_is_refused(rig):
    """And nothing is made of it."""
    fast = rig.rule()
    with pytest.raises(NotFoundError, match="no run with the id 'x'"):
        rig.reports.create(ReportDraft("r", "x"), [fast])
    with pytest.raises(NotFoundError, match="no version of a rule with the id 'y'"):
        rig.create("y")
    with pytest.raises(InvalidArgumentError, match="has no rule"):
        rig.create()
    with pytest.raises(InvalidArgumentError, match="name that is not blank"):
        rig.reports.create(ReportDraft(" ", rig.run_id), [fast])
    with pytest.raises(InvalidArgumentError, match="must be behind its start"):
        rig.create(fast, start_ns=5, end_ns=5)
    for ask in (rig.reports.rerun, rig.reports.cancel_report, rig.catalog.reports.get):
        with pytest.raises(NotFoundError, match="no report with the id 'x'"):
            ask("x")
    for ask in (rig.reports.cancel_job, rig.reports.retry_job):
        with pytest.raises(NotFoundError, match="no job with the id 'x'"):
            ask("x")
    assert rig.catalog.reports.list(ListRequest()).items == []
    assert rig.catalog.jobs.list(ListRequest()).items == []


def test_reports_have_limits(rig, monkeypatch):
    """Of rules, which a page of reports shares, and of jobs that wait."""
    rule = ReportRule("r", "v", "a")
    draft = ReportDraft("large", rig.run_id)
    with pytest.raises(InvalidArgumentError, match=r"it may have 10,000 \(RULES_PER_REPORT_MAX\)"):
        rig.catalog.reports.create(draft, [rule] * (RULES_PER_REPORT_MAX + 1))
    for _ in range(3):
        rig.catalog.reports.create(draft, [rule] * 4_000)
    page = rig.catalog.reports.list(ListRequest())
    assert len(page.items) == 2
    rest = rig.catalog.reports.list(ListRequest(page_token=page.next_token))
    assert len(rest.items) == 1
    assert rest.next_token == ""
    monkeypatch.setattr(jobs, "JOBS_WAITING_MAX", 3)
    with pytest.raises(ResourceExhaustedError, match=r"3 jobs wait.*\(JOBS_WAITING_MAX\)"):
        rig.create(rig.rule())


def test_a_cancelled_report_keeps_what_is_done(gated):
    """The rule that is evaluated ends in the middle, the rest is not begun."""
    rules = [gated.rule("$1 > 5", name) for name in ("first", "second", "third")]
    report = gated.create(*rules)
    gated.gate.let()
    until(lambda: gated.gate.begun == ["first", "second"])
    assert statuses(gated.catalog.reports.get(report.report_id)) == [
        "FINISHED", "LIVE", "CREATED",
    ]  # fmt: skip
    gated.reports.cancel_report(report.report_id)
    report = gated.wait(report, JobStatus.CANCELLED)
    assert statuses(report) == ["FINISHED", "CANCELED", "CANCELED"]
    assert counts(report) == [(2, 0, 0), (0, 0, 0), (0, 0, 0)]
    gated.reports.cancel_job(report.job_id)
    assert gated.catalog.jobs.get(report.job_id).status is JobStatus.CANCELLED
    gated.gate.open()
    gated.reports.retry_job(report.job_id)
    assert statuses(gated.wait(report)) == ["FINISHED"] * 3
    assert gated.gate.begun == ["first", "second", "second", "third"]


def test_a_report_that_waits_is_cancelled_at_once(gated):
    """Jobs are done in the order in which they were asked for."""
    first, second, third = (gated.create(gated.rule(name=name)) for name in ("a", "b", "c"))
    until(lambda: gated.gate.begun == ["a"])
    gated.reports.cancel_job(second.job_id)
    second = gated.catalog.reports.get(second.report_id)
    assert statuses(second) == ["CANCELED"]
    (listed,) = gated.catalog.jobs.list(ListRequest("job_status == 'JOB_STATUS_CANCELLED'")).items
    assert (listed.report_id, listed.started_ns) == (second.report_id, None)
    with pytest.raises(FailedPreconditionError, match="is CREATED"):
        gated.reports.retry_job(third.job_id)
    gated.gate.open()
    gated.wait(third)
    assert gated.gate.begun == ["a", "c"]
    assert statuses(gated.catalog.reports.get(first.report_id)) == ["FINISHED"]


def test_what_a_stop_interrupts_goes_on_at_the_next_start(gated):
    """In the middle of a rule; what was done is not done again, and a stop is no failure."""
    report = gated.create(gated.rule(), gated.rule(name="second"))
    gated.gate.let()
    until(lambda: gated.gate.begun == ["fast", "second"])
    began_s = time.monotonic()
    gated.reports.stop()
    assert time.monotonic() - began_s < 2
    job = gated.catalog.jobs.get(report.job_id)
    assert (job.status, job.started_ns) == (JobStatus.CREATED, None)
    gated.reports = RunReports(gated.catalog, gated.gate)
    gated.gate.open()
    gated.reports.start()
    assert statuses(gated.wait(report)) == ["FINISHED"] * 2
    assert gated.gate.begun == ["fast", "second", "second"]


@pytest.mark.proves("restart-jobs")
def test_a_job_that_ends_the_server_each_time_is_given_up(gated):
    """After three starts (JOB_STARTS_MAX); before, it is begun again."""
    gated.reports.stop()
    report = gated.create(gated.rule())
    for _ in range(3):
        assert gated.catalog.jobs.claim(JobType.RULE_EVALUATION).status is JobStatus.RUNNING
        assert gated.catalog.jobs.claim(JobType.RULE_EVALUATION) is None
        gated.catalog.jobs.recover(JobType.RULE_EVALUATION)
    report = gated.wait(report, JobStatus.FAILED)
    assert statuses(report) == ["ERROR"]
    assert "the server ended 3 times" in report.summaries[0].error_message
    asked = gated.create(gated.rule(name="other"))
    gated.catalog.jobs.claim(JobType.RULE_EVALUATION)
    gated.catalog.jobs.cancel(asked.job_id)
    assert gated.catalog.jobs.get(asked.job_id).status is JobStatus.CANCEL_REQUESTED
    gated.catalog.jobs.recover(JobType.RULE_EVALUATION)
    assert statuses(gated.wait(asked, JobStatus.CANCELLED)) == ["CANCELED"]


def test_a_full_disk_holds_a_report_up(rig, monkeypatch):
    """It goes on by itself when there is room, and so does a rule that failed in another way."""
    full, write = [True], rig.catalog.annotations.replace

    def replace_(batch):
        if full[0]:
            raise DiskFullError("the disk is full")
        return write(batch)

    monkeypatch.setattr(rig.catalog.annotations, "replace", replace_)
    report = rig.create(rig.rule())
    until(lambda: rig.gate.begun)
    time.sleep(0.1)
    assert statuses(rig.catalog.reports.get(report.report_id)) == ["LIVE"]
    full[0] = False
    assert counts(rig.wait(report)) == [(2, 0, 0)]

    def fails(_batch):
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(rig.catalog.annotations, "replace", fails)
    report = rig.wait(rig.create(rig.rule(name="other")), JobStatus.FAILED)
    message = "evaluating it failed inside the server; its log says why"
    assert report.summaries[0].error_message == message


def test_a_report_that_can_not_be_made_holds_up_no_other(gated, monkeypatch):
    """Its job failed, and says so; the next one is done, and it can be retried."""
    read = gated.catalog.reports.get
    first = gated.create(gated.rule())
    until(lambda: gated.gate.begun)
    second, third = gated.create(gated.rule(name="second")), gated.create(gated.rule(name="third"))

    def get(report_id):
        if report_id == second.report_id:
            raise ValueError("damaged")
        return read(report_id)

    monkeypatch.setattr(gated.catalog.reports, "get", get)
    gated.gate.open()
    gated.wait(third)
    monkeypatch.undo()
    assert gated.catalog.jobs.get(first.job_id).status is JobStatus.FINISHED
    assert gated.catalog.jobs.get(second.job_id).status is JobStatus.FAILED
    (summary,) = gated.catalog.reports.get(second.report_id).summaries
    assert (summary.status, "its log says why" in summary.error_message) == (
        RuleStatus.ERROR, True,
    )  # fmt: skip
    gated.reports.retry_job(second.job_id)
    assert statuses(gated.wait(second)) == ["FINISHED"]


def test_whoever_evaluates_waits_for_the_report(gated, monkeypatch):
    """But not for long, not too many of them, and not when the server stops."""
    draft = ReportDraft("waited for", gated.run_id)
    monkeypatch.setattr(reports, "EVALUATION_WAIT_MS_MAX", 50)
    began_s = time.monotonic()
    made = gated.reports.evaluate(draft, [gated.rule()])
    assert 0.05 <= time.monotonic() - began_s < 2
    assert made.created_count == 0
    gated.gate.let()
    gated.wait(made.report)
    monkeypatch.setattr(reports, "EVALUATION_WAIT_MS_MAX", 60_000)
    found = []

    def ask(version_id):
        found.append(gated.reports.evaluate(draft, [version_id]).created_count)

    versions = [gated.rule(name=f"rule {number}") for number in range(WAITING_CALLS_MAX + 1)]
    callers = [threading.Thread(target=ask, args=(one,)) for one in versions]
    for caller in callers:
        caller.start()
    until(lambda: found == [0])
    gated.gate.let(2)
    until(lambda: len(found) == 3)
    gated.reports.ask_to_stop()
    for caller in callers:
        caller.join(PATIENCE_S)
    assert found == [0, 2, 2, 0, 0]
