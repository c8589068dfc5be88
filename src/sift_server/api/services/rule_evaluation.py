"""`sift.rule_evaluation.v1.RuleEvaluationService`: rules over a run, or over some time of assets.

Reports are not made; what the protocol puts into a job is done when the call returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.rule_evaluation.v1 import rule_evaluation_pb2
from sift.rules.v1 import rules_pb2
from sift_server.api.services.convert import from_timestamp, to_timestamp
from sift_server.api.services.rule_messages import from_update, keys_of
from sift_server.errors import InvalidArgumentError, NotFoundError, UnimplementedError
from sift_server.rules import AskedTime, RuleEvaluation
from sift_server.rules.registration import RuleRegistration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.timestamp_pb2 import Timestamp

    from sift.common.type.v1.resource_identifier_pb2 import NamedResources, ResourceIdentifier
    from sift_server.catalog import Catalog, RuleCondition, RuleContent, RuleDraft
    from sift_server.rules import AskedStretches, CatalogBook

    _Request = (
        rule_evaluation_pb2.EvaluateRulesRequest | rule_evaluation_pb2.EvaluateRulesPreviewRequest
    )


class RuleEvaluationService:
    """Evaluates rules when somebody asks, with and without making annotations."""

    SERVICE_NAME = "sift.rule_evaluation.v1.RuleEvaluationService"

    def __init__(self, catalog: Catalog, book: CatalogBook) -> None:
        self._catalog = catalog
        self._evaluation = RuleEvaluation(catalog, book)
        self._registration = RuleRegistration(catalog)

    def evaluate_rules(
        self, request: rule_evaluation_pb2.EvaluateRulesRequest
    ) -> rule_evaluation_pb2.EvaluateRulesResponse:
        """Evaluate rules, and make annotations of what they find."""
        time = self._time(request)
        rules = self._rules(request)
        tags = request.annotation_options.tags
        count = self._evaluation.evaluate(rules, time, self._tag_names(tags))
        return rule_evaluation_pb2.EvaluateRulesResponse(created_annotation_count=count)

    def evaluate_rules_preview(
        self, request: rule_evaluation_pb2.EvaluateRulesPreviewRequest
    ) -> rule_evaluation_pb2.EvaluateRulesPreviewResponse:
        """Evaluate rules, also such as are not stored, and only say what they find."""
        time = self._time(request)
        if request.WhichOneof("mode") == "rule_configs":
            drafts = [from_update(config) for config in request.rule_configs.configs]
            contents = self._checked(drafts)
            rules = self._catalog.rules.conditions_of(contents)
        else:
            rules = self._rules(request)
        found = [
            annotation
            for asked in self._evaluation.look(rules, time)
            for annotation in _annotations(asked)
        ]
        return rule_evaluation_pb2.EvaluateRulesPreviewResponse(
            created_annotation_count=len(found), dry_run_annotations=found
        )

    def _checked(self, drafts: Sequence[RuleDraft]) -> list[RuleContent]:
        """What rules say that are not stored, once they fit the channels of their assets."""
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

    def _rules(self, request: _Request) -> list[RuleCondition]:
        match request.WhichOneof("mode"):
            case "rules":
                wanted = request.rules.rules
                keys = keys_of(wanted.ids.ids, wanted.client_keys.client_keys)
                rules = [self._catalog.rules.get(*key) for key in keys]
                version_ids = [rule.version.rule_version_id for rule in rules]
            case "rule_versions":
                version_ids = list(request.rule_versions.rule_version_ids)
            case "all_applicable_rules":
                version_ids = self._catalog.rules.current_versions()
            case "report_template":
                raise UnimplementedError(
                    "this server has no report templates; name the rules instead"
                )
            case _:
                raise InvalidArgumentError(
                    "say which rules to evaluate: rules, rule_versions or all_applicable_rules"
                )
        return self._catalog.rules.conditions(version_ids)

    def _run_id(self, run: ResourceIdentifier) -> str:
        if run.id:
            return self._catalog.runs.get(run.id).run_id
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


def _annotations(asked: AskedStretches) -> Iterable[rules_pb2.DryRunAnnotation]:
    for stretch in asked.stretches:
        yield rules_pb2.DryRunAnnotation(
            condition_id=asked.rule.condition_id,
            condition_version_id=asked.rule.condition_version_id,
            name=asked.rule.name,
            start_time=to_timestamp(stretch.start_ns),
            end_time=to_timestamp(stretch.end_ns),
        )
