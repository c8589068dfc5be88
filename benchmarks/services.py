"""Our client's services for benchmarks: flows of doubles under an asset of their own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.servers import API_KEY, BenchmarkServer
from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService

if TYPE_CHECKING:
    from sift_py.grpc.transport import SiftChannel
    from sift_py.ingestion.flow import FlowOrderedChannelValues


def connect(server: BenchmarkServer) -> SiftChannel:
    """A connection to the server."""
    return use_sift_channel(SiftChannelConfig(uri=f"http://{server.address}", apikey=API_KEY))


def service_of(channel: SiftChannel, flows: int, channels: int) -> IngestionService:
    """A service with flows `flow.0`, ..., each with channels `sensor.FLOW.0`, ... of doubles."""
    asset = f"asset-{flows}-{channels}-{time.time_ns()}"
    config = TelemetryConfig(
        asset,
        asset,
        flows=[
            FlowConfig(
                f"flow.{flow}",
                [
                    ChannelConfig(f"sensor.{flow}.{index}", ChannelDataType.DOUBLE)
                    for index in range(channels)
                ],
            )
            for flow in range(flows)
        ],
    )
    return IngestionService(channel, config)


def row_of(number: int) -> FlowOrderedChannelValues:
    """A row of ten plain values for `flow.0`, now."""
    return {
        "flow_name": "flow.0",
        "timestamp": time.time_ns(),
        "channel_values": [float(number)] * 10,
    }
