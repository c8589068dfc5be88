"""`sift.rule_evaluation.v1.RuleEvaluationService`: rules over a run, or some time of assets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sift.rule_evaluation.v1 import rule_evaluation_pb2
from sift_server.api.services.convert import from_timestamp
from sift_server.api.services.report_messages import report_draft
from sift_server.api.services.rule_messages import current_versions, from_update, to_dry_run
from sift_server.catalog.identified import check_identified
from sift_server.catalog.rule_form import check_form
from sift_server.errors import InvalidArgumentError, NotFoundError
from sift_server.rules import AskedTime
from sift_server.rules.registration import RuleRegistration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.timestamp_pb2 import Timestamp

    from sift.common.type.v1.resource_identifier_pb2 import NamedResources, ResourceIdentifier
    from sift_server.catalog import Catalog, ReportTemplate, RuleContent, RuleDraft
    from sift_server.rules import RunReports

    _Request = (
        rule_evaluation_pb2.EvaluateRulesRequest | rule_evaluation_pb2.EvaluateRulesPreviewRequest
    )


class _Rules(NamedTuple):
    """The rules that are asked for.

    Attributes:
        version_ids: Their versions.
        template: The template that names them, if one does.
        only_applicable: Whether nobody named them, so that those are left out that do not apply.
    """

    version_ids: Sequence[str]
    template: ReportTemplate | None = None
    only_applicable: bool = False


class RuleEvaluationService:
    """Evaluates rules when somebody asks, with and without making annotations."""

    SERVICE_NAME = "sift.rule_evaluation.v1.RuleEvaluationService"

    def __init__(self, catalog: Catalog, reports: RunReports) -> None:
        self._catalog = catalog
        self._reports = reports
        self._registration = RuleRegistration(catalog)

    def evaluate_rules(
        self, request: rule_evaluation_pb2.EvaluateRulesRequest
    ) -> rule_evaluation_pb2.EvaluateRulesResponse:
        """Evaluate rules, and make annotations of what they find; on a run, also a report."""
        time = self._time(request)
        rules = self._rules(request)
        tags = self._tag_names(request.annotation_options.tags)
        if time.run_id is None:
            conditions = self._catalog.rules.conditions(rules.version_ids)
            count = self._reports.evaluation.evaluate(
                conditions, time, tags, only_fitting=rules.only_applicable
            )
            return rule_evaluation_pb2.EvaluateRulesResponse(created_annotation_count=count)
        template = rules.template
        draft = report_draft(self._catalog, time, tags, request.report_name, template)
        draft = replace(draft, organization_id=request.organization_id)
        made = self._reports.evaluate(
            draft, rules.version_ids, only_applicable=rules.only_applicable
        )
        return rule_evaluation_pb2.EvaluateRulesResponse(
            created_annotation_count=made.created_count,
            report_id=made.report.report_id if made.report else None,
            job_id=made.report.job_id if made.report else None,
        )

    def evaluate_rules_preview(
        self, request: rule_evaluation_pb2.EvaluateRulesPreviewRequest
    ) -> rule_evaluation_pb2.EvaluateRulesPreviewResponse:
        """Evaluate rules, also such as are not stored, and only say what they find."""
        time = self._time(request)
        if request.WhichOneof("mode") == "rule_configs":
            drafts = [from_update(config) for config in request.rule_configs.configs]
            contents = self._checked(drafts)
            conditions = self._catalog.rules.conditions_of(contents)
        else:
            conditions = self._catalog.rules.conditions(self._rules(request).version_ids)
        found = [
            annotation
            for asked in self._reports.evaluation.look(conditions, time)
            for annotation in to_dry_run(asked)
        ]
        return rule_evaluation_pb2.EvaluateRulesPreviewResponse(
            created_annotation_count=len(found), dry_run_annotations=found
        )

    def _checked(self, drafts: Sequence[RuleDraft]) -> list[RuleContent]:
        """What rules say that are not stored, once they fit the channels of their assets."""
        if not drafts:
            raise InvalidArgumentError("there is no rule to evaluate; give one in rule_configs")
        for draft in drafts:
            check_form(draft.content)
            if not self._catalog.rules.assets_of(draft.content):
                raise InvalidArgumentError(
                    f"the rule {draft.content.name!r} is about no asset, so that there is nothing"
                    " to evaluate it on; give it asset_ids, or tag_ids of assets"
                )
        contents = []
        for draft, problems in self._registration.look_at(drafts):
            if problems:
                raise InvalidArgumentError(
                    f"the rule {draft.content.name!r} does not fit the asset"
                    f" {problems[0].asset_name!r}: {problems[0].message}"
                )
            contents.append(draft.content)
        return contents

    def _time(self, request: _Request) -> AskedTime:
        match request.WhichOneof("time"):
            case "run":
                return AskedTime(self._run_id(request.run))
            case "run_time_range":
                wanted = request.run_time_range
                # Without a run it is all of them, and what has none.
                return AskedTime(
                    self._run_id(wanted.run) if wanted.HasField("run") else None,
                    None,
                    _time_ns(wanted, "start_time"),
                    _time_ns(wanted, "end_time"),
                )
            case "assets" if isinstance(request, rule_evaluation_pb2.EvaluateRulesRequest):
                asset_ids = self._asset_ids(request.assets.assets)
                return AskedTime(
                    None,
                    asset_ids,
                    _time_ns(request.assets, "start_time"),
                    _time_ns(request.assets, "end_time"),
                )
            case _:
                raise InvalidArgumentError(
                    "say what to evaluate the rules on: run, run_time_range or assets"
                )

    def _rules(self, request: _Request) -> _Rules:
        match request.WhichOneof("mode"):
            case "rules":
                wanted = request.rules.rules
                return _Rules(
                    current_versions(
                        self._catalog.rules, wanted.ids.ids, wanted.client_keys.client_keys
                    )
                )
            case "rule_versions":
                return _Rules(request.rule_versions.rule_version_ids)
            case "all_applicable_rules":
                return _Rules(self._catalog.rules.current_versions(), only_applicable=True)
            case "report_template":
                named = request.report_template.report_template
                template = self._catalog.report_templates.get(named.id, named.client_key)
                return _Rules(template.version_ids, template)
            case _:
                raise InvalidArgumentError(
                    "say which rules to evaluate: rules, rule_versions, report_template or"
                    " all_applicable_rules"
                )

    def _run_id(self, run: ResourceIdentifier) -> str:
        if run.id:
            return self._catalog.runs.get(run.id).run_id
        check_identified("run", run.id, run.client_key)
        return self._catalog.runs.id_of_client_key(run.client_key)

    def _asset_ids(self, assets: NamedResources) -> frozenset[str]:
        wanted = [*assets.ids.ids, *assets.names.names]
        if not wanted:
            raise InvalidArgumentError("name the assets to evaluate the rules on")
        known = self._catalog.assets.ids_of(wanted)
        missing = [name for name in wanted if name not in known]
        if missing:
            raise NotFoundError(f"there is no asset {missing[0]!r}")
        return frozenset(known.values())

    def _tag_names(self, tags: NamedResources) -> tuple[str, ...]:
        return (*self._catalog.tags.names_of(tags.ids.ids), *tags.names.names)


def _time_ns(message: object, name: str) -> int | None:
    if not message.HasField(name):  # type: ignore[attr-defined]
        return None
    timestamp: Timestamp = getattr(message, name)
    return from_timestamp(timestamp, name)
