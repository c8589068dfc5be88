"""`reports.v1`, `report_templates.v1`, `jobs.v1`: what clients ask of them, and get back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from sift.jobs.v1 import jobs_pb2
from sift.metadata.v1 import metadata_pb2
from sift.report_templates.v1 import report_templates_pb2
from sift.reports.v1 import reports_pb2
from sift_server.api.exporting import Exporting
from sift_server.api.import_configs import plan_of
from sift_server.api.services import jobs, report_templates, reports
from sift_server.api.services.report_messages import report_draft
from sift_server.catalog import (
    Action,
    ActionKind,
    Calculated,
    ChannelName,
    Condition,
    ReportRule,
    RuleContent,
    RuleDraft,
    RuleStatus,
    RunDraft,
)
from sift_server.catalog import ReportDraft as Draft
from sift_server.catalog.report_form import REPORT_DESCRIPTION_CHARS_MAX, REPORT_NAME_CHARS_MAX
from sift_server.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from sift_server.exports import ExportLimits
from sift_server.imports import ImportWorker, UrlPolicy
from sift_server.lake import PointStore
from sift_server.rules import AskedTime, CatalogBook, RuleEvaluation, RunReports
from support.catalogs import flow_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_server.api.services.jobs import JobService
    from sift_server.api.services.report_templates import ReportTemplateService
    from sift_server.api.services.reports import ReportService

TEAM = metadata_pb2.MetadataValue(key=metadata_pb2.MetadataKey(name="team"), string_value="drive")


@pytest.fixture
def run_reports(catalog, tmp_path: Path) -> Iterator[RunReports]:
    """What makes reports; nothing evaluates them, so that they stay as they are made."""
    store = PointStore.open(tmp_path / "lake")
    yield RunReports(catalog, RuleEvaluation(catalog, CatalogBook(catalog, store)))
    store.close()


@pytest.fixture
def templates(catalog) -> ReportTemplateService:
    """The service of report templates."""
    return report_templates.ReportTemplateService(catalog)


@pytest.fixture
def service(catalog, run_reports) -> ReportService:
    """The service of reports."""
    return reports.ReportService(catalog, run_reports)


@pytest.fixture
def job_service(catalog, run_reports) -> JobService:
    """The service of jobs."""
    imports = ImportWorker(catalog, None, None, UrlPolicy.OFF, plan_of)
    exporting = Exporting.over(catalog, None, Path("exports"), ExportLimits())
    return jobs.JobService(catalog, run_reports, imports, exporting.worker)


@pytest.fixture
def rule_ids(catalog) -> list[str]:
    """Two rules about a rover."""
    config = catalog.ingestion_configs.create("rover", "rover-v1", [flow_of("f", "speed")])
    condition = Condition(
        Calculated("$1 > 5", (("$1", ChannelName("speed")),)), (Action(ActionKind.ANNOTATION),)
    )
    return [
        catalog.rules.create(
            RuleDraft(
                RuleContent(name, conditions=(condition,), asset_ids=(config.asset_id,)),
                client_key=f"{name}-key",
            )
        ).rule_id
        for name in ("fast", "faster")
    ]


@pytest.fixture
def run_id(catalog) -> str:
    """A run."""
    return catalog.runs.create(RunDraft("hot fire")).run_id


def create_template(
    templates: ReportTemplateService, rule_ids: list[str], name: str = "acceptance", **more
) -> report_templates_pb2.ReportTemplate:
    identifiers = report_templates_pb2.CreateReportTemplateRequestRuleIds(rule_ids=rule_ids)
    request = report_templates_pb2.CreateReportTemplateRequest(
        name=name, rule_ids=identifiers, **more
    )
    return templates.create_report_template(request).report_template


def update_template(
    templates: ReportTemplateService, *paths: str, **fields
) -> report_templates_pb2.ReportTemplate:
    return templates.update_report_template(
        report_templates_pb2.UpdateReportTemplateRequest(
            report_template=report_templates_pb2.ReportTemplate(**fields),
            update_mask=FieldMask(paths=paths),
        )
    ).report_template


def listed_templates(templates: ReportTemplateService, filter_: str = "", **more) -> list[str]:
    request = report_templates_pb2.ListReportTemplatesRequest(
        filter=filter_, order_by="name", **more
    )
    return [one.name for one in templates.list_report_templates(request).report_templates]


def create_report(
    service: ReportService, run_id: str, name: str = "all", metadata=(), **rules
) -> reports_pb2.Report:
    request = reports_pb2.CreateReportRequest(run_id=run_id, metadata=metadata)
    request.report_from_rules_request.MergeFrom(
        reports_pb2.CreateReportFromRulesRequest(name=name, **rules)
    )
    return service.create_report(request).report


def of_ids(*rule_ids: str) -> reports_pb2.CreateReportRequestRuleIds:
    return reports_pb2.CreateReportRequestRuleIds(rule_ids=rule_ids)


def get(service: ReportService, report_id: str) -> reports_pb2.Report:
    return service.get_report(reports_pb2.GetReportRequest(report_id=report_id)).report


def listed(service: ReportService, filter_: str = "", order_by: str = "name") -> list[str]:
    request = reports_pb2.ListReportsRequest(filter=filter_, order_by=order_by)
    return [one.name for one in service.list_reports(request).reports]


def test_a_template_comes_back_as_it_was_made(catalog, templates, rule_ids):
    """By its id and by its client key, with the newest versions of its rules."""
    made = create_template(
        templates, rule_ids[::-1], client_key="acceptance-1", description="All of it",
        tag_names=["night"], metadata=[TEAM], organization_id="org",
    )  # fmt: skip
    for key in ({"report_template_id": made.report_template_id}, {"client_key": "acceptance-1"}):
        request = report_templates_pb2.GetReportTemplateRequest(**key)
        assert templates.get_report_template(request).report_template == made
    assert (made.name, made.client_key, made.description) == (
        "acceptance", "acceptance-1", "All of it",
    )  # fmt: skip
    assert (made.organization_id, made.is_archived) == ("org", False)
    assert made.created_by_user_id == catalog.users.owner().user_id
    assert [one.tag_name for one in made.tags] == ["night"]
    assert made.metadata[0].string_value == "drive"
    assert [
        (one.rule_id, one.client_key, one.rule_version_number, one.display_order)
        for one in made.rules
    ] == [(rule_ids[1], "faster-key", 1, 0), (rule_ids[0], "fast-key", 1, 1)]
    keys = report_templates_pb2.CreateReportTemplateRequestClientKeys(rule_client_keys=["fast-key"])
    by_key = templates.create_report_template(
        report_templates_pb2.CreateReportTemplateRequest(name="by key", rule_client_keys=keys)
    ).report_template
    assert [one.rule_id for one in by_key.rules] == rule_ids[:1]


def test_a_template_that_is_none_is_refused(templates, rule_ids):
    """And so is a second one of a client key."""
    create_template(templates, rule_ids, client_key="k")
    with pytest.raises(AlreadyExistsError, match="client key 'k' exists"):
        create_template(templates, rule_ids, client_key="k")
    with pytest.raises(InvalidArgumentError, match="name that is not blank"):
        create_template(templates, rule_ids, name=" ")
    with pytest.raises(InvalidArgumentError, match=r"has 0 rules; give it 1 to 10,000"):
        create_template(templates, [])
    with pytest.raises(NotFoundError, match="no rule with the id 'x'"):
        create_template(templates, ["x"])
    with pytest.raises(NotFoundError, match="no report template with that id or client key"):
        templates.get_report_template(report_templates_pb2.GetReportTemplateRequest(client_key="x"))
    with pytest.raises(InvalidArgumentError, match="which report template; give its id, or its"):
        templates.get_report_template(report_templates_pb2.GetReportTemplateRequest())
    assert listed_templates(templates) == ["acceptance"]


def test_words_of_reports_are_limited(service, catalog, templates, rule_ids, run_id):
    """So that pages of them stay small; a run with a longer name has reports all the same."""
    long, longer = "n" * REPORT_NAME_CHARS_MAX, "n" * (REPORT_NAME_CHARS_MAX + 1)
    with pytest.raises(InvalidArgumentError, match="name of a report template has 1,001"):
        create_template(templates, rule_ids, name=longer)
    with pytest.raises(InvalidArgumentError, match="description of a report template has 10,001"):
        create_template(templates, rule_ids, description="d" * (REPORT_DESCRIPTION_CHARS_MAX + 1))
    template = create_template(templates, rule_ids, name=long)
    wanted = reports_pb2.CreateReportFromReportTemplateRequest(
        report_template_id=template.report_template_id
    )
    request = reports_pb2.CreateReportRequest(
        report_from_report_template_request=wanted, run_id=run_id, name=longer
    )
    with pytest.raises(InvalidArgumentError, match=r"name of a report has 1,001.*limit is 1,000"):
        service.create_report(request)
    long_run = catalog.runs.create(RunDraft(longer)).run_id
    draft = report_draft(catalog, AskedTime(run_id=long_run), [])
    assert len(draft.name) == REPORT_NAME_CHARS_MAX


def test_a_report_can_have_a_name_of_its_own(service, templates, rule_ids, run_id):
    """Beside the one of its template, or of its rules."""
    template = create_template(templates, rule_ids)
    request = reports_pb2.CreateReportRequest(run_id=run_id, name="third try")
    request.report_from_report_template_request.report_template_id = template.report_template_id
    assert service.create_report(request).report.name == "third try"
    request.report_from_rules_request.rule_ids.rule_ids.extend(rule_ids)
    assert service.create_report(request).report.name == "third try"


def test_a_template_is_updated_by_a_mask(templates, rule_ids):
    """Fields that it does not name stay; the client key can't change."""
    made = create_template(templates, rule_ids, client_key="k", description="before")
    key = {"report_template_id": made.report_template_id}
    rules = [
        report_templates_pb2.ReportTemplateRule(rule_id=rule_ids[0], display_order=1),
        report_templates_pb2.ReportTemplateRule(client_key="faster-key", display_order=0),
    ]
    tags = [report_templates_pb2.ReportTemplateTag(tag_name="t")]
    changed = update_template(
        templates, "rules", "tags", name="not this", rules=rules, tags=tags, **key
    )
    assert (changed.name, changed.description) == ("acceptance", "before")
    assert [one.rule_id for one in changed.rules] == rule_ids[::-1]
    changed = update_template(
        templates, "name", "metadata", client_key="k", name="by key", metadata=[TEAM]
    )
    assert (changed.name, len(changed.metadata), len(changed.tags)) == ("by key", 1, 1)
    with pytest.raises(InvalidArgumentError, match="path 'client_key'"):
        update_template(templates, "client_key", client_key="other", **key)
    with pytest.raises(InvalidArgumentError, match="no id and no client key"):
        update_template(
            templates, "rules", rules=[report_templates_pb2.ReportTemplateRule()], **key
        )
    with pytest.raises(NotFoundError):
        update_template(templates, "name", report_template_id="x", name="y")


