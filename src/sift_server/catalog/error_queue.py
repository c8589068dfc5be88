"""Messages that did not fit their flow, kept with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from sift_server.catalog import tables
from sift_server.catalog.fields import Field, Filterable, Kind
from sift_server.catalog.paging import Listing, ListRequest, Page, PageBytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.catalog.context import Context

_columns = tables.error_queue.c

_POSITIONS_PER_QUERY = 500

ERROR_QUEUE_FIELDS = Filterable(
    "rejected messages",
    {
        "position": Field(Kind.NUMBER, _columns.position),
        "reason": Field(Kind.TEXT, _columns.reason),
        "ingestion_config_id": Field(Kind.TEXT, _columns.ingestion_config_id),
        "flow_name": Field(Kind.TEXT, _columns.flow_name),
        "received_date": Field(Kind.TIME, _columns.received_ns),
    },
)
_listing = Listing(ERROR_QUEUE_FIELDS, "position", (_columns.position, _columns.message_index))

ERROR_QUEUE_PAGE_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of messages in a page, unless a single one is larger."""


@dataclass(frozen=True, slots=True)
class RejectedEntry:
    """A message that was received and could not be taken.

    Attributes:
        position: Position of its record in the log.
        index: Number of the message within the record.
        reason: Why it could not be taken.
        message: Its bytes, as they came.
        ingestion_config_id: What it says, or an empty string.
        flow_name: What it says, or an empty string.
        received_ns: When it came, in nanoseconds since 1970 in UTC.
    """

    position: int
    index: int
    reason: str
    message: bytes
    ingestion_config_id: str
    flow_name: str
    received_ns: int


class ErrorQueue:
    """Rejected messages, in the order in which they came. Safe from many threads."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add(self, entries: Sequence[RejectedEntry]) -> None:
        """Keep messages; on disk when this returns.

        A message is known by position and index: one that is there already stays as it is, so
        that a replay of the log changes nothing.
        """
        by_key = {(entry.position, entry.index): entry for entry in entries}
        positions = sorted({position for position, _ in by_key})
        with self._context.database.write() as connection:
            for start in range(0, len(positions), _POSITIONS_PER_QUERY):
                some = positions[start : start + _POSITIONS_PER_QUERY]
                present = connection.execute(
                    select(_columns.position, _columns.message_index).where(
                        _columns.position.in_(some)
                    )
                )
                for position, index in present:
                    by_key.pop((position, index), None)
            if by_key:
                connection.execute(
                    insert(tables.error_queue),
                    [
                        {
                            "position": entry.position,
                            "message_index": entry.index,
                            "reason": entry.reason,
                            "message": entry.message,
                            "ingestion_config_id": entry.ingestion_config_id,
                            "flow_name": entry.flow_name,
                            "received_ns": entry.received_ns,
                        }
                        for entry in by_key.values()
                    ],
                )

    def list(self, request: ListRequest) -> Page[RejectedEntry]:
        """Return a page of the messages, the oldest first if not asked otherwise.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        room = PageBytes(ERROR_QUEUE_PAGE_BYTES_MAX, _columns.message.name)
        with self._context.database.read() as connection:
            page = _listing.page(
                connection,
                select(tables.error_queue),
                request,
                self._context.now_ns(),
                room=room.takes,
            )
        entries = [
            RejectedEntry(
                row.position,
                row.message_index,
                row.reason,
                row.message,
                row.ingestion_config_id,
                row.flow_name,
                row.received_ns,
            )
            for row in page.items
        ]
        return Page(entries, page.next_token)
