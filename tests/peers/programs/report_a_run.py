"""Evaluates rules on a run with the published client, by both of its libraries.

Arguments: the server's address, an API key, and the id of a run of the asset `rover`, whose channel
`speed` is above 5 twice. Prints what came back as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from datetime import UTC, datetime

warnings.simplefilter("ignore")

from sift_client import SiftClient, SiftConnectionConfig  # noqa: E402
from sift_client.sift_types import ReportTemplateCreate  # noqa: E402

from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel  # noqa: E402
from sift_py.ingestion.rule.config import (  # noqa: E402
    RuleActionCreateDataReviewAnnotation,
    RuleConfig,
)
from sift_py.report_templates.config import ReportTemplateConfig  # noqa: E402
from sift_py.report_templates.service import ReportTemplateService  # noqa: E402
from sift_py.rule.service import RuleService  # noqa: E402
from sift_py.rule_evaluation.service import RuleEvaluationService  # noqa: E402

ADDRESS, API_KEY, RUN_ID = sys.argv[1:]


def rule_of(name: str, expression: str, **more: object) -> RuleConfig:
    return RuleConfig(
        name=name,
        description="",
        expression=expression,
        channel_references=[{"channel_reference": "$1", "channel_identifier": "speed"}],
        action=RuleActionCreateDataReviewAnnotation(),
        asset_names=["rover"],
        **more,
    )


def told(report: object) -> list[list[object]]:
    """What a report of the first library says of its rules."""
    return [
        [one.rule_client_key, one.num_open, one.num_failed, one.num_passed, int(one.status)]
        for one in report.summaries
    ]


def by_sift_py() -> dict[str, object]:
    found: dict[str, object] = {}
    config = SiftChannelConfig(uri=ADDRESS, apikey=API_KEY, use_ssl=False)
    with use_sift_channel(config) as channel:
        rules = [
            rule_of("fast", "$1 > 5", rule_client_key="fast"),
            rule_of("faster", "$1 > 100", rule_client_key="faster"),
        ]
        RuleService(channel).create_or_update_rules(rules)
        templates = ReportTemplateService(channel)
        template = ReportTemplateConfig(
            name="acceptance",
            template_client_key="acceptance",
            tags=["night"],
            description="All of it",
            rule_client_keys=["fast"],
        )
        templates.create_or_update_report_template(template)
        known = templates.get_report_template(client_key="acceptance")
        # It can't send the tags that it was given; without them in the mask, they stay.
        known.tags = []
        for updates in (
            {"archived": True}, {"archived": False}, {"rule_client_keys": ["fast", "faster"]},
        ):  # fmt: skip
            templates.create_or_update_report_template(known, updates)
        known = templates.get_report_template(client_key="acceptance")
        found["template"] = [known.name, known.description, known.tags, known.rule_client_keys]
        evaluation = RuleEvaluationService(channel)
        preview = evaluation.preview_against_run(RUN_ID, rules)
        found["preview"] = preview.created_annotation_count
        report = evaluation.evaluate_against_run(RUN_ID, known, "by template")
        found["is_done"] = report.wait_until_done(timeout=30)
        found["by template"] = told(report.get_results())
        start = datetime(2026, 1, 1, tzinfo=UTC)
        report = evaluation.evaluate_against_run(
            RUN_ID, rules, "a part", start_time=start, end_time=start.replace(second=30)
        )
        report.wait_until_done()
        found["a part"] = told(report.get_results())
        report = evaluation.evaluate_external_rules(
            RUN_ID, [rule_of("ad hoc", "$1 < 5", is_external=True)], "ad hoc"
        )
        report.wait_until_done()
        found["external"] = told(report.get_results())
    return found


def by_sift_client() -> dict[str, object]:
    found: dict[str, object] = {}
    client = SiftClient(
        connection_config=SiftConnectionConfig(
            api_key=API_KEY,
            grpc_url=f"http://{ADDRESS}",
            rest_url=f"http://{ADDRESS}",
            use_ssl=False,
        )
    )
    templates = client.reports.templates
    rules = client.rules.list_(names=["fast", "faster"])
    template = templates.create(
        ReportTemplateCreate(name="newer", client_key="newer", rule_ids=[one.id_ for one in rules])
    )
    template = templates.update(template, {"description": "changed", "rule_client_keys": ["fast"]})
    found["template"] = [template.description, [one.rule_client_key for one in template.rules]]
    jobs = [
        client.reports.create_from_rules(name="by rules", run=RUN_ID, rules=rules),
        client.reports.create_from_template(report_template=template, run=RUN_ID, name="templated"),
        client.reports.create_from_applicable_rules(run=RUN_ID, name="applicable"),
    ]
    done = [client.reports.wait_until_complete(job=job, polling_interval_secs=1) for job in jobs]
    found["reports"] = [
        [one.name, sorted([each.rule_client_key, each.num_open, each.status.name]
                          for each in one.summaries)]
        for one in done
    ]  # fmt: skip
    report = client.reports.get(report_id=done[0].id_)
    job = client.jobs.get(report.job_id)
    found["job"] = [job.is_finished, job.job_type.name]
    annotations = client.annotations.list_(filter_query=f"report_id == '{report.id_}'")
    found["annotations"] = [one.name for one in annotations]
    rerun = client.reports.wait_until_complete(job=client.reports.rerun(report=report))
    found["rerun"] = [rerun.rerun_from_report_id == report.id_, rerun.run_id == RUN_ID]
    client.reports.cancel(report=rerun)
    updated = client.reports.update(rerun, {"metadata": {"team": "drive"}})
    found["updated"] = updated.metadata
    listed = client.reports.list_(metadata={"team": "drive"})
    found["by metadata"] = [one.id_ == rerun.id_ for one in listed]
    client.reports.archive(report=rerun)
    found["listed"] = sorted(one.name for one in client.reports.list_(run=RUN_ID))
    found["archived"] = len(client.reports.list_(run=RUN_ID, include_archived=True))
    client.reports.unarchive(report=rerun)
    templates.archive(report_template=template)
    found["templates"] = [one.name for one in templates.list_()]
    return found


print(json.dumps({"sift_py": by_sift_py(), "sift_client": by_sift_client()}))
