"""HTTP/2 taken past the h2 library: the fast way in and out for what ordinary calls are made of.

h2 makes an object of every frame, copies its payload three times, and describes it for a log that
nobody reads. For a body of hundreds of megabytes, and for a call of a few bytes, that is most of
the server's work. `BodySieve` picks plain DATA frames of open calls, and requests whose headers h2
has seen before, out of what a connection receives, and gives everything else to h2, which stays the
judge of the protocol: its windows and streams are told of what was picked out, and a frame that it
could object to is left to it.

The format: RFC 9113, section 4.1, 6.1 and 6.2; of headers: RFC 7541.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from h2.connection import AllowedStreamIDs, ConnectionState, H2Connection
from h2.events import RequestReceived
from h2.exceptions import DenialOfServiceError, FrameTooLargeError, ProtocolError
from h2.stream import StreamInputs, StreamState
from h2.utilities import (
    HeaderValidationFlags,
    normalize_outbound_headers,
    validate_outbound_headers,
)
from hpack.hpack import encode_integer
from hpack.table import HeaderTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from h2.config import H2Configuration
    from h2.events import Event
    from h2.windows import WindowManager
    from hyperframe.frame import Frame, HeadersFrame

    Header = tuple[bytes, bytes]
    Headers = tuple[Header, ...]
    Item = tuple[int, bytes | Headers | None]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client's side of a connection begins with."""

BLOCKS_KNOWN_MAX = 8
"""Header blocks of requests that are remembered for a connection."""

CONTROL_FRAME_BYTES_MAX = 16 * 1024
"""Largest frame that is neither part of a body nor of headers. h2 would keep 16 MiB of any frame,
and 64 frames of headers, before it looks at them."""

_KNOWN_BLOCK_BYTES_MAX = 4_096
_HEAD_BYTES = 9
_HEAD = struct.Struct(">HBBBI")
_DATA, _HEADERS, _PUSH_PROMISE, _GOAWAY, _CONTINUATION = 0x0, 0x1, 0x5, 0x7, 0x9
_GOAWAY_PAYLOAD = struct.Struct(">II")
_END_STREAM, _END_HEADERS = 0x1, 0x4
_STREAM_ID_BITS = 0x7FFF_FFFF
_SENDING = (StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE)
_RECEIVING = (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL)