def test_templates_are_listed_by_filters(templates, rule_ids):
    """Archived ones only if asked for."""
    first = create_template(templates, rule_ids, "a", client_key="a-key", tag_names=["t"])
    create_template(templates, rule_ids[:1], "b", metadata=[TEAM])
    assert listed_templates(templates) == ["a", "b"]
    assert listed_templates(templates, "client_key == 'a-key'") == ["a"]
    assert listed_templates(templates, "tag_name in ['t']") == ["a"]
    assert listed_templates(templates, "metadata[team] == 'drive'") == ["b"]
    assert listed_templates(templates, f"rule_id == '{rule_ids[1]}'") == ["a"]
    assert listed_templates(templates, "!(client_key == '')") == ["a"]
    update_template(
        templates, "is_archived", report_template_id=first.report_template_id, is_archived=True
    )
    assert listed_templates(templates) == ["b"]
    assert listed_templates(templates, include_archived=True) == ["a", "b"]
    assert listed_templates(templates, "is_archived == true") == ["a"]
    assert listed_templates(templates, "is_archived == false") == ["b"]


def test_a_report_of_rules_comes_back_as_it_was_made(catalog, service, rule_ids, run_id):
    """With its rules in their order, named in any of three ways, and not begun yet."""
    made = create_report(
        service, run_id, "first", [TEAM], description="Of the rover", tag_names=["night"],
        rule_ids=of_ids(*rule_ids),
    )  # fmt: skip
    assert get(service, made.report_id) == made
    assert (made.name, made.description, made.run_id) == ("first", "Of the rover", run_id)
    assert (made.report_type, made.is_archived) == (reports_pb2.REPORT_TYPE_RULE_EVALUATION, False)
    assert not made.HasField("rerun_from_report_id")
    assert [one.tag_name for one in made.tags] == ["night"]
    assert made.metadata[0].string_value == "drive"
    created = reports_pb2.REPORT_RULE_STATUS_CREATED
    assert [
        (one.rule_id, one.rule_client_key, one.rule_version_number, one.status, one.display_order)
        for one in made.summaries
    ] == [(rule_ids[0], "fast-key", 1, created, 0), (rule_ids[1], "faster-key", 1, created, 1)]
    assert made.summaries[0].status_details.WhichOneof("details") == "created"
    keys = reports_pb2.CreateReportRequestClientKeys(rule_client_keys=["faster-key"])
    by_key = create_report(service, run_id, rule_client_keys=keys)
    assert [one.rule_id for one in by_key.summaries] == rule_ids[1:]
    version_ids = [made.summaries[0].rule_version_id]
    versions = reports_pb2.CreateReportRequestRuleVersionIds(rule_version_ids=version_ids)
    by_version = create_report(service, run_id, rule_version_ids=versions)
    assert [one.rule_version_id for one in by_version.summaries] == version_ids
    catalog.rules.set_deleted([(rule_ids[0], "")], deleted=True)
    assert get(service, made.report_id).summaries[0].HasField("deleted_date")
    with pytest.raises(InvalidArgumentError, match="say what to make the report of"):
        service.create_report(reports_pb2.CreateReportRequest(run_id=run_id))


