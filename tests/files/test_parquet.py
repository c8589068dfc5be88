"""Parquet files, a column a channel or a point a row."""

from __future__ import annotations

import dataclasses
import decimal
from datetime import UTC, datetime
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from sift_files import (
    BadCellError,
    DataType,
    PlanError,
    TimeFormat,
    UnreadableFileError,
    detect,
    read,
)
from support.files import points_of, started, types_of

START = datetime(2022, 6, 24, 15, 17, 16, tzinfo=UTC)
START_NS = 1656083836_000_000_000


def written(tmp_path, columns, **options):
    path = tmp_path / "flight.parquet"
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    parquet.write_table(table, path, **options)
    return path


def times(count, unit="ns", zone="UTC"):
    numbers = pa.array(START_NS + np.arange(count) * 1_000_000, pa.int64())
    return numbers.cast(pa.timestamp("ns", zone)).cast(pa.timestamp(unit, zone))


def test_types_keep_every_value(tmp_path):
    """Of each type that a channel can be of."""
    columns = {
        "int8": pa.array([-128, None, 127], pa.int8()),
        "uint16": pa.array([0, None, 65535], pa.uint16()),
        "int32": pa.array([-(2**31), None, 2**31 - 1], pa.int32()),
        "int64": pa.array([-(2**63), None, 2**63 - 1], pa.int64()),
        "uint64": pa.array([0, None, 2**64 - 1], pa.uint64()),
        "half": pa.array(np.array([0.5, 1.5, 2.5], np.float16)),
        "float": pa.array([0.1, None, float("inf")], pa.float32()),
        "double": pa.array([0.1, None, 1e300], pa.float64()),
        "bool": pa.array([True, None, False]),
        "text": pa.array(["a", None, ""]),
        "large": pa.array(["a", None, "ü"], pa.large_string()),
        "words": pa.array(["a", None, "a"]).dictionary_encode(),
        "exact": pa.array([decimal.Decimal("1.10"), None, decimal.Decimal("2.20")]),
    }
    path = written(tmp_path, {"time": times(3), **columns})
    plan = detect(path)
    assert plan.rows == 3
    assert types_of(plan) == {
        "int8": "int32", "uint16": "uint32", "int32": "int32", "int64": "int64",
        "uint64": "uint64", "half": "float", "float": "float", "double": "double",
        "bool": "bool", "text": "string", "large": "string", "words": "string",
        "exact": "string",
    }  # fmt: skip
    points = points_of(path, plan)
    for name, array in columns.items():
        expected = [
            (START_NS + row * 1_000_000, str(value) if name == "exact" else value)
            for row, value in enumerate(array.to_pylist())
            if value is not None
        ]
        assert points[name] == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", None])
def test_times_of_each_unit(tmp_path, unit, zone):
    """The column is found by its type."""
    clock = pa.array([START_NS, START_NS]).cast(pa.timestamp("ns", zone))
    path = written(tmp_path, {"x": [1, 2], "clock": clock.cast(pa.timestamp(unit, zone))})
    plan = detect(path)
    assert plan.tables[0].time.columns == ("clock",)
    assert any("no time zone" in note for note in plan.notes) == (zone is None)
    assert points_of(path, plan)["x"][0] == (START_NS, 1)


def test_times_that_are_numbers(tmp_path):
    """By name and size."""
    path = written(tmp_path, {"t": [START_NS + 1, START_NS + 2], "x": [1, 2]})
    plan = detect(path)
    assert plan.tables[0].time.format is TimeFormat.ABSOLUTE_UNIX_NANOSECONDS
    assert points_of(path, plan)["x"] == [(START_NS + 1, 1), (START_NS + 2, 2)]
    path = written(tmp_path, {"time_ms": [0.5, 1.5], "x": [1, 2]})
    assert points_of(path)["x"] == [(500_000, 1), (1_500_000, 2)]


