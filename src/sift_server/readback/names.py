"""Assets, runs and rules by what people call them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sift.assets.v1.assets_pb2 import Asset, ListAssetsRequest
from sift.assets.v1.assets_pb2_grpc import AssetServiceStub
from sift.rules.v1.rules_pb2 import ListRulesRequest, Rule
from sift.rules.v1.rules_pb2_grpc import RuleServiceStub
from sift.runs.v2.runs_pb2 import ListRunsRequest, Run
from sift.runs.v2.runs_pb2_grpc import RunServiceStub

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import grpc

_PAGE_SIZE = 1_000
_IDS_PER_CALL = 200


def quoted(text: str) -> str:
    """A text as a literal of a filter."""
    return json.dumps(text, ensure_ascii=False)


def paged(call: Any, request: Any, items: str) -> Iterator[Any]:  # noqa: ANN401 (any of the lists)
    """Everything that a list has, page by page.

    Args:
        call: A method of a stub.
        request: What to ask; its page token is changed.
        items: Field of the answer that has the items.
    """
    request.page_size = request.page_size or _PAGE_SIZE
    while True:
        page = call(request)
        yield from getattr(page, items)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def find_assets(grpc_channel: grpc.Channel, name: str) -> list[Asset]:
    """The asset of a name; empty if there is none."""
    stub: Any = AssetServiceStub(grpc_channel)
    request = ListAssetsRequest(filter=f"name == {quoted(name)}")
    return list(paged(stub.ListAssets, request, "assets"))


def find_runs(grpc_channel: grpc.Channel, name: str) -> list[Run]:
    """The runs that have something as their id, client key or name, the newest first."""
    stub: Any = RunServiceStub(grpc_channel)
    text = quoted(name)
    request = ListRunsRequest(
        filter=f"run_id == {text} || client_key == {text} || name == {text}",
        order_by="created_date desc",
    )
    return list(paged(stub.ListRuns, request, "runs"))


def list_rules(grpc_channel: grpc.Channel, filter: str = "") -> list[Rule]:  # noqa: A002 (the protocol's name)
    """Rules that a filter takes, by name."""
    stub: Any = RuleServiceStub(grpc_channel)
    request = ListRulesRequest(filter=filter, order_by="name")
    return list(paged(stub.ListRules, request, "rules"))


def asset_names(grpc_channel: grpc.Channel, asset_ids: Iterable[str]) -> dict[str, str]:
    """Names of assets by their ids."""
    stub: Any = AssetServiceStub(grpc_channel)
    return {
        asset.asset_id: asset.name
        for ids in _chunks(asset_ids)
        for asset in paged(
            stub.ListAssets, ListAssetsRequest(filter=f"asset_id in [{ids}]"), "assets"
        )
    }


def run_names(grpc_channel: grpc.Channel, run_ids: Iterable[str]) -> dict[str, str]:
    """Names of runs by their ids."""
    stub: Any = RunServiceStub(grpc_channel)
    return {
        run.run_id: run.name
        for ids in _chunks(run_ids)
        for run in paged(stub.ListRuns, ListRunsRequest(filter=f"run_id in [{ids}]"), "runs")
    }


def _chunks(ids: Iterable[str]) -> Iterator[str]:
    wanted = sorted({each for each in ids if each})
    for first in range(0, len(wanted), _IDS_PER_CALL):
        yield ", ".join(map(quoted, wanted[first : first + _IDS_PER_CALL]))
