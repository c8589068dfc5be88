"""Columns: what they may be, how they are checked, and that they are sent as rows are."""

from __future__ import annotations

import gc
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_py.data import read_channels
from sift_py.errors import IngestionValidationError, MissingExtraError
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion._internal.columns.arrow import read_column
from sift_py.ingestion._internal.columns.check import _significant
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    double_value,
    empty_value,
    int32_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from support.recording_server import API_KEY
from support.serving import plain_channel
from support.telemetry_configs import telemetry_config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sift_py.ingestion.progress import IngestProgress

START_NS = 1_764_000_000_123_456_789
TIMES = START_NS + np.arange(3) * 1_000_000
EVERY_TYPE = FlowConfig(
    "every",
    [
        ChannelConfig(
            each.as_human_str(),
            each,
            enum_types=[ChannelEnumType("Idle", 0), ChannelEnumType("Moving", 300)]
            if each is ChannelDataType.ENUM
            else [],
        )
        for each in ChannelDataType
    ],
)
PLAIN = {
    "double": [1.5, None, -2.5],
    "string": ["ok", None, "a string too long to be held in a view of Arrow, é"],
    "enum": ["Moving", None, "Idle"],
    "bit_field": [b"\x09", None, b"\x00"],
    "bool": [True, None, False],
    "float": [0.5, None, 2.25],
    "int32": [-5, None, 2**31 - 1],
    "int64": [-(2**63), None, 2**63 - 1],
    "uint32": [7, None, 2**32 - 1],
    "uint64": [8, None, 2**64 - 1],
}
NUMPY_TYPES = {
    "double": np.float64,
    "bool": np.bool_,
    "float": np.float32,
    "int32": np.int32,
    "int64": np.int64,
    "uint32": np.uint32,
    "uint64": np.uint64,
}


@pytest.fixture
def service(server, channel):
    """A service for the flows `readings`, `logs` and `every`."""
    service = IngestionService(channel, telemetry_config())
    service.try_create_flow(EVERY_TYPE)
    return service


def masked(name: str, values: list[Any]) -> Any:
    mask = [value is None for value in values]
    if name not in NUMPY_TYPES:
        return np.ma.masked_array(np.array(values, object), mask)
    filled = [value if value is not None else 0 for value in values]
    return np.ma.masked_array(np.array(filled, NUMPY_TYPES[name]), mask)


PANDAS_TYPES = {
    "double": "Float64",
    "string": "string",
    "enum": "category",
    "bit_field": object,
    "bool": "boolean",
    "float": "Float32",
    "int32": "Int32",
    "int64": "Int64",
    "uint32": "UInt32",
    "uint64": "UInt64",
}
POLARS_TYPES = {
    "double": pl.Float64,
    "string": pl.String,
    "enum": pl.Enum(["Idle", "Moving"]),
    "bit_field": pl.Binary,
    "bool": pl.Boolean,
    "float": pl.Float32,
    "int32": pl.Int32,
    "int64": pl.Int64,
    "uint32": pl.UInt32,
    "uint64": pl.UInt64,
}
ARROW_TYPES = {
    "double": pa.float64(),
    "string": pa.string(),
    "enum": pa.dictionary(pa.int8(), pa.string()),
    "bit_field": pa.binary(),
    "bool": pa.bool_(),
    "float": pa.float32(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
}


def arrow_array(name: str, values: list[Any]) -> pa.Array:
    if name == "enum":
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, ARROW_TYPES[name])


def arrow_backed(name: str, values: list[Any]) -> pd.Series:
    if name == "enum":
        return pd.Series(values, dtype=pd.ArrowDtype(pa.string()))
    return pd.Series(values, dtype=pd.ArrowDtype(ARROW_TYPES[name]))


