"""What the decoder makes of messages equals what the protobuf library makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_wire import kernels
from sift_wire.columns import DataType, FlowLayout
from sift_wire.decode import MISFITS_AT_ONCE_MAX, NotAtOnceError, decode
from sift_wire.frames import Frames
from sift_wire.rejection import Cause
from support.decoding import (
    LAYOUTS,
    MEMBERS,
    NS_PER_S,
    expected_row,
    index_of,
    layout_of,
    rows_of,
)

if TYPE_CHECKING:
    import random


def check(messages: list[bytes]) -> None:
    decoded = decode(Frames.from_messages(messages), index_of(layout_of))
    expected = [expected_row(message) for message in messages]
    assert sorted(rows_of(decoded.blocks), key=repr) == sorted(
        (row for row in expected if row is not None), key=repr
    )
    assert [each.index for each in decoded.rejected] == [
        index for index, row in enumerate(expected) if row is None
    ]
    assert decoded.n_messages == len(messages)


VALUES = {
    DataType.DOUBLE: st.floats(width=64),
    DataType.FLOAT: st.floats(width=32),
    DataType.STRING: st.text(max_size=20),
    DataType.ENUM: st.integers(0, 2**32 - 1),
    DataType.BIT_FIELD: st.binary(max_size=5),
    DataType.BYTES: st.binary(max_size=200),
    DataType.BOOL: st.booleans(),
    DataType.INT_32: st.integers(-(2**31), 2**31 - 1),
    DataType.UINT_32: st.integers(0, 2**32 - 1),
    DataType.INT_64: st.integers(-(2**63), 2**63 - 1),
    DataType.UINT_64: st.integers(0, 2**64 - 1),
}


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A message that fits its flow, mostly; never one that ends its stream."""
    config, flow = draw(st.sampled_from([*LAYOUTS, ("config", "unknown"), ("nobody", "one")]))
    request = Request(
        ingestion_config_id=config,
        flow=flow,
        run_id=draw(st.sampled_from(["", "run", "läufer"])),
        organization_id=draw(st.sampled_from(["", "org"])),
    )
    if draw(st.integers(0, 9)):
        request.timestamp.seconds = draw(
            st.sampled_from([0, 1, -1, kernels.SECONDS_MIN, kernels.SECONDS_MAX, 2**62, -(2**63)])
            | st.integers(-(10**10), 10**10)
        )
        request.timestamp.nanos = draw(
            st.sampled_from([0, 1, NS_PER_S - 1, NS_PER_S, -1]) | st.integers(0, NS_PER_S - 1)
        )
    layout = LAYOUTS.get((config, flow), LAYOUTS["config", "one"])
    for data_type in layout.data_types:
        value = request.channel_values.add()
        kind = draw(st.integers(0, 20))
        if kind == 0:
            data_type = draw(st.sampled_from(DataType))  # noqa: PLW2901
        if kind == 1:
            value.empty.SetInParent()
        elif kind > 2:
            setattr(value, MEMBERS[data_type], draw(VALUES[data_type]))
    if draw(st.integers(0, 20)) == 0:
        request.channel_values.add()
    return request


@settings(max_examples=150)
@given(st.lists(requests(), max_size=12))
def test_rows_equal_what_the_library_reads(messages: list[Request]):
    """All types, extremes, partial rows, several flows, configs and runs, in one go."""
    check([message.SerializeToString() for message in messages])


UNKNOWN_FIELDS = [
    b"\x40\x07",  # 8: varint
    b"\x49" + b"x" * 8,  # 9: fixed 64
    b"\x52\x02hi",  # 10: length-delimited
    b"\x5b\x08\x01\x5c",  # 11: a group
    b"\xfa\x07\x00",  # 127: length-delimited, empty
    b"\x08\x01",  # 1, which is the config, as a varint
]


