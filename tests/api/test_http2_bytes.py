"""Body bytes that are taken past h2 change nothing that h2 or the client could see."""

from __future__ import annotations

import itertools

import h2.config
import h2.events
import h2.exceptions
import h2.settings
from h2.connection import H2Connection
from hpack import Encoder
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
from hypothesis import example, given, settings
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
plain_data = st.builds(data, stream_ids, lengths, st.just(0), ends=st.booleans())
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
        self.begun = 0
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
                if part is None:
                    self.seen.append(("StreamEnded", stream_id))
                elif not isinstance(part, bytes):
                    self.begun += 1
                    self.seen.append(("RequestReceived", stream_id, list(part)))
                elif stream_id:
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
            elif isinstance(event, h2.events.RequestReceived):
                headers = [(bytes(name), bytes(value)) for name, value in event.headers]
                self.seen.append(("RequestReceived", event.stream_id, headers))
            else:
                self.seen.append((type(event).__name__, getattr(event, "stream_id", 0)))
            if isinstance(event, h2.events.PingReceived):
                for stream_id, length in self.untaken:
                    self._acknowledge(length, stream_id)
                self.untaken.clear()

    def _acknowledge(self, length: int, stream_id: int) -> None:
        if isinstance(self.connection, BodyConnection):
            self.connection.acknowledge(length, stream_id)
        else:
            self.connection.acknowledge_received_data(length, stream_id)

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
    """Nothing of a large body's frames reaches h2."""
    receiver = Receiver(sieve=True)
    frames = [SettingsFrame(0), *request(1, None, in_two=False)]
    for _ in range(10):
        frames += [*data(1, 100, 0, ends=False) * 5, PingFrame(0, b"12345678")]
    frames += data(1, 100, 0, ends=True)
    receiver.feed(PREFACE + b"".join(frame.serialize() for frame in frames))
    assert not receiver.failure
    assert receiver.passed == 5_100
    assert receiver.seen[-1] == ("StreamEnded", 1)


@given(st.lists(st.sampled_from([1, 99, 100, 101, 149, 299, 300]), max_size=20))
def test_room_is_given_back_when_h2_would(taken: list[int]):
    """Not later, and not more often."""
    oracle, sieved = Receiver(sieve=False), Receiver(sieve=True)
    opening = [SettingsFrame(0), *request(1, None, in_two=False)]
    bodies = [[*data(1, length, 0, ends=False), PingFrame(0, b"12345678")] for length in taken]
    for receiver in (oracle, sieved):
        receiver.feed(PREFACE)
        for frame in [*opening, *itertools.chain.from_iterable(bodies)]:
            receiver.feed(frame.serialize())
    assert windows(sieved.connection) == windows(oracle.connection)
    assert sieved.connection.data_to_send() == oracle.connection.data_to_send()


INDEXED, INDEXING, NOT_INDEXING = 0x80, 0x40, 0x00
FIRST_DYNAMIC = 62
fields = st.one_of(
    # What the table says, if it says anything.
    st.sampled_from([FIRST_DYNAMIC, FIRST_DYNAMIC, FIRST_DYNAMIC + 1]).map(
        lambda index: bytes([INDEXED | index])
    ),
    st.builds(
        lambda how, name, value: bytes([how, 1]) + name + bytes([len(value)]) + value,
        st.sampled_from([INDEXING, NOT_INDEXING]),
        st.sampled_from([b"a", b"b"]),
        st.sampled_from([b"", b"1", b"2", b"x" * 60]),
    ),
    st.just(b"\x0f\x0d\x010"),  # content-length: 0
)
PSEUDO = bytes([INDEXED | 3, INDEXED | 6, INDEXED | 4]) + b"\x01\x01a"
"""POST, http, /, and an authority."""
blocks = st.builds(
    lambda sizes, more: b"".join(sizes) + PSEUDO + b"".join(more),
    # Table sizes: none, of one entry, of two.
    st.lists(st.sampled_from([b"\x20", b"\x3f\x04", b"\x3f\x25"]), max_size=2)
    | st.just([])
    | st.just([]),
    st.lists(fields, max_size=3),
)


