"""What is written to a file is in it, value by value, as the field's own libraries read it."""

from __future__ import annotations

import base64
import json
import math
import struct

import h5py
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.reader import make_reader
from pyarrow import csv, parquet

from sift_files.errors import FilesError, MissingLibraryError
from sift_files.writers import WrittenFormat, table_format, whole_or_nothing, writing

TIME = pa.timestamp("ns", tz="UTC")
START_NS = 1_780_000_000_123_456_789
STATES = {"off": 0, 'on, "really"': 7, "µ": 4_294_967_295}
KINDS = {
    "motor.d": (pa.float64(), "DOUBLE", [1e-300, math.nan, -0.0, math.inf, 0.1]),
    "f": (pa.float32(), "FLOAT", [0.1, -math.inf, 3.4e38, math.nan, 1e-45]),
    "i32": (pa.int32(), "INT_32", [-(2**31), 0, 2**31 - 1]),
    "i64": (pa.int64(), "INT_64", [-(2**63), 2**63 - 1, 2**53 + 1]),
    "u32": (pa.uint32(), "UINT_32", [0, 2**32 - 1]),
    "u64": (pa.uint64(), "UINT_64", [0, 2**64 - 1, 2**53 + 1]),
    "b": (pa.bool_(), "BOOL", [True, False]),
    "text": (pa.string(), "STRING", ["", 'a, "b"\nc', "Ω", "null"]),
    "bytes": (pa.binary(), "BYTES", [b"", b"\x00\xff"]),
    "mode": (pa.dictionary(pa.int32(), pa.string()), "ENUM", [*STATES, "12"]),
}


def schema(has_runs=False):
    fields = [pa.field("time", TIME, nullable=False)]
    if has_runs:
        fields.append(pa.field("run", pa.dictionary(pa.int32(), pa.string())))
    for name, (kind, data_type, _) in KINDS.items():
        about = {"data_type": data_type, "unit": "m/s"}
        if data_type == "ENUM":
            about["enum_types"] = json.dumps(STATES)
        fields.append(pa.field(name, kind, metadata=about))
    return pa.schema(fields, metadata={"sift": '{"asset": "rig"}'})


@st.composite
def tables(draw, has_runs=False):
    """Some tables, one behind the other in time, with nulls."""
    found, time_ns = [], START_NS
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(st.integers(0, 6))
        times = []
        for _ in range(rows):
            time_ns += draw(st.sampled_from([0, 1, 10**9]))
            times.append(time_ns)
        columns = [pa.array(times, pa.int64()).cast(TIME)]
        if has_runs:
            runs = [draw(st.sampled_from(["one", "two"])) for _ in range(rows)]
            columns.append(pa.array(runs, pa.string()).dictionary_encode())
        for kind, _, values in KINDS.values():
            mine = [draw(st.sampled_from([None, *values])) for _ in range(rows)]
            plain = kind.value_type if pa.types.is_dictionary(kind) else kind
            column = pa.array(mine, plain)
            columns.append(column.dictionary_encode() if plain is not kind else column)
        found.append(pa.Table.from_arrays(columns, schema=schema(has_runs)))
    return found


def bits(value):
    """A value that equals another one only if all its bits do."""
    return struct.pack("<d", value) if isinstance(value, float) else value


def points(found):
    """The points of tables, by channel."""
    table = pa.concat_tables(found)
    times = table["time"].cast(pa.int64()).to_pylist()
    runs = table["run"].to_pylist() if "run" in table.column_names else [""] * len(times)
    return {
        name: [
            (time, run, bits(value))
            for time, run, value in zip(times, runs, table[name].to_pylist(), strict=True)
            if value is not None
        ]
        for name in KINDS
    }


def written(folder, name, found, has_runs=False):
    path = folder / name
    path.unlink(missing_ok=True)
    with writing(path, table_format(path), schema(has_runs)) as writer:
        for table in found:
            writer.write(table)
    assert [each.name for each in folder.iterdir()] == [name]
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("writers")


@given(st.booleans().flatmap(tables))
def test_parquet_is_the_table_with_its_metadata(tmp_path_factory, found):
    has_runs = "run" in found[0].column_names
    path = written(tmp_path_factory.mktemp("p"), "t.parquet", found, has_runs)
    table = parquet.read_table(path)
    assert points([table]) == points(found)
    assert table.schema.remove_metadata().equals(schema(has_runs).remove_metadata())
    for name in KINDS:
        about = schema().field(name).metadata
        assert about.items() <= table.schema.field(name).metadata.items()
    assert table.schema.metadata[b"sift"] == b'{"asset": "rig"}'


@given(tables())
def test_arrow_has_texts_for_states(tmp_path_factory, found):
    path = written(tmp_path_factory.mktemp("a"), "t.arrow", found)
    table = pa.ipc.open_file(path).read_all()
    assert points([table]) == points(found)
    assert table.schema.field("mode").type == pa.string()
    assert table.schema.field("mode").metadata == schema().field("mode").metadata