@settings(max_examples=150)
@given(st.lists(requests(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_any_order_of_fields_is_understood(messages: list[Request], rng: random.Random):
    """Fields may come in any order, several times, split, and with unknown ones in between."""
    shuffled = []
    for message in messages:
        pieces = list(rng.sample(UNKNOWN_FIELDS, rng.randint(0, 3)))
        for name in ("ingestion_config_id", "flow", "run_id", "organization_id"):
            pieces += [
                Request(**{name: text}).SerializeToString()
                for text in rng.choice([[getattr(message, name)], ["old", getattr(message, name)]])
            ]
        if message.HasField("timestamp"):
            pieces += [
                Request(timestamp={"seconds": message.timestamp.seconds}).SerializeToString(),
                Request(timestamp={"nanos": message.timestamp.nanos}).SerializeToString(),
            ]
        rng.shuffle(pieces)
        for value in message.channel_values:
            piece = Request(channel_values=[value]).SerializeToString()
            pieces.insert(rng.randint(0, len(pieces)), piece)
        shuffled.append(b"".join(pieces))
    check(shuffled)


@settings(max_examples=300)
@given(
    st.lists(requests(), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_damaged_messages_are_judged_as_the_library_does(
    messages: list[Request], rng: random.Random
):
    """Bytes flipped, cut, doubled: accepted or rejected exactly as the library would."""
    damaged = []
    for message in messages:
        data = bytearray(message.SerializeToString())
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(data) + 1)
            match rng.randrange(4):
                case 0:
                    data[place : place + 1] = bytes([rng.randrange(256)])
                case 1:
                    del data[place:]
                case 2:
                    data[place:place] = data[: rng.randrange(len(data) + 1)]
                case _:
                    data[place:place] = rng.randbytes(rng.randrange(4))
        damaged.append(bytes(data))
    # The flag that ends the stream may have come up; this test is about the others.
    kept = [each for each in damaged if not ends_stream(each)]
    check(kept)


def ends_stream(data: bytes) -> bool:
    try:
        return Request.FromString(data).end_stream_on_validation_error
    except DecodeError:
        return False


def base(flow: str = "one") -> Request:
    request = Request(ingestion_config_id="config", flow=flow)
    request.timestamp.seconds = 1
    request.channel_values.add().double = 1.5
    return request


def edited(**changes: Any) -> Request:
    request = base(changes.pop("flow", "one"))
    for name, value in changes.items():
        if name == "clear":
            request.ClearField(value)
        elif name == "nanos":
            request.timestamp.nanos = value
        elif name == "seconds":
            request.timestamp.seconds = value
        elif name == "run_id":
            request.run_id = value
        else:
            setattr(request.channel_values[0], name, value)
    return request


@pytest.mark.parametrize(
    ("request_", "cause", "reason"),
    [
        (edited(flow="redings"), Cause.UNKNOWN_FLOW, "no flow 'redings' in 'config'"),
        (edited(clear="timestamp"), Cause.NO_TIMESTAMP, "flow 'one': the message has no timestamp"),
        (
            edited(run_id="r" * 1_025),
            Cause.RUN_ID_TOO_LONG,
            "flow 'one': the run id has 1025 bytes; at most 1024 are taken",
        ),
        (
            edited(nanos=-5),
            Cause.TIMESTAMP_OUT_OF_RANGE,
            "flow 'one': the timestamp has -5 nanos; they are 0 to 999999999",
        ),
        (
            edited(seconds=2**40),
            Cause.TIMESTAMP_OUT_OF_RANGE,
            "flow 'one': the timestamp, 1099511627776 s after 1970, is not between the years 1677"
            " and 2262",
        ),
        (
            edited(clear="channel_values"),
            Cause.WRONG_NUMBER_OF_VALUES,
            "flow 'one': the message has 0 values, but the flow has 1 channels; a channel without"
            " a value is sent as an empty value",
        ),
        (
            edited(string="high"),
            Cause.WRONG_TYPE,
            "flow 'one', channel 'x': the value 'high' is sent as 'string', but the channel's data"
            " type is DOUBLE",
        ),
    ],
)
def test_a_rejection_names_flow_channel_and_value(request_: Request, cause: Cause, reason: str):
    """Every way not to fit has its cause and its sentence."""
    decoded = decode(Frames.from_messages([request_.SerializeToString()]), index_of(layout_of))
    assert [(each.cause, each.reason) for each in decoded.rejected] == [(cause, reason)]


def test_a_rejection_names_the_channel_that_it_is_about():
    """The first whose value has another type; where it is about no single one, none."""
    layout = FlowLayout("one", ("x", "y"), (DataType.DOUBLE, DataType.STRING))
    wrong = edited()
    wrong.channel_values.add().double = 1.0
    frames = Frames.from_messages([each.SerializeToString() for each in (wrong, base())])
    rejected = decode(frames, index_of(lambda *_: layout)).rejected
    assert [each.channel_name for each in rejected] == ["y", ""]


def test_a_rejection_has_the_time_of_the_message():
    """To the nanosecond; none where the message has none that can be kept."""
    timely = edited(string="high")
    timely.timestamp.seconds, timely.timestamp.nanos = -2, 5
    last = edited(string="high", seconds=9_223_372_035)
    last.timestamp.nanos = 999_999_999
    without = [edited(clear="timestamp"), edited(nanos=-5), edited(seconds=2**40)]
    messages = [each.SerializeToString() for each in (timely, last, *without)]
    rejected = decode(Frames.from_messages(messages), index_of(layout_of)).rejected
    assert [each.timestamp_ns for each in rejected] == [
        -1_999_999_995, 9_223_372_035_999_999_999, None, None, None,
    ]  # fmt: skip


def test_bytes_that_are_no_message_say_so():
    """Garbage is rejected in words as well, and never ends a stream."""
    (rejected,) = decode(Frames.from_messages([b"\xff\xff"]), index_of(layout_of)).rejected
    assert "2 bytes is no IngestWithConfigDataStreamRequest" in rejected.reason
    assert rejected.cause is Cause.UNREADABLE
    assert (rejected.flow_name, rejected.timestamp_ns) == ("", None)
    assert not rejected.ends_stream


def test_a_message_that_ends_the_stream_hides_what_is_behind_it():
    """Rows and rejections before it count; nothing behind it does."""
    fits, misfit, ends = base(), edited(string="x"), edited(string="y")
    ends.end_stream_on_validation_error = True
    messages = [fits, misfit, fits, ends, fits, misfit]
    frames = Frames.from_messages([message.SerializeToString() for message in messages])
    decoded = decode(frames, index_of(layout_of))
    assert len(rows_of(decoded.blocks)) == 2
    assert [(each.index, each.ends_stream) for each in decoded.rejected] == [(1, False), (3, True)]
    assert decoded.n_messages == 4


def test_messages_that_do_not_fit_a_wide_flow_ask_for_no_memory():
    """A thousand empty messages to a flow of 100,000 channels allocate nothing for its cells."""
    wide = FlowLayout("wide", tuple(map(str, range(100_000))), (DataType.DOUBLE,) * 100_000)
    request = Request(flow="wide")
    request.timestamp.seconds = 1
    frames = Frames.from_messages([request.SerializeToString()] * 1000)
    decoded = decode(frames, index_of(lambda *_: wide))
    assert len(decoded.rejected) == 1000
    assert not decoded.blocks


def test_many_flows_interleave():
    """A thousand flows in turn come out as a thousand groups, each with its rows in order."""
    layouts = {
        f"flow {i}": FlowLayout(f"flow {i}", ("x",), (DataType.DOUBLE,)) for i in range(1000)
    }
    messages = []
    for row in range(3):
        for flow in layouts:
            request = base(flow)
            request.timestamp.nanos = row
            messages.append(request.SerializeToString())
    decoded = decode(Frames.from_messages(messages), index_of(lambda _, flow: layouts[flow]))
    (block,) = decoded.blocks
    assert [block.flow(group).layout.flow_name for group in range(len(block))] == list(layouts)
    assert all(
        block.rows(group).timestamps_ns.tolist() == [NS_PER_S, NS_PER_S + 1, NS_PER_S + 2]
        for group in range(len(block))
    )


def test_runs_that_take_turns_are_numbered_once():
    messages = []
    for number in range(6):
        request = base()
        request.run_id = ("a", "", "b")[number % 3]
        request.timestamp.nanos = number
        messages.append(request.SerializeToString())
    (block,) = decode(Frames.from_messages(messages), index_of(layout_of)).blocks
    assert sorted(block.run_ids) == ["", "a", "b"]
    assert [
        (rows.run_id, (rows.timestamps_ns - NS_PER_S).tolist())
        for rows in map(block.rows, range(len(block)))
    ] == [("a", [0, 3]), ("", [1, 4]), ("b", [2, 5])]


def test_only_what_needs_no_question_is_decoded_at_once():
    index = index_of(layout_of)
    frames = Frames.from_messages([base().SerializeToString()])
    with pytest.raises(NotAtOnceError):
        decode(frames, index, at_once=True)
    decode(frames, index)
    (block,) = decode(frames, index, at_once=True).blocks
    assert len(block) == 1
    misfit = Frames.from_messages([edited(string="x").SerializeToString()])
    assert len(decode(misfit, index, at_once=True).rejected) == 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(requests(), max_size=30))
def test_of_many_messages_the_first_are_decoded(
    messages: list[Request], monkeypatch: pytest.MonkeyPatch
):
    """No more than are allowed at a time, in all and of those that do not fit; then the next."""
    monkeypatch.setattr("sift_wire.decode.MESSAGES_MAX", 10)
    monkeypatch.setattr("sift_wire.decode.MISFITS_MAX", 3)
    serialised = [message.SerializeToString() for message in messages]
    frames, index = Frames.from_messages(serialised), index_of(layout_of)
    expected = [expected_row(message) for message in serialised]
    rows, rejected = [], []
    at = 0
    while at < len(frames):
        decoded = decode(frames.select(at, len(frames)), index)
        assert 1 <= decoded.n_messages <= 10
        assert len(decoded.rejected) <= 3
        rows += rows_of(decoded.blocks)
        rejected += [at + each.index for each in decoded.rejected]
        at += decoded.n_messages
    assert sorted(rows, key=repr) == sorted((row for row in expected if row), key=repr)
    assert rejected == [index for index, row in enumerate(expected) if row is None]


def test_many_messages_that_do_not_fit_are_not_decoded_at_once():
    """Each has to be looked at by Python: an event loop would stand still."""
    frames = Frames.from_messages([b""] * (MISFITS_AT_ONCE_MAX + 1))
    index = index_of(layout_of)
    index.flow("config", "one")
    with pytest.raises(NotAtOnceError):
        decode(frames, index, at_once=True)
    assert len(decode(frames, index).rejected) == len(frames)


def test_very_many_messages_are_not_decoded_at_once(monkeypatch: pytest.MonkeyPatch):
    """Nothing would be left to be decoded by another call."""
    monkeypatch.setattr("sift_wire.decode.MESSAGES_MAX", 2)
    message = Request(ingestion_config_id="config", flow="none", timestamp={"seconds": 1})
    frames, index = Frames.from_messages([message.SerializeToString()] * 3), index_of(layout_of)
    index.flow("config", "none")
    with pytest.raises(NotAtOnceError):
        decode(frames, index, at_once=True)
    assert decode(frames, index).n_messages == 2
    assert decode(frames.select(0, 2), index, at_once=True).n_messages == 2
