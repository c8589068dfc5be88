"""What waits for being sent to somebody who follows."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sift_server.follow.backlog import Backlog, spanning
from sift_server.follow.pieces import END_OF_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.follow.pieces import Piece, Stream
    from sift_server.follow.selection import Selection


class Follower:
    """Pieces for one reader, in the order in which they came. Safe from many threads."""

    def __init__(self, selection: Selection, wake: Callable[[], None]) -> None:
        """Make one.

        Args:
            selection: What is followed.
            wake: Called, from any thread, when there is something to take.
        """
        self.selection = selection
        self.from_position = 0
        """Log position behind which it is given what comes."""
        self.failure: str | None = None
        """Why there is nothing more; None while there is."""
        self._wake = wake
        self._lock = threading.Lock()
        self._pieces: list[Piece] = []
        self._nbytes = 0
        self._backlog = Backlog()
        self._missed: dict[Stream, tuple[int, int]] = {}
        self._stream: Stream | None = None

    # Called by the feed

    def give(self, piece: Piece, bytes_max: int) -> None:
        """Let it have a piece; if more than so many bytes wait then, it has missed it.

        The first one that waits may have any size.
        """
        with self._lock:
            has_room = not self._pieces or self._nbytes + len(piece.body) <= bytes_max
            # What is missed comes before all that follows.
            if self._is_behind or not has_room:
                part = self._missed.get(piece.stream)
                self._missed[piece.stream] = spanning(part, piece.first_ns, piece.last_ns)
            else:
                self._pieces.append(piece)
                self._nbytes += len(piece.body)
        self._wake()

    def miss_all(self, first_ns: int, last_ns: int) -> None:
        """Let it miss whatever there is of some time."""
        with self._lock:
            self._backlog.add_all(first_ns, last_ns)
        self._wake()

    def end(self, failure: str) -> None:
        """Let nothing come any more."""
        self.failure = self.failure or failure
        self._wake()

    def take_missed(self) -> Backlog:
        """What was missed, which is to be read now: what is given from now on comes behind it."""
        with self._lock:
            backlog, self._backlog = self._backlog, Backlog()
            missed, self._missed = self._missed, {}
        for stream, (first_ns, last_ns) in missed.items():
            for channel in stream.plan.channels:
                backlog.add(stream.run_id, channel.channel_id, first_ns, last_ns)
        return backlog

    # Called by the reader

    @property
    def is_behind(self) -> bool:
        """Whether something is to be read from the store, once all pieces are taken."""
        with self._lock:
            return self._is_behind

    def take(self) -> bytes:
        """The pieces that wait, as Arrow streams, of which the last one has no end yet."""
        with self._lock:
            pieces, self._pieces, self._nbytes = self._pieces, [], 0
        parts = []
        for piece in pieces:
            if piece.stream is not self._stream:
                parts.append(self.end_of_stream())
                parts.append(piece.stream.head)
                self._stream = piece.stream
            parts.append(piece.body)
        return b"".join(parts)

    def end_of_stream(self) -> bytes:
        """The end of what `take` gave, if anything: another stream may follow it."""
        is_open, self._stream = self._stream is not None, None
        return END_OF_STREAM if is_open else b""

    @property
    def _is_behind(self) -> bool:
        return bool(self._missed) or bool(self._backlog)
