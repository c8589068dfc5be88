"""Reports on a server: asked for by either protocol, through kills and stops."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sift.annotations.v1 import annotations_pb2
from sift.annotations.v1.annotations_pb2_grpc import AnnotationServiceStub
from sift.jobs.v1 import jobs_pb2
from sift.jobs.v1.jobs_pb2_grpc import JobServiceStub
from sift.report_templates.v1 import report_templates_pb2
from sift.report_templates.v1.report_templates_pb2_grpc import ReportTemplateServiceStub
from sift.reports.v1 import reports_pb2
from sift.reports.v1.reports_pb2_grpc import ReportServiceStub
from sift.rule_evaluation.v1 import rule_evaluation_pb2
from sift.rule_evaluation.v1.rule_evaluation_pb2_grpc import RuleEvaluationServiceStub
from sift.rules.v1 import rules_pb2
from sift.rules.v1.rules_pb2_grpc import RuleServiceStub
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.rule.config import RuleActionCreateDataReviewAnnotation, RuleConfig
from sift_py.ingestion.service import IngestionService
from support.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    from support.serving import ServeProcess

START = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = 60
PATIENCE_S = 60
SPEED = ChannelConfig("speed", ChannelDataType.DOUBLE)
UNFINISHED = {reports_pb2.REPORT_RULE_STATUS_CREATED, reports_pb2.REPORT_RULE_STATUS_LIVE}


def config_of(*names: str) -> TelemetryConfig:
    """A rover with rules that hold from 10 s to 20 s, and from 40 s to 50 s."""
    rules = [
        RuleConfig(
            name,
            "",
            "$1 > 5",
            RuleActionCreateDataReviewAnnotation(),
            [{"channel_reference": "$1", "channel_config": SPEED}],
        )
        for name in names
    ]
    return TelemetryConfig("rover", "rover-v1", flows=[FlowConfig("drive", [SPEED])], rules=rules)


class Client:
    """A channel to a server with a run in it, and what is asked over it."""

    def __init__(self, server: ServeProcess) -> None:
        self.channel = use_sift_channel(
            {"uri": f"http://{server.address}", "apikey": server.api_key}
        )
        self.reports = ReportServiceStub(self.channel)
        self.evaluation = RuleEvaluationServiceStub(self.channel)
        self.rules = RuleServiceStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def drive(self, *rules: str) -> str:
        """Ingest a run, and then declare rules; returns the run's id."""
        service = IngestionService(self.channel, config_of())
        service.attach_run(self.channel, "drive")
        service.ingest_flows(
            *(
                {
                    "flow_name": "drive",
                    "timestamp": START + timedelta(seconds=second),
                    "channel_values": [9.0 if 10 <= second % 30 < 20 else 1.0],
                }
                for second in range(SECONDS)
            )
        )
        IngestionService(self.channel, config_of(*rules))
        return service.run_id

    def rule_ids(self) -> list[str]:
        found = self.rules.ListRules(rules_pb2.ListRulesRequest(order_by="name", page_size=1000))
        return [rule.rule_id for rule in found.rules]

    def annotations(self, filter_: str = "") -> list[tuple[str, int, int]]:
        """Name, start and end in seconds."""
        request = annotations_pb2.ListAnnotationsRequest(
            filter=filter_, page_size=1000, order_by="name, start_time"
        )
        found = AnnotationServiceStub(self.channel).ListAnnotations(request).annotations
        begin = int(START.timestamp())
        return [(one.name, one.start_time.seconds - begin, one.end_time.seconds - begin)
                for one in found]  # fmt: skip

    def report(self, report_id: str) -> reports_pb2.Report:
        return self.reports.GetReport(reports_pb2.GetReportRequest(report_id=report_id)).report

    def wait(self, report_id: str) -> reports_pb2.Report:
        """As published clients do: until no summary is created or live."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            report = self.report(report_id)
            if not UNFINISHED & {one.status for one in report.summaries}:
                return report
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def create(self, run_id: str) -> reports_pb2.Report:
        """A report of all rules, without waiting for it."""
        request = reports_pb2.CreateReportRequest(run_id=run_id)
        request.report_from_rules_request.name = "all"
        request.report_from_rules_request.rule_ids.rule_ids.extend(self.rule_ids())
        return self.reports.CreateReport(request).report


BOTH = [("fast", 10, 20), ("fast", 40, 50)]


def test_evaluating_a_run_makes_a_report(tmp_path: Path):
    """By rules, by a template, by all that apply; it is done when the call is answered."""
    with serving(tmp_path) as server, Client(server) as client:
        run_id = client.drive("fast")
        (rule_id,) = client.rule_ids()
        request = rule_evaluation_pb2.EvaluateRulesRequest(report_name="first")
        request.run.id = run_id
        request.rules.rules.ids.ids.append(rule_id)
        request.annotation_options.tags.names.names.append("night")
        answer = client.evaluation.EvaluateRules(request)
        assert answer.created_annotation_count == 2
        report = client.report(answer.report_id)
        assert (report.name, report.run_id, report.job_id) == ("first", run_id, answer.job_id)
        (summary,) = report.summaries
        assert summary.status == reports_pb2.REPORT_RULE_STATUS_FINISHED
        assert (summary.num_open, summary.num_failed, summary.num_passed) == (2, 0, 0)
        assert client.annotations(f"report_id == '{answer.report_id}'") == BOTH
        assert client.annotations("tag_name == 'night'") == BOTH
        stub = AnnotationServiceStub(client.channel)
        annotation = stub.ListAnnotations(annotations_pb2.ListAnnotationsRequest()).annotations[0]
        assert annotation.report_rule_version_id == summary.report_rule_version_id
        annotation.state = annotations_pb2.ANNOTATION_STATE_FLAGGED
        update = annotations_pb2.UpdateAnnotationRequest(annotation=annotation)
        update.update_mask.paths.append("state")
        stub.UpdateAnnotation(update)
        (summary,) = client.report(answer.report_id).summaries
        assert (summary.num_open, summary.num_failed) == (1, 1)
        (job,) = (
            JobServiceStub(client.channel)
            .ListJobs(jobs_pb2.ListJobsRequest(filter=f"job_id == '{answer.job_id}'"))
            .jobs
        )
        assert job.job_status == jobs_pb2.JOB_STATUS_FINISHED

        identifiers = report_templates_pb2.CreateReportTemplateRequestRuleIds(rule_ids=[rule_id])
        template = (
            ReportTemplateServiceStub(client.channel)
            .CreateReportTemplate(
                report_templates_pb2.CreateReportTemplateRequest(
                    name="acceptance", client_key="acceptance", rule_ids=identifiers
                )
            )
            .report_template
        )
        request = rule_evaluation_pb2.EvaluateRulesRequest()
        request.run_time_range.run.id = run_id
        request.run_time_range.end_time.FromDatetime(START + timedelta(seconds=30))
        request.report_template.report_template.client_key = "acceptance"
        answer = client.evaluation.EvaluateRules(request)
        assert answer.created_annotation_count == 0
        report = client.report(answer.report_id)
        assert (report.name, report.report_template_id) == (
            "acceptance", template.report_template_id,
        )  # fmt: skip
        assert [one.num_open + one.num_failed for one in report.summaries] == [1]

        request = rule_evaluation_pb2.EvaluateRulesRequest(all_applicable_rules=True)
        request.run.id = run_id
        report = client.report(client.evaluation.EvaluateRules(request).report_id)
        assert report.name == "Rules of drive"
        assert [one.rule_id for one in report.summaries] == [rule_id]
        assert client.annotations() == BOTH


def test_the_older_call_evaluates_the_same(tmp_path: Path):
    """A run, or some time; a dry run only says what it would find."""
    with serving(tmp_path) as server, Client(server) as client:
        run_id = client.drive("fast")
        request = rules_pb2.EvaluateRulesRequest(
            rule_ids=client.rule_ids(), run_id=run_id, dry_run=True
        )
        answer = client.rules.EvaluateRules(request)
        assert answer.created_annotation_count == 2
        assert [one.name for one in answer.dry_run_annotations] == ["fast"] * 2
        assert not answer.HasField("report_id")
        assert client.annotations() == []
        later = rules_pb2.EvaluateRulesRequest(rule_ids=client.rule_ids())
        later.time_range.start_time.FromDatetime(START + timedelta(seconds=30))
        later.time_range.end_time.FromDatetime(START + timedelta(seconds=90))
        answer = client.rules.EvaluateRules(later)
        assert (answer.created_annotation_count, answer.HasField("report_id")) == (1, False)
        assert client.annotations() == BOTH[1:]
        request.dry_run = False
        answer = client.rules.EvaluateRules(request)
        assert answer.created_annotation_count == 1
        (summary,) = client.report(answer.report_id).summaries
        assert summary.num_open == 2
        assert client.report(answer.report_id).job_id == answer.job_id
        assert client.annotations() == BOTH


@pytest.mark.proves("restart-jobs")
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_report_survives_the_end_of_the_server(tmp_path: Path, end):
    """Whatever was not evaluated is after the next start; annotations are there once."""
    names = [f"rule {number:03}" for number in range(100)]
    with serving(tmp_path) as server, Client(server) as client:
        run_id = client.drive(*names)
        report_id = client.create(run_id).report_id
        finished = reports_pb2.REPORT_RULE_STATUS_FINISHED
        deadline = time.monotonic() + PATIENCE_S
        while finished not in {one.status for one in client.report(report_id).summaries}:
            assert time.monotonic() < deadline
        getattr(server, end)()
    with serving(tmp_path) as server, Client(server) as client:
        report = client.wait(report_id)
        assert [one.num_open for one in report.summaries] == [2] * len(names)
        expected = [(name, *times) for name in names for _, *times in BOTH]
        assert client.annotations(f"report_id == '{report_id}'") == expected
        assert client.annotations() == expected


def test_a_stop_answers_whoever_waits(tmp_path: Path):
    """With the ids of report and job, and in time; what is left is done after the next start."""
    names = [f"rule {number:03}" for number in range(300)]
    with serving(tmp_path) as server, Client(server) as client:
        run_id = client.drive(*names)
        request = rules_pb2.EvaluateRulesRequest(rule_ids=client.rule_ids(), run_id=run_id)
        answer = client.rules.EvaluateRules.future(request)
        running = "job_status == 'JOB_STATUS_RUNNING'"
        jobs = JobServiceStub(client.channel)
        deadline = time.monotonic() + PATIENCE_S
        while not jobs.ListJobs(jobs_pb2.ListJobsRequest(filter=running)).jobs:
            assert time.monotonic() < deadline
        began_s = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began_s < 10
        answered = answer.result()
        assert answered.created_annotation_count < 2 * len(names)
    with serving(tmp_path) as server, Client(server) as client:
        report = client.wait(answered.report_id)
        assert report.job_id == answered.job_id
        assert [one.num_open for one in report.summaries] == [2] * len(names)