KINDS: dict[str, Callable[[str, list[Any]], Any]] = {
    "lists": lambda _, values: values,
    "tuples": lambda _, values: tuple(values),
    "objects of NumPy": lambda _, values: np.array(values, object),
    "masked arrays": masked,
    "pandas": lambda name, values: pd.Series(values, dtype=PANDAS_TYPES[name]),
    "pandas over Arrow": arrow_backed,
    "pandas of objects": lambda _, values: pd.Series(values, dtype=object),
    "Polars": lambda name, values: pl.Series(name, values, POLARS_TYPES[name]),
    "Arrow": arrow_array,
    "slices of Arrow": lambda name, values: arrow_array(name, [None, *values, None]).slice(1, 3),
    "chunks of Arrow": lambda name, values: pa.chunked_array(
        [arrow_array(name, values[:1]), arrow_array(name, values[1:])]
    ),
    "views of Arrow": lambda name, values: (
        pa.array(values, {"string": pa.string_view(), "bit_field": pa.binary_view()}.get(name))
        if name in {"string", "bit_field"}
        else arrow_array(name, values)
    ),
    "large strings of Arrow": lambda name, values: (
        pa.array(values, {"string": pa.large_string(), "bit_field": pa.large_binary()}.get(name))
        if name in {"string", "bit_field"}
        else arrow_array(name, values)
    ),
}


def send_rows(service: IngestionService, times: Any, columns: Mapping[str, list[Any]]) -> None:
    """What the columns mean, row by row."""
    service.try_ingest_flows(
        *(
            {
                "flow_name": "every",
                "timestamp": int(time),
                "channel_values": [
                    {"channel_name": name, "value": values[row]} for name, values in columns.items()
                ],
            }
            for row, time in enumerate(times)
        )
    )


def refused(service: IngestionService, columns: Any, times: Any = TIMES, flow: str = "every"):
    with pytest.raises(IngestionValidationError) as error:
        service.ingest_columns(flow, times, columns)
    return error.value.message


class TestKinds:
    """A column may be of any of the usual libraries."""

    @pytest.mark.parametrize("kind", list(KINDS))
    def test_columns_are_sent_as_their_rows_are(self, server, service, kind):
        """Every data type, with a missing value, from every kind of column."""
        columns = {name: KINDS[kind](name, values) for name, values in PLAIN.items()}
        assert service.ingest_columns("every", TIMES, columns) == 3
        send_rows(service, TIMES, PLAIN)
        sent, expected = server.streams
        assert sent == expected
        assert [value.WhichOneof("type") for value in sent[1].channel_values] == ["empty"] * 10

    def test_plain_arrays_need_no_mask(self, server, service):
        """Of every width that is exact in the channel's type."""
        for dtype in (
            np.int8,
            np.uint8,
            np.int16,
            np.uint16,
            np.int32,
            np.uint32,
            np.float16,
            ">f8",
        ):
            service.ingest_columns("every", TIMES, {"double": np.array([1, 2, 3], dtype)})
        for stream in server.streams:
            assert [row.channel_values[0].double for row in stream] == [1, 2, 3]
        service.ingest_columns("every", TIMES, {"int32": np.array([1, 2, 3], np.uint64)})
        assert [row.channel_values[6].int32 for row in server.streams[-1]] == [1, 2, 3]

    def test_strings_of_numpy(self, server, service):
        """Of fixed width, and of variable width."""
        for dtype in ("U5", np.dtypes.StringDType()):
            columns = {"string": np.array(["a", "", "éé"], dtype), "enum": np.array(["Idle"] * 3)}
            service.ingest_columns("every", TIMES, columns)
            assert [row.channel_values[1].string for row in server.streams[-1]] == ["a", "", "éé"]

    def test_a_bit_field_may_be_bytes_of_numpy(self, server, service):
        """One byte as uint8, more as void; `S` would lose zeros."""
        service.ingest_columns("every", TIMES, {"bit_field": np.array([1, 0, 9], np.uint8)})
        pairs = np.array([[1, 0], [0, 0], [9, 9]], np.uint8).view("V2")[:, 0]
        service.ingest_columns("every", TIMES, {"bit_field": pairs})
        one, two = ([row.channel_values[3].bit_field for row in each] for each in server.streams)
        assert one == [b"\x01", b"\x00", b"\x09"]
        assert two == [b"\x01\x00", b"\x00\x00", b"\x09\x09"]
        message = refused(service, {"bit_field": np.array([b"\x01\x00"] * 3)})
        assert "the column 'bit_field' has the dtype |S2, which does not keep zero bytes" in message

    def test_nan_is_a_value_unless_the_mask_says_otherwise(self, server, service):
        """In NumPy and in pandas' series of NumPy's floats; null is none."""
        values = [1.0, np.nan, None]
        service.ingest_columns(
            "every",
            TIMES,
            {"double": pd.Series([1.0, np.nan, np.nan]), "float": pl.Series(values, strict=False)},
        )
        doubles = [row.channel_values[0] for row in server.rows]
        assert [value.WhichOneof("type") for value in doubles] == ["double"] * 3
        assert np.isnan(doubles[1].double)
        floats = [row.channel_values[5].WhichOneof("type") for row in server.rows]
        assert floats == ["float", "float", "empty"]

    def test_typed_values_may_be_in_a_list(self, server, service):
        """As in rows."""
        service.ingest_columns("every", TIMES, {"int32": [int32_value(5), 6, empty_value()]})
        assert [row.channel_values[6] for row in server.rows] == [
            int32_value(5),
            int32_value(6),
            empty_value(),
        ]

    @pytest.mark.parametrize(
        ("column", "problem"),
        [
            (5, "the column 'double' is a int: use an array of NumPy"),
            ("abc", "the column 'double' is one value of type str"),
            (np.zeros((3, 1)), "the column 'double' has the shape (3, 1)"),
            (np.zeros(3, "c16"), "the column 'double' has the dtype complex128"),
            (pa.array([[1.0]] * 3), "the column 'double' has Arrow's type '+l'"),
            (pd.DataFrame({"a": [1.0] * 3}), "the column 'double' is a DataFrame: use a series"),
            (
                pl.LazyFrame({"a": [1.0] * 3}),
                "the column 'double' is a LazyFrame: use an array of NumPy, a series of pandas or"
                " Polars, an array of Arrow, or a list; it is lazy, so call collect() first.",
            ),
        ],
        ids=["number", "string", "matrix", "complex", "lists", "frame", "lazy"],
    )
    def test_what_is_no_column_is_refused(self, service, column, problem):
        """The message says what it is, and what to use."""
        assert f"flow 'every': {problem}" in refused(service, {"double": column})