@given(tables())
def test_csv_has_every_digit(tmp_path_factory, found):
    path = written(tmp_path_factory.mktemp("c"), "t.csv", found)
    kinds = {
        f"{name} (m/s)": pa.string() if pa.types.is_dictionary(kind) else kind
        for name, (kind, *_) in KINDS.items()
    } | {"time": pa.string(), "bytes (m/s)": pa.string()}
    table = csv.read_csv(
        path,
        convert_options=csv.ConvertOptions(
            column_types=kinds, strings_can_be_null=True, quoted_strings_can_be_null=False,
            null_values=[""],
        ),
        parse_options=csv.ParseOptions(newlines_in_values=True),
    )  # fmt: skip
    assert table.column_names == ["time", *(f"{name} (m/s)" for name in KINDS)]
    assert all(len(each) == 30 and each.endswith("Z") for each in table["time"].to_pylist())
    table = table.rename_columns(["time", *KINDS])
    times = table["time"].cast(TIME)
    hexadecimal = [
        None if each is None else bytes.fromhex(each) for each in table["bytes"].to_pylist()
    ]
    table = table.set_column(0, "time", times)
    place = table.column_names.index("bytes")
    table = table.set_column(place, "bytes", pa.array(hexadecimal, pa.binary()))
    assert points([table]) == points(found)


@given(st.booleans().flatmap(tables))
def test_hdf5_has_a_group_for_each_channel(tmp_path_factory, found):
    has_runs = "run" in found[0].column_names
    path = written(tmp_path_factory.mktemp("h"), "t.h5", found, has_runs)
    expected = points(found)
    numbers = {**STATES, "12": 12}
    with h5py.File(path) as file:
        assert sorted(file) == sorted(KINDS)
        for name, (_, data_type, _) in KINDS.items():
            group = file[name]
            values = group["value"][:]
            if data_type == "STRING":
                values = [each.decode() for each in values]
            elif data_type == "BYTES":
                values = [each.tobytes() for each in values]
            else:
                values = values.tolist()
            runs = [""] * len(values)
            if has_runs:
                runs = [each.decode() for each in group["run"][:]]
            mine = zip(group["time"][:].tolist(), runs, map(bits, values), strict=True)
            wanted = expected[name]
            if data_type == "ENUM":
                wanted = [(time, run, numbers[state]) for time, run, state in wanted]
                assert h5py.check_enum_dtype(group["value"].dtype) == STATES
            assert list(mine) == wanted
            assert group["value"].attrs["unit"] == "m/s"
            assert group["value"].attrs["data_type"] == data_type
            assert group["time"].attrs["units"] == "nanoseconds since 1970-01-01T00:00:00Z"


@given(st.booleans().flatmap(tables))
def test_mcap_has_a_topic_for_each_channel(tmp_path_factory, found):
    has_runs = "run" in found[0].column_names
    path = written(tmp_path_factory.mktemp("m"), "t.mcap", found, has_runs)
    mine = {name: [] for name in KINDS}
    with path.open("rb") as file:
        reader = make_reader(file)
        channels = {each.topic: each.metadata for each in reader.get_summary().channels.values()}
        assert {topic[1:] for topic in channels} == set(KINDS)
        assert channels["/mode"]["unit"] == "m/s"
        assert json.loads(channels["/mode"]["enum_types"]) == STATES
        for about, channel, message in reader.iter_messages(log_time_order=True):
            assert (about.encoding, channel.message_encoding) == ("jsonschema", "json")
            document = json.loads(message.data)
            name, value = channel.topic[1:], document["value"]
            kind = KINDS[name][1]
            if kind in ("DOUBLE", "FLOAT"):
                value = bits(float(value))
            elif kind == "BYTES":
                value = base64.b64decode(value)
            assert message.log_time == message.publish_time
            mine[name].append((message.log_time, document.get("run", ""), value))
    assert mine == points(found)


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_text("before")
    with (
        pytest.raises(KeyError),
        writing(path, WrittenFormat.PARQUET, schema()) as writer,
    ):
        writer.write({}["nothing"])
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_rights_of_any_other(tmp_path):
    (tmp_path / "other").touch()
    with whole_or_nothing(tmp_path / "file") as beside:
        beside.write_text("x")
    modes = {each.stat().st_mode for each in tmp_path.iterdir()}
    assert len(modes) == 1


def test_names_say_the_format(tmp_path):
    assert table_format(tmp_path / "a.b.PQ") is WrittenFormat.PARQUET
    with pytest.raises(FilesError, match="does not say in which format"):
        table_format(tmp_path / "a.xlsx")


def test_a_library_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    monkeypatch.delitem(__import__("sys").modules, "sift_files.writers.hdf5", raising=False)
    with (
        pytest.raises(MissingLibraryError, match="hdf5 files need h5py: pip install"),
        writing(tmp_path / "t.h5", WrittenFormat.HDF5, schema()),
    ):
        pass


@pytest.mark.parametrize("names", [("a", "a/value"), ("..",), ("a/../b",), ("/",)])
def test_hdf5_says_which_names_it_has_no_place_for(tmp_path, names):
    fields = [pa.field("time", TIME), *(pa.field(name, pa.float64()) for name in names)]
    with (
        pytest.raises(FilesError, match="HDF5 has no place for"),
        writing(tmp_path / "t.h5", WrittenFormat.HDF5, pa.schema(fields)),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_mcap_has_no_times_before_1970(tmp_path):
    table = pa.table(
        {"time": pa.array([-1], pa.int64()).cast(TIME), "a": np.zeros(1)},
    )
    with (
        pytest.raises(FilesError, match="no times before 1970"),
        writing(tmp_path / "t.mcap", WrittenFormat.MCAP, table.schema) as writer,
    ):
        writer.write(table)
