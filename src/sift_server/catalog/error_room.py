"""How much the error queue may hold, and how the oldest messages make room for new ones.

What is kept, and what was dropped, is counted in a table of one row, in the transaction that
changes the queue. The oldest message is the one with the lowest position in the log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, tuple_, update

from sift_server.catalog import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sift_server.catalog.fields import Condition

_queue = tables.error_queue.c
_totals = tables.error_queue_totals

_BEFORE_ALL = (-1, -1)


@dataclass(frozen=True, slots=True)
class ErrorQueueLimits:
    """How much the error queue may hold; behind that the oldest messages are dropped.

    Attributes:
        bytes_max: Bytes of messages with all that is said of them.
        messages_max: How many messages.
    """

    bytes_max: int = 256 * 1024 * 1024
    messages_max: int = 1_000_000


@dataclass(frozen=True, slots=True)
class ErrorQueueTotals:
    """What is in the error queue, and what was dropped from it since it began.

    Attributes:
        kept_bytes: As the limit counts them.
        dropped_bytes: As the limit counts them.
        dropped_first_ns: When the first of the dropped messages had come, in nanoseconds since 1970
            in UTC; None if none was dropped.
        dropped_last_ns: The same of the last.
        dropped_until: Position and index of the last of them; no message up to there comes back.
    """

    kept_messages: int
    kept_bytes: int
    dropped_messages: int = 0
    dropped_bytes: int = 0
    dropped_first_ns: int | None = None
    dropped_last_ns: int | None = None
    dropped_until: tuple[int, int] = _BEFORE_ALL

    def with_kept(self, messages: int, size_bytes: int) -> ErrorQueueTotals:
        """The totals once so much more is kept."""
        return replace(
            self,
            kept_messages=self.kept_messages + messages,
            kept_bytes=self.kept_bytes + size_bytes,
        )

    def with_dropped(self, key: tuple[int, int], size_bytes: int, came_ns: int) -> ErrorQueueTotals:
        """The totals once the oldest message is dropped."""
        first_ns, last_ns = self.dropped_first_ns, self.dropped_last_ns
        return ErrorQueueTotals(
            self.kept_messages - 1,
            self.kept_bytes - size_bytes,
            self.dropped_messages + 1,
            self.dropped_bytes + size_bytes,
            came_ns if first_ns is None else min(first_ns, came_ns),
            came_ns if last_ns is None else max(last_ns, came_ns),
            key,
        )

    def fit(self, limits: ErrorQueueLimits) -> bool:
        """Whether what is kept is within the limits."""
        return self.kept_messages <= limits.messages_max and self.kept_bytes <= limits.bytes_max


def read_totals(connection: Connection) -> ErrorQueueTotals:
    """What is kept and what was dropped; counted in the queue if that was never written down."""
    row = connection.execute(select(_totals)).one_or_none()
    if row is None:
        count, size_bytes = connection.execute(
            select(func.count(), func.coalesce(func.sum(_queue.size_bytes), 0))
        ).one()
        return ErrorQueueTotals(count, int(size_bytes))
    has_dropped = row.dropped_position is not None
    return ErrorQueueTotals(
        row.kept_messages,
        row.kept_bytes,
        row.dropped_messages,
        row.dropped_bytes,
        row.dropped_first_ns,
        row.dropped_last_ns,
        (row.dropped_position, row.dropped_index) if has_dropped else _BEFORE_ALL,
    )


def write_totals(connection: Connection, totals: ErrorQueueTotals) -> None:
    """Write down what is kept and what was dropped."""
    position, index = totals.dropped_until
    has_dropped = totals.dropped_until != _BEFORE_ALL
    values = {
        "kept_messages": totals.kept_messages,
        "kept_bytes": totals.kept_bytes,
        "dropped_messages": totals.dropped_messages,
        "dropped_bytes": totals.dropped_bytes,
        "dropped_first_ns": totals.dropped_first_ns,
        "dropped_last_ns": totals.dropped_last_ns,
        "dropped_position": position if has_dropped else None,
        "dropped_index": index if has_dropped else None,
    }
    if not connection.execute(update(_totals).values(values)).rowcount:
        connection.execute(insert(_totals).values(only_row=1, **values))


def make_room(
    connection: Connection, totals: ErrorQueueTotals, limits: ErrorQueueLimits
) -> ErrorQueueTotals:
    """Drop the oldest messages until the others are within the limits; return the new totals."""
    if totals.fit(limits):
        return totals
    oldest_first = (
        select(_queue.position, _queue.message_index, _queue.size_bytes, _queue.received_ns)
        .order_by(_queue.position, _queue.message_index)
        .execution_options(stream_results=True, max_row_buffer=1_000)
    )
    with connection.execute(oldest_first) as rows:
        for position, index, size_bytes, came_ns in rows:
            totals = totals.with_dropped((position, index), size_bytes, came_ns)
            if totals.fit(limits):
                break
    connection.execute(delete(tables.error_queue).where(_is_up_to(totals.dropped_until)))
    return totals


def _is_up_to(key: tuple[int, int]) -> Condition:
    return tuple_(_queue.position, _queue.message_index) <= tuple_(*key)
