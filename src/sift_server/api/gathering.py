"""Many streams that send little: what came from all of them is taken as one."""

from __future__ import annotations

import asyncio
import itertools
from bisect import bisect_left
from typing import TYPE_CHECKING, Protocol

from sift_wire.decode import NotAtOnceError
from sift_wire.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from sift_server.ingest import Ingestor
    from sift_wire.rejection import RejectedMessage

BUSY_WAIT_MS = 1
"""How long after the last taking the next one is, at the soonest, if clients wait for it and the
disk still writes what was taken last. If it does not, none waits: a lone client never does."""

MANY_WAIT_MS = 4
"""The same if there are many clients; unless `TOGETHER_MAX` streams wait."""

MANY_CLIENTS = 12
"""There are many if streams of so many end within `COUNT_MS`. A few that send as fast as they can
are not many: when all of them wait, nothing more would come."""

COUNT_MS = 20
"""How long clients are counted."""

TOGETHER_MAX = 16
"""Streams of which the next costs what it would cost alone, nearly."""

OPEN_WAIT_MS = 5
"""How long messages of streams that are not at their end, for which no client waits, may wait."""


class Gathered(Protocol):
    """A stream that has a little to take. Its methods are called on the event loop."""

    @property
    def client(self) -> object:
        """Something that tells its client from others."""
        ...

    def cut(self) -> bytes:
        """Give the whole frames of what was received; may be none."""
        ...

    def cut_keys(self) -> Sequence[bytes]:
        """Give the idempotency key of the stream, if `cut` gave all of it."""
        ...

    def taken(self, durable: Future[int] | None) -> bool:
        """Note that what was cut is on its way to the disk; says whether to call `landed`."""
        ...

    def landed(self) -> None:
        """Note that it is there, or failed to get there."""
        ...

    def refused(self, refusal: RejectedMessage) -> None:
        """Note that a message ends the stream; those before it were taken."""
        ...

    def failed(self, error: Exception) -> None:
        """Note that taking failed with an error that the client is to be told.

        What `cut` gave last was not taken, none of it; what it gave before may be on its way.
        """
        ...

    def use_thread(self, payload: bytes) -> None:
        """Note that it has to be taken on a thread, behind `payload`, which was cut before."""
        ...


class Gathering:
    """Streams that have a little to take, until it is taken. Used on the event loop only.

    Decoding a message and decoding ten cost about the same; so do writing and syncing them. What
    is gathered becomes one record of the log, with the messages of a stream in their order.
    """

    def __init__(self, ingestor: Ingestor) -> None:
        self._ingestor = ingestor
        self._waiting: dict[Gathered, int] = {}
        """How many bytes each stream received."""
        self._bytes = 0
        self._timer: asyncio.Handle | None = None
        self._due_s = 0.0
        self._taken_s = 0.0
        self._durable: Future[int] | None = None
        self._counting_since_s = 0.0
        self._clients: set[object] = set()
        self._are_many = False

    def add(self, stream: Gathered, n_bytes: int, *, is_awaited: bool) -> None:
        """Take what a stream received, soon; `n_bytes` is how much that is by now."""
        more = n_bytes - self._waiting.get(stream, 0)
        if self._waiting and self._bytes + more > self._ingestor.limits.at_once_bytes_max:
            # With these it would be too much to be taken at once.
            was_waiting = stream in self._waiting
            self._take()
            if was_waiting:
                # What came last was cut with the rest.
                return
            more = n_bytes
        self._bytes += more
        self._waiting[stream] = n_bytes
        if self._bytes >= self._ingestor.limits.at_once_bytes_max:
            self._take()
            return
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if not is_awaited:
            due_s = now_s + OPEN_WAIT_MS / 1_000
        else:
            due_s = max(now_s, self._taken_s + self._wait_ms(stream, now_s) / 1_000)
        if self._timer is not None:
            if self._due_s <= due_s:
                return
            self._timer.cancel()
        self._due_s = due_s
        if due_s > now_s:
            self._timer = loop.call_at(due_s, self._take)
        else:
            # Behind what else came in at the same time.
            self._timer = loop.call_soon(self._take)

    def _wait_ms(self, stream: Gathered, now_s: float) -> int:
        """Count the client of a stream that ends; say how far taking is from the last time."""
        self._clients.add(stream.client)
        counted_ms = (now_s - self._counting_since_s) * 1_000
        if counted_ms >= COUNT_MS:
            self._are_many = len(self._clients) * COUNT_MS >= MANY_CLIENTS * counted_ms
            self._counting_since_s = now_s
            self._clients.clear()
        if self._are_many:
            return MANY_WAIT_MS if len(self._waiting) < TOGETHER_MAX else 0
        is_busy = self._durable is not None and not self._durable.done()
        return BUSY_WAIT_MS if is_busy else 0

    def remove(self, stream: Gathered) -> None:
        """Forget a stream, if it is here."""
        self._bytes -= self._waiting.pop(stream, 0)

    def _take(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        n_bytes, self._bytes = self._bytes, 0
        if not waiting:
            return
        if not self._ingestor.takes_at_once(n_bytes):
            for stream in waiting:
                stream.use_thread(b"")
            return
        parts = [(stream, payload) for stream in waiting if (payload := stream.cut())]
        self._take_parts(parts)
        self._taken_s = asyncio.get_running_loop().time()

    def _take_parts(self, parts: Sequence[tuple[Gathered, bytes]]) -> None:
        while parts:
            frames = Frames.from_payload(b"".join(payload for _, payload in parts))
            try:
                keys = [key for stream, _ in parts for key in stream.cut_keys()]
                taken = self._ingestor.take(frames, at_once=True, keys=keys)
            except NotAtOnceError:
                if len(parts) == 1:
                    (stream, payload) = parts[0]
                    stream.use_thread(payload)
                else:
                    for part in parts:
                        self._take_parts([part])
                return
            except Exception as error:  # noqa: BLE001 (each stream tells its client)
                for stream, _ in parts:
                    stream.failed(error)
                return
            n_taken = len(parts)
            if taken.refusal is not None:
                ends = list(itertools.accumulate(len(payload) for _, payload in parts))
                n_taken = bisect_left(ends, frames.starts[taken.refusal.index])
            self._note(taken.durable, [stream for stream, _ in parts[:n_taken]])
            if taken.refusal is not None:
                # What others sent behind the refused message was not looked at.
                parts[n_taken][0].refused(taken.refusal)
                n_taken += 1
            parts = parts[n_taken:]

    def _note(self, durable: Future[int] | None, streams: Sequence[Gathered]) -> None:
        self._durable = durable
        awaited = [stream for stream in streams if stream.taken(durable)]
        if awaited and durable is not None:
            asyncio.wrap_future(durable).add_done_callback(lambda done: _land(done, awaited))


def _land(durable: asyncio.Future[int], streams: Sequence[Gathered]) -> None:
    if not durable.cancelled():
        # Each stream asks for it again.
        durable.exception()
    for stream in streams:
        stream.landed()
