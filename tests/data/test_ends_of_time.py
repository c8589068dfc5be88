"""Points at the ends of what can be sent are read by whoever names no times."""

from __future__ import annotations

import numpy as np

from sift_py.data import iter_channels, read_channels, read_overview, sql
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion._internal.timestamps import NS_MAX, NS_MIN
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService


def test_without_times_the_first_and_the_last_point_that_can_be_are_read(tmp_path):
    flow = FlowConfig("flow", [ChannelConfig("x", ChannelDataType.DOUBLE)])
    times_ns = [NS_MIN, -1, 0, NS_MAX]
    with use_sift_channel({"uri": f"embedded:{tmp_path}"}) as channel:
        service = IngestionService(channel, TelemetryConfig(asset_name="ends", flows=[flow]))
        service.ingest_columns("flow", np.array(times_ns), {"x": np.arange(4.0)})
        readings = read_channels("ends", source=channel)
        assert readings["x"].timestamps_ns.tolist() == times_ns
        spans = iter_channels("ends", batch_points=1, source=channel)
        assert [int(time) for each in spans for time in each["x"].timestamps_ns] == times_ns
        assert read_overview("ends", "x", pixels=1, source=channel).table["last"].to_pylist() == [3]
        answer = sql("SELECT timestamp_ns FROM points ORDER BY ALL", source=channel)
        assert answer["timestamp_ns"].to_pylist() == times_ns