def test_a_report_of_a_template_has_what_the_template_has(
    catalog, service, templates, rule_ids, run_id
):
    """But for rules that are archived or deleted, and metadata that is said anew."""
    template = create_template(
        templates, rule_ids, description="All", tag_names=["night"],
        metadata=[TEAM, metadata_pb2.MetadataValue(
            key=metadata_pb2.MetadataKey(name="level"), number_value=3)],
    )  # fmt: skip
    catalog.rules.set_archived([(rule_ids[0], "")], archived=True)
    request = reports_pb2.CreateReportRequest(
        run_id=run_id,
        metadata=[
            metadata_pb2.MetadataValue(key=metadata_pb2.MetadataKey(name="level"), number_value=4)
        ],
    )
    wanted = request.report_from_report_template_request
    wanted.report_template_id = template.report_template_id
    made = service.create_report(request).report
    assert made.report_template_id == template.report_template_id
    assert (made.name, made.description) == ("acceptance", "All")
    assert [one.tag_name for one in made.tags] == ["night"]
    assert {one.key.name: one.string_value or one.number_value for one in made.metadata} == {
        "team": "drive", "level": 4,
    }  # fmt: skip
    assert [one.rule_id for one in made.summaries] == rule_ids[1:]
    assert listed(service, f"report_template_id == '{template.report_template_id}'") == [
        "acceptance"
    ]