class TestChecks:
    """Values are checked as in rows, and the message names the row."""

    @pytest.mark.parametrize(
        ("name", "column", "problem"),
        [
            ("int32", np.array([0, 2**31, 0]), "in row 1 expected to be a 'int32', got 2147483648"),
            ("int32", np.array([0.0, 1, 2]), "in row 0 expected to be a 'int32', got 0.0"),
            ("uint64", np.array([0, 1, -1]), "in row 2 expected to be a 'uint64', got -1"),
            ("enum", ["Idle", "Flying", "Idle"], "got 'Flying': there is no such name"),
            ("enum", pd.Categorical(["Idle", "Idle", "Up"]), "row 2 expected to be a 'enum'"),
            ("double", np.array([0, 1, 2**53 + 1]), "row 2 expected to be a 'double'"),
            ("double", np.array([True, False, True]), "in row 0"),
            ("double", TIMES.view("M8[ns]"), "in row 0"),
            ("float", np.array([0, 1e39, 0]), "in row 1 expected to be a 'float', got 1e+39"),
            ("float", np.array([0, 2**24 + 1, 0]), "it has more digits"),
            ("bool", np.array([0, 1, 0]), "in row 0 expected to be a 'bool', got 0"),
            ("string", [b"a", "b", "c"], "in row 0 expected to be a 'string', got b'a'"),
            ("string", ["a", "\ud800", "c"], "in row 1 expected to be a 'string'"),
            ("string", pa.array([b"a"] * 3), "in row 0 expected to be a 'string', got b'a'"),
            ("bit_field", pl.Series(["a"] * 3), "in row 0 expected to be a 'bit_field', got 'a'"),
            ("bit_field", np.array([1, 2, 3]), "in row 0 expected to be a 'bit_field', got 1"),
            ("int64", [1, None, "x"], "in row 2 expected to be a 'int64', got 'x'"),
        ],
    )  # fmt: skip
    def test_a_value_that_does_not_fit_is_refused(self, server, service, name, column, problem):
        """Nothing is sent; the message names flow, channel, row and value."""
        message = refused(service, {name: column})
        assert message.startswith(f"flow 'every': value for '{name}' in row ")
        assert problem in message
        assert server.streams == []

    def test_what_is_masked_may_be_anything(self, server, service):
        """Values that are not there are not checked."""
        wild = np.ma.masked_array([1, 2**40, -1], [False, True, True])
        service.ingest_columns(
            "every", TIMES, {"uint32": wild, "string": pa.nulls(3), "bool": np.ma.masked_all(3)}
        )
        assert [row.channel_values[8].WhichOneof("type") for row in server.rows] == [
            "uint32", "empty", "empty",
        ]  # fmt: skip

    def test_an_empty_name_beside_nothing_is_no_key(self, service):
        """What stands for a missing value is not taken for one that is there."""
        assert "got ''" in refused(service, {"enum": ["Idle", None, ""]})

    @given(values=st.lists(st.integers(-(2**63), 2**63 - 1) | st.just(2**60), min_size=1))
    def test_integers_are_exact_in_floating_point_or_refused(self, values):
        """The bulk check says what Python's comparison says."""
        kept = _significant(np.array(values, np.int64)) < 2**53
        assert kept.tolist() == [int(float(value)) == value for value in values]

    def test_what_would_become_infinite_is_refused(self, service, server):
        """Whatever NumPy's type is; the largest double fits from a wider type too."""
        large = np.array([1.0, 1e300, 2.0], np.longdouble)
        service.ingest_columns("every", TIMES, {"double": large})
        assert [row.channel_values[0].double for row in server.rows] == [1.0, 1e300, 2.0]
        message = refused(service, {"double": large**10})
        assert "value for 'double' in row 1" in message
        assert "it is too large" in message

    def test_lengths_must_agree(self, service):
        """The message names the column and both lengths."""
        message = refused(service, {"double": [1.0, 2.0]})
        assert "the column 'double' has 2 values, and there are 3 timestamps" in message

    def test_unknown_channels_and_flows_are_refused(self, service):
        """As in rows, with the hint at a component."""
        message = refused(service, {"velocity": [1.0] * 3, "other": [1] * 3}, flow="readings")
        assert "flow 'readings': unexpected channel(s) 'velocity', 'other'." in message
        assert "'mainmotor.velocity'" in message
        assert "name 'none' could not be found" in refused(service, {}, flow="none")
        assert "for a data frame use ingest_dataframe()" in refused(service, [1]).lower()
        assert "call collect() first. For a data frame" in refused(service, pl.LazyFrame())


