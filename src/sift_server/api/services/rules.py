"""`sift.rules.v1.RuleService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.rules.v1 import rules_pb2
from sift_server.api.services.convert import from_timestamp, list_request
from sift_server.api.services.report_messages import report_draft
from sift_server.api.services.rule_messages import (
    current_versions,
    from_update,
    keys_of,
    to_dry_run,
    to_rule,
    to_version,
)
from sift_server.catalog import RuleSearch
from sift_server.errors import InvalidArgumentError, ResourceExhaustedError
from sift_server.rules import AskedTime
from sift_server.rules.registration import RuleRegistration

if TYPE_CHECKING:
    from sift_server.catalog import Catalog, RuleDraft
    from sift_server.rules import RunReports
    from sift_server.rules.registration import Problem


class RuleService:
    """Creates, updates, gets, lists, archives, deletes and evaluates rules; has their JSON form."""

    SERVICE_NAME = "sift.rules.v1.RuleService"

    def __init__(self, catalog: Catalog, reports: RunReports) -> None:
        self._catalog = catalog
        self._reports = reports
        self._rules = catalog.rules
        self._registration = RuleRegistration(catalog)

    def get_rule(self, request: rules_pb2.GetRuleRequest) -> rules_pb2.GetRuleResponse:
        """Return a rule by its id or client key."""
        rule = self._rules.get(request.rule_id, request.client_key)
        return rules_pb2.GetRuleResponse(rule=to_rule(rule))

    def batch_get_rules(
        self, request: rules_pb2.BatchGetRulesRequest
    ) -> rules_pb2.BatchGetRulesResponse:
        """Return rules by their ids and client keys, in that order."""
        keys = keys_of(request.rule_ids, request.client_keys)
        return rules_pb2.BatchGetRulesResponse(
            rules=[to_rule(self._rules.get(*key)) for key in keys]
        )

    def create_rule(self, request: rules_pb2.CreateRuleRequest) -> rules_pb2.CreateRuleResponse:
        """Create a rule, once its expressions fit the channels of its assets."""
        rule = self._registration.create(from_update(request.update))
        return rules_pb2.CreateRuleResponse(rule_id=rule.rule_id)

    def update_rule(self, request: rules_pb2.UpdateRuleRequest) -> rules_pb2.UpdateRuleResponse:
        """Make a rule what the request says, as a next version if that is something else."""
        rule = self._registration.update(from_update(request))
        return rules_pb2.UpdateRuleResponse(rule_id=rule.rule_id)

    def batch_update_rules(
        self, request: rules_pb2.BatchUpdateRulesRequest
    ) -> rules_pb2.BatchUpdateRulesResponse:
        """Create and update rules: all of them, or none; or only see what would be."""
        looked_at = self._registration.look_at(from_update(one) for one in request.rules)
        drafts = [draft for draft, _ in looked_at]
        problems = [of_draft for _, of_draft in looked_at]
        is_refused = any(problems) and not request.override_expression_validation
        put = self._registration.put(drafts, dry_run=request.validate_only or is_refused)
        response = rules_pb2.BatchUpdateRulesResponse(
            success=not is_refused,
            validate_only=request.validate_only,
            validation_results=[
                _validation_result(draft, of_draft)
                for draft, of_draft in zip(drafts, problems, strict=True)
                if of_draft
            ],
        )
        if not is_refused:
            response.rules_created_count = put.created_count
            response.rules_updated_count = put.updated_count
        if response.success and not request.validate_only:
            for draft, rule_id, is_created in zip(
                drafts, put.rule_ids, put.are_created, strict=True
            ):
                if is_created:
                    response.created_rule_identifiers.add(
                        rule_id=rule_id,
                        name=draft.content.name,
                        client_key=draft.client_key or None,
                    )
        return response

    def archive_rule(self, request: rules_pb2.ArchiveRuleRequest) -> rules_pb2.ArchiveRuleResponse:
        """Archive a rule."""
        self._rules.set_archived([(request.rule_id, request.client_key)], archived=True)
        return rules_pb2.ArchiveRuleResponse()

    def batch_archive_rules(
        self, request: rules_pb2.BatchArchiveRulesRequest
    ) -> rules_pb2.BatchArchiveRulesResponse:
        """Archive rules: all of them, or none."""
        self._rules.set_archived(keys_of(request.rule_ids, request.client_keys), archived=True)
        return rules_pb2.BatchArchiveRulesResponse()

    def unarchive_rule(
        self, request: rules_pb2.UnarchiveRuleRequest
    ) -> rules_pb2.UnarchiveRuleResponse:
        """Take a rule out of the archive."""
        self._rules.set_archived([(request.rule_id, request.client_key)], archived=False)
        return rules_pb2.UnarchiveRuleResponse()

    def batch_unarchive_rules(
        self, request: rules_pb2.BatchUnarchiveRulesRequest
    ) -> rules_pb2.BatchUnarchiveRulesResponse:
        """Take rules out of the archive: all of them, or none."""
        self._rules.set_archived(keys_of(request.rule_ids, request.client_keys), archived=False)
        return rules_pb2.BatchUnarchiveRulesResponse()

    def delete_rule(self, request: rules_pb2.DeleteRuleRequest) -> rules_pb2.DeleteRuleResponse:
        """Delete a rule; its annotations stay."""
        self._rules.set_deleted([(request.rule_id, request.client_key)], deleted=True)
        return rules_pb2.DeleteRuleResponse()

    def batch_delete_rules(
        self, request: rules_pb2.BatchDeleteRulesRequest
    ) -> rules_pb2.BatchDeleteRulesResponse:
        """Delete rules: all of them, or none."""
        self._rules.set_deleted(keys_of(request.rule_ids, request.client_keys), deleted=True)
        return rules_pb2.BatchDeleteRulesResponse()

    def undelete_rule(
        self, request: rules_pb2.UndeleteRuleRequest
    ) -> rules_pb2.UndeleteRuleResponse:
        """Bring a rule back that was deleted."""
        self._rules.set_deleted([(request.rule_id, request.client_key)], deleted=False)
        return rules_pb2.UndeleteRuleResponse()

    def batch_undelete_rules(
        self, request: rules_pb2.BatchUndeleteRulesRequest
    ) -> rules_pb2.BatchUndeleteRulesResponse:
        """Bring rules back that were deleted: all of them, or none."""
        self._rules.set_deleted(keys_of(request.rule_ids, request.client_keys), deleted=False)
        return rules_pb2.BatchUndeleteRulesResponse()

    def list_rules(self, request: rules_pb2.ListRulesRequest) -> rules_pb2.ListRulesResponse:
        """Return a page of the rules."""
        page = self._rules.list(list_request(request))
        return rules_pb2.ListRulesResponse(
            rules=map(to_rule, page.items), next_page_token=page.next_token
        )

    def search_rules(self, request: rules_pb2.SearchRulesRequest) -> rules_pb2.SearchRulesResponse:
        """Return rules by their names: what clients asked for before there were lists."""
        found = self._rules.search(
            RuleSearch(
                name=request.name_matches,
                is_pattern=request.regexp,
                is_case_sensitive=request.case_sensitive,
                rule_ids=tuple(request.rule_ids),
                asset_ids=tuple(request.asset_ids),
                asset_tag_ids=tuple(request.asset_tags.ids.ids),
                asset_tag_names=tuple(request.asset_tags.names.names),
                with_deleted=request.include_deleted,
                order_by=request.order_by,
                is_ascending=request.order == rules_pb2.SEARCH_ORDER_ASC,
                limit=request.limit,
                offset=request.offset,
            )
        )
        return rules_pb2.SearchRulesResponse(
            count=found.total_count, rules=map(to_rule, found.rules)
        )

    def evaluate_rules(
        self, request: rules_pb2.EvaluateRulesRequest
    ) -> rules_pb2.EvaluateRulesResponse:
        """Evaluate rules: the older form of `sift.rule_evaluation.v1`."""
        if not request.rule_ids:
            raise InvalidArgumentError("name the rules to evaluate, in rule_ids")
        version_ids = current_versions(self._rules, request.rule_ids, ())
        time = self._time(request)
        tags = tuple(self._catalog.tags.names_of(request.annotation_options.tag_ids))
        evaluation = self._reports.evaluation
        if request.dry_run:
            asked = evaluation.look(self._rules.conditions(version_ids), time)
            found = [annotation for one in asked for annotation in to_dry_run(one)]
            return rules_pb2.EvaluateRulesResponse(
                created_annotation_count=len(found), dry_run_annotations=found
            )
        if time.run_id is None:
            count = evaluation.evaluate(self._rules.conditions(version_ids), time, tags)
            return rules_pb2.EvaluateRulesResponse(created_annotation_count=count)
        made = self._reports.evaluate(report_draft(self._catalog, time, tags), version_ids)
        return rules_pb2.EvaluateRulesResponse(
            created_annotation_count=made.created_count,
            job_id=made.report.job_id if made.report else None,
            report_id=made.report.report_id if made.report else None,
        )

    def list_rule_versions(
        self, request: rules_pb2.ListRuleVersionsRequest
    ) -> rules_pb2.ListRuleVersionsResponse:
        """Return a page of the versions of a rule."""
        rule = self._rules.get(request.rule_id)
        page = self._rules.list_versions(request.rule_id, list_request(request))
        return rules_pb2.ListRuleVersionsResponse(
            rule_versions=[to_version(one, rule) for one in page.items],
            next_page_token=page.next_token,
        )

    def get_rule_version(
        self, request: rules_pb2.GetRuleVersionRequest
    ) -> rules_pb2.GetRuleVersionResponse:
        """Return a rule as it was in a version."""
        (rule,) = self._rules.versions([request.rule_version_id])
        return rules_pb2.GetRuleVersionResponse(rule=to_rule(rule))

    def batch_get_rule_versions(
        self, request: rules_pb2.BatchGetRuleVersionsRequest
    ) -> rules_pb2.BatchGetRuleVersionsResponse:
        """Return rules as they were in some versions."""
        rules = self._rules.versions(request.rule_version_ids)
        return rules_pb2.BatchGetRuleVersionsResponse(rules=map(to_rule, rules))

    def view_json_rules(
        self, request: rules_pb2.ViewJsonRulesRequest
    ) -> rules_pb2.ViewJsonRulesResponse:
        """Return the JSON rules of an asset, byte for byte as they came."""
        return rules_pb2.ViewJsonRulesResponse(rules_json=self._rules.view_json(request.asset_id))

    def update_json_rules(
        self, request: rules_pb2.UpdateJsonRulesRequest
    ) -> rules_pb2.UpdateJsonRulesResponse:
        """Replace the JSON rules of an asset; a list with an error in it changes nothing."""
        return rules_pb2.UpdateJsonRulesResponse(
            response=self._json_response(request.request, dry_run=False)
        )

    def validate_json_rules(
        self, request: rules_pb2.ValidateJsonRulesRequest
    ) -> rules_pb2.ValidateJsonRulesResponse:
        """Say what `update_json_rules` would do; nothing is changed."""
        return rules_pb2.ValidateJsonRulesResponse(
            response=self._json_response(request.request, dry_run=True)
        )

    def view_human_friendly_rules(
        self, request: rules_pb2.ViewHumanFriendlyRulesRequest
    ) -> rules_pb2.ViewHumanFriendlyRulesResponse:
        """Return the JSON rules of an asset: the JSON form by its former name."""
        return rules_pb2.ViewHumanFriendlyRulesResponse(
            rules_json=self._rules.view_json(request.asset_id)
        )

    def update_human_friendly_rules(
        self, request: rules_pb2.UpdateHumanFriendlyRulesRequest
    ) -> rules_pb2.UpdateHumanFriendlyRulesResponse:
        """Replace the JSON rules of an asset: the JSON form by its former name."""
        same = rules_pb2.JsonRulesRequest(asset_id=request.asset_id, rules_json=request.rules_json)
        response = self._json_response(same, dry_run=False)
        return rules_pb2.UpdateHumanFriendlyRulesResponse(
            success=response.success,
            rules_count=response.total_rules_count,
            messages=response.error_messages,
        )

    def _time(self, request: rules_pb2.EvaluateRulesRequest) -> AskedTime:
        match request.WhichOneof("time"):
            case "run_id":
                return AskedTime(self._catalog.runs.get(request.run_id).run_id)
            case "time_range":
                wanted = request.time_range
                return AskedTime(
                    start_ns=from_timestamp(wanted.start_time, "start_time"),
                    end_ns=from_timestamp(wanted.end_time, "end_time"),
                )
            case _:
                raise InvalidArgumentError(
                    "say what to evaluate the rules on: run_id or time_range"
                )

    def _json_response(
        self, wanted: rules_pb2.JsonRulesRequest, *, dry_run: bool
    ) -> rules_pb2.JsonRulesResponse:
        try:
            result = self._registration.update_json(
                wanted.asset_id, wanted.rules_json, dry_run=dry_run
            )
        except (InvalidArgumentError, ResourceExhaustedError) as error:
            return rules_pb2.JsonRulesResponse(success=False, error_messages=str(error))
        return rules_pb2.JsonRulesResponse(
            success=True,
            total_rules_count=result.total_count,
            rules_created_count=result.created_count,
            rules_updated_count=result.updated_count,
            rules_deleted_count=result.deleted_count,
        )


def _validation_result(draft: RuleDraft, problems: list[Problem]) -> rules_pb2.ValidationResult:
    return rules_pb2.ValidationResult(
        rule_id=draft.rule_id,
        client_key=draft.client_key,
        rule_name=draft.content.name,
        error=f"the rule {draft.content.name!r} does not fit: {problems[0].message}",
        asset_expression_validation_results=[
            rules_pb2.AssetExpressionValidationResult(
                asset_id=one.asset_id, asset_name=one.asset_name, error=one.message
            )
            for one in problems
        ],
    )