def test_a_report_is_updated_by_a_mask(service, rule_ids, run_id):
    """Its rules and its run can't be changed."""
    made = create_report(service, run_id, rule_ids=of_ids(*rule_ids), tag_names=["t"])

    def update(*paths: str, **fields) -> reports_pb2.Report:
        report = reports_pb2.Report(report_id=made.report_id, **fields)
        mask = FieldMask(paths=paths)
        service.update_report(reports_pb2.UpdateReportRequest(report=report, update_mask=mask))
        return get(service, made.report_id)

    changed = update("name", "metadata", name="new", metadata=[TEAM], run_id="other")
    assert (changed.name, changed.run_id, len(changed.metadata)) == ("new", run_id, 1)
    assert [one.tag_name for one in changed.tags] == ["t"]
    archived = update("is_archived", is_archived=True)
    assert archived.is_archived
    assert archived.HasField("archived_date")
    assert listed(service, "is_archived == false") == []
    assert not update("is_archived").is_archived
    with pytest.raises(InvalidArgumentError, match="path 'summaries'"):
        update("summaries")


def test_reports_are_listed_by_filters(service, rule_ids, run_id):
    """Fields of the protocol; the newest first without an order."""
    create_report(service, run_id, "a", [TEAM], rule_ids=of_ids(*rule_ids), tag_names=["t"])
    create_report(service, run_id, "b", rule_ids=of_ids(*rule_ids))
    assert listed(service, order_by="") == ["b", "a"]
    assert listed(service, f"run_id == '{run_id}' && tag_name == 't'") == ["a"]
    assert listed(service, "metadata[team] == 'drive'") == ["a"]
    assert listed(service, "report_type == 'REPORT_TYPE_RULE_EVALUATION'") == ["a", "b"]
    assert listed(service, "report_type == 'REPORT_TYPE_CANVAS'") == []
    assert listed(service, "name.contains('b')") == ["b"]