class BodyConnection(H2Connection):
    """An h2 connection of a server that can be told of frames which it did not see.

    And one that sends without h2 what h2 need not see: it is told of it. Headers go out without a
    reference to the table that each connection has of its own; so they are written once for all.
    """

    def __init__(self, config: H2Configuration) -> None:
        super().__init__(config)
        self._known_blocks: dict[bytes, Headers] = {}
        self._known_state = self._decoder_state()

    # What comes in

    def take_past(self, stream_id: int, length: int, *, ends: bool = False) -> bool:
        """Count a DATA frame that has no padding.

        Args:
            stream_id: Its stream.
            length: Bytes of it.
            ends: Whether it ends its stream; `end_past` must be called behind its last byte.

        Returns:
            False, and nothing is counted, if h2 has to see the frame: its stream takes none, or
            there is a limit that it may break.
        """
        stream = self.streams.get(stream_id)
        if (
            stream is None
            or stream.state_machine.state not in _RECEIVING
            or self.state_machine.state is ConnectionState.CLOSED
        ):
            return False
        # h2 has no public name for these three.
        window_of_stream = stream._inbound_window_manager  # noqa: SLF001
        window_of_all = self._inbound_flow_control_window_manager
        has_length = stream._expected_content_length is not None  # noqa: SLF001
        if has_length or length > min(
            self.max_inbound_frame_size,
            window_of_stream.current_window_size,
            window_of_all.current_window_size,
        ):
            return False
        if not length:
            return ends
        window_of_stream.window_consumed(length)
        window_of_all.window_consumed(length)
        return True

    def end_past(self, stream_id: int) -> None:
        """Note that what the client sends on a stream ended with a frame that was taken past."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.state_machine.process_input(StreamInputs.RECV_END_STREAM)

    def begin_past(self, stream_id: int, block: bytes, *, ends: bool) -> Headers | None:
        """Open a stream with a request that h2 has seen before on this connection.

        A block of headers refers to a table, which other blocks change. It is known only as long
        as nothing has changed the table since h2 took it for a request and left the table alone.

        Returns:
            Its headers; None, and nothing was opened, if h2 has to see the frame.
        """
        headers = self._known_blocks.get(block)
        if (
            headers is None
            or not _is_same(self._known_state, self._decoder_state())
            or self.state_machine.state is not ConnectionState.SERVER_OPEN
            or stream_id % 2 == 0
            or stream_id <= self.highest_inbound_stream_id
            or len(block) > self.max_inbound_frame_size
            or self.open_inbound_streams >= self.local_settings.max_concurrent_streams
        ):
            return None
        stream = self._begin_new_stream(stream_id, AllowedStreamIDs.ODD)
        machine = stream.state_machine
        # What the input RECV_HEADERS makes of a stream that is idle.
        machine.state = StreamState.OPEN
        machine.client = False
        machine.headers_received = True
        if ends:
            machine.process_input(StreamInputs.RECV_END_STREAM)
        return headers

    def _receive_headers_frame(self, frame: HeadersFrame) -> tuple[list[Frame], list[Event]]:
        before = self._decoder_state()
        frames, events = super()._receive_headers_frame(frame)
        after = self._decoder_state()
        if not _is_same(after, self._known_state):
            self._known_blocks.clear()
            self._known_state = after
        request = events[0]
        if (
            isinstance(request, RequestReceived)
            and _is_same(before, after)
            and len(frame.data) <= _KNOWN_BLOCK_BYTES_MAX
        ):
            headers = tuple((bytes(name), bytes(value)) for name, value in request.headers or ())
            # h2 would have to compare the length with what comes.
            if all(name != b"content-length" for name, _ in headers):
                if len(self._known_blocks) >= BLOCKS_KNOWN_MAX:
                    self._known_blocks.clear()
                self._known_blocks[bytes(frame.data)] = headers
        return frames, events

    def _decoder_state(self) -> tuple[Any, ...]:
        """What the meaning of a header block depends on.

        Whatever is put into the table becomes its first entry, a new object; whatever only falls
        out of it makes it shorter.
        """
        table = self.decoder.header_table
        entries = table.dynamic_entries
        return (
            entries[0] if entries else None,
            len(entries),
            table.maxsize,
            self.decoder.max_allowed_table_size,
            self.decoder.max_header_list_size,
        )

    def acknowledge(self, length: int, stream_id: int) -> None:
        """Say that body bytes were taken; nearly always there is nothing to be sent yet."""
        stream = self.streams.get(stream_id)
        if stream is not None and stream.open:
            of_all = self._inbound_flow_control_window_manager
            of_stream = stream._inbound_window_manager  # noqa: SLF001
            if _can_wait(of_all, length) and _can_wait(of_stream, length):
                of_all._bytes_processed += length  # noqa: SLF001
                of_stream._bytes_processed += length  # noqa: SLF001
                return
        self.acknowledge_received_data(length, stream_id)

    # What goes out

    @property
    def has_data_to_send(self) -> bool:
        """Whether `data_to_send` would give anything."""
        return bool(self._data_to_send)

    def send_head(self, stream_id: int, headers: Iterable[Header], *, ends: bool = False) -> None:
        """Send the headers of a final response, or its trailers.

        Raises:
            ProtocolError: As `send_headers` does.
        """
        headers = tuple(headers)
        stream = self.streams.get(stream_id)
        if stream is not None and not self._must_see_what_is_sent():
            machine = stream.state_machine
            block = _header_block(headers, is_trailer=bool(machine.headers_sent))
            if len(block) <= self.max_outbound_frame_size:
                machine.process_input(StreamInputs.SEND_HEADERS)
                if ends:
                    machine.process_input(StreamInputs.SEND_END_STREAM)
                flags = _END_HEADERS | _END_STREAM if ends else _END_HEADERS
                self._data_to_send += _frame_head(len(block), _HEADERS, flags, stream_id) + block
                return
        self.send_headers(stream_id, headers, end_stream=ends)

    def send_body(self, stream_id: int, data: bytes) -> None:
        """Send bytes of a body, for which there must be room in the windows.

        Raises:
            ProtocolError: As `send_data` does.
        """
        stream = self.streams.get(stream_id)
        if (
            stream is None
            or stream.state_machine.state not in _SENDING
            or self._must_see_what_is_sent()
            or len(data)
            > min(
                self.outbound_flow_control_window,
                stream.outbound_flow_control_window,
                self.max_outbound_frame_size,
            )
        ):
            self.send_data(stream_id, data)
            return
        stream.outbound_flow_control_window -= len(data)
        self.outbound_flow_control_window -= len(data)
        self._data_to_send += _frame_head(len(data), _DATA, 0, stream_id) + data

    def go_away(self) -> None:
        """Ask the client to make no more calls here. Those that it made go on.

        After `close_connection`, which sends the same, h2 would let nothing more through.
        """
        payload = _GOAWAY_PAYLOAD.pack(self.highest_inbound_stream_id, 0)
        self._data_to_send += _frame_head(len(payload), _GOAWAY, 0, 0) + payload

    def check_frame(self, length: int, length_max: int) -> None:
        """End the connection before a frame, or the headers that it is a part of, are kept.

        Raises:
            ProtocolError: It is too long. The frame that says so is prepared.
        """
        if length > self.max_inbound_frame_size:
            most = self.max_inbound_frame_size
            error: ProtocolError = FrameTooLargeError(
                f"Received overlong frame: length {length}, max {most}"
            )
        elif length > length_max:
            error = DenialOfServiceError(f"Received {length} bytes of {length_max} that are taken")
        else:
            return
        self._terminate_connection(error.error_code)
        raise error

    def _must_see_what_is_sent(self) -> bool:
        return (
            self.state_machine.state is not ConnectionState.SERVER_OPEN
            # The next block of headers has to begin with these.
            or bool(self.encoder.table_size_changes)
        )


def _is_same(state: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    # An entry that was put into the table again is equal, but not the same.
    return state[0] is other[0] and state[1:] == other[1:]


def _can_wait(window: WindowManager, length: int) -> bool:
    """Whether so many more bytes that were taken are too few to tell of them."""
    processed = window._bytes_processed + length  # noqa: SLF001
    return window.current_window_size > 0 and processed < window.max_window_size // 2


def _frame_head(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    return _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream_id)


@lru_cache(maxsize=256)
def _header_block(headers: Headers, *, is_trailer: bool) -> bytes:
    """Headers of a response, checked as h2 does, as bytes that mean the same on any connection."""
    flags = HeaderValidationFlags(
        is_client=False,
        is_trailer=is_trailer,
        is_response_header=not is_trailer,
        is_push_promise=False,
    )
    normalized = normalize_outbound_headers(headers, flags, should_split_outbound_cookies=False)
    return b"".join(
        _header_field(bytes(name), bytes(value))
        for name, value in validate_outbound_headers(normalized, flags)
    )


def _header_field(name: bytes, value: bytes) -> bytes:
    """A header without a reference to anything but the static table: RFC 7541, section 6."""
    name_index, index_of_value = HeaderTable.STATIC_TABLE_MAPPING.get(name, (0, {}))
    index = index_of_value.get(value)
    if index is not None:
        indexed = encode_integer(index, 7)
        indexed[0] |= 0x80
        return bytes(indexed)
    field = encode_integer(name_index, 4)
    if not name_index:
        field += encode_integer(len(name), 7) + name
    return bytes(field + encode_integer(len(value), 7) + value)


class BodySieve:
    """Parts what a client sends into requests, body bytes and the rest, in order.

    Bytes of a body are given on as they come; nothing is kept but the head of a frame that is cut
    in two.
    """

    def __init__(self, connection: BodyConnection) -> None:
        self._connection = connection
        self._head = b""
        self._left = len(PREFACE)
        """Bytes of the frame that has begun, or of the preface."""
        self._stream_id = 0
        """The stream that they are the body of; 0 if they are h2's."""
        self._ends = False
        """Whether the body ends with them."""
        self._in_headers = False
        self._header_bytes = 0
        """Of the request whose headers came last."""

    def feed(self, data: bytes) -> Iterator[Item]:
        """Part what was received.

        Yields:
            0 and bytes for h2, which must get them before the next item is asked for. Or the id of
            a stream and what came on it: the headers of its request, bytes of its body, or None
            for its end.
        """
        if self._head:
            data = self._head + data
            self._head = b""
        at = 0
        passed = 0  # Where bytes for h2 begin that were not yet given on.
        size = len(data)
        while at < size:
            if self._left:
                if self._stream_id:
                    at, items = self._body(data, at)
                    yield from items
                    passed = at
                else:
                    end = min(at + self._left, size)
                    self._left -= end - at
                    at = end
                continue
            if size - at < _HEAD_BYTES:
                self._head = data[at:]
                break
            if passed < at:
                # h2 may open or close the stream with these; or the next frame is too long.
                yield 0, data[passed:at]
                passed = at
            if self._may_pass(data, at):
                found = self._begin_body(data, at) or self._request(data, at)
                if found is not None:
                    at, items = found
                    yield from items
                    passed = at
                    continue
            at = self._begin_other(data, at)
        end = size - len(self._head)
        if passed < end:
            yield 0, data[passed:end]

    def _may_pass(self, data: bytes, at: int) -> bool:
        kind, flags = data[at + 3], data[at + 4] & ~_END_STREAM
        return not self._in_headers and (
            (kind == _DATA and flags == 0) or (kind == _HEADERS and flags == _END_HEADERS)
        )

    def _begin_body(self, data: bytes, at: int) -> tuple[int, list[Item]] | None:
        """What is there of a frame of a body, and where that ends; None if h2 has to see it."""
        high, low, kind, flags, stream_id = _HEAD.unpack_from(data, at)
        length = high << 8 | low
        stream_id &= _STREAM_ID_BITS
        ends = bool(flags & _END_STREAM)
        if kind != _DATA or not self._connection.take_past(stream_id, length, ends=ends):
            return None
        self._left, self._stream_id, self._ends = length, stream_id, ends
        return self._body(data, at + _HEAD_BYTES)

    def _body(self, data: bytes, at: int) -> tuple[int, list[Item]]:
        end = min(at + self._left, len(data))
        self._left -= end - at
        items: list[Item] = [(self._stream_id, data[at:end])] if at < end else []
        if self._ends and not self._left:
            self._connection.end_past(self._stream_id)
            items.append((self._stream_id, None))
        return end, items

    def _request(self, data: bytes, at: int) -> tuple[int, list[Item]] | None:
        """A request, and where it ends; None if h2 has to see it."""
        high, low, kind, flags, stream_id = _HEAD.unpack_from(data, at)
        start = at + _HEAD_BYTES
        end = start + (high << 8 | low)
        if kind != _HEADERS or end > len(data):
            return None
        stream_id &= _STREAM_ID_BITS
        ends = bool(flags & _END_STREAM)
        headers = self._connection.begin_past(stream_id, data[start:end], ends=ends)
        if headers is None:
            return None
        items: list[Item] = [(stream_id, headers)]
        if ends:
            items.append((stream_id, None))
        return end, items

    def _begin_other(self, data: bytes, at: int) -> int:
        high, low, kind, flags, _ = _HEAD.unpack_from(data, at)
        length = high << 8 | low
        self._left, self._stream_id = length, 0
        if kind in (_HEADERS, _PUSH_PROMISE, _CONTINUATION):
            self._header_bytes = length + (self._header_bytes if kind == _CONTINUATION else 0)
            most = self._connection.local_settings.max_header_list_size or self._header_bytes
            self._connection.check_frame(self._header_bytes, most)
            # Until its headers end, a connection may carry nothing else; h2 sees to it.
            self._in_headers = not flags & _END_HEADERS
        elif kind == _DATA:
            self._connection.check_frame(length, length)
        else:
            self._connection.check_frame(length, CONTROL_FRAME_BYTES_MAX)
        return at + _HEAD_BYTES
