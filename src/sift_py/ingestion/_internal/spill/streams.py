"""Ingest calls that put on disk what can't be sent."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING

import grpc

from sift_py.errors import ServiceClosedError, SpillError, SpillFullError
from sift_py.grpc._retrying import is_transient, retried
from sift_py.ingestion._internal.spill.delivery import RECORD_BYTES, Delivery, is_exhausted
from sift_py.ingestion._internal.spill.sender import LaneSender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sift_py.grpc.retry import RetryPolicy
    from sift_py.ingestion._internal.spill.folder import SpillFolder
    from sift_py.ingestion._internal.streams import Batch, IngestStreams
    from sift_py.ingestion.spill import SpillStatus

ROOM_POLL_S = 0.1
"""How often a full folder is looked at, which other programs may make room in."""

_logger = logging.getLogger(__name__)


class SpillingStreams:
    """Sends batches; those that fail for a passing reason go to disk, and a thread sends them.

    While something of this program is on disk, what comes goes behind it, so that the server gets
    batches in order. Safe from many threads.
    """

    def __init__(
        self,
        streams: IngestStreams,
        folder: SpillFolder,
        policy: RetryPolicy,
        config_id: str,
        knows_config: Callable[[str], bool],
    ) -> None:
        """Take over what programs left in the folder that ended.

        Args:
            streams: The way to the server; tries nothing again.
            folder: Where to spill.
            policy: How long to wait between attempts, and how long at an end.
            config_id: The ingestion config of what is sent.
            knows_config: Whether the server has an ingestion config; may raise `grpc.RpcError`.
        """
        self._streams = streams
        self._folder = folder
        self._policy = policy
        self._sender = LaneSender(Delivery(streams, config_id, knows_config), folder, policy)
        self._append_lock = threading.Lock()
        self._is_closed = False

    def send(self, batch: Batch) -> None:
        """Send a batch, or spill it: it is acknowledged, or synced to disk, when this returns.

        Raises:
            grpc.RpcError: The call failed for a reason that does not pass.
            SpillFullError: It could not be sent, and the folder stayed full.
            SpillError: It could not be sent, and the folder can't be written to.
            ServiceClosedError: The streams are closed.
        """
        if self._is_closed:
            raise ServiceClosedError("the ingestion service is closed; make a new one.")
        if not self._sender.is_away:
            reason = self._failure_of(batch)
            if reason is None:
                return
            self._sender.last_error = reason
            _logger.warning(
                "The server is away, data is spilled to %s: %s", self._folder.path, reason
            )
        self._spill(batch)

    def status(self) -> SpillStatus:
        """What is on disk."""
        return self._sender.status()

    def flush(self) -> None:
        """Wait until everything on disk is acknowledged, see `LaneSender.flush`.

        Raises:
            NotAcknowledgedError: Something is not; says what, where it is, and why.
        """
        self._sender.flush()

    def close(self) -> None:
        """Flush, and leave the folder to other programs. Once is enough.

        Raises:
            NotAcknowledgedError: As in `flush`; the next program on the folder sends the rest.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self.flush()
        finally:
            self.release()

    def release(self) -> None:
        """Leave the folder to other programs, now."""
        self._is_closed = True
        self._sender.release()

    def _failure_of(self, batch: Batch) -> grpc.RpcError | None:
        """Send a batch; return why it should be spilled, or None if it is acknowledged.

        What does not say that it passes is tried again, as without a folder, and then raised.
        """
        try:
            self._streams.send(batch)
        except grpc.RpcError as error:
            if not is_transient(error):
                raise
            if not is_exhausted(error):
                return error
        else:
            return None
        try:
            retried(lambda: self._streams.send(batch), self._policy)
        except grpc.RpcError as error:
            if is_exhausted(error) or not is_transient(error):
                raise
            return error
        return None

    def _spill(self, batch: Batch) -> None:
        with self._append_lock:
            try:
                with self._sender.own_lane() as lane:
                    for key, frames in _records_of(batch):
                        self._wait_for_room(len(frames))
                        lane.append(key, frames)
                    lane.sync()
            except OSError as error:
                raise SpillError(
                    f"the server is away ({self._sender.last_error}), and the spill folder"
                    f" {self._folder.path} can't be written to: {error}. The call was not taken."
                ) from error

    def _wait_for_room(self, size: int) -> None:
        limits = self._folder.limits
        deadline_s = time.monotonic() + limits.full_wait_ms / 1e3
        is_hopeless = size > limits.folder_bytes_max
        while (held := self._folder.size_bytes()) + size > limits.folder_bytes_max:
            left_s = deadline_s - time.monotonic()
            if is_hopeless or left_s <= 0:
                raise SpillFullError(
                    f"the server is away ({self._sender.last_error}), and the spill folder"
                    f" {self._folder.path} is full: it holds {held} of {limits.folder_bytes_max}"
                    f" bytes (folder_bytes_max), and {size} are to come. They were not taken; to"
                    " send all of the call again does no harm."
                )
            is_hopeless = not self._sender.wait_for_room(min(left_s, ROOM_POLL_S))


def _records_of(batch: Batch) -> Iterator[tuple[uuid.UUID, bytes]]:
    """The batch in parts; a single one has the key under which it may have been taken."""
    parts = _parts_of(batch.chunks)
    first = next(parts, None)
    if first is None:
        return
    second = next(parts, None)
    if second is None:
        yield batch.key, first
        return
    for part in (first, second):
        yield uuid.uuid4(), part
    for part in parts:
        yield uuid.uuid4(), part


def _parts_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= RECORD_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
