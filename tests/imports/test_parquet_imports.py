"""Parquet files by the protocol: what is in the file is read back, value by value."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import grpc
import pyarrow as pa
import pytest
from pyarrow import parquet

from sift.data_imports.v2 import data_imports_pb2 as pb

if TYPE_CHECKING:
    from support.imports import ImportDoors

T0 = 1_767_225_600_000_000_000
TIME = {"path": "time", "format": "TIME_FORMAT_ABSOLUTE_UNIX_NANOSECONDS"}
SUCCEEDED, FAILED = pb.DATA_IMPORT_STATUS_SUCCEEDED, pb.DATA_IMPORT_STATUS_FAILED


def file_of(columns: dict[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer, **options)
    return buffer.getvalue()


def column(path: str, data_type: str, name: str = "", **more: object) -> dict[str, object]:
    channel = {"name": name or path, "dataType": f"CHANNEL_DATA_TYPE_{data_type}", **more}
    return {"path": path, "channelConfig": channel}


def flat(*columns: dict[str, object], time: dict[str, object] | None = None) -> dict[str, object]:
    return {
        "assetName": "rover",
        "flatDataset": {"timeColumn": time or TIME, "dataColumns": list(columns)},
    }


def test_every_type_comes_back_exactly(doors: ImportDoors):
    """Also where there is no value."""
    columns = {
        "double": ("DOUBLE", pa.array([5e-324, None])),
        "float": ("FLOAT", pa.array([0.5, None], pa.float32())),
        "int32": ("INT_32", pa.array([-(2**31), None], pa.int32())),
        "int64": ("INT_64", pa.array([2**63 - 1, None])),
        "uint32": ("UINT_32", pa.array([2**32 - 1, None], pa.uint32())),
        "uint64": ("UINT_64", pa.array([2**64 - 1, None], pa.uint64())),
        "bool": ("BOOL", pa.array([True, None])),
        "string": ("STRING", pa.array(["grün", None])),
        "dictionary": ("STRING", pa.array(["a", None]).dictionary_encode()),
        "enum": ("ENUM", pa.array(["idle", None])),
    }
    data = {name: array for name, (_, array) in columns.items()}
    file = file_of({"time": [T0, T0 + 1], **data})
    enum = {"enumTypes": [{"name": "idle", "key": 3}]}
    config = flat(
        *[
            column(name, kind, **(enum if kind == "ENUM" else {}))
            for name, (kind, _) in columns.items()
        ]
    )
    imported = doors.run(file, parquet_config=config)
    assert imported.status == SUCCEEDED, imported.error_message
    expected = {name: [(T0, array[0].as_py())] for name, (_, array) in columns.items()}
    assert doors.points(imported) == expected | {"enum": [(T0, 3)]}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_arrow_are_what_they_are(doors, unit):
    """Whatever their unit."""
    times = pa.array([1_767_225_600]).cast(pa.timestamp("s")).cast(pa.timestamp(unit, "UTC"))
    time = {"path": "time", "format": "TIME_FORMAT_ABSOLUTE_DATETIME"}
    file = file_of({"time": times, "v": [0.5]})
    imported = doors.run(file, parquet_config=flat(column("v", "DOUBLE"), time=time))
    assert doors.points(imported) == {"v": [(T0, 0.5)]}, imported.error_message


def test_relative_times_count_from_their_start(doors: ImportDoors):
    time = {
        "path": "time",
        "format": "TIME_FORMAT_RELATIVE_MICROSECONDS",
        "relativeStartTime": "2026-01-01T00:00:00.000000001Z",
    }
    file = file_of({"time": [1, 2], "v": [0.5, 1.5]})
    imported = doors.run(file, parquet_config=flat(column("v", "DOUBLE"), time=time))
    assert doors.points(imported) == {"v": [(T0 + 1_001, 0.5), (T0 + 2_001, 1.5)]}


def test_all_columns_are_imported_if_none_is_named(doors: ImportDoors):
    file = file_of({"time": [T0], "v": [0.5], "n": [7]})
    imported = doors.run(file, parquet_config=flat())
    assert doors.points(imported) == {"v": [(T0, 0.5)], "n": [(T0, 7)]}


def test_lists_are_left_out_and_that_is_said(doors: ImportDoors):
    """Unless the client does not want to know; fields of structs are columns."""
    file = file_of({"time": [T0], "l": [[1, 2]], "b": [b"x"], "s": [{"x": {"y": 5}}]})
    columns = [column("l", "STRING"), column("b", "BYTES"), column("s|x|y", "INT_64", "y")]
    imported = doors.run(file, parquet_config=flat(*columns))
    assert doors.points(imported) == {"y": [(T0, 5)]}, imported.error_message
    assert [one[:10] for one in imported.warning_messages] == ["column 'b'", "column 'l'"]
    mode = {"complexTypesImportMode": "PARQUET_COMPLEX_TYPES_IMPORT_MODE_IGNORE"}
    imported = doors.run(file, parquet_config=flat(*columns) | mode)
    assert (imported.status, list(imported.warning_messages)) == (SUCCEEDED, [])


def test_a_point_a_row_of_one_channel(doors: ImportDoors):
    channel = {"name": "speed", "dataType": "CHANNEL_DATA_TYPE_DOUBLE"}
    rows = {"timeColumn": TIME, "singleChannel": {"dataPath": "value", "channel": channel}}
    file = file_of({"time": [T0, T0 + 1], "value": [0.5, 1.5]})
    imported = doors.run(
        file, parquet_config={"assetName": "rover", "singleChannelPerRow": rows}
    )  # fmt: skip
    assert doors.points(imported) == {"speed": [(T0, 0.5), (T0 + 1, 1.5)]}


def test_a_point_a_row_of_many_channels(doors: ImportDoors):
    """Rows of others are counted."""
    multi = {
        "namePath": "name",
        "dataPath": "value",
        "channels": {
            "a": {"name": "rover.a", "dataType": "CHANNEL_DATA_TYPE_DOUBLE"},
            "b": {"name": "b", "dataType": "CHANNEL_DATA_TYPE_INT_32"},
        },
    }
    config = {
        "assetName": "rover",
        "singleChannelPerRow": {"timeColumn": TIME, "multiChannel": multi},
    }
    file = file_of({"time": [T0, T0, T0 + 1], "name": ["a", "b", "c"], "value": [0.5, 2.0, 3.0]})
    imported = doors.run(file, parquet_config=config)
    assert doors.points(imported) == {"rover.a": [(T0, 0.5)], "b": [(T0, 2)]}
    assert list(imported.warning_messages) == [
        "1 rows are of channels that the config does not name, and are left out: 'c'"
    ]


def test_the_footer_says_what_is_in_a_file(doors: ImportDoors):
    """As published clients send it; with the magic bytes; or the whole file."""
    file = file_of({"time": [T0], "v": [0.5], "s": [{"x": 1}]})
    length = int.from_bytes(file[-8:-4], "little")
    for data in (file[-8 - length : -8], file[-8 - length :], file):
        request = pb.DetectConfigRequest(data=data, type=pb.DATA_TYPE_KEY_PARQUET_FLATDATASET)
        config = doors.stub.DetectConfig(request).parquet_config
        assert [one.path for one in config.flat_dataset.data_columns if one.path != "time"] == [
            "v", "s|x",
        ]  # fmt: skip
    assert config.flat_dataset.time_column.path == "time"
    rows = file_of({"time": [T0, T0], "channel": ["a", "b"], "value": [0.5, 1.0]})
    request = pb.DetectConfigRequest(
        data=rows, type=pb.DATA_TYPE_KEY_PARQUET_SINGLE_CHANNEL_PER_ROW
    )
    found = doors.stub.DetectConfig(request).parquet_config.single_channel_per_row
    assert (found.multi_channel.name_path, sorted(found.multi_channel.channels)) == (
        "channel", ["a", "b"],
    )  # fmt: skip
    request = pb.DetectConfigRequest(data=b"none", type=pb.DATA_TYPE_KEY_PARQUET_FLATDATASET)
    with pytest.raises(grpc.RpcError, match="no footer"):
        doors.stub.DetectConfig(request)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"assetName": "rover"}, "says nothing of the file"),
        (flat(time={"format": "TIME_FORMAT_ABSOLUTE_RFC3339"}), "time_column with a path"),
        (flat(column("v", "DOUBLE"), column("w", "DOUBLE", "v")), "two data_columns"),
        (
            {"assetName": "rover", "flatDataset": {"timeColumn": TIME, "useEmbeddedConfig": True}},
            "use_embedded_config",
        ),
        (
            {"assetName": "rover", "singleChannelPerRow": {"timeColumn": TIME}},
            "says nothing of its",
        ),
    ],
)
def test_a_config_that_can_not_be_right_is_refused(doors, config, said):
    with pytest.raises(grpc.RpcError, match=said) as refused:
        doors.create(parquet_config=config)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"PAR1 and nothing behind it", "no Parquet file"),
        (file_of({"time": [T0], "w": [0.5]}), "has no column 'v'"),
        (file_of({"time": [T0], "v": ["fast"]}), "flight.parquet, line 1, column v: 'fast'"),
        (file_of({"time": [T0], "v": [0.5]})[:-20], "no Parquet file"),
    ],
)
def test_a_file_that_does_not_fit_is_said(doors, file, said):
    imported = doors.run(file, "flight.parquet", parquet_config=flat(column("v", "DOUBLE")))
    assert (imported.status, said in imported.error_message) == (FAILED, True), imported


def test_warnings_are_counted(doors: ImportDoors):
    """Those beyond the limit."""
    names = [f"l{number}" for number in range(60)]
    file = file_of({"time": [T0], "v": [1.0], **{name: [[1]] for name in names}})
    config = flat(column("v", "DOUBLE"), *[column(name, "STRING") for name in names])
    imported = doors.run(file, parquet_config=config)
    assert len(imported.warning_messages) == 51
    assert imported.warning_messages[-1] == "and 10 more like these"
