"""What is exported and imported again is the same, point by point: name, type, unit and value."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from data.conftest import START_NS
from sift_py.data import read_channels
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_server.commands.main import app

FLIGHT = Path(__file__).resolve().parents[3] / "shared" / "data" / "rocket_flight_telemega.csv"


def run(folder, *words):
    done = CliRunner().invoke(app, [*map(str, words), "--data-dir", str(folder)])
    assert done.exit_code == 0, done.output


def bits(value):
    return struct.pack("<d", value) if isinstance(value, float) else value


def content(asset, source, **more):
    return {
        each.name: (
            "UINT_32" if each.data_type == "BIT_FIELD" else each.data_type,
            each.unit,
            each.timestamps_ns.tolist(),
            [bits(value) for value in each.named_values().to_pylist()],
        )
        for each in read_channels(asset, source=source, progress=False, **more)
    }


@pytest.mark.parametrize("suffix", ["parquet", "h5", "mcap"])
def test_every_type_comes_back(rig, tmp_path, suffix):
    """Elements of a bit field come back as channels of their own."""
    path = tmp_path / f"one.{suffix}"
    run(rig.folder, "export", "--asset", "rig", "--run", "one", "-o", path)
    run(tmp_path / "other", "import", path, "--asset", "rig", "--yes")
    assert content("rig", tmp_path / "other") == content("rig", rig.channel, run="one")


def test_csv_keeps_values_but_not_all_types(rig, tmp_path):
    """Floats come back as the doubles that have the same digits."""
    path = tmp_path / "one.csv"
    run(rig.folder, "export", "--asset", "rig", "--run", "one", "-o", path)
    run(tmp_path / "other", "import", path, "--asset", "rig", "--yes")
    found = content("rig", tmp_path / "other")
    for name, (data_type, unit, *points) in content("rig", rig.channel, run="one").items():
        if data_type != "FLOAT":
            assert found[name][1:] == (unit, *points)
    assert {name: kind for name, (kind, *_) in found.items()} == {
        "d": "DOUBLE", "f": "DOUBLE", "i32": "INT_64", "i64": "INT_64", "u32": "INT_64",
        "u64": "UINT_64", "b": "BOOL", "mode": "STRING", "bits.low": "INT_64",
        "bits.high": "INT_64", "text": "STRING",
    }  # fmt: skip


@pytest.mark.parametrize("suffix", ["parquet", "h5", "mcap", "csv"])
def test_values_that_formats_have_no_sign_for_come_back(tmp_path, suffix):
    """No number, what is beyond all numbers, and texts that are empty, from the first row on."""
    values = [float("nan"), float("inf"), float("-inf"), -0.0]
    flow = FlowConfig(
        "flow",
        [ChannelConfig("x", ChannelDataType.DOUBLE), ChannelConfig("text", ChannelDataType.STRING)],
    )
    with use_sift_channel({"uri": f"embedded:{tmp_path / 'first'}"}) as channel:
        service = IngestionService(channel, TelemetryConfig(asset_name="odd", flows=[flow]))
        columns = {"x": np.array(values), "text": [""] * len(values)}
        service.ingest_columns("flow", np.arange(len(values)) + START_NS, columns)
    path = tmp_path / f"odd.{suffix}"
    run(tmp_path / "first", "export", "--asset", "odd", "-o", path)
    run(tmp_path / "second", "import", path, "--asset", "odd", "--yes")
    assert content("odd", tmp_path / "second") == content("odd", tmp_path / "first")


def test_a_text_that_hdf5_cannot_hold_is_told(tmp_path):
    flow = FlowConfig("flow", [ChannelConfig("text", ChannelDataType.STRING)])
    with use_sift_channel({"uri": f"embedded:{tmp_path / 'first'}"}) as channel:
        service = IngestionService(channel, TelemetryConfig(asset_name="odd", flows=[flow]))
        service.ingest_columns("flow", np.array([START_NS]), {"text": ["a\0b"]})
    words = [
        "export",
        "--asset",
        "odd",
        "-o",
        tmp_path / "odd.h5",
        "--data-dir",
        tmp_path / "first",
    ]
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 1
    assert "HDF5 can't hold a value of the channel 'text'" in done.output
    assert not (tmp_path / "odd.h5").exists()


@pytest.mark.slow
@pytest.mark.skipif(not FLIGHT.exists(), reason="the flight is not beside the repository")
@pytest.mark.parametrize("suffix", ["parquet", "h5"])
def test_a_flight_comes_back(tmp_path, suffix):
    """From a file of the field to a folder, to a file, and to another folder."""
    first, second = tmp_path / "first", tmp_path / "second"
    path = tmp_path / f"flight.{suffix}"
    run(first, "import", FLIGHT, "--asset", "rocket", "--start-time", "2022-06-24T15:17:10Z",
        "--time", "time", "--yes")  # fmt: skip
    run(first, "export", "--asset", "rocket", "-o", path)
    run(second, "import", path, "--asset", "rocket", "--yes")
    assert content("rocket", second) == content("rocket", first)
