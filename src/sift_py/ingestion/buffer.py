"""Buffered ingestion: many rows in one call to the server."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TypeAlias

import grpc

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
from sift_py._internal import unsent
from sift_py.errors import IngestionValidationError, NotAcknowledgedError
from sift_py.ingestion._internal.interval import Interval
from sift_wire.messages import PREFIX_BYTES, frame

if TYPE_CHECKING:
    from types import TracebackType

    from sift_py.ingestion.flow import Flow, FlowOrderedChannelValues
    from sift_py.ingestion.service import IngestionService

__all__ = [
    "DEFAULT_BUFFER_BYTES_MAX",
    "DEFAULT_BUFFER_SIZE",
    "BufferedIngestionService",
    "OnError",
]

DEFAULT_BUFFER_SIZE = 1000
"""How many requests are sent in one call, and may wait, unless the user says otherwise."""

DEFAULT_BUFFER_BYTES_MAX = 128 * 1024 * 1024
"""How many bytes of requests may wait, unless the user says otherwise: memory has a bound, however
long the server is away and however large a request is."""

OnError: TypeAlias = Callable[
    [BaseException, list[IngestWithConfigDataStreamRequest], Callable[[], None]], None
]
"""`on_error(error, buffer, flush)`, see `IngestionService.buffered_ingestion`."""

_logger = logging.getLogger(__name__)


class BufferedIngestionService:
    """Collects requests and sends them together. Made by `IngestionService.buffered_ingestion`.

    A request leaves the buffer when the server has answered the call that carried it. If the call
    fails, the requests stay, in order, and the next flush sends them again: a server of the
    protocol takes the same point twice as one point.

    **When an ingest call raises `grpc.RpcError`**, its rows are in the buffer: do not repeat it,
    but `flush`. The exception is a buffer that earlier failures left full: then the call flushes
    first, and if that fails it takes nothing and the error has a note that says so. So the buffer
    never has more than `buffer_size` requests, or `buffer_bytes_max` bytes, and those of one call
    for each thread.

    **When a timed flush fails**, a warning is logged and the requests stay. The following timed
    flushes try again, and so does the next call of any kind, which raises if it fails too.

    **When the with-block ends**, what is left is flushed, whether the block raised or not. An
    exception of the block passes through; if the flush fails too, that is a note on it. With
    `on_error`, that is called in place of the flush when the block raised.

    **When the program ends** with requests in the buffer, they are flushed then; if that fails, it
    is told on stderr. Until then they are kept, also when nobody has the buffer any more.

    **With a spill folder**, a flush because of size or time returns when its requests are
    acknowledged or on disk; `flush`, `close` and the end of the with-block when they are
    acknowledged.

    Safe from many threads, which may ingest while others flush. Batches are sent one after the
    other, so rows arrive in the order in which the calls were made; who fills the buffer waits for
    the server.

    Example:
        ```python
        with service.buffered_ingestion(flush_interval_sec=1.0) as buffered:
            for flow in source:
                buffered.try_ingest_flows(flow)
        ```
    """

    def __init__(
        self,
        ingestion_service: IngestionService,
        buffer_size: int | None = None,
        flush_interval_sec: float | None = None,
        on_error: OnError | None = None,
        buffer_bytes_max: int = DEFAULT_BUFFER_BYTES_MAX,
    ) -> None:
        self._service = ingestion_service
        self._process = ingestion_service._process  # noqa: SLF001 - two halves of one thing
        self._buffer_size = _checked_size(buffer_size)
        self._buffer_bytes_max = _checked_bytes(buffer_bytes_max)
        self._on_error = on_error
        self._buffer: list[bytes] = []
        """Frames of requests."""
        self._buffer_bytes = 0
        self._is_held = False
        """Whether the rest is sent when the program ends."""
        # Order: a thread that has `_flush_lock` may take `_buffer_lock`, never the other way round.
        self._flush_lock = threading.Lock()
        self._buffer_lock = threading.Lock()
        self._timed_flush_failed = False
        self._interval: Interval | None = None
        if flush_interval_sec is not None:
            self._interval = Interval(_checked_interval(flush_interval_sec), self._timed_flush)
        ingestion_service._buffers.add(self)  # noqa: SLF001 - as above

    def ingest_flows(self, *flows: FlowOrderedChannelValues) -> None:
        """Buffer rows whose values are in order, as `IngestionService.ingest_flows` takes them.

        Flushes each time the buffer has `buffer_size` requests.

        Raises:
            IngestionValidationError: A timestamp can't be used; nothing was buffered.
            grpc.RpcError: A flush failed; see the class.
        """
        self._add(list(self._service._frames(flows)))  # noqa: SLF001 - as above

    def try_ingest_flows(self, *flows: Flow) -> None:
        """Check and buffer rows, as `IngestionService.try_ingest_flows` takes them.

        Flushes each time the buffer has `buffer_size` requests.

        Raises:
            IngestionValidationError: A row does not fit its flow; nothing was buffered.
            grpc.RpcError: A flush failed; see the class.
        """
        self._add(list(self._service._try_frames(flows)))  # noqa: SLF001 - as above

    def ingest_flow(self, flow: FlowOrderedChannelValues) -> None:
        """Buffer one row, as `ingest_flows` does."""
        self.ingest_flows(flow)

    def try_ingest_flow(self, flow: Flow) -> None:
        """Check and buffer one row, as `try_ingest_flows` does."""
        self.try_ingest_flows(flow)

    def flush(self) -> None:
        """Send what is in the buffer now, and wait until the server has acknowledged it.

        With a spill folder, what is there is waited for, too.

        Raises:
            NotAcknowledgedError: It failed. What was not acknowledged is still in the buffer, or on
                disk; the message says which. Other errors, a `KeyboardInterrupt` for example, have
                a note that says it.
        """
        self._send_rest()
        self._service._wait_for_spilled()  # noqa: SLF001 - as above

    def close(self) -> None:
        """End timed flushes, and flush, as the end of a with-block does.

        Raises:
            NotAcknowledgedError: As in `flush`.
        """
        if self._interval is not None:
            self._interval.stop()
        self.flush()

    def _send_rest(self) -> None:
        """Send what is in the buffer, to the disk if there is no other way.

        Raises:
            NotAcknowledgedError: It failed, and is still in the buffer.
        """
        self._process.check()
        try:
            self._send_all()
        except grpc.RpcError as error:
            raise NotAcknowledgedError.of(error, self._where()) from error
        except BaseException as error:
            error.add_note(self._where())
            raise

    def discard(self) -> list[IngestWithConfigDataStreamRequest]:
        """Take out of the buffer what was not answered, and return it, in order.

        For requests that the server refuses again and again, which else keep the buffer full. They
        may be sent with `IngestionService.ingest`, one by one.
        """
        self._process.check()
        with self._flush_lock, self._buffer_lock:
            frames = self._buffer[:]
            self._drop(frames)
        return [
            IngestWithConfigDataStreamRequest.FromString(each[PREFIX_BYTES:]) for each in frames
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        try:
            if exc_val is None:
                self.close()
            elif self._on_error is not None:
                self._call_on_error(self._on_error, exc_val)
            else:
                unsent.end_after(
                    exc_val, self.close, "The flush at the end of the buffered ingestion"
                )
        except Exception:
            # Who leaves the block is told; who interrupts the end of it may not be.
            self._let_go()
            raise
        self._let_go()

    def _call_on_error(self, on_error: OnError, error: BaseException) -> None:
        """Show what was not answered as messages, and let the caller decide what of it is sent."""
        if self._interval is not None:
            self._interval.stop()
        requests = self.discard()

        def flush() -> None:
            self._keep([frame(request.SerializeToString()) for request in requests])
            try:
                self.flush()
            finally:
                # Still the caller's, if they were not answered.
                requests[:] = self.discard()

        on_error(error, requests, flush)

    def _add(self, frames: list[bytes]) -> None:
        self._process.check()
        if self._is_full():
            self._make_room()
        if self._interval is not None:
            self._interval.start()
        self._keep(frames)
        if self._timed_flush_failed:
            self._send_all()
        while self._is_full():
            with self._flush_lock:
                # Another thread may have sent it while this one waited.
                if self._is_full():
                    self._send_batch()

    def _make_room(self) -> None:
        while self._is_full():
            try:
                self._send_all()
            except Exception as error:
                error.add_note(
                    "The buffer is full because flushes fail; the rows of this call were not"
                    " taken. discard() empties the buffer."
                )
                raise

    def _is_full(self) -> bool:
        # Without the lock: it may be otherwise a moment later in any case.
        return (
            len(self._buffer) >= self._buffer_size or self._buffer_bytes >= self._buffer_bytes_max
        )

    def _keep(self, frames: list[bytes]) -> None:
        with self._buffer_lock:
            if frames and not self._is_held:
                self._is_held = True
                unsent.hold(self, self._send_rest)
            self._buffer += frames
            self._buffer_bytes += len(frames[0]) if len(frames) == 1 else sum(map(len, frames))

    def _drop(self, frames: list[bytes]) -> None:
        """Take the first frames out of the buffer; with the buffer lock held."""
        del self._buffer[: len(frames)]
        if self._buffer:
            self._buffer_bytes -= sum(map(len, frames))
        else:
            self._buffer_bytes = 0
            self._let_go()

    def _let_go(self) -> None:
        self._is_held = False
        unsent.release(self)

    def _where(self) -> str:
        with self._buffer_lock:
            return (
                f"{len(self._buffer)} requests ({self._buffer_bytes} bytes) are not acknowledged."
                " They are in the buffer, and the next flush sends them again."
            )

    def _send_all(self) -> None:
        """Send what is in the buffer now; raises what the calls raise."""
        with self._flush_lock:
            with self._buffer_lock:
                remaining = len(self._buffer)
            while remaining > 0:
                remaining -= self._send_batch()

    def _send_batch(self) -> int:
        """Send up to `buffer_size` requests; with the flush lock held."""
        with self._buffer_lock:
            batch = self._buffer[: self._buffer_size]
        self._service._send(batch)  # noqa: SLF001 - as above
        with self._buffer_lock:
            self._drop(batch)
        self._timed_flush_failed = False
        if self._interval is not None:
            self._interval.restart()
        return len(batch)

    def _timed_flush(self) -> None:
        try:
            self._send_all()
        except Exception as error:  # noqa: BLE001 - a thread has no caller; the next call raises
            self._timed_flush_failed = True
            _logger.warning(
                "A timed flush failed; %d requests are kept and sent again: %s",
                len(self._buffer),
                error,
            )


def _checked_size(buffer_size: int | None) -> int:
    if not buffer_size:
        return DEFAULT_BUFFER_SIZE
    if buffer_size < 0:
        raise IngestionValidationError(
            f"buffer_size must be positive, or None for {DEFAULT_BUFFER_SIZE}, got {buffer_size}."
        )
    return buffer_size


def _checked_bytes(buffer_bytes_max: int) -> int:
    if not buffer_bytes_max > 0:
        raise IngestionValidationError(
            f"buffer_bytes_max must be a positive number of bytes, got {buffer_bytes_max}."
        )
    return buffer_bytes_max


def _checked_interval(flush_interval_sec: float) -> float:
    if not (flush_interval_sec > 0 and math.isfinite(flush_interval_sec)):
        raise IngestionValidationError(
            "flush_interval_sec must be a positive number of seconds, or None for no timed flush,"
            f" got {flush_interval_sec}."
        )
    return flush_interval_sec