class TestTimestamps:
    """Timestamps are instants, exact to the nanosecond."""

    @pytest.mark.parametrize(
        "column",
        [
            TIMES,
            TIMES.tolist(),
            TIMES.astype(np.uint64),
            TIMES.view("M8[ns]"),
            TIMES.view("M8[ns]").astype(object).tolist(),
            list(TIMES.view("M8[ns]")),
            pd.Series(TIMES.view("M8[ns]")),
            pd.DatetimeIndex(TIMES.view("M8[ns]")),
            pd.Series(TIMES.view("M8[ns]")).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
            pd.Series(TIMES, dtype=pd.ArrowDtype(pa.timestamp("ns", "UTC"))),
            [pd.Timestamp(int(time), tz="UTC") for time in TIMES],
            pl.Series(TIMES.view("M8[ns]")),
            pa.array(TIMES, pa.timestamp("ns")),
            pa.array(TIMES, pa.timestamp("ns", "Europe/Berlin")),
        ],
        ids=[
            "int64", "list", "uint64", "datetime64", "ints of objects", "list of datetime64",
            "pandas", "index of pandas", "pandas in Tokyo", "pandas over Arrow",
            "list of pandas", "Polars", "Arrow", "Arrow in Berlin",
        ],
    )  # fmt: skip
    def test_every_kind_is_the_same_instant(self, server, service, column):
        """A zone says how an instant is shown, not which one it is."""
        service.ingest_columns("every", column, {"double": [1.0, 2.0, 3.0]})
        assert [row.timestamp.ToNanoseconds() for row in server.rows] == TIMES.tolist()

    @pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "10ms"])
    def test_every_unit_of_datetime64(self, server, service, unit):
        """Also before 1970."""
        times = np.array(["1968-02-29", "1970-01-01", "2026-11-24"], f"M8[{unit}]")
        service.ingest_columns("every", times, {})
        expected = times.astype("M8[ns]").view(np.int64)
        assert [row.timestamp.ToNanoseconds() for row in server.rows] == expected.tolist()

    def test_units_finer_than_a_nanosecond_must_be_exact(self, server, service):
        """What a nanosecond can't hold is an error."""
        service.ingest_columns("every", np.array([5000, -1000, 0], "M8[ps]"), {})
        assert [row.timestamp.ToNanoseconds() for row in server.rows] == [5, -1, 0]
        message = refused(service, {}, np.array([5000, 1, 0], "M8[ps]"))
        assert "the timestamp in row 1 must not be finer than a nanosecond" in message

    @pytest.mark.parametrize(
        ("times", "problem"),
        [
            (np.array([0, "NaT", 0], "M8[ns]"), "in row 1 must be a time, not NaT"),
            (pl.Series([1, None, 3]), "in row 1 must be a datetime, integer nanoseconds"),
            (np.ma.masked_array(TIMES, [0, 0, 1]), "in row 2 must be a datetime"),
            (pd.Series([pd.NaT] * 3), "in row 0 must be a time, not NaT"),
            (np.array([1.0, 2, 3]), "in row 0 must be a datetime"),
            (["2026"] * 3, "in row 0 must be a datetime"),
            (pa.array(["2026"] * 3), "in row 0 must be a datetime"),
            ([1, datetime(2026, 1, 1), 3], "in row 1 must be in UTC"),  # noqa: DTZ001
            (np.array([0, 2**63, 0], np.uint64), "in row 1 must be between the years"),
            (np.array(["2026", "2300", "2026"], "M8[s]"), "in row 1 must be between the years"),
            ([datetime(2500, 1, 1, tzinfo=UTC)] * 3, "in row 0 must be between the years"),
            (np.array([1, 2, 3]).view("M8"), "datetime64 without a unit"),
            (7, "timestamps is a int"),
        ],
    )  # fmt: skip
    def test_what_is_no_time_is_refused(self, service, times, problem):
        """The message names the row."""
        assert problem in refused(service, {}, times)


