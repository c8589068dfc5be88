"""Messages of 64 MiB and above, and more flows than anybody has."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import grpc
import pytest

from sift.assets.v1 import assets_pb2, assets_pb2_grpc
from sift.channels.v3 import channels_pb2, channels_pb2_grpc
from sift.ingestion_configs.v2 import ingestion_configs_pb2, ingestion_configs_pb2_grpc
from sift_server.catalog.channels import CHANNELS_PAGE_SIZE_MAX
from sift_server.ingest import FlowDirectory, flows
from sift_wire.columns import DataType
from support.overload import MIB, T0, watched
from support.points import make_layout
from support.telemetry import Request, Type, create_config, ingest, read_points

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_MIB = 64
N_FLOWS = int(os.environ.get("OVERLOAD_FLOWS", "10000"))
FLOW_KIB_MAX = 4
"""What a flow that is remembered costs at most, with its points in memory."""


def test_a_message_too_large_is_refused_with_the_limit(tmp_path: Path):
    """One that fits is taken whole; of a larger one nothing is waited for."""
    with watched(tmp_path) as watch:
        config = create_config(watch.channel, {"b": {"b": Type.CHANNEL_DATA_TYPE_BYTES}})
        for n_mib in (LIMIT_MIB - 1, LIMIT_MIB, 2 * LIMIT_MIB):
            row = config.row("b", T0 + n_mib, [b"x" * (n_mib * MIB)])
            if n_mib < LIMIT_MIB:
                ingest(watch.channel, [row], timeout=60)
                continue
            with pytest.raises(grpc.RpcError) as caught:
                ingest(watch.channel, [row], timeout=60)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert f"at most {LIMIT_MIB * MIB} are taken" in caught.value.details()
            assert "message_bytes_max (--message-mib)" in caught.value.details()
        with pytest.raises(grpc.RpcError) as caught:
            assets_pb2_grpc.AssetServiceStub(watch.channel).ListAssets(
                assets_pb2.ListAssetsRequest(filter="x" * (LIMIT_MIB * MIB)), timeout=60
            )
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert f"REQUEST_BYTES_MAX = {LIMIT_MIB * MIB} bytes" in caught.value.details()
    # The message as it came, joined, and in the record of the log.
    assert watch.grown_mib < 5 * LIMIT_MIB


@pytest.mark.timeout(600)
def test_many_flows_are_created_and_sent_to(tmp_path: Path):
    """`make overload` has 100,000; asked for once, they cost no more than a few do."""
    with watched(tmp_path) as watch:
        config = create_config(watch.channel, {}, "many", "many")
        stub = ingestion_configs_pb2_grpc.IngestionConfigServiceStub(watch.channel)
        for first in range(0, N_FLOWS, 5_000):
            stub.CreateIngestionConfigFlows(
                ingestion_configs_pb2.CreateIngestionConfigFlowsRequest(
                    ingestion_config_id=config.ingestion_config_id,
                    flows=[
                        ingestion_configs_pb2.FlowConfig(
                            name=f"flow {i}",
                            channels=[
                                ingestion_configs_pb2.ChannelConfig(
                                    name=f"channel {i}", data_type=Type.CHANNEL_DATA_TYPE_DOUBLE
                                )
                            ],
                        )
                        for i in range(first, min(first + 5_000, N_FLOWS))
                    ],
                ),
                timeout=60,
            )
        took_s = []
        for second in range(2):
            rows = [_row(config.ingestion_config_id, i, second) for i in range(N_FLOWS)]
            start = time.perf_counter()
            ingest(watch.channel, rows, timeout=300)
            took_s.append(time.perf_counter() - start)
        # Nothing is asked for twice.
        assert took_s[1] < took_s[0]
        page = channels_pb2_grpc.ChannelServiceStub(watch.channel).ListChannels(
            channels_pb2.ListChannelsRequest(page_size=2**31)
        )
        assert len(page.channels) == min(N_FLOWS + 1, CHANNELS_PAGE_SIZE_MAX)
        for i in (0, N_FLOWS // 2, N_FLOWS - 1):
            points = read_points(watch.channel, config.asset_id, f"channel {i}")
            assert points == [(T0, float(i)), (T0 + 1_000_000_000, float(i))]
    assert watch.grown_mib < 100 + N_FLOWS * FLOW_KIB_MAX / 1024


def _row(ingestion_config_id: str, number: int, second: int) -> Request:
    request = Request(ingestion_config_id=ingestion_config_id, flow=f"flow {number}")
    request.timestamp.FromNanoseconds(T0 + second * 1_000_000_000)
    request.channel_values.add().double = number
    return request


@pytest.mark.parametrize(
    ("limit", "n_channels"), [("FLOWS_REMEMBERED_MAX", 1), ("CHANNELS_REMEMBERED_MAX", 3)]
)
def test_flows_are_forgotten_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch, limit: str, n_channels: int
):
    """By their number, or by that of their channels; they are asked for again when they come."""
    monkeypatch.setattr(flows, limit, 10 * n_channels)
    layout = make_layout("flow", {f"c{i}": DataType.DOUBLE for i in range(n_channels)})
    asked = []

    def find(config_id: str, name: str) -> SimpleNamespace:
        asked.append(name)
        return SimpleNamespace(layout=layout)

    directory = FlowDirectory(find)
    remembered = 0
    for i in range(35):
        index = directory.index()
        index.flow("config", f"flow {i}")
        remembered = max(remembered, len(index.flows))
    assert remembered == 10
    directory.index().flow("config", "flow 34")
    directory.index().flow("config", "flow 0")
    assert asked == [*(f"flow {i}" for i in range(35)), "flow 0"]
