"""Messages put together from parts are, to the byte, what the protobuf library writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue as Value
from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_wire.frames import Frames
from sift_wire.messages import (
    EMPTY_VALUE,
    NS_PER_S,
    MessageEnds,
    bytes_field,
    double_fields_of_rows,
    frame,
    message_ends,
    row_frames,
    signed_varint,
    timestamp_field,
    value_fields,
    value_fields_of_rows,
    varint,
)

YEAR_1_NS = -62_135_596_800 * NS_PER_S
YEAR_10000_NS = 253_402_300_800 * NS_PER_S

# Names and ids may have half of a surrogate pair; that has a test of its own.
texts = st.sampled_from(["", "a", "größe", "値", "\0", "x" * 127, "x" * 128, "\U0001f680" * 5000])
texts |= st.text(st.characters(exclude_categories=["Cs"]))
edges_of_varints = st.integers(0, 63).flatmap(
    lambda bits: st.sampled_from([2**bits - 1, 2**bits, 2 ** (bits + 1) - 1])
)
timestamps_ns = st.integers(YEAR_1_NS, YEAR_10000_NS - 1) | st.sampled_from(
    [0, 1, -1, NS_PER_S - 1, NS_PER_S, -NS_PER_S, YEAR_1_NS, YEAR_10000_NS - 1]
)


def members(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Value]:
    return values.map(lambda value: Value(**{name: value}))


channel_values = st.one_of(
    members("string", texts),
    members("double", st.floats()),
    members("float", st.floats(width=32)),
    members("bool", st.booleans()),
    members("int32", st.integers(-(2**31), 2**31 - 1)),
    members("uint32", st.integers(0, 2**32 - 1)),
    members("int64", st.integers(-(2**63), 2**63 - 1)),
    members("uint64", st.integers(0, 2**64 - 1)),
    members("bit_field", st.binary(max_size=300)),
    members("enum", st.integers(0, 2**32 - 1)),
    members("bytes", st.binary(max_size=300)),
    members("empty", st.just({})),
    st.just(Value()),
)


@given(
    names=st.fixed_dictionaries(
        {
            "ingestion_config_id": texts,
            "flow": texts,
            "run_id": texts,
            "organization_id": texts,
            "end_stream_on_validation_error": st.booleans(),
        }
    ),
    timestamp_ns=timestamps_ns,
    values=st.lists(channel_values, max_size=20),
)
def test_a_message_equals_what_the_library_writes(
    names: dict[str, Any], timestamp_ns: int, values: list[Value]
):
    """Head, timestamp, values and tail, for all types and extremes."""
    request = Request(**names, channel_values=values)
    seconds, nanos = divmod(timestamp_ns, NS_PER_S)
    request.timestamp.SetInParent()
    request.timestamp.seconds, request.timestamp.nanos = seconds, nanos
    head, tail = message_ends(
        names["ingestion_config_id"],
        names["flow"],
        names["run_id"],
        names["organization_id"],
        end_stream_on_error=names["end_stream_on_validation_error"],
    )
    fields = value_fields([value.SerializeToString() for value in values])
    message = head + timestamp_field(timestamp_ns) + fields + tail
    assert message == request.SerializeToString(deterministic=True)
    assert Frames.from_payload(frame(message)).message(0) == message


@given(
    st.integers(0, 4).flatmap(
        lambda width: st.lists(
            st.lists(channel_values, min_size=width, max_size=width), min_size=1, max_size=5
        )
    )
)
@example([[Value(double=1.5)] * 3] * 2)
@example([[Value(string="x" * 126)] * 3] * 2)
@example([[Value(), Value(double=1.5)]] * 2)
def test_rows_together_are_rows_one_by_one(rows: list[list[Value]]):
    """Of any width, of values of one length or of several."""
    values = [value.SerializeToString() for row in rows for value in row]
    expected = [Request(channel_values=row).SerializeToString() for row in rows]
    assert value_fields_of_rows(values, len(rows)) == expected
    assert [value_fields([value.SerializeToString() for value in row]) for row in rows] == expected


@given(st.integers(1, 5), st.lists(st.floats(), min_size=1, max_size=5), timestamps_ns)
@example(1, [float("nan"), -0.0, float("inf"), float("-inf"), 5e-324], 0)
def test_rows_of_doubles_are_rows_of_messages(rows: int, row: list[float], timestamp_ns: int):
    """Every bit of a double is kept."""
    values = [Value(double=number).SerializeToString() for number in row]
    fields = double_fields_of_rows(row * rows, rows)
    assert fields == [value_fields(values)] * rows
    ends = MessageEnds(b"head", b"tail")
    times = [timestamp_ns + number for number in range(rows)]
    assert row_frames(ends, times, fields) == [
        frame(b"head" + timestamp_field(time) + value_fields(values) + b"tail") for time in times
    ]


@given(edges_of_varints | st.integers(0, 2**64 - 1))
def test_numbers_equal_what_the_library_writes(number: int):
    """Unsigned and signed ones; negative ones take ten bytes."""
    assert b"\x40" + varint(number) == Value(uint64=number).SerializeToString()
    signed = number - 2**63
    assert b"\x38" + signed_varint(signed) == Value(int64=signed).SerializeToString()


@given(st.binary(max_size=300))
@example(b"x" * 2**14)
@example(b"x" * 2**21)
def test_bytes_equal_what_the_library_writes(data: bytes):
    """Lengths of one byte and of several."""
    assert bytes_field(0x4A, data) == Value(bit_field=data).SerializeToString()


def test_the_empty_value_is_the_librarys():
    """A value that says 'no value' is not one that says nothing."""
    assert Value(empty={}).SerializeToString() == EMPTY_VALUE
    assert Value().SerializeToString() == b""


@pytest.mark.parametrize("place", range(4))
def test_half_of_a_surrogate_pair_can_not_be_sent(place: int):
    """In no name or id: the library refuses it as well."""
    names = ["a", "a", "a", "a"]
    names[place] = "\ud800"
    with pytest.raises(UnicodeEncodeError):
        message_ends(*names, end_stream_on_error=False)
