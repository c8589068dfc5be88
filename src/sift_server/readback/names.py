"""Assets, their channels, runs and rules, by what people call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift.assets.v1.assets_pb2 import Asset, ListAssetsRequest
from sift.assets.v1.assets_pb2_grpc import AssetServiceStub
from sift.channels.v3.channels_pb2 import Channel, ListChannelsRequest
from sift.channels.v3.channels_pb2_grpc import ChannelServiceStub
from sift.rules.v1.rules_pb2 import ListRulesRequest, Rule
from sift.rules.v1.rules_pb2_grpc import RuleServiceStub
from sift.runs.v2.runs_pb2 import ListRunsRequest, Run
from sift.runs.v2.runs_pb2_grpc import RunServiceStub
from sift_py._internal.lists import any_of, paged, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import grpc

_IDS_PER_CALL = 200
_CHANNELS_PER_PAGE = 10_000


def find_assets(grpc_channel: grpc.Channel, name: str) -> list[Asset]:
    """The asset of a name; empty if there is none."""
    stub: Any = AssetServiceStub(grpc_channel)
    request = ListAssetsRequest(filter=f"name == {quoted(name)}")
    return list(paged(stub.ListAssets, request, "assets"))


def list_assets(grpc_channel: grpc.Channel) -> list[Asset]:
    """All assets, by name."""
    stub: Any = AssetServiceStub(grpc_channel)
    return list(paged(stub.ListAssets, ListAssetsRequest(order_by="name"), "assets"))


def list_channels(grpc_channel: grpc.Channel, asset_id: str) -> list[Channel]:
    """All channels of an asset, in the order in which they were created."""
    stub: Any = ChannelServiceStub(grpc_channel)
    request = ListChannelsRequest(
        filter=f"asset_id == {quoted(asset_id)}", page_size=_CHANNELS_PER_PAGE
    )
    return list(paged(stub.ListChannels, request, "channels"))


def find_runs(grpc_channel: grpc.Channel, name: str) -> list[Run]:
    """The runs that have something as their id, client key or name, the newest first."""
    stub: Any = RunServiceStub(grpc_channel)
    text = quoted(name)
    request = ListRunsRequest(
        filter=f"run_id == {text} || client_key == {text} || name == {text}",
        order_by="created_date desc",
    )
    return list(paged(stub.ListRuns, request, "runs"))


def list_runs(grpc_channel: grpc.Channel) -> Iterator[Run]:
    """All runs, the newest first."""
    stub: Any = RunServiceStub(grpc_channel)
    return paged(stub.ListRuns, ListRunsRequest(order_by="created_date desc"), "runs")


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
            stub.ListAssets, ListAssetsRequest(filter=any_of("asset_id", ids)), "assets"
        )
    }


def run_names(grpc_channel: grpc.Channel, run_ids: Iterable[str]) -> dict[str, str]:
    """Names of runs by their ids."""
    stub: Any = RunServiceStub(grpc_channel)
    return {
        run.run_id: run.name
        for ids in _chunks(run_ids)
        for run in paged(stub.ListRuns, ListRunsRequest(filter=any_of("run_id", ids)), "runs")
    }


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    wanted = sorted({each for each in ids if each})
    for first in range(0, len(wanted), _IDS_PER_CALL):
        yield wanted[first : first + _IDS_PER_CALL]
