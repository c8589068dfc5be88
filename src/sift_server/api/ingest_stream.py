"""The door of the ingest stream: reads the body of a gRPC call by bytes, not by messages."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from sift.ingest.v1 import ingest_pb2
from sift_server.api.gathering import Gathering
from sift_server.api.grpc_status import GrpcCode, send_grpc_error, send_grpc_response
from sift_server.errors import DiskFullError, UnauthenticatedError
from sift_server.ingest.acknowledged import parse_key
from sift_server.log import LogFailedError, LogFullError
from sift_wire.frames import FrameError, FrameReader, Frames, FrameTooLargeError, gunzip

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from concurrent.futures import Executor, Future

    from sift_server.ingest import Ingestor
    from sift_wire.rejection import RejectedMessage

IDEMPOTENCY_KEY_HEADER = b"sift-idempotency-key"
"""Names a batch, with a UUID: a retry of one that was acknowledged is not taken again."""

DISK_FULL_RETRY_DELAY_MS = 5_000
"""How long a client is asked to wait before it tries again while the disk is full: as long as the
server itself waits before it tries again to flush."""

_OK = ingest_pb2.IngestWithConfigDataStreamResponse().SerializeToString()

_logger = logging.getLogger(__name__)


class _StreamRefusedError(Exception):
    """The stream ends with a status other than OK."""

    def __init__(self, code: GrpcCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class IngestStream:
    """An ASGI handler of `IngestWithConfigDataStream`.

    The stream is answered OK when every message of it is on disk and readable, or on disk and in
    the error queue.
    """

    def __init__(self, ingestor: Ingestor, threads: Executor) -> None:
        """Take the ingestor, and the threads on which streams are decoded."""
        self._ingestor = ingestor
        self._threads = threads
        self._gathering = Gathering(ingestor)
        self._budget = _Budget(ingestor.limits.buffer_bytes_max)
        self._unfinished = _Unfinished(ingestor.limits.unfinished_bytes_max)
        self._open: set[_Intake] = set()

    def end_all(self) -> None:
        """End the streams that are open: what they sent is taken, and they are told UNAVAILABLE.

        Never OK, for a client that did not say that it is done may count more to the stream than
        came here. On the event loop.
        """
        for intake in self._open:
            intake.end()

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one call."""
        try:
            headers = dict(scope["headers"])
            key = _key_of(headers)
            if key is None or key not in self._ingestor.keys:
                intake = _Intake(
                    self._ingestor,
                    self._threads,
                    self._gathering,
                    self._reader(headers),
                    self._budget,
                    self._unfinished,
                    scope.get("client"),
                    key,
                )
                self._open.add(intake)
                try:
                    await intake.run(receive)
                finally:
                    self._open.discard(intake)
        except _StreamRefusedError as refused:
            await send_grpc_error(send, refused.code, str(refused))
        except UnauthenticatedError as error:
            await send_grpc_error(send, GrpcCode.UNAUTHENTICATED, str(error))
        except _ClientGoneError:
            _logger.info("a client left in the middle of an ingest stream")
        except (DiskFullError, LogFullError) as error:
            await send_grpc_error(
                send, GrpcCode.RESOURCE_EXHAUSTED, str(error), DISK_FULL_RETRY_DELAY_MS
            )
        except LogFailedError as error:
            # Clients keep their data and try again: what failed is this server, not the data.
            await send_grpc_error(send, GrpcCode.UNAVAILABLE, str(error))
        else:
            await send_grpc_response(send, _OK)

    def _reader(self, headers: dict[bytes, bytes]) -> FrameReader:
        encoding = headers.get(b"grpc-encoding", b"identity").decode("latin-1")
        if encoding not in ("identity", "gzip"):
            raise _StreamRefusedError(
                GrpcCode.UNIMPLEMENTED,
                f"messages are compressed with {encoding!r}; this server takes 'gzip' and"
                " uncompressed messages",
            )
        limit = self._ingestor.limits.message_bytes_max
        inflate = (lambda data: gunzip(data, limit)) if encoding == "gzip" else None
        return FrameReader(limit, inflate)


