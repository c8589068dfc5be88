"""Messages that did not fit their flow, kept with the reason, as far as there is room."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, select

from sift_server.catalog import tables
from sift_server.catalog.error_counts import count, list_by_asset
from sift_server.catalog.error_room import (
    ErrorQueueLimits,
    ErrorQueueTotals,
    make_room,
    read_totals,
    write_totals,
)
from sift_server.catalog.fields import Field, Filterable, Kind
from sift_server.catalog.filters import where
from sift_server.catalog.paging import Listing, ListRequest, Page, PageBytes
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from sift_server.catalog.context import Context
    from sift_server.catalog.error_counts import AssetErrors, ErrorCounts

ERROR_QUEUE_PAGE_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of messages in a page, unless a single one is larger."""

ENTRY_BYTES = 500
"""What an entry takes beside its message and texts."""

_NS_PER_S = 1_000_000_000
_KEYS_PER_QUERY = 500
_ROWS_PER_INSERT = 1_000

_columns = tables.error_queue.c

ERROR_QUEUE_FIELDS = Filterable(
    "rejected messages",
    {
        "position": Field(Kind.NUMBER, _columns.position),
        "asset_name": Field(Kind.TEXT, _columns.asset_name),
        "ingestion_config_id": Field(Kind.TEXT, _columns.ingestion_config_id),
        "flow_name": Field(Kind.TEXT, _columns.flow_name),
        "channel_name": Field(Kind.TEXT, _columns.channel_name),
        "cause": Field(Kind.TEXT, _columns.cause),
        "reason": Field(Kind.TEXT, _columns.reason),
        "received_date": Field(Kind.TIME, _columns.received_ns),
        "message_date": Field(Kind.TIME, _columns.timestamp_ns, is_nullable=True),
    },
)
_listing = Listing(ERROR_QUEUE_FIELDS, "position", (_columns.position, _columns.message_index))

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RejectedEntry:
    """A message that was received and could not be taken. Times are ns since 1970 in UTC.

    Attributes:
        position: Position of its record in the log.
        index: Number of the message within the record.
        reason: Why it could not be taken, in a sentence.
        message: Its bytes, as they came.
        ingestion_config_id: What it says, or an empty string.
        flow_name: What it says, or an empty string.
        received_ns: When it came.
        channel_name: The channel whose value does not fit, or an empty string.
        cause: Why it could not be taken, in words that are the same for all that share it; empty
            if an older version put it here.
        timestamp_ns: The time that it says, or None if it says none that can be kept.
        asset_name: The asset of its ingestion config, or an empty string. The queue looks it up.
    """

    position: int
    index: int
    reason: str
    message: bytes
    ingestion_config_id: str
    flow_name: str
    received_ns: int
    channel_name: str = ""
    cause: str = ""
    timestamp_ns: int | None = None
    asset_name: str = ""

    @property
    def size_bytes(self) -> int:
        """What it takes, in memory or in the queue."""
        texts = (self.reason, self.ingestion_config_id, self.flow_name, self.channel_name)
        return ENTRY_BYTES + len(self.message) + sum(len(text.encode()) for text in texts)


