"""A file of each format is stored value by value, and read back the same."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pyarrow as pa
import pytest
from mcap.writer import Writer as McapWriter
from nptdms import ChannelObject, TdmsWriter
from pyarrow import parquet
from rosbags.rosbag1 import Writer as RosWriter
from rosbags.typesys import Stores, get_typestore

from sift_files import detect
from support.files import points_of
from support.ulog_file import ulog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START_NS = 1_656_083_836_000_000_007
ROWS = 500


def write_csv(path: Path) -> None:
    lines = [f"{START_NS + at},{at / 7!r},{2**60 + at},w{at % 3}" for at in range(ROWS)]
    path.write_text("time_ns,x,count,word\n" + "\n".join(lines))


def write_parquet(path: Path) -> None:
    columns = {
        "time": pa.array(START_NS + np.arange(ROWS)).cast(pa.timestamp("ns", "UTC")),
        "x": np.arange(ROWS) / 7,
        "single": (np.arange(ROWS) / 7).astype(np.float32),
        "count": pa.array([None if at % 5 == 0 else 2**63 + at for at in range(ROWS)], pa.uint64()),
        "word": [f"w{at % 3}" for at in range(ROWS)],
        "ok": [at % 2 == 0 for at in range(ROWS)],
    }
    parquet.write_table(pa.table(columns), path)


def write_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["engine/time_ns"] = START_NS + np.arange(ROWS)
        file["engine/x"] = np.arange(ROWS) / 7
        file["engine/v"] = np.arange(2 * ROWS, dtype=np.int16).reshape(ROWS, 2)


def write_tdms(path: Path) -> None:
    wave = {"wf_start_time": np.datetime64(START_NS // 1000, "us"), "wf_increment": 0.001}
    with TdmsWriter(path) as writer:
        writer.write_segment(
            [
                ChannelObject("bench", "x", np.arange(ROWS) / 7, wave),
                ChannelObject("bench", "count", np.arange(ROWS, dtype=np.uint32), wave),
            ]
        )


def write_ulog(path: Path) -> None:
    formats = {
        "vehicle_gps_position": "uint64_t timestamp;uint64_t time_utc_usec;",
        "imu": "uint64_t timestamp;float x;bool ok;",
    }
    rows = [("vehicle_gps_position", 0, struct.pack("<QQ", 5, START_NS // 1000))]
    rows += [("imu", 0, struct.pack("<Qf?", at, at / 7, at % 2)) for at in range(ROWS)]
    path.write_bytes(ulog(formats, rows))


def write_mcap(path: Path) -> None:
    with path.open("wb") as file:
        writer = McapWriter(file)
        writer.start()
        schema = writer.register_schema("state", "jsonschema", b"{}")
        channel = writer.register_channel("/state", "json", schema)
        for at in range(ROWS):
            data = json.dumps({"x": at / 7, "count": 2**60 + at, "word": f"w{at}", "ok": True})
            writer.add_message(channel, START_NS + at, data.encode(), START_NS + at)
        writer.finish()


def write_bag(path: Path) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    vector = store.types["geometry_msgs/msg/Vector3"]
    with RosWriter(path) as writer:
        connection = writer.add_connection("/v", "geometry_msgs/msg/Vector3", typestore=store)
        for at in range(ROWS):
            data = store.serialize_ros1(vector(at / 7, at / 3, 1.0), "geometry_msgs/msg/Vector3")
            writer.write(connection, START_NS + at, data)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("log.csv", write_csv),
        ("log.parquet", write_parquet),
        ("log.h5", write_hdf5),
        ("log.tdms", write_tdms),
        ("log.ulg", write_ulog),
        ("log.mcap", write_mcap),
        ("log.bag", write_bag),
    ],
)
def test_a_round_trip(served, tmp_path, name: str, write: Callable[[Path], None]):
    """Every point, with its time and its type's value."""
    path = tmp_path / name
    write(path)
    asset = name.replace(".", "-")
    done = served.run("import", path, "--asset", asset, "--yes", "--json")
    assert done.exit_code == 0, done.stderr
    expected = points_of(path, detect(path))
    (one,) = json.loads(done.stdout)["files"]
    assert one["points"] == sum(map(len, expected.values())) >= ROWS * 2
    assert served.stored(asset) == {channel: sorted(found) for channel, found in expected.items()}
