"""What the requests that are being answered hold in memory, all together.

A request is counted as it was sent and as it was inflated: a few bytes of gzip may be a thousand
times as many, and a thousand calls may run at a time.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from connectrpc.compression.gzip import GzipCompression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sift_server.api.asgi import Event, Receive

REQUESTS_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of all requests that are being answered, received and inflated."""


class RequestBytes:
    """The bytes that requests hold. For the server's event loop only."""

    def __init__(self) -> None:
        self.bytes_max = REQUESTS_BYTES_MAX
        self._bytes = 0

    @contextmanager
    def counted(self, refused: Callable[[str], Exception]) -> Iterator[HeldBytes]:
        """Count the bytes of one call while the with-block runs.

        Args:
            refused: Makes what is raised when there are too many.
        """
        held = HeldBytes(self, refused)
        token = _of_this_call.set(held)
        try:
            yield held
        finally:
            _of_this_call.reset(token)
            self._bytes -= held.bytes

    def take(self, count: int) -> bool:
        """Count bytes; whether there was room for them."""
        self._bytes += count
        return self._bytes <= self.bytes_max


class HeldBytes:
    """The bytes of one call."""

    def __init__(self, all_bytes: RequestBytes, refused: Callable[[str], Exception]) -> None:
        self._all_bytes = all_bytes
        self._refused = refused
        self.bytes = 0

    def add(self, count: int) -> None:
        """Count some more.

        Raises:
            Exception: There are too many; what `counted` was given.
        """
        self.bytes += count
        if not self._all_bytes.take(count):
            raise self._refused(
                f"requests hold REQUESTS_BYTES_MAX = {self._all_bytes.bytes_max} bytes of this"
                " server, which is the limit; try again, or in smaller requests"
            )

    def receiving(self, receive: Receive) -> Receive:
        """Count what a call receives."""

        async def counting() -> Event:
            event = await receive()
            self.add(len(event.get("body", b"")))
            return event

        return counting


_of_this_call: ContextVar[HeldBytes] = ContextVar("held_bytes")


class CountedGzip(GzipCompression):
    """Inflates gzip no further than a request may be large, and counts what that gives."""

    def decompress(
        self, data: bytes | bytearray | memoryview, read_max_bytes: int | None = None
    ) -> bytes:
        """Inflate a message of the call that runs."""
        inflated = super().decompress(data, read_max_bytes)
        _of_this_call.get().add(len(inflated))
        return inflated