class ErrorQueue:
    """Rejected messages, in the order in which they came. Safe from many threads."""

    def __init__(self, context: Context, limits: ErrorQueueLimits | None = None) -> None:
        self._context = context
        self._limits = limits or ErrorQueueLimits()

    def add(self, entries: Sequence[RejectedEntry]) -> None:
        """Keep messages, and drop the oldest ones if they are too many; on disk when this returns.

        A message is known by position and index: one that is there already stays as it is, and one
        that was dropped stays dropped, so that a replay of the log changes nothing. For that,
        messages are added in the order of the log.
        """
        with self._context.database.write() as connection:
            before = read_totals(connection)
            new = _new(connection, entries, before.dropped_until)
            new_bytes = _insert(connection, new) if new else 0
            kept = before.with_kept(len(new), new_bytes)
            after = make_room(connection, kept, self._limits)
            write_totals(connection, after)
        dropped = after.dropped_messages - before.dropped_messages
        if dropped:
            _logger.warning(
                "the error queue is full (%d MiB or %d messages): %d of the oldest messages were"
                " dropped, %d since it began, received from %s to %s",
                self._limits.bytes_max >> 20,
                self._limits.messages_max,
                dropped,
                after.dropped_messages,
                _shown_time(after.dropped_first_ns),
                _shown_time(after.dropped_last_ns),
            )

    def get(self, position: int, index: int) -> RejectedEntry:
        """Return a message.

        Raises:
            NotFoundError: There is none of that position and index.
        """
        with self._context.database.read() as connection:
            row = connection.execute(
                select(tables.error_queue).where(
                    and_(_columns.position == position, _columns.message_index == index)
                )
            ).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no rejected message {position}/{index}")
        return _entry(row)

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
        return Page([_entry(row) for row in page.items], page.next_token)

    def counts(self, filter: str = "") -> ErrorCounts:  # noqa: A002 (what requests call it)
        """Count the messages by asset, flow, channel and cause.

        Raises:
            InvalidArgumentError: The filter is wrong.
        """
        condition = where(filter, ERROR_QUEUE_FIELDS, self._context.now_ns())
        with self._context.database.read() as connection:
            return count(connection, condition)

    def by_asset(self, request: ListRequest) -> Page[AssetErrors]:
        """Return a page of what there is of each asset; the newest first, if not asked otherwise.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        with self._context.database.read() as connection:
            return list_by_asset(connection, request, self._context.now_ns())

    def totals(self) -> ErrorQueueTotals:
        """Return how much is kept, and how much was dropped."""
        with self._context.database.read() as connection:
            return read_totals(connection)


def _new(
    connection: Connection, entries: Iterable[RejectedEntry], dropped_until: tuple[int, int]
) -> list[RejectedEntry]:
    """The entries that were never in the queue."""
    by_key = {(entry.position, entry.index): entry for entry in entries}
    by_key = {key: entry for key, entry in by_key.items() if key > dropped_until}
    positions = sorted({position for position, _ in by_key})
    for start in range(0, len(positions), _KEYS_PER_QUERY):
        some = positions[start : start + _KEYS_PER_QUERY]
        present = connection.execute(
            select(_columns.position, _columns.message_index).where(_columns.position.in_(some))
        )
        for position, index in present:
            by_key.pop((position, index), None)
    return list(by_key.values())


def _insert(connection: Connection, entries: Sequence[RejectedEntry]) -> int:
    """Put entries into the queue; return their bytes."""
    asset_names = _asset_names(connection, {entry.ingestion_config_id for entry in entries})
    inserted_bytes = 0
    for start in range(0, len(entries), _ROWS_PER_INSERT):
        rows = [_row(entry, asset_names) for entry in entries[start : start + _ROWS_PER_INSERT]]
        connection.execute(insert(tables.error_queue), rows)
        inserted_bytes += sum(row["size_bytes"] for row in rows)
    return inserted_bytes


def _row(entry: RejectedEntry, asset_names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "position": entry.position,
        "message_index": entry.index,
        "reason": entry.reason,
        "message": entry.message,
        "ingestion_config_id": entry.ingestion_config_id,
        "flow_name": entry.flow_name,
        "received_ns": entry.received_ns,
        "asset_name": asset_names.get(entry.ingestion_config_id, ""),
        "channel_name": entry.channel_name,
        "cause": entry.cause,
        "timestamp_ns": entry.timestamp_ns,
        "size_bytes": entry.size_bytes,
    }


def _asset_names(connection: Connection, config_ids: Iterable[str]) -> dict[str, str]:
    """Names of assets by the ids of their ingestion configs, as far as there are such."""
    ids = sorted(config_ids)
    configs, assets = tables.ingestion_configs.c, tables.assets
    names: dict[str, str] = {}
    for start in range(0, len(ids), _KEYS_PER_QUERY):
        query = (
            select(configs.ingestion_config_id, assets.c.name)
            .join_from(tables.ingestion_configs, assets)
            .where(configs.ingestion_config_id.in_(ids[start : start + _KEYS_PER_QUERY]))
        )
        names.update((config_id, name) for config_id, name in connection.execute(query))
    return names


def _entry(row: Row[Any]) -> RejectedEntry:
    return RejectedEntry(
        row.position,
        row.message_index,
        row.reason,
        row.message,
        row.ingestion_config_id,
        row.flow_name,
        row.received_ns,
        row.channel_name,
        row.cause,
        row.timestamp_ns,
        row.asset_name,
    )


def _shown_time(nanoseconds: int | None) -> str:
    seconds = (nanoseconds or 0) / _NS_PER_S
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
