"""Body bytes of HTTP/2, taken past the h2 library: the fast way in.

h2 makes an object of every frame, copies its payload three times, and describes it for a log that
nobody reads. For a body of hundreds of megabytes that is most of the server's work. `BodySieve`
picks the plain DATA frames of open calls out of what a connection receives and gives everything
else to h2, which stays the judge of the protocol: its windows count what was picked out, and a
frame that it could object to is left to it.

The format: RFC 9113, section 4.1 and 6.1.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from h2.connection import ConnectionState, H2Connection
from h2.stream import StreamState

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client's side of a connection begins with."""

_HEAD_BYTES = 9
_HEAD = struct.Struct(">HBBBI")
_DATA, _HEADERS, _PUSH_PROMISE, _CONTINUATION = 0x0, 0x1, 0x5, 0x9
_END_HEADERS = 0x4
_STREAM_ID_BITS = 0x7FFF_FFFF
_RECEIVING = (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL)


class BodyConnection(H2Connection):
    """An h2 connection that can be told of DATA frames which it did not see."""

    def take_past(self, stream_id: int, length: int) -> bool:
        """Count a DATA frame that has no padding and does not end its stream.

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
        if has_length or not 0 < length <= min(
            self.max_inbound_frame_size,
            window_of_stream.current_window_size,
            window_of_all.current_window_size,
        ):
            return False
        window_of_stream.window_consumed(length)
        window_of_all.window_consumed(length)
        return True


class BodySieve:
    """Parts what a client sends into body bytes and the rest, in order.

    Bytes of a frame are given on as they come; nothing is kept but the head of a frame that is cut
    in two.
    """

    def __init__(self, connection: BodyConnection) -> None:
        self._connection = connection
        self._head = b""
        self._left = len(PREFACE)
        """Bytes of the frame that has begun, or of the preface."""
        self._stream_id = 0
        """The stream that they are the body of; 0 if they are h2's."""
        self._in_headers = False

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Part what was received.

        Yields:
            A stream's id and bytes of its body, or 0 and bytes for h2, which must get them before
            the next item is asked for.
        """
        if self._head:
            data = self._head + data
            self._head = b""
        at = 0
        passed = 0  # Where bytes for h2 begin that were not yet given on.
        size = len(data)
        while at < size:
            if self._left:
                end = min(at + self._left, size)
                self._left -= end - at
                if self._stream_id:
                    yield self._stream_id, data[at:end]
                    passed = end
                at = end
                continue
            if size - at < _HEAD_BYTES:
                self._head = data[at:]
                break
            if self._is_data(data, at):
                if passed < at:
                    # h2 may open or close the stream with these.
                    yield 0, data[passed:at]
                    passed = at
                if self._begin_body(data, at):
                    at += _HEAD_BYTES
                    passed = at
                    continue
            at = self._begin_other(data, at)
        end = size - len(self._head)
        if passed < end:
            yield 0, data[passed:end]

    def _is_data(self, data: bytes, at: int) -> bool:
        return data[at + 3] == _DATA and data[at + 4] == 0 and not self._in_headers

    def _begin_body(self, data: bytes, at: int) -> bool:
        high, low, _, _, stream_id = _HEAD.unpack_from(data, at)
        length = high << 8 | low
        stream_id &= _STREAM_ID_BITS
        if not self._connection.take_past(stream_id, length):
            return False
        self._left, self._stream_id = length, stream_id
        return True

    def _begin_other(self, data: bytes, at: int) -> int:
        high, low, kind, flags, _ = _HEAD.unpack_from(data, at)
        self._left, self._stream_id = high << 8 | low, 0
        if kind in (_HEADERS, _PUSH_PROMISE, _CONTINUATION):
            # Until its headers end, a connection may carry nothing else; h2 sees to it.
            self._in_headers = not flags & _END_HEADERS
        return at + _HEAD_BYTES