FRAME = {"time": TIMES.view("M8[ns]"), "double": [1.0, np.nan, 3.0], "string": ["a", "b", "c"]}


class TestFrames:
    """Data frames, with the timestamps in one of their columns."""

    @pytest.mark.parametrize(
        "frame",
        [
            FRAME,
            pd.DataFrame(FRAME),
            pd.DataFrame(FRAME).set_index("time"),
            pl.DataFrame(FRAME),
            pa.table(FRAME),
            pa.table(FRAME).to_batches()[0],
            pa.concat_tables([pa.table(FRAME).slice(0, 1), pa.table(FRAME).slice(1)]),
            pa.table(FRAME).slice(0, 3).to_reader(),
        ],
        ids=["mapping", "pandas", "index", "Polars", "table", "batch", "chunks", "reader"],
    )
    def test_a_frame_is_its_columns(self, server, service, frame):
        """Whatever library made it; NaN is a value in all of them."""
        assert service.ingest_dataframe("every", frame, timestamp_column="time") == 3
        assert [row.timestamp.ToNanoseconds() for row in server.rows] == TIMES.tolist()
        assert [row.channel_values[1].string for row in server.rows] == ["a", "b", "c"]
        assert server.rows[2].channel_values[0] == double_value(3)
        assert np.isnan(server.rows[1].channel_values[0].double)

    def test_a_batch_that_is_a_slice_begins_where_it_says(self, server, service):
        """The offset of a batch applies to its columns, nulls and bits too."""
        times = np.arange(40)
        frame = {
            "time": times,
            "bool": [time % 3 == 0 for time in range(40)],
            "int32": [None if time % 5 == 0 else time for time in range(40)],
        }
        sliced = pa.RecordBatch.from_pydict(frame).slice(11, 20)
        service.ingest_dataframe("every", sliced, "time")
        for time, row in zip(times[11:31], server.rows, strict=True):
            assert row.timestamp.nanos == time
            assert row.channel_values[4].bool == (time % 3 == 0)
            assert row.channel_values[6].int32 == (0 if time % 5 == 0 else time)

    @pytest.mark.parametrize(
        ("frame", "problem"),
        [
            (pl.DataFrame({"double": [1.0]}), "no column 'time' for the timestamps, only 'double'"),
            (pa.table([[1], [2]], ["time", "time"]), "two columns 'time'"),
            (pd.DataFrame([[1, 2]], columns=["double", "double"]), "two columns 'double'"),
            (pa.table({"time": [1], "a": [[1]]}), "has a column 'a' that has Arrow's type '+l'"),
            (pa.array([1]), "is an array, not a table"),
            ([1, 2], "was expected, got a list."),
            (pl.LazyFrame(), "got a LazyFrame; it is lazy, so call collect() first."),
        ],
    )
    def test_what_is_no_frame_is_refused(self, server, service, frame, problem):
        """The message names the column."""
        with pytest.raises(IngestionValidationError) as error:
            service.ingest_dataframe("every", frame, "time")
        assert "flow 'every': " in error.value.message
        assert problem in error.value.message
        assert server.streams == []

    def test_no_rows_are_no_messages(self, server, service):
        """A stream without batches, and empty frames."""
        schema = pa.schema([("time", pa.timestamp("us")), ("string", pa.string())])
        for frame in (
            pa.table({"time": [], "string": []}, schema),
            pa.RecordBatchReader.from_batches(schema, []),
            pl.DataFrame(schema={"time": pl.Datetime, "string": pl.String}),
            pd.DataFrame({"time": np.array([], "M8[ns]"), "string": []}),
        ):
            assert service.ingest_dataframe("every", frame, "time") == 0
        assert server.streams == [[]] * 4


