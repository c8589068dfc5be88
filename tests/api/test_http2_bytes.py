"""Body bytes that are taken past h2 change nothing that h2 or the client could see."""

from __future__ import annotations

import itertools

import h2.config
import h2.events
import h2.exceptions
import h2.settings
from h2.connection import H2Connection
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sift_server.api.http2_bytes import PREFACE, BodyConnection, BodySieve

WINDOW = 600
FRAME_BYTES_MAX = 500
STREAMS = (1, 3, 5)

lengths = st.sampled_from([0, 1, 2, 9, 100, 299, 300, 301, 500, 501, 601])


def headers_of(*more: tuple[str, str]) -> bytes:
    """A header block without Huffman coding or references: each is a name and a value."""
    pairs = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a"), *more]
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in pairs
    )


def request(stream_id: int, length: int | None, *, in_two: bool) -> list[Frame]:
    block = headers_of(*([] if length is None else [("content-length", str(length))]))
    if not in_two:
        return [HeadersFrame(stream_id, block, flags=["END_HEADERS"])]
    return [
        HeadersFrame(stream_id, block[:5]),
        ContinuationFrame(stream_id, block[5:], flags=["END_HEADERS"]),
    ]


def data(stream_id: int, length: int, padding: int, *, ends: bool) -> list[Frame]:
    flags = (["END_STREAM"] if ends else []) + (["PADDED"] if padding else [])
    body = bytes(index % 251 for index in range(length))
    return [DataFrame(stream_id, body, flags=flags, pad_length=padding)]


stream_ids = st.sampled_from(STREAMS)
openings = st.lists(
    st.tuples(st.none() | st.sampled_from([1, 300, 600]), st.booleans()), max_size=len(STREAMS)
).map(
    lambda each: [
        frame
        for stream_id, (length, in_two) in zip(STREAMS, each, strict=False)
        for frame in request(stream_id, length, in_two=in_two)
    ]
)
plain_data = st.builds(data, stream_ids, lengths, st.just(0), ends=st.just(False))
taking = st.just([PingFrame(0, b"12345678")])
steps = st.one_of(
    plain_data,
    plain_data,
    taking,
    st.builds(data, stream_ids, lengths, st.sampled_from([0, 7]), ends=st.booleans()),
    st.builds(lambda stream_id: [RstStreamFrame(stream_id, 8)], stream_ids),
    st.just([GoAwayFrame(0, 5)]),
    # Headers that end, or do not, before something else comes.
    st.builds(lambda frames: frames[:1], st.just(request(7, None, in_two=True))),
)


def connected(kind: type[H2Connection]) -> H2Connection:
    connection = kind(h2.config.H2Configuration(client_side=False, header_encoding=None))
    connection.local_settings = h2.settings.Settings(
        client=False,
        initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW},
    )
    connection.initiate_connection()
    connection.max_inbound_frame_size = FRAME_BYTES_MAX
    return connection


class Receiver:
    """Takes bytes and writes down what a server would see of them."""

    def __init__(self, *, sieve: bool) -> None:
        self.connection = connected(BodyConnection if sieve else H2Connection)
        self.sieve = BodySieve(self.connection) if sieve else None
        self.seen: list[tuple] = []
        self.passed = 0
        self.untaken: list[tuple[int, int]] = []
        self.failure = ""

    def feed(self, received: bytes) -> None:
        if self.failure:
            return
        try:
            if self.sieve is None:
                self._events(received)
                return
            for stream_id, part in self.sieve.feed(received):
                if stream_id:
                    self.passed += len(part)
                    self._body(stream_id, part, len(part))
                else:
                    self._events(part)
        except h2.exceptions.ProtocolError as error:
            self.failure = f"{type(error).__name__}: {error}"

    def _events(self, part: bytes) -> None:
        for event in self.connection.receive_data(part):
            if isinstance(event, h2.events.DataReceived):
                self._body(event.stream_id, event.data, event.flow_controlled_length)
            else:
                self.seen.append((type(event).__name__, getattr(event, "stream_id", 0)))
            if isinstance(event, h2.events.PingReceived):
                for stream_id, length in self.untaken:
                    self.connection.acknowledge_received_data(length, stream_id)
                self.untaken.clear()

    def _body(self, stream_id: int, part: bytes, length: int) -> None:
        if part:
            last = self.seen[-1] if self.seen else ("", 0)
            if last[:2] == ("body", stream_id):
                part = self.seen.pop()[2] + part
            self.seen.append(("body", stream_id, part))
        # One stream's app is slow, and takes nothing.
        if stream_id != STREAMS[-1]:
            if self.untaken and self.untaken[-1][0] == stream_id:
                length += self.untaken.pop()[1]
            self.untaken.append((stream_id, length))


def windows(connection: H2Connection) -> dict[int, int]:
    return {0: connection.inbound_flow_control_window} | {
        stream_id: connection.remote_flow_control_window(stream_id)
        for stream_id, stream in connection.streams.items()
        if stream.open
    }


@settings(max_examples=400)
@given(openings, st.lists(steps, max_size=12), st.lists(st.integers(0, 100_000), max_size=40))
def test_the_sieve_is_h2_but_faster(
    opening: list[Frame], sequence: list[list[Frame]], cuts: list[int]
):
    """Same events, bodies, windows, answers and errors, however the bytes are cut."""
    frames = [SettingsFrame(0), *opening, *itertools.chain.from_iterable(sequence)]
    oracle, sieved = Receiver(sieve=False), Receiver(sieve=True)
    pieces = [PREFACE, *(frame.serialize() for frame in frames)]
    for piece in pieces:
        oracle.feed(piece)
    wire = b"".join(pieces)
    places = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    for first, last in itertools.pairwise(places):
        sieved.feed(wire[first:last])

    assert sieved.failure == oracle.failure
    if not oracle.failure:
        # In bytes among which it finds an error, h2 forgets the events before it.
        assert sieved.seen == oracle.seen
        assert windows(sieved.connection) == windows(oracle.connection)


def test_plain_bodies_are_taken_past():
    """Nothing of a large body's frames reaches h2 but the one that ends it."""
    receiver = Receiver(sieve=True)
    frames = [SettingsFrame(0), *request(1, None, in_two=False)]
    for _ in range(10):
        frames += [*data(1, 100, 0, ends=False) * 5, PingFrame(0, b"12345678")]
    frames += data(1, 100, 0, ends=True)
    receiver.feed(PREFACE + b"".join(frame.serialize() for frame in frames))
    assert not receiver.failure
    assert receiver.passed == 5_000
    assert receiver.seen[-1] == ("StreamEnded", 1)