def _key_of(headers: dict[bytes, bytes]) -> bytes | None:
    text = headers.get(IDEMPOTENCY_KEY_HEADER)
    if text is None:
        return None
    key = parse_key(text.decode("latin-1"))
    if key is None:
        raise _StreamRefusedError(
            GrpcCode.INVALID_ARGUMENT,
            f"the metadata {IDEMPOTENCY_KEY_HEADER.decode()!r} must be a UUID, a new one for each"
            " batch",
        )
    return key


class _ClientGoneError(Exception):
    """The connection closed before the client was done."""


class _Budget:
    """Received bytes that all streams hold together. Used on the event loop only."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._changed = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether streams that hold something have to wait."""
        return self._bytes >= self._bytes_max

    def take(self, count: int) -> None:
        """Count bytes that were received; a negative count gives bytes back."""
        self._bytes += count
        if count < 0:
            self._changed.set()

    async def given_back(self) -> None:
        """Wait until somebody gave bytes back."""
        self._changed.clear()
        await self._changed.wait()


class _Unfinished:
    """Messages that are not complete, of all streams together. Used on the event loop only.

    They can't go through by waiting: a client may have stopped in the middle of one. So when there
    are too many bytes, the stream that holds most of them is refused, whoever came last.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._held: dict[_Intake, int] = {}

    def hold(self, stream: _Intake, held: int) -> None:
        """Note what a stream holds now."""
        self._bytes += held - self._held.pop(stream, 0)
        if held:
            self._held[stream] = held
        while self._bytes >= self._bytes_max:
            largest = max(self._held, key=self._held.__getitem__)
            self._bytes -= self._held.pop(largest)
            largest.failed(
                _StreamRefusedError(
                    GrpcCode.UNAVAILABLE,
                    f"the server holds unfinished_bytes_max = {self._bytes_max} bytes of messages"
                    " that are not complete, this stream the most of them. Try again, with smaller"
                    " messages",
                )
            )


class _Intake:
    """One stream on its way in.

    What is so small that a thread would cost more is gathered with what other streams sent. Of
    anything larger, a thread decodes and appends what came before while the event loop receives:
    whatever gathered meanwhile is the next batch. So a fast stream goes in large batches, without a
    timer.
    """

    def __init__(
        self,
        ingestor: Ingestor,
        threads: Executor,
        gathering: Gathering,
        reader: FrameReader,
        budget: _Budget,
        unfinished: _Unfinished,
        client: object,
        key: bytes | None,
    ) -> None:
        self._ingestor = ingestor
        self._threads = threads
        self._gathering = gathering
        self._reader = reader
        self._budget = budget
        self._held = 0
        self._unfinished = unfinished
        self.client = client
        self._key = key
        self._chunks: list[bytes] = []
        self._bytes = 0
        self._payload = b""
        """Whole frames that were cut from chunks, and could not be taken at once."""
        self._needs_thread = False
        self._is_on_thread = False
        self._done = False
        self._is_complete = False
        """Whether all of it came; the client may also have left."""
        self._is_ended = False
        """Whether the server ended it before all of it came."""
        self._receiving: asyncio.Task[None] | None = None
        """Waits for what comes."""
        self._error: Exception | None = None
        """Why nothing more of the stream is taken."""
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._durable: list[Future[int]] = []
        self._n_records = 0

    async def run(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        """Take the stream to its end, and wait until everything of it is durable."""
        try:
            await self._receive_first(receive)
            if self._done:
                # All of it is here, as it is with small streams.
                await self._take_all()
            else:
                await self._take_while_receiving(receive)
        finally:
            self._gathering.remove(self)
            self._hold(0)
            self._unfinished.hold(self, 0)
        for durable in self._durable:
            if durable.done():
                durable.result()
            else:
                await asyncio.wrap_future(durable)
        if self._is_ended:
            raise _StreamRefusedError(
                GrpcCode.UNAVAILABLE,
                "the server stops, and the stream was not at its end. What it sent until now was"
                " taken, but is not acknowledged: send it again, which does no harm",
            )
        if self._key is not None and self._n_records and self._key not in self._ingestor.keys:
            # Only now is it known that all records of the stream are durable.
            self._ingestor.keys.add_riding(self._key)

    def end(self) -> None:
        """Receive nothing more, unless all of it came. `run` then takes what came, and refuses."""
        if not self._is_complete and self._receiving is not None:
            self._is_ended = True
            self._receiving.cancel()

    async def _receive_first(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        # Many streams come whole: for them, there is no other task.
        task = self._receiving = asyncio.current_task()
        try:
            self._received(await receive())
        except asyncio.CancelledError:
            if not self._is_ended or task is None or task.uncancel():
                raise
            self._done = True
            self._offer()

    async def _take_while_receiving(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        receiving = self._receiving = asyncio.create_task(self._receive(receive))
        try:
            await self._take_all()
            if not self._is_ended:
                await receiving
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    def _received(self, event: dict[str, Any]) -> None:
        if event["type"] == "http.disconnect":
            raise _ClientGoneError
        body = event.get("body", b"")
        if body:
            self._chunks.append(body)
            self._bytes += len(body)
            self._hold(self._held + len(body))
        self._done = self._is_complete = not event.get("more_body", False)
        self._offer()

    async def _receive(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        limit = self._ingestor.limits.stream_buffer_bytes_max
        try:
            while not self._done:
                while self._bytes >= limit:
                    self._room.clear()
                    await self._room.wait()
                while self._held and self._budget.is_full:
                    await self._budget.given_back()
                self._received(await receive())
        except UnauthenticatedError as error:
            self.failed(error)
        finally:
            if not self._done:
                self._done = True
                self._offer()

    def _offer(self) -> None:
        """See to it that what came is taken, in the cheapest way."""
        if self._error is not None or self._needs_thread or self._is_on_thread:
            # The task of `_take_all` looks for it.
            return
        if not self._chunks:
            self._changed.set()
        elif self._reader.inflates or self._bytes > self._ingestor.limits.at_once_bytes_max:
            self._gathering.remove(self)
            self.use_thread()
        else:
            self._gathering.add(self, self._bytes, is_awaited=self._done)

    async def _take_all(self) -> None:
        """Take what is not gathered, and return when nothing more will come."""
        try:
            is_all_taken = False
            while not is_all_taken:
                await self._changed.wait()
                self._changed.clear()
                while self._needs_thread:
                    await self._take_on_thread()
                is_all_taken = self._is_all_taken()
        except Exception as error:
            self._error = error
            raise

    def _is_all_taken(self) -> bool:
        if self._error is not None:
            raise self._error
        if not self._done or self._chunks:
            return False
        if self._is_ended:
            # It may be in the middle of a message, which is nobody's mistake.
            return True
        try:
            self._reader.finish()
        except FrameError as error:
            raise _frame_refused(error) from None
        return True

    async def _take_on_thread(self) -> None:
        payload, self._payload = self._payload, b""
        chunks = self._unwait()
        self._needs_thread, self._is_on_thread = False, True
        refusal = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._take, payload, chunks
        )
        self._is_on_thread = False
        self._hold(self._bytes)
        if refusal is not None:
            raise _refused(refusal)
        self._unfinished.hold(self, self._reader.unfinished_bytes)
        if self._chunks:
            self._offer()

    def _unwait(self) -> list[bytes]:
        chunks, self._chunks, self._bytes = self._chunks, [], 0
        self._room.set()
        return chunks

    # What gathering calls

    def cut(self) -> bytes:
        """Give whole frames of what was received; see `Gathered`."""
        chunks = self._unwait()
        payload = b""
        try:
            payload = self._reader.cut(*chunks)
            # If that is too much, what is whole is taken all the same.
            self._unfinished.hold(self, self._reader.unfinished_bytes)
        except FrameError as error:
            self.failed(_frame_refused(error))
        self._hold(0)
        if self._done and not payload:
            self._changed.set()
        return payload

    def cut_keys(self) -> Sequence[bytes]:
        """Give the key of the stream, if `cut` gave all of it; see `Gathered`.

        On a thread too: chunks that come meanwhile are there before the stream is complete.
        """
        is_whole = (
            self._is_complete
            and not self._n_records
            and not self._chunks
            and not self._reader.unfinished_bytes
            and self._error is None
        )
        return (self._key,) if is_whole and self._key is not None else ()

    def taken(self, durable: Future[int] | None) -> bool:
        """Note that what was cut will be durable; see `Gathered`."""
        self._remember(durable)
        try:
            self._raise_failed()
        except LogFailedError as error:
            self.failed(error)
        if self._done and durable is None:
            self._changed.set()
        return self._done and durable is not None

    def landed(self) -> None:
        """Note that it is; see `Gathered`."""
        self._changed.set()

    def refused(self, refusal: RejectedMessage) -> None:
        """Note that a message ends the stream; see `Gathered`."""
        self.failed(_refused(refusal))

    def failed(self, error: Exception) -> None:
        """Note that the stream ends with an error, of which the first counts; see `Gathered`."""
        if self._error is None:
            self._error = error
        self._changed.set()

    def use_thread(self, payload: bytes = b"") -> None:
        """Note that a thread has to take it; see `Gathered`."""
        self._payload = payload
        self._hold(self._bytes + len(payload))
        self._needs_thread = True
        self._changed.set()

    # Limits, and what a thread does

    def _hold(self, held: int) -> None:
        """Count the bytes that this stream holds now."""
        self._budget.take(held - self._held)
        self._held = held

    def _take(self, payload: bytes, chunks: list[bytes]) -> RejectedMessage | None:
        """Decode and append, on a thread of the pool; one call at a time for a stream."""
        refusal = None
        if payload:
            keys = () if chunks else self.cut_keys()
            refusal = self._take_frames(Frames.from_payload(payload), keys)
        while refusal is None and (frames := self._feed(chunks)) is not None:
            refusal = self._take_frames(frames, self.cut_keys())
            if not self._reader.inflates:
                break
            # Not all may have been inflated.
            chunks = []
        return refusal

    def _feed(self, chunks: list[bytes]) -> Frames | None:
        if not chunks and not self._reader.inflates:
            return None
        try:
            return self._reader.feed(*chunks)
        except FrameError as error:
            raise _frame_refused(error) from None

    def _take_frames(self, frames: Frames, keys: Sequence[bytes]) -> RejectedMessage | None:
        """Take frames, remember what has to become durable, and return what ends the stream.

        Raises:
            LogFailedError: Something of it did not become durable.
        """
        rest: Frames | None = frames
        while rest is not None:
            taken = self._ingestor.take(rest, keys=keys)
            self._remember(taken.durable)
            self._raise_failed()
            if taken.refusal is not None:
                return taken.refusal
            # What is taken in parts is not durable at once, as a key in the last would have it.
            rest, keys = taken.rest, ()
        return None

    def _raise_failed(self) -> None:
        """Raise what is known to have failed. A stream may go on for hours: it is told now."""
        for durable in self._durable:
            if durable.done():
                durable.result()

    def _remember(self, durable: Future[int] | None) -> None:
        self._durable = [one for one in self._durable if not one.done() or one.exception()]
        if durable is not None:
            self._durable.append(durable)
            self._n_records += 1


def _refused(refusal: RejectedMessage) -> _StreamRefusedError:
    return _StreamRefusedError(GrpcCode.INVALID_ARGUMENT, refusal.reason)


def _frame_refused(error: FrameError) -> _StreamRefusedError:
    if isinstance(error, FrameTooLargeError):
        return _StreamRefusedError(
            GrpcCode.RESOURCE_EXHAUSTED, f"{error} The limit is message_bytes_max (--message-mib)."
        )
    return _StreamRefusedError(GrpcCode.INVALID_ARGUMENT, str(error))
