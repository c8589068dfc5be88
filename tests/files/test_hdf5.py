"""HDF5 files as groups, compound types and netCDF write them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from sift_files import Hints, PlanError, TimeFormat, UnreadableFileError, detect, read
from support.files import points_of, started, types_of

START_NS = 1_656_083_836_000_000_000


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "log.h5", "w") as opened:
        yield opened


def path_of(file):
    file.flush()
    path = Path(file.filename)
    file.close()
    return path


def test_groups_have_their_times(file):
    """Beside them or above them; names of channels are paths."""
    file["time"] = START_NS + np.arange(3)
    file["engine/thrust"] = np.array([1.5, 2.5, np.nan])
    file["engine/thrust"].attrs["unit"] = "kN"
    file["imu/timestamp_ms"] = np.array([0.5, 1.5])
    file["imu/gyro"] = np.array([[1, 2], [3, 4]], np.int16)
    file["picture"] = np.zeros((3, 4, 5))
    file["alone"] = np.zeros(7)
    path = path_of(file)
    plan = detect(path)
    assert types_of(plan) == {
        "engine.thrust": "double",
        "imu.gyro[0]": "int32",
        "imu.gyro[1]": "int32",
    }
    assert [(one.name, one.rows) for one in plan.tables] == [("log", 3), ("imu", 2)]
    assert plan.tables[0].columns[0].unit == "kN"
    assert any("/picture is left out" in note for note in plan.notes)
    assert any("/alone" in note for note in plan.notes)
    points = points_of(path, started(plan))
    assert points["engine.thrust"][:2] == [(START_NS, 1.5), (START_NS + 1, 2.5)]
    assert points["imu.gyro[1]"] == [(500_000, 2), (1_500_000, 4)]


def test_types_keep_every_value(file):
    """Of each kind that a channel can be of."""
    columns = {
        "int8": (np.array([-128, 127], np.int8), "int32"),
        "uint32": (np.array([0, 2**32 - 1], ">u4"), "uint32"),
        "int64": (np.array([-(2**63), 2**63 - 1]), "int64"),
        "uint64": (np.array([0, 2**64 - 1], np.uint64), "uint64"),
        "half": (np.array([0.5, 1.5], np.float16), "float"),
        "float": (np.array([0.1, 2], ">f4"), "float"),
        "double": (np.array([0.1, 1e300]), "double"),
        "bool": (np.array([True, False]), "bool"),
        "bytes": (np.array([b"a", b"bc"]), "string"),
    }
    file["time"] = START_NS + np.arange(2)
    for name, (values, _) in columns.items():
        file[name] = values
    file.create_dataset("text", data=["ü", "x"], dtype=h5py.string_dtype())
    file.create_dataset("state", data=[3, 5], dtype=h5py.enum_dtype({"boost": 3, "main": 5}))
    path = path_of(file)
    plan = detect(path)
    assert types_of(plan) == {name: kind for name, (_, kind) in columns.items()} | {
        "text": "string",
        "state": "enum",
    }
    points = {name: [value for _, value in found] for name, found in points_of(path, plan).items()}
    for name, (values, _) in columns.items():
        expected = (
            [each.decode() for each in values.tolist()] if name == "bytes" else values.tolist()
        )
        assert points[name] == expected
    assert points["text"] == ["ü", "x"]
    assert points["state"] == [3, 5]


def test_compound_types(file):
    """Fields are channels, one of them the time."""
    kind = np.dtype([("t", "f8"), ("x", "f4"), ("v", "i4", (2,))])
    file["log"] = np.array([(0.0, 1.5, (1, 2)), (0.25, 2.5, (3, 4))], kind)
    path = path_of(file)
    plan = started(detect(path), START_NS)
    assert plan.tables[0].time.columns == ("/log#t",)
    assert points_of(path, plan) == {
        "log.x": [(START_NS, 1.5), (START_NS + 250_000_000, 2.5)],
        "log.v[0]": [(START_NS, 1), (START_NS + 250_000_000, 3)],
        "log.v[1]": [(START_NS, 2), (START_NS + 250_000_000, 4)],
    }


def test_units_with_a_start(file):
    """As netCDF has them."""
    file["time"] = np.array([0, 1])
    file["time"].attrs["units"] = "seconds since 2022-06-24 15:17:16"
    file["x"] = np.array([1.0, 2.0])
    path = path_of(file)
    assert points_of(path, detect(path))["x"] == [(START_NS, 1.0), (START_NS + 10**9, 2.0)]


def test_a_column_of_times_can_be_named(file):
    """Also one of two dimensions."""
    file["data"] = np.array([[0.0, 5.0], [1.0, 6.0]])
    path = path_of(file)
    assert detect(path).tables[0].time is None
    hints = Hints(time=("/data[0]",), time_format=TimeFormat.ABSOLUTE_UNIX_SECONDS)
    assert points_of(path, detect(path, hints)) == {"data[1]": [(0, 5.0), (10**9, 6.0)]}


def test_a_file_is_read_on_from_every_place(file):
    """Over tables."""
    for group in ("a", "b"):
        file[f"{group}/time_ns"] = START_NS + np.arange(100_000)
        file[f"{group}/x"] = np.arange(100_000)
    path = path_of(file)
    plan = started(detect(path))
    whole = list(read(path, plan))
    assert len(whole) == 4
    for at, batch in enumerate(whole):
        rest = list(read(path, plan, start=batch.place))
        assert [(one.table, one.times_ns[0]) for one in rest] == [
            (one.table, one.times_ns[0]) for one in whole[at + 1 :]
        ]


def test_what_is_wrong_is_told(file, tmp_path):
    """A file cut off, and a plan of another file."""
    file["time_ns"] = np.arange(10_000)
    file["x"] = np.arange(10_000)
    path = path_of(file)
    plan = started(detect(path))
    data = path.read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableFileError, match="damaged"):
        detect(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["time_ns"] = np.arange(5)
    with pytest.raises(PlanError, match="no dataset '/x'"):
        list(read(tmp_path / "other.h5", plan))
