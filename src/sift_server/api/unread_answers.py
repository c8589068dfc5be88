"""Answers that clients asked for and do not read, of all connections together.

An answer is in memory until it is sent, and a client may ask for a thousand at a time and read
none. To wait would not help the others: there may never be room. So whoever makes most of the
others' trouble pays, and clients that read are never among them.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class AnswerDroppedError(Exception):
    """An answer was thrown away because its client does not read; the text says what to do."""


class UnreadAnswers:
    """Bytes of answers that wait for clients to read. For the event loop of a server only."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._readers: dict[object, _Reader] = {}

    @contextmanager
    def waiting(
        self, connection: object, n_bytes: int, drop: Callable[[str], None]
    ) -> Iterator[None]:
        """Count an answer, or what is left of it, while the with-block sends it.

        If there are too many bytes now, the connection that has most of them loses its oldest
        answers: their `drop` is told why, and has to end their with-blocks.
        """
        answer = _Answer(n_bytes, drop)
        reader = self._readers.setdefault(connection, _Reader())
        reader.answers[answer] = None
        self._count(reader, n_bytes)
        while self._bytes > self._bytes_max:
            largest = max(self._readers.values(), key=lambda each: each.n_bytes)
            dropped = next(iter(largest.answers))
            del largest.answers[dropped]
            self._count(largest, -dropped.n_bytes)
            dropped.drop(
                f"answers of unread_bytes_max = {self._bytes_max} bytes wait for clients that do"
                " not read them, most of them for this one. Read answers as they come, or ask for"
                " fewer at a time"
            )
        try:
            yield
        finally:
            if answer in reader.answers:
                del reader.answers[answer]
                self._count(reader, -n_bytes)
            if not reader.answers and self._readers.get(connection) is reader:
                del self._readers[connection]

    def _count(self, reader: _Reader, n_bytes: int) -> None:
        reader.n_bytes += n_bytes
        self._bytes += n_bytes


@dataclass(eq=False, slots=True)
class _Answer:
    n_bytes: int
    drop: Callable[[str], None]


@dataclass(eq=False, slots=True)
class _Reader:
    """A connection, and the answers that wait for it, the oldest first."""

    n_bytes: int = 0
    answers: dict[_Answer, None] = field(default_factory=dict)
