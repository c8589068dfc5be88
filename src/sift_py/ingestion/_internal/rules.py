"""The rules of a telemetry config: brought to the server, where they replace the asset's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sift.rules.v1.rules_pb2 import JsonRulesRequest, UpdateJsonRulesRequest, ViewJsonRulesRequest
from sift.rules.v1.rules_pb2_grpc import RuleServiceStub
from sift_py._internal.convert.json import to_json
from sift_py.errors import IngestionValidationError, RulesRejectedError
from sift_py.ingestion._internal.calls import call_with_retries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_py.grpc.retry import RetryPolicy
    from sift_py.grpc.transport import SiftChannel
    from sift_py.ingestion.rule.config import RuleConfig


def update_rules(
    channel: SiftChannel,
    asset_id: str,
    rules: Sequence[RuleConfig],
    retry_policy: RetryPolicy,
    *,
    overwrite: bool,
) -> None:
    """Replace the rules of an asset, unless that would delete one unasked.

    Args:
        channel: The server.
        asset_id: The asset.
        rules: The new rules, at least one.
        retry_policy: How calls are tried again.
        overwrite: Delete rules of the asset that are not among them, instead of refusing.

    Raises:
        IngestionValidationError: The asset has a rule that is not among `rules`; names it.
        RulesRejectedError: The server refused them; says why.
        grpc.RpcError: A call failed.
    """
    stub = RuleServiceStub(channel)
    if not overwrite:
        view = call_with_retries(
            stub.ViewJsonRules, ViewJsonRulesRequest(asset_id=asset_id), retry_policy
        )
        _check_all_known(view.rules_json, asset_id, rules)
    request = JsonRulesRequest(asset_id=asset_id, rules_json=to_json(rules))
    # It replaces all of them: twice is as once.
    answer = call_with_retries(
        stub.UpdateJsonRules, UpdateJsonRulesRequest(request=request), retry_policy
    ).response
    if not answer.success:
        reasons = answer.error_messages or "it gave no reason"
        raise RulesRejectedError(f"the server refused the rules of asset '{asset_id}': {reasons}")


def _check_all_known(rules_json: str, asset_id: str, rules: Sequence[RuleConfig]) -> None:
    names = {rule.name for rule in rules}
    for server_rule in json.loads(rules_json or "[]"):
        name = server_rule.get("name")
        if not name:
            raise IngestionValidationError(
                f"asset '{asset_id}' has a rule without a name on the server, which the telemetry"
                " config can't keep. Give it a name there, or pass overwrite_rules=True to delete"
                " it."
            )
        if name not in names:
            raise IngestionValidationError(
                f"asset '{asset_id}' has the rule '{name}' on the server, but the telemetry config"
                " has not, and updating the rules would delete it. Add it to the telemetry config,"
                " or pass overwrite_rules=True to delete it."
            )
