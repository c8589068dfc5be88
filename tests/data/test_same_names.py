"""Channels with names that something else has: none of their points is lost or changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sift_py.data import ChannelQuery, DataQuery, DataService, iter_channels, read_channels
from sift_py.data._labels import labels_of
from sift_py.errors import DataError
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import ChannelBitFieldElement, ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService

TIMES_NS = np.arange(3) * 1_000_000_000
TYPES = {
    ChannelDataType.INT_64: np.array([2**62 + 1, 2, 3]),
    ChannelDataType.DOUBLE: np.array([0.5, 1.5, 2.5]),
    ChannelDataType.STRING: ["a", "b", "c"],
}


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    with use_sift_channel({"uri": f"embedded:{tmp_path_factory.mktemp('names')}"}) as channel:
        yield channel


def ingest(channel, asset, key, config, values, runs=("",)):
    flow = FlowConfig("flow", config)
    telemetry = TelemetryConfig(asset_name=asset, ingestion_client_key=key, flows=[flow])
    service = IngestionService(channel, telemetry)
    for run in runs:
        if run:
            service.attach_run(channel, run)
        service.ingest_columns("flow", TIMES_NS, values)


def test_columns_of_times_and_runs_do_not_replace_channels_of_their_names(channel):
    config = [ChannelConfig(name, ChannelDataType.INT_64) for name in ("time", "run", "x")]
    values = {name: np.arange(3) + 10 * number for number, name in enumerate(("time", "run", "x"))}
    ingest(channel, "clock", "clock", config, values, ["one", "two"])
    both = read_channels("clock", source=channel)
    assert both.names == ["time", "run", "x"]
    table = both.to_arrow()
    assert table.column_names == ["time", "run", "time_2", "run_2", "x"]
    assert table["run"].to_pylist() == ["one"] * 3 + ["two"] * 3
    assert table["time"].to_numpy().astype(np.int64).tolist() == TIMES_NS.tolist() * 2
    assert table["time_2"].to_pylist() == [0, 1, 2] * 2
    assert table["run_2"].to_pylist() == [10, 11, 12] * 2
    (spans,) = iter_channels("clock", source=channel)
    assert spans.to_arrow().equals(table)
    one = read_channels("clock", run="one", source=channel)
    assert one.to_arrow().column_names == ["time", "time_2", "run", "x"]
    assert one["time"].values.to_pylist() == [0, 1, 2]


def test_a_channel_that_had_other_data_types_is_read_with_all_its_points(channel):
    for number, (data_type, values) in enumerate(TYPES.items()):
        ingest(channel, "changed", f"{number}", [ChannelConfig("x", data_type)], {"x": values})
    for wanted in ("x", "*", ChannelQuery("x")):
        readings = read_channels("changed", wanted, source=channel)
        assert readings.names == ["x", "x_2", "x_3"]
        columns = readings.to_arrow().drop(["time"]).to_pydict()
        assert [list(values) for values in TYPES.values()] == list(columns.values())
        assert [values.tolist() for _, values in readings.to_numpy().values()] == [
            *columns.values()
        ]
        assert readings.to_arrow("long").num_rows == 9
    query = DataQuery("changed", pd.Timestamp(0), pd.Timestamp(1e10), [ChannelQuery("x")])
    result = DataService(channel).execute(query)
    assert [len(each.values) for each in result.channels("x")] == [3, 3, 3]
    with pytest.raises(DataError, match="several"):
        result.channel("x")


def test_an_element_of_a_bit_field_does_not_replace_a_channel_of_its_name(channel):
    bits = ChannelConfig(
        "bits",
        ChannelDataType.BIT_FIELD,
        bit_field_elements=[
            ChannelBitFieldElement("low", 0, 4),
            ChannelBitFieldElement("up", 4, 4),
        ],
    )
    config = [ChannelConfig("bits.low", ChannelDataType.DOUBLE), bits]
    values = {"bits.low": np.arange(3) / 4, "bits": [b"\x12", b"\x34", b"\x56"]}
    ingest(channel, "bits", "bits", config, values)
    columns = read_channels("bits", source=channel).to_arrow().drop(["time"]).to_pydict()
    assert columns == {"bits.low": [0, 0.25, 0.5], "bits.low_2": [2, 4, 6], "bits.up": [1, 3, 5]}


def test_a_name_that_is_free_is_not_given_to_another():
    assert labels_of(["x", "x_2", "x"]) == ["x", "x_2", "x"]
    assert labels_of([("x", "a"), ("x", "b"), ("x_2", "c"), ("x", "a")]) == ["x", "x_3", "x_2", "x"]
    assert labels_of(["time", "time_2"], taken=["time"]) == ["time_3", "time_2"]
