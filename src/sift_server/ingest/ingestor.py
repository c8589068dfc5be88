"""Takes the frames of a stream: decodes them, appends them to the log, publishes their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.catalog.error_queue import ENTRY_BYTES, RejectedEntry
from sift_server.ingest.acknowledged import (
    KEYS_PER_RECORD_MAX,
    AcknowledgedKeys,
    read_payload,
    record_payload,
)
from sift_server.log import LogFailedError
from sift_wire.decode import decode
from sift_wire.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

    from sift_server.follow import Feed
    from sift_server.ingest.flows import FlowDirectory
    from sift_server.ingest.rejects import PendingRejects
    from sift_server.lake import PointBlock, PointStore
    from sift_server.log import IngestLog, LogRecord
    from sift_server.rules.live import LiveRules
    from sift_wire.rejection import RejectedMessage


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """How much an ingest stream may hold.

    Attributes:
        message_bytes_max: Largest ingest message, inflated.
        stream_buffer_bytes_max: Received bytes of one stream that wait for the decoder; a stream
            that has more is not read from until they went through.
        buffer_bytes_max: The same for all streams together. A stream that has nothing waiting may
            always receive a chunk, so that none is starved.
        unfinished_bytes_max: Bytes of messages that are not complete, of all streams together. They
            can't go through, so that a stream that has more is refused; its client tries again.
        room_wait_ms: How long a full server lets a stream wait at a time before it looks again.
        at_once_bytes_max: Frames of up to this size are taken faster than they can be handed to
            another thread.
    """

    message_bytes_max: int = 64 * 1024 * 1024
    stream_buffer_bytes_max: int = 4 * 1024 * 1024
    buffer_bytes_max: int = 64 * 1024 * 1024
    unfinished_bytes_max: int = 128 * 1024 * 1024
    room_wait_ms: int = 1_000
    at_once_bytes_max: int = 16 * 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of some frames.

    Attributes:
        durable: Done when they are on disk and readable; None when nothing was to be kept.
        refusal: The message that ends its stream, or None. Messages before it were taken, it and
            those behind it were not.
        rest: Messages that were not looked at, for there were too many that do not fit, or too many
            at all; to be taken by another call. None if there are none.
    """

    durable: Future[int] | None
    refusal: RejectedMessage | None
    rest: Frames | None = None


