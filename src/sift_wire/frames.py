"""gRPC's length-prefixed messages: cut from the chunks of a body.

A frame is a byte that says whether the message is compressed, its length as four big-endian bytes,
and the message. Source: "gRPC over HTTP2", section "Length-Prefixed-Message".
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from sift_wire import kernels
from sift_wire.messages import PREFIX_BYTES, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

_PREFIX = struct.Struct(">BI")
INFLATED_BYTES_MAX = 4 * 1024 * 1024
"""When so much is inflated, what it is of goes on before more is."""

_SHORT_BYTES_MAX = 1_024
"""Up to here the interpreter is done before a kernel has begun."""

_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS


class FrameError(ValueError):
    """The bytes of a body are not frames; says where and why."""


class FrameTooLargeError(FrameError):
    """A message is larger than the limit."""


class FrameCutOffError(FrameError):
    """The body ended in the middle of a frame."""


class FrameCompressionError(FrameError):
    """A message is compressed in a way that was not agreed on, or can't be inflated."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Complete, uncompressed messages, one behind the other.

    Attributes:
        buffer: Frames and nothing else: prefix, message, prefix, message.
        starts: int64, shape (messages,). Where each message begins in `buffer`, behind its prefix.
        ends: int64, shape (messages,). Where each message ends.
    """

    buffer: bytes | memoryview
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def from_payload(cls, payload: bytes | memoryview) -> Self:
        """Take apart what `payload` gave.

        Raises:
            FrameError: These are not whole, uncompressed frames.
        """
        frames, consumed = _split(payload, len(payload))
        if consumed != len(payload):
            raise FrameCutOffError(f"the frames end in the middle of one, at byte {consumed}")
        return cls(payload, *frames)

    @classmethod
    def from_messages(cls, messages: Iterable[bytes]) -> Self:
        """Frame messages."""
        return cls.from_payload(b"".join(map(frame, messages)))

    def __len__(self) -> int:
        return len(self.starts)

    def message(self, index: int) -> bytes:
        """Bytes of one message."""
        return bytes(self.buffer[self.starts[index] : self.ends[index]])

    def select(self, first: int, last: int) -> Frames:
        """The messages from `first` up to, but not including, `last`."""
        if first == 0 and last == len(self):
            return self
        starts, ends = self.starts[first:last], self.ends[first:last]
        if not len(starts):
            return Frames(b"", starts, ends)
        origin = starts[0] - PREFIX_BYTES
        return Frames(self.buffer[origin : ends[-1]], starts - origin, ends - origin)

    def payload(self) -> bytes | memoryview:
        """The frames as bytes, for `from_payload`; nothing is copied."""
        return self.buffer


class FrameReader:
    """Cuts frames from chunks as they arrive. One reader for one body; not thread-safe.

    Example:
        ```python
        reader = FrameReader(message_bytes_max=4_000_000)
        for chunk in body:
            frames = reader.feed(chunk)
            ...
        reader.finish()
        ```
    """

    def __init__(
        self, message_bytes_max: int, inflate: Callable[[bytes], bytes] | None = None
    ) -> None:
        """Take the size limit of a message, and how compressed ones are inflated, if at all."""
        self._message_bytes_max = message_bytes_max
        self._inflate = inflate
        self._rest = b""

    @property
    def unfinished_bytes(self) -> int:
        """Bytes of the message that is not complete yet."""
        return len(self._rest)

    @property
    def inflates(self) -> bool:
        """Whether messages may be compressed; then a feed may leave some for the next one."""
        return self._inflate is not None

    def feed(self, *chunks: bytes) -> Frames | None:
        """Take chunks; return the messages that are now complete, or None.

        Of compressed messages no more are inflated at a time than `INFLATED_BYTES_MAX`, or one:
        feed again, without a chunk, until there are none.

        Raises:
            FrameTooLargeError: A message is larger than the limit.
            FrameCompressionError: A message is compressed and must not be, or can't be inflated.
            FrameError: A prefix is none.
        """
        parts = [self._rest, *chunks] if self._rest else chunks
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if self._inflate is not None:
            inflated, consumed = self._inflated(data, self._inflate)
            self._rest = data[consumed:]
            return Frames.from_payload(inflated) if inflated else None
        (starts, ends), consumed = _split(data, self._message_bytes_max)
        self._rest = data[consumed:]
        if not len(starts):
            return None
        return Frames(memoryview(data)[:consumed] if self._rest else data, starts, ends)

    def cut(self, *chunks: bytes) -> bytes:
        """Take chunks of a body that is not compressed; return the frames that are now complete.

        For a few small messages this is cheaper than `feed`. They are as they came, for
        `Frames.from_payload`; there may be none.

        Raises:
            FrameError: As `feed` does.
        """
        parts = [self._rest, *chunks] if self._rest else chunks
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        whole_bytes = _whole_bytes(data, self._message_bytes_max)
        self._rest = data[whole_bytes:]
        return data[:whole_bytes]

    def finish(self) -> None:
        """Say that the body ended.

        Raises:
            FrameCutOffError: It ended in the middle of a frame.
        """
        if self._rest:
            raise FrameCutOffError(
                f"the stream ended in the middle of a message, {len(self._rest)} bytes into it"
            )

    def _inflated(self, data: bytes, inflate: Callable[[bytes], bytes]) -> tuple[bytes, int]:
        """All complete frames of `data`, uncompressed, and how many bytes they took."""
        parts = []
        inflated_bytes = 0
        at = 0
        while at + PREFIX_BYTES <= len(data):
            flag, length = _PREFIX.unpack_from(data, at)
            _check_prefix(flag, length, self._message_bytes_max, compression=True)
            end = at + PREFIX_BYTES + length
            if end > len(data) or inflated_bytes >= INFLATED_BYTES_MAX:
                break
            message = data[at + PREFIX_BYTES : end]
            parts.append(frame(inflate(message) if flag else message))
            inflated_bytes += len(parts[-1])
            at = end
        return b"".join(parts), at


def gunzip(data: bytes, message_bytes_max: int) -> bytes:
    """Inflate a gzip member, up to a limit.

    Raises:
        FrameTooLargeError: It is larger than the limit.
        FrameCompressionError: It is not gzip, or is cut off.
    """
    stream = zlib.decompressobj(_GZIP_WINDOW_BITS)
    try:
        message = stream.decompress(data, message_bytes_max + 1)
    except zlib.error as error:
        raise FrameCompressionError(f"a compressed message is not gzip: {error}") from None
    if len(message) > message_bytes_max:
        raise _too_large(len(message), message_bytes_max, "inflates to")
    if not stream.eof:
        raise FrameCompressionError("a compressed message is cut off")
    return message


def _whole_bytes(data: bytes, message_bytes_max: int) -> int:
    """How many bytes of `data` are complete frames."""
    if len(data) > _SHORT_BYTES_MAX:
        array = np.frombuffer(data, np.uint8)
        _, consumed, has_problem = kernels.count_frames(array, message_bytes_max)
        if has_problem:
            flag, length = _PREFIX.unpack_from(data, consumed)
            _check_prefix(flag, length, message_bytes_max, compression=False)
        return int(consumed)
    at = 0
    while at + PREFIX_BYTES <= len(data):
        flag, length = _PREFIX.unpack_from(data, at)
        _check_prefix(flag, length, message_bytes_max, compression=False)
        end = at + PREFIX_BYTES + length
        if end > len(data):
            break
        at = end
    return at


def _split(
    data: bytes | memoryview, message_bytes_max: int
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], int]:
    array = np.frombuffer(data, np.uint8)
    count, consumed, problem = kernels.count_frames(array, message_bytes_max)
    if problem:
        flag, length = _PREFIX.unpack_from(data, consumed)
        _check_prefix(flag, length, message_bytes_max, compression=False)
    starts = np.empty(count, np.int64)
    ends = np.empty(count, np.int64)
    kernels.split_frames(array, starts, ends)
    return (starts, ends), consumed


def _check_prefix(flag: int, length: int, message_bytes_max: int, *, compression: bool) -> None:
    if flag == 1 and not compression:
        raise FrameCompressionError(
            "a message is compressed, but the call has no grpc-encoding header that says how"
        )
    if flag > 1:
        raise FrameError(f"a message begins with the byte {flag}; it must be 0 or 1")
    if length > message_bytes_max:
        raise _too_large(length, message_bytes_max, "has")


def _too_large(length: int, message_bytes_max: int, verb: str) -> FrameTooLargeError:
    return FrameTooLargeError(
        f"a message {verb} {length} bytes or more; at most {message_bytes_max} are taken. Send"
        " fewer values in one message."
    )