@settings(max_examples=400)
@given(
    st.lists(blocks, min_size=1, max_size=3),
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([*[2] * 40, 4, 1, 0]), st.booleans()),
        min_size=4,
        max_size=20,
    ),
    st.sampled_from([5, 100, 100]),
)
@example(
    # A table that is full stays as long as it is.
    [b"\x3f\x25" + PSEUDO, PSEUDO + b"\xbe", PSEUDO + b"@\1b\x012"],
    [(which, 2, True) for which in (0, 1, 1, 2, 1)],
    100,
)
def test_known_requests_mean_what_h2_says(
    pool: list[bytes], calls: list[tuple[int, int, bool]], calls_max: int
):
    """Whatever other blocks did to the table since; ids and limits are watched as well."""
    oracle, sieved = Receiver(sieve=False), Receiver(sieve=True)
    for receiver in (oracle, sieved):
        receiver.connection.local_settings.max_concurrent_streams = calls_max
        receiver.connection.local_settings.acknowledge()
        receiver.feed(PREFACE + SettingsFrame(0).serialize())
        entries = PSEUDO + b"@\1a\x011@\1b\x011"
        receiver.feed(HeadersFrame(1, entries, flags=["END_HEADERS"]).serialize())
    stream_id = 1
    for which, step, ends in calls:
        stream_id = max(1, stream_id + step)
        flags = ["END_HEADERS", "END_STREAM"] if ends else ["END_HEADERS"]
        frame = HeadersFrame(stream_id, pool[which % len(pool)], flags=flags)
        for receiver in (oracle, sieved):
            receiver.feed(frame.serialize())
    assert sieved.failure == oracle.failure
    assert sieved.seen == oracle.seen
    assert windows(sieved.connection) == windows(oracle.connection)
    assert sieved.connection.data_to_send() == oracle.connection.data_to_send()


def test_a_request_like_one_before_goes_past_h2():
    """The second of a client that indexes its headers is known; so are all behind it."""
    receiver, encoder = Receiver(sieve=True), Encoder()
    receiver.feed(PREFACE + SettingsFrame(0).serialize())
    headers = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a key")]
    for stream_id in range(1, 11, 2):
        block = encoder.encode(headers)
        frame = HeadersFrame(stream_id, block, flags=["END_HEADERS", "END_STREAM"])
        receiver.feed(frame.serialize())
    assert receiver.begun == 3
    assert [name for name, *_ in receiver.seen].count("RequestReceived") == 5


names = st.sampled_from([b"content-type", b"date", b"grpc-status", b"Own", b"x" * 200])
values = st.tuples(names, st.text("abc ,", max_size=300).map(str.encode))
responses = st.lists(
    st.tuples(
        st.lists(values, min_size=1, max_size=4),
        st.lists(st.integers(0, 200), max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@given(responses, st.sampled_from([None, 0, 100]))
def test_answers_arrive_as_if_h2_had_sent_them(
    answers: list[tuple[list[tuple[bytes, bytes]], list[int], bool]], table_bytes: int | None
):
    """Headers, bodies, trailers and windows; the client may forbid tables in between."""
    seen: list[list[tuple]] = []
    for kind in (H2Connection, BodyConnection):
        server = connected(kind)
        client = H2Connection(h2.config.H2Configuration(header_encoding=None))
        client.initiate_connection()
        mine: list[tuple] = []
        for number, (headers, body, has_trailers) in enumerate(answers):
            stream_id = 2 * number + 1
            client.send_headers(stream_id, [(":method", "POST"), (":scheme", "http"),
                                            (":path", "/"), (":authority", "a")])  # fmt: skip
            if number == 1 and table_bytes is not None:
                client.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: table_bytes})
            server.receive_data(client.data_to_send())
            _answer(server, stream_id, [(b":status", b"200"), *headers], body)
            if has_trailers:
                _end(server, stream_id, headers)
            else:
                server.end_stream(stream_id)
            for event in client.receive_data(server.data_to_send()):
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    mine.append((type(event), event.stream_id, list(map(tuple, event.headers))))
                elif isinstance(event, h2.events.DataReceived):
                    mine.append((type(event), event.stream_id, event.data))
                elif isinstance(event, h2.events.StreamEnded):
                    mine.append((type(event), event.stream_id))
            stream = server.streams[stream_id]
            mine.append((stream.state_machine.state, stream.outbound_flow_control_window))
            mine.append((server.outbound_flow_control_window,))
        seen.append(mine)
    assert seen[0] == seen[1]


def _answer(
    server: H2Connection, stream_id: int, headers: list[tuple[bytes, bytes]], body: list[int]
) -> None:
    if isinstance(server, BodyConnection):
        server.send_head(stream_id, headers)
        for length in body:
            server.send_body(stream_id, b"x" * length)
    else:
        server.send_headers(stream_id, headers)
        for length in body:
            server.send_data(stream_id, b"x" * length)


def _end(server: H2Connection, stream_id: int, trailers: list[tuple[bytes, bytes]]) -> None:
    if isinstance(server, BodyConnection):
        server.send_head(stream_id, trailers, ends=True)
    else:
        server.send_headers(stream_id, trailers, end_stream=True)