class Ingestor:
    """The way of every ingest message, live or replayed. Safe from many threads."""

    def __init__(
        self,
        log: IngestLog,
        flows: FlowDirectory,
        store: PointStore,
        rejects: PendingRejects,
        received_ns: Callable[[], int],
        limits: IngestLimits | None = None,
        keys: AcknowledgedKeys | None = None,
        rules: LiveRules | None = None,
        feed: Feed | None = None,
    ) -> None:
        """Take the rooms behind, and `received_ns`, the clock: nanoseconds since 1970 in UTC."""
        self._log = log
        self._flows = flows
        self._store = store
        self._rejects = rejects
        self._received_ns = received_ns
        self.limits = limits or IngestLimits()
        self.keys = keys or AcknowledgedKeys()
        self._rules = rules
        self._feed = feed
        self._is_stopping = False

    def stop(self) -> None:
        """Let nobody wait for room any more: the flush that would make it may fail for ever."""
        self._is_stopping = True

    def takes_at_once(self, frames_bytes: int) -> bool:
        """Whether `take` would not have to wait now, and would be done in no time."""
        return (
            frames_bytes <= self.limits.at_once_bytes_max
            and self._log.has_room(frames_bytes)
            and not self._store.is_full
            and not self._rejects.is_full
        )

    def take(self, frames: Frames, *, at_once: bool = False, keys: Sequence[bytes] = ()) -> Taken:
        """Take messages: of one stream, or of several, one behind the other.

        Blocks while the server is full: hot columns, error queue or log at their limit. Takes no
        more than `decode` does at a time, so that whoever sends very many messages that do not fit
        waits until those before are in the error queue.

        Args:
            frames: The messages.
            at_once: Whether to take them only if that needs neither waiting nor the catalog, and
                leaves no rest; ask `takes_at_once` before.
            keys: Idempotency keys of streams of which these are all messages. They become durable
                with them, if all messages are taken and there are not too many keys.

        Raises:
            DiskFullError: The server is full, and the disk too; nothing was done.
            LogFailedError: The log can't take any more, or there is no room and the server stops;
                nothing of these frames is acknowledged.
            NotAtOnceError: They can't be taken at once; nothing was done.
        """
        if not at_once:
            self._wait_for_room()
        decoded = decode(frames, self._flows.index(), at_once=at_once)
        refusal = rest = None
        rejected = decoded.rejected
        if rejected and rejected[-1].ends_stream:
            *rejected, refusal = rejected
            frames = frames.select(0, refusal.index)
        elif decoded.n_messages < len(frames):
            rest = frames.select(decoded.n_messages, len(frames))
            frames = frames.select(0, decoded.n_messages)
        if not len(frames):
            return Taken(None, refusal)
        received_ns = self._received_ns()
        # A key says that the whole batch is durable.
        carried = list(keys[:KEYS_PER_RECORD_MAX]) if refusal is None and rest is None else []
        carried += self.keys.take_riding(KEYS_PER_RECORD_MAX - len(carried))

        def publish(position: int) -> None:
            if rejected:
                self._rejects.add(_entries(position, frames, rejected, received_ns))
            self._publish(position, decoded.blocks)
            # From here on a retry is told OK, and its points have to be readable.
            if carried:
                self.keys.add(carried)

        payload = record_payload(frames.payload(), carried)
        return Taken(self._append(payload, publish, _size_bytes(frames, rejected)), refusal, rest)

    def _append(
        self,
        payload: bytes | memoryview,
        publish: Callable[[int], None],
        rejected_bytes: int,
    ) -> Future[int]:
        if not rejected_bytes:
            return self._log.append(payload, publish)
        self._rejects.reserve(rejected_bytes)
        try:
            durable = self._log.append(payload, publish)
        except BaseException:
            self._rejects.release(rejected_bytes)
            raise
        durable.add_done_callback(lambda _: self._rejects.release(rejected_bytes))
        return durable

    def replay(self, records: Iterable[LogRecord]) -> int:
        """Publish what the log holds and the table does not; returns the number of records.

        Called before the server takes calls, from one thread. Flushes on the way when the hot
        columns are full, and persists what is rejected when that is much.
        """
        count = 0
        for count, record in enumerate(records, 1):  # noqa: B007
            payload, keys = read_payload(record.payload)
            self.keys.add(keys)
            frames = Frames.from_payload(payload)
            received_ns = self._received_ns()
            first = 0
            while first < len(frames):
                part = frames.select(first, len(frames))
                decoded = decode(part, self._flows.index())
                self._rejects.add(
                    _entries(record.position, part, decoded.rejected, received_ns, first)
                )
                # A stream ended at a message that would end it; its record holds none. If the
                # catalog lost a flow since, nothing behind such a message may be lost as well.
                first += decoded.n_messages
                self._publish(record.position, decoded.blocks)
                if self._store.is_full or self._rejects.is_full:
                    self._rejects.persist()
            if self._store.is_full:
                self.keys.persist()
                if self._rules is not None:
                    self._rules.settle()
                self._store.flush()
        return count

    def _publish(self, position: int, blocks: Sequence[PointBlock]) -> None:
        self._store.publish(position, blocks)
        if self._rules is not None:
            self._rules.publish(position, blocks)
        if self._feed is not None:
            self._feed.publish(position, blocks)

    def _wait_for_room(self) -> None:
        wait_s = self.limits.room_wait_ms / 1_000
        while not self._store.wait_for_room(wait_s) or not self._rejects.wait_for_room(wait_s):
            if self._is_stopping:
                raise LogFailedError("the server stops, and has no room to take any more")


def _size_bytes(frames: Frames, rejected: Iterable[RejectedMessage]) -> int:
    """What the entries of rejected messages take, about."""
    lengths = frames.ends - frames.starts
    return sum(
        ENTRY_BYTES + int(lengths[message.index]) + len(message.reason) for message in rejected
    )


def _entries(
    position: int,
    frames: Frames,
    rejected: Iterable[RejectedMessage],
    received_ns: int,
    first_index: int = 0,
) -> list[RejectedEntry]:
    return [
        RejectedEntry(
            position=position,
            index=first_index + message.index,
            reason=message.reason,
            message=frames.message(message.index),
            ingestion_config_id=message.ingestion_config_id,
            flow_name=message.flow_name,
            received_ns=received_ns,
            channel_name=message.channel_name,
            cause=message.cause,
            timestamp_ns=message.timestamp_ns,
        )
        for message in rejected
    ]
