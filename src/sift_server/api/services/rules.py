"""`sift.rules.v1.RuleService`, as far as it keeps rules in their JSON form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.rules.v1 import rules_pb2

if TYPE_CHECKING:
    from sift_server.catalog import Catalog


class RuleService:
    """Keeps the JSON rules of an asset and gives them back, byte for byte."""

    SERVICE_NAME = "sift.rules.v1.RuleService"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def view_json_rules(
        self, request: rules_pb2.ViewJsonRulesRequest
    ) -> rules_pb2.ViewJsonRulesResponse:
        """Return the rules of an asset."""
        return rules_pb2.ViewJsonRulesResponse(
            rules_json=self._catalog.rules.view_json(request.asset_id)
        )

    def update_json_rules(
        self, request: rules_pb2.UpdateJsonRulesRequest
    ) -> rules_pb2.UpdateJsonRulesResponse:
        """Replace the rules of an asset; a list that can't be read changes nothing."""
        wanted = request.request
        result = self._catalog.rules.update_json(wanted.asset_id, wanted.rules_json)
        return rules_pb2.UpdateJsonRulesResponse(
            response=rules_pb2.JsonRulesResponse(
                success=result.error is None,
                total_rules_count=result.total_count,
                rules_created_count=result.created_count,
                rules_updated_count=result.updated_count,
                rules_deleted_count=result.deleted_count,
                error_messages=result.error,
            )
        )