@given(
    st.lists(st.none() | st.text(max_size=30), max_size=20),
    st.integers(0, 5),
    st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]),
)
def test_arrow_strings_are_read_as_arrow_reads_them(values, start, arrow_type):
    """All layouts of strings, sliced, in chunks."""
    try:
        array = pa.array(values, arrow_type).slice(start)
    except UnicodeEncodeError:
        return
    assert read_column(array).tolist() == array.to_pylist()
    chunks = pa.chunked_array([array, array.slice(1)])
    assert read_column(chunks).tolist() == chunks.to_pylist()


def test_arrow_memory_outlives_its_array():
    """What was read keeps the memory of the library that made it."""
    reads = [read_column(pa.array(np.arange(1000) + at)) for at in range(50)]
    reads += [read_column(pl.Series(np.arange(1000) + at)) for at in range(50)]
    for at, read in enumerate(reads):
        assert read.tolist() == list(range(at % 50, at % 50 + 1000))


@pytest.mark.parametrize("chunked", [False, True])
def test_arrow_memory_is_given_back(chunked):
    """When nothing refers to it any more, and once."""
    before = pa.total_allocated_bytes()
    array = pa.array(range(100_000))
    column = read_column(pa.chunked_array([array]) if chunked else array)
    del array
    assert pa.total_allocated_bytes() >= before + 800_000
    values = column.values[50_000:]
    del column
    assert values[0] == 50_000
    assert pa.total_allocated_bytes() >= before + 800_000
    del values
    gc.collect()
    assert pa.total_allocated_bytes() < before + 800_000