def test_units_structs_and_what_can_be_no_channel(tmp_path):
    """Fields of structs are channels, lists are told."""
    schema = pa.schema(
        [
            pa.field("time", pa.timestamp("ns", "UTC")),
            pa.field("speed", pa.float64(), metadata={"unit": "m/s", "description": "over ground"}),
            pa.field("position [m]", pa.float64()),
            pa.field("imu", pa.struct([("x", pa.float32()), ("y", pa.float32())])),
            pa.field("list", pa.list_(pa.int32())),
        ]
    )
    rows = [times(2), [1.0, 2.0], [3.0, 4.0], [{"x": 1.0, "y": 2.0}, None], [[1], [2]]]
    path = written(tmp_path, pa.table(rows, schema=schema))
    plan = detect(path)
    assert [(one.channel, one.unit) for one in plan.tables[0].columns] == [
        ("speed", "m/s"), ("position", "m"), ("imu.x", ""), ("imu.y", ""),
    ]  # fmt: skip
    assert plan.tables[0].columns[0].description == "over ground"
    assert any("'list'" in note for note in plan.notes)
    assert points_of(path, plan)["imu.y"] == [(START_NS, 2.0)]


def test_a_point_a_row(tmp_path):
    """Each channel is a table, with its own times."""
    columns = {
        "timestamp": times(6),
        "channel": ["a", "b (V)", "a", "a", "b (V)", None],
        "value": [1.0, 2.0, 3.0, None, 5.0, 6.0],
    }
    path = written(tmp_path, columns, row_group_size=2)
    plan = detect(path)
    assert [(one.name, one.rows, one.columns[0].unit) for one in plan.tables] == [
        ("a", 3, ""),
        ("b", 2, "V"),
    ]
    assert points_of(path, plan) == {
        "a": [(START_NS, 1.0), (START_NS + 2_000_000, 3.0)],
        "b": [(START_NS + 1_000_000, 2.0), (START_NS + 4_000_000, 5.0)],
    }
    places = [batch.place for batch in read(path, plan)]
    assert places == sorted(places)
    assert places[-1] == 6
    assert points_of(path, plan, start=2) == {
        "a": [(START_NS + 2_000_000, 3.0)],
        "b": [(START_NS + 4_000_000, 5.0)],
    }


def test_a_file_is_read_on_from_every_place(tmp_path):
    """In the middle of a row group, too."""
    path = written(tmp_path, {"time": times(200_000), "x": range(200_000)}, row_group_size=150_000)
    plan = detect(path)
    whole = list(read(path, plan))
    assert len(whole) > 3
    for at, batch in enumerate(whole):
        rest = [each.columns["x"].to_pylist() for each in read(path, plan, start=batch.place)]
        assert [*chain.from_iterable(rest)] == list(range(batch.place, 200_000))
        assert batch.place == sum(each.rows_read for each in whole[: at + 1])


def test_values_that_do_not_fit_are_told(tmp_path):
    """With their row."""
    path = written(tmp_path, {"time": times(3), "x": [1.0, 2.5, 3.0]})
    plan = started(detect(path))
    (table,) = plan.tables
    (column,) = table.columns
    column = dataclasses.replace(column, data_type=DataType.INT_32)
    plan = plan.with_tables((dataclasses.replace(table, columns=(column,)),))
    with pytest.raises(BadCellError, match=r"flight\.parquet, line 2, column x: '2.5' is no whole"):
        list(read(path, plan))


def test_what_is_wrong_is_told(tmp_path):
    """A file cut off, and a plan of another file."""
    path = written(tmp_path, {"time": times(1000), "x": range(1000)})
    plan = detect(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableFileError, match="damaged"):
        detect(path)
    path = written(tmp_path, {"time": times(10), "y": range(10)})
    with pytest.raises(PlanError, match="no column 'x'"):
        list(read(path, plan))
    path = written(tmp_path, {"a": ["x"], "b": ["y"]})
    assert detect(path).tables[0].time is None


def test_points_of_several_types_a_row_each_are_told(tmp_path) -> None:
    """They can't be read as what they were."""
    path = tmp_path / "long.parquet"
    parquet.write_table(
        pa.table(
            {
                "time": pa.array([1_780_000_000_000_000_000], pa.timestamp("ns", "UTC")),
                "channel": ["speed"],
                "value_double": [1.5],
                "value_string": pa.array([None], pa.string()),
            }
        ),
        path,
    )
    assert any("Export the wide" in note for note in detect(path).notes)
