"""What the encoder makes of columns equals what the protobuf library makes of their rows."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue as Value
from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_wire.columns import DataType
from sift_wire.encode import CHUNK_BYTES, encode
from sift_wire.fields import BytesColumn, NumberColumn
from sift_wire.messages import NS_PER_S, frame, message_ends
from sift_wire.page import LONG_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_wire.encode import Chunk
    from sift_wire.fields import Column

NS_MIN, NS_MAX = -(2**63), 2**63 - 1
NUMPY_TYPES = {
    DataType.DOUBLE: np.float64,
    DataType.FLOAT: np.float32,
    DataType.BOOL: np.bool_,
    DataType.INT_32: np.int32,
    DataType.UINT_32: np.uint32,
    DataType.ENUM: np.uint32,
    DataType.INT_64: np.int64,
    DataType.UINT_64: np.uint64,
}
MEMBERS = {
    DataType.INT_32: "int32",
    DataType.UINT_32: "uint32",
    DataType.INT_64: "int64",
    DataType.UINT_64: "uint64",
}
SERIALIZED = None


def edges(smallest: int, largest: int) -> st.SearchStrategy[int]:
    """Integers, often where a varint gets a byte longer."""
    powers = [sign * 2**bits + more for bits in range(64) for sign in (1, -1) for more in (-1, 0)]
    return st.integers(smallest, largest) | st.sampled_from(
        [number for number in powers if smallest <= number <= largest] + [smallest, largest]
    )


STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["x" * length for length in (123, 124, 125, 126, 127, 128, LONG_BYTES, LONG_BYTES + 1, 20_000)]
)
VALUES = {
    DataType.DOUBLE: st.floats(),
    DataType.FLOAT: st.floats(width=32),
    DataType.BOOL: st.booleans(),
    DataType.INT_32: edges(-(2**31), 2**31 - 1),
    DataType.UINT_32: edges(0, 2**32 - 1),
    DataType.ENUM: st.integers(0, 5) | edges(0, 2**32 - 1),
    DataType.INT_64: edges(-(2**63), 2**63 - 1),
    DataType.UINT_64: edges(0, 2**64 - 1),
    DataType.STRING: STRINGS,
    DataType.BIT_FIELD: st.binary(max_size=3) | st.just(bytes(300)),
    DataType.BYTES: st.binary(max_size=9),
    SERIALIZED: st.sampled_from(
        [
            Value(double=1.5).SerializeToString(),
            Value(string="x" * 300).SerializeToString(),
            Value(int64=-1).SerializeToString(),
        ]
    ),
}
ENDS = ("config", "flow", "", ""), ("c", "", "run", ""), ("", "f", "run", "org" * 100)


def column_of(data_type: DataType | None, values: Sequence[Any]) -> Column:
    """A column; None stands for no value."""
    present = np.array([value is not None for value in values], np.bool_)
    if data_type in NUMPY_TYPES:
        # What is behind a mask may be anything.
        filled = [value if value is not None else True for value in values]
        return NumberColumn(data_type, np.array(filled, NUMPY_TYPES[data_type]), present)
    parts = [b"?" if value is None else as_bytes(value) for value in values]
    offsets = np.cumsum([3, *map(len, parts)], dtype=np.int64)
    data = np.frombuffer(b"###" + b"".join(parts), np.uint8)
    return BytesColumn(data_type, offsets, data, None if data_type is SERIALIZED else present)


def as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def value_of(data_type: DataType | None, value: Any) -> Value:
    if value is None:
        message = Value()
        message.empty.SetInParent()
        return message
    if data_type is SERIALIZED:
        return Value.FromString(value)
    return Value(**{MEMBERS.get(data_type, data_type.name.lower()): value})


def request_of(
    ends: tuple[str, str, str, str], timestamp_ns: int, values: Sequence[Value]
) -> Request:
    config, flow, run, organization = ends
    seconds, nanos = divmod(timestamp_ns, NS_PER_S)
    return Request(
        ingestion_config_id=config,
        flow=flow,
        timestamp=Timestamp(seconds=seconds, nanos=nanos),
        channel_values=values,
        run_id=run,
        end_stream_on_validation_error=bool(run),
        organization_id=organization,
    )


def encoded(
    ends: tuple[str, str, str, str], timestamps_ns: Sequence[int], columns: Sequence[Column]
) -> bytes:
    parts = message_ends(*ends, end_stream_on_error=bool(ends[2]))
    chunks = list(encode(parts, np.array(timestamps_ns, np.int64), columns))
    assert sum(chunk.rows for chunk in chunks) == len(timestamps_ns)
    return b"".join(chunk.data for chunk in chunks)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[int], list[tuple[DataType | None, list[Any]]]]:
    """Timestamps, and a data type and values for each channel."""
    rows = draw(st.integers(0, 12))
    near = st.integers(0, 3 * NS_PER_S) | st.integers(NS_MIN, NS_MAX)
    times = draw(st.lists(near | edges(NS_MIN, NS_MAX), min_size=rows, max_size=rows))
    columns = []
    for data_type in draw(st.lists(st.sampled_from(list(VALUES)), max_size=8)):
        values = VALUES[data_type]
        nullable = data_type is not SERIALIZED and draw(st.booleans())
        each = values | st.none() if nullable else values
        if draw(st.booleans()):
            each = st.just(draw(each))
        columns.append((data_type, draw(st.lists(each, min_size=rows, max_size=rows))))
    return times, columns


@given(st.sampled_from(ENDS), tables())
def test_bytes_are_those_of_the_protobuf_library(ends, table):
    """All data types, extremes, missing values, timestamps, and what is around them."""
    times, columns = table
    expected = b"".join(
        frame(
            request_of(
                ends, time, [value_of(data_type, values[row]) for data_type, values in columns]
            ).SerializeToString()
        )
        for row, time in enumerate(times)
    )
    assert encoded(ends, times, [column_of(*column) for column in columns]) == expected


@pytest.mark.parametrize("data_type", list(VALUES))
@given(data=st.data())
def test_a_channel_alone_needs_no_neighbour(data_type, data):
    """What a last value writes too much is not in the next row."""
    optional = VALUES[data_type] if data_type is SERIALIZED else VALUES[data_type] | st.none()
    values = data.draw(st.lists(optional, min_size=1, max_size=8))
    ends = ("", "f", "", "")
    expected = [request_of(ends, 0, [value_of(data_type, value)]) for value in values]
    assert encoded(ends, [0] * len(values), [column_of(data_type, values)]) == b"".join(
        frame(request.SerializeToString()) for request in expected
    )


def test_a_column_without_values_is_empty_in_every_row():
    """None as a column, for a channel that nothing is sent for."""
    empty = value_of(DataType.DOUBLE, None)
    request = request_of(ENDS[0], 5, [empty, empty])
    assert encoded(ENDS[0], [5], [None, None]) == frame(request.SerializeToString())


def test_every_bit_pattern_of_a_float_is_kept():
    """NaNs with their payloads too."""
    patterns = np.array([0x7FF8000000000001, 0xFFF0000000000123, 0x8000000000000000], np.uint64)
    doubles = NumberColumn(DataType.DOUBLE, patterns.view(np.float64))
    data = encoded(ENDS[0], [0, 0, 0], [doubles])
    for pattern in patterns:
        assert struct.pack("<Q", pattern) in data


def test_arrays_may_be_slices_with_strides():
    """Columns of a two-dimensional array, and every other row."""
    matrix = np.arange(60.0).reshape(20, 3)[::2]
    columns = [NumberColumn(DataType.DOUBLE, matrix[:, channel]) for channel in range(3)]
    expected = b"".join(
        frame(request_of(ENDS[0], 1, [Value(double=x) for x in row]).SerializeToString())
        for row in matrix
    )
    assert encoded(ENDS[0], [1] * 10, columns) == expected


def table(rows: int, channels: int, text: bytes) -> list[Column]:
    """Doubles, every fourth of them missing in every second column, and a string."""
    present = np.arange(rows) % 4 != 0
    columns: list[Column] = [
        NumberColumn(DataType.DOUBLE, np.arange(rows) / 7, present if channel % 2 else None)
        for channel in range(channels)
    ]
    offsets = np.arange(rows + 1, dtype=np.int64) * len(text)
    columns.append(BytesColumn(DataType.STRING, offsets, np.tile(np.frombuffer(text, "u1"), rows)))
    return columns


@pytest.mark.parametrize(
    ("rows", "channels", "text"),
    [(30_000, 3, b"ok"), (3000, 300, b"ok"), (300, 2, b"long" * 20_000)],
    ids=["narrow", "wide", "long strings"],
)
def test_many_rows_are_many_chunks(rows, channels, text):
    """Each of whole frames and bounded, whatever the width of the flow and the size of strings."""
    ends = message_ends(*ENDS[0], end_stream_on_error=False)
    times = np.arange(rows, dtype=np.int64) * 100_000_007
    columns = table(rows, channels, text)
    chunks = list(encode(ends, times, columns))
    assert len(chunks) > 2
    assert max(len(chunk.data) for chunk in chunks) <= 2 * CHUNK_BYTES
    frames = [request for chunk in chunks for request in requests_of(chunk)]
    assert len(frames) == rows
    for row in (0, 1, 4, 255, 256, rows // 2, rows - 1):
        values = frames[row].channel_values
        assert (frames[row].timestamp.ToNanoseconds(), values[-1].string) == (
            times[row],
            text.decode(),
        )
        assert [value.WhichOneof("type") for value in values[:2]] == [
            "double",
            "double" if row % 4 else "empty",
        ]
        assert values[0].double == row / 7


def requests_of(chunk: Chunk) -> list[Request]:
    requests = []
    at = 0
    while at < len(chunk.data):
        end = at + 5 + int.from_bytes(chunk.data[at + 1 : at + 5], "big")
        requests.append(Request.FromString(chunk.data[at + 5 : end]))
        at = end
    assert len(requests) == chunk.rows
    return requests


def test_nothing_is_encoded_before_it_is_asked_for():
    """Back-pressure: a slow taker holds a chunk, not the whole."""
    rows = 100_000
    values = np.zeros(rows)
    times = np.zeros(rows, np.int64)
    ends = message_ends(*ENDS[0], end_stream_on_error=False)
    chunks = encode(ends, times, [NumberColumn(DataType.DOUBLE, values)])
    sent = next(chunks).rows
    values[:] = 1
    assert requests_of(next(chunks))[0].channel_values[0].double == 1
    assert sent < rows