class TestSending:
    """One stream, in the order of the wire, as fast as it is taken."""

    def test_the_order_of_the_server_decides(self, server, channel):
        """Also for columns; what the config lacks is empty."""
        first, second = (
            ChannelConfig("a", ChannelDataType.DOUBLE),
            ChannelConfig("b", ChannelDataType.DOUBLE),
        )
        third = ChannelConfig("c", ChannelDataType.DOUBLE)
        IngestionService(channel, telemetry_config(FlowConfig("f", [first, third, second])))
        service = IngestionService(channel, telemetry_config(FlowConfig("f", [second, first])))
        service.ingest_columns("f", [5], {"a": [1.0], "b": [2.0]})
        (row,) = server.rows
        assert list(row.channel_values) == [double_value(1), empty_value(), double_value(2)]

    def test_rows_belong_to_the_run(self, server, channel, service):
        """The run that is attached when the call is made."""
        service.attach_run(channel, "fire")
        service.ingest_columns("every", TIMES, {})
        assert {row.run_id for row in server.rows} == {"run-1"}
        assert {len(row.channel_values) for row in server.rows} == {10}

    def test_progress_is_told_chunk_by_chunk(self, server, service):
        """The last one tells of all rows."""
        rows = 30_000
        told: list[IngestProgress] = []
        times = np.arange(rows)
        service.ingest_columns("every", times, {"double": times / 3}, on_progress=told.append)
        assert len(told) > 1
        assert [each.rows_total for each in told] == [rows] * len(told)
        assert [each.rows_sent for each in told] == sorted({each.rows_sent for each in told})
        assert told[-1].rows_sent == rows
        assert told[-1].bytes_sent == sum(row.ByteSize() + 5 for row in server.rows)
        assert [row.channel_values[0].double for row in server.rows] == [n / 3 for n in range(rows)]

    @pytest.mark.parametrize("made_elsewhere", [False, True])
    def test_an_error_of_the_callback_breaks_the_call_off(self, server, channel, made_elsewhere):
        """And is raised, whatever the channel is."""

        def stop(_: IngestProgress) -> None:
            raise KeyError("enough")

        elsewhere = plain_channel(server.address, API_KEY)
        service = IngestionService(elsewhere if made_elsewhere else channel, telemetry_config())
        with pytest.raises(KeyError, match="enough"):
            service.ingest_columns(
                "logs", np.arange(50_000), {"log": ["x"] * 50_000}, on_progress=stop
            )

    def test_a_channel_made_elsewhere_works(self, server):
        """Through plain gRPC, message by message."""
        service = IngestionService(plain_channel(server.address, API_KEY), telemetry_config())
        told: list[IngestProgress] = []
        service.ingest_columns("logs", TIMES, {"log": ["a", "b", "c"]}, on_progress=told.append)
        assert [row.channel_values[0].string for row in server.rows] == ["a", "b", "c"]
        assert told[-1].rows_sent == 3

    def test_an_error_of_the_server_is_raised(self, server, service):
        """With its gRPC status."""
        server.fail("IngestWithConfigDataStream", grpc.StatusCode.INTERNAL, "full")
        with pytest.raises(grpc.RpcError) as error:
            service.ingest_columns("every", TIMES, {})
        assert error.value.code() is grpc.StatusCode.INTERNAL

    def test_a_real_server_reads_back_what_was_sent(self, tmp_path):
        """Acknowledged is readable, exactly."""
        config = TelemetryConfig(asset_name="rig", flows=[EVERY_TYPE])
        with use_sift_channel({"uri": f"embedded:{tmp_path}"}) as channel:
            service = IngestionService(channel, config)
            rng = np.random.default_rng(7)
            times = START_NS + np.arange(20_000) * 999_983
            doubles = rng.normal(size=len(times))
            frame = pl.DataFrame(
                {"time": times, "double": doubles, "string": [f"step {n}" for n in range(20_000)]}
            )
            assert service.ingest_dataframe("every", frame, "time") == len(times)
            (series,) = read_channels("rig", "double", source=channel)
            assert series.timestamps_ns.tolist() == times.tolist()
            assert series.values.to_pylist() == doubles.tolist()
            (texts,) = read_channels("rig", "string", source=channel)
            assert texts.values.to_pylist() == frame["string"].to_list()


WITHOUT_NUMPY = """
import sys
sys.modules["numpy"] = None
from sift_py.errors import MissingExtraError
from sift_py.ingestion.service import IngestionService
service = IngestionService.__new__(IngestionService)
service._encoders = {"flow": type("Encoder", (), {"layout": None})}
try:
    service.ingest_columns("flow", [], {})
except MissingExtraError as error:
    assert isinstance(error, ImportError)
    assert "pip install 'sift-py[columns]'" in str(error), error
else:
    sys.exit("no error")
"""


def test_no_library_of_columns_is_loaded_but_numpy():
    """Columns of lists and of NumPy work where nothing else is installed."""
    program = (
        "import sys, sift_py.ingestion._internal.columns.table;"
        "sys.exit(', '.join({'pandas', 'polars', 'pyarrow', 'numba'} & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_numpy_the_message_says_what_to_install():
    """NumPy is an extra of the client."""
    assert issubclass(MissingExtraError, ImportError)
    subprocess.run([sys.executable, "-c", WITHOUT_NUMPY], check=True, timeout=60)