def test_summaries_and_metadata_of_a_report_are_listed(catalog, service, rule_ids, run_id):
    """Page by page, with filters; and all of them as one sum."""
    made = create_report(service, run_id, "a", [TEAM], rule_ids=of_ids(*rule_ids))
    ended = [RuleStatus.ERROR, RuleStatus.FINISHED]
    for summary, status in zip(made.summaries, ended, strict=True):
        why = "no reason" if status is RuleStatus.ERROR else ""
        catalog.reports.set_status(summary.report_rule_version_id, status, why)
    request = reports_pb2.ListReportRuleSummariesRequest(report_id=made.report_id, page_size=1)
    pages = []
    while True:
        page = service.list_report_rule_summaries(request)
        pages.append([one.rule_id for one in page.report_rule_summaries])
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert pages == [[one] for one in rule_ids]
    failed = service.list_report_rule_summaries(
        reports_pb2.ListReportRuleSummariesRequest(
            report_id=made.report_id, filter="status == 'REPORT_RULE_STATUS_ERROR'"
        )
    ).report_rule_summaries
    assert [one.status_details.error.error_message for one in failed] == ["no reason"]
    values = service.list_report_metadata_values(
        reports_pb2.ListReportMetadataValuesRequest(
            report_id=made.report_id, filter="key == 'team'"
        )
    ).metadata_values
    assert [(one.key.name, one.string_value) for one in values] == [("team", "drive")]
    (summed,) = service.list_reports_with_cumulative_summary(
        reports_pb2.ListReportsWithCumulativeSummaryRequest()
    ).reports
    assert (summed.report_id, summed.name, summed.job_id) == (made.report_id, "a", made.job_id)
    total = summed.cumulative_summary
    assert (total.num_rules_total, total.num_rules_error, total.num_rules_finished) == (2, 1, 1)
    assert total.num_of_rules_without_annotations == 2
    for ask in (
        lambda: service.list_report_rule_summaries(
            reports_pb2.ListReportRuleSummariesRequest(report_id="x")
        ),
        lambda: service.list_report_metadata_values(
            reports_pb2.ListReportMetadataValuesRequest(report_id="x")
        ),
    ):
        with pytest.raises(NotFoundError, match="no report with the id 'x'"):
            ask()


def test_jobs_are_listed_cancelled_and_retried(service, job_service, rule_ids, run_id):
    """A job says which report it makes."""
    made = create_report(service, run_id, rule_ids=of_ids(*rule_ids))

    def job(filter_: str) -> jobs_pb2.Job:
        (found,) = job_service.list_jobs(jobs_pb2.ListJobsRequest(filter=filter_)).jobs
        return found

    waiting = job(f"job_id == '{made.job_id}'")
    assert waiting.job_type == jobs_pb2.JOB_TYPE_RULE_EVALUATION
    assert waiting.job_status == jobs_pb2.JOB_STATUS_CREATED
    assert waiting.job_details.rule_evaluation.report_id == made.report_id
    assert not waiting.HasField("started_date")
    assert job(f"report_id == '{made.report_id}'") == waiting
    assert job("job_type == 'JOB_TYPE_RULE_EVALUATION'") == waiting
    job_service.cancel_job(jobs_pb2.CancelJobRequest(job_id=made.job_id))
    cancelled = job("job_status == 'JOB_STATUS_CANCELLED'")
    assert cancelled.HasField("completed_date")
    statuses = {one.status for one in get(service, made.report_id).summaries}
    assert statuses == {reports_pb2.REPORT_RULE_STATUS_CANCELED}
    retried = job_service.retry_job(jobs_pb2.RetryJobRequest(job_id=made.job_id)).job
    assert retried.job_status == jobs_pb2.JOB_STATUS_CREATED
    rerun = service.rerun_report(reports_pb2.RerunReportRequest(report_id=made.report_id))
    again = get(service, rerun.report_id)
    assert (again.rerun_from_report_id, again.job_id) == (made.report_id, rerun.job_id)
    service.cancel_report(reports_pb2.CancelReportRequest(report_id=rerun.report_id))
    assert job("job_status == 'JOB_STATUS_CANCELLED'").job_id == rerun.job_id


def test_a_rule_that_is_lost_leaves_its_summary(catalog, service, run_id):
    """A report says what was found, also when a repair could not save the rule."""
    report = catalog.reports.create(Draft("old", run_id), [ReportRule("r", "v", "a")])
    (summary,) = get(service, report.report_id).summaries
    assert (summary.rule_id, summary.rule_client_key, summary.rule_version_number) == ("r", "", 0)


def test_many_long_errors_are_cut_to_what_clients_take(catalog, service, job_service, run_id):
    """A client takes 4 MiB, as much as gRPC allows for without being told; lists have more."""
    rules = [ReportRule(f"{number:036}", "v" * 36, "a" * 36) for number in range(10_000)]
    made = catalog.reports.create(Draft("large", run_id), rules)
    (job,) = job_service.list_jobs(jobs_pb2.ListJobsRequest()).jobs
    catalog.jobs.give_up(job.job_id, "it fails: ü" * 150)
    answer = service.get_report(reports_pb2.GetReportRequest(report_id=made.report_id))
    assert answer.ByteSize() < 4 * 1024 * 1024
    details = answer.report.summaries[9_999].status_details
    assert details.error.error_message.startswith("it fails: ü")
    summaries = service.list_report_rule_summaries(
        reports_pb2.ListReportRuleSummariesRequest(report_id=made.report_id, page_size=1_000)
    )
    assert summaries.ByteSize() < 4 * 1024 * 1024
    details = summaries.report_rule_summaries[0].status_details
    assert details.error.error_message == "it fails: ü" * 150
    first = made.summaries[0].report_rule_version_id
    catalog.reports.set_status(first, RuleStatus.ERROR, "x" * 3_000)
    kept = catalog.reports.get(made.report_id).summaries[0].error_message
    assert kept == "x" * 1_999 + "…"
