"""How many messages were rejected: by place and cause, and by asset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from sift_server.catalog import tables
from sift_server.catalog.fields import Condition, Field, Filterable, Kind
from sift_server.catalog.paging import Listing, ListRequest, Page

if TYPE_CHECKING:
    from sqlalchemy import Connection

ERROR_COUNTS_MAX = 1_000
"""How many counts are given, of the largest numbers of messages."""

_columns = tables.error_queue.c

_by_asset = (
    select(
        _columns.asset_name,
        func.count().label("messages"),
        func.min(_columns.timestamp_ns).label("first_ns"),
        func.max(_columns.timestamp_ns).label("last_ns"),
        func.min(_columns.received_ns).label("first_received_ns"),
        func.max(_columns.received_ns).label("last_received_ns"),
    )
    .group_by(_columns.asset_name)
    .subquery("by_asset")
)
ASSET_ERRORS_FIELDS = Filterable(
    "errors of assets",
    {
        "asset_name": Field(Kind.TEXT, _by_asset.c.asset_name),
        "count": Field(Kind.NUMBER, _by_asset.c.messages),
        "min_timestamp": Field(Kind.TIME, _by_asset.c.first_ns, is_nullable=True),
        "max_timestamp": Field(Kind.TIME, _by_asset.c.last_ns, is_nullable=True),
        "created_date": Field(Kind.TIME, _by_asset.c.first_received_ns),
        "modified_date": Field(Kind.TIME, _by_asset.c.last_received_ns),
    },
)
_listing = Listing(ASSET_ERRORS_FIELDS, "created_date desc", (_by_asset.c.asset_name,))


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """How many messages were rejected for one cause in one place. Times are ns since 1970 in UTC.

    Attributes:
        first_received_ns: When the first of them came.
        last_received_ns: When the last of them came.
        reason: The reason of one of them.
    """

    asset_name: str
    flow_name: str
    channel_name: str
    cause: str
    messages: int
    first_received_ns: int
    last_received_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """Counts of rejected messages.

    Attributes:
        counts: The largest first, up to `ERROR_COUNTS_MAX`.
        has_more: Whether there are others, of fewer messages.
    """

    counts: list[ErrorCount]
    has_more: bool


@dataclass(frozen=True, slots=True)
class AssetErrors:
    """The rejected messages of an asset. Times are nanoseconds since 1970 in UTC.

    Attributes:
        asset_name: The asset, or an empty string for messages of which it is not known.
        first_ns: The first time that they say, or None if none says one.
        last_ns: The last time that they say, or None.
        first_received_ns: When the first of them came.
        last_received_ns: When the last of them came.
    """

    asset_name: str
    messages: int
    first_ns: int | None
    last_ns: int | None
    first_received_ns: int
    last_received_ns: int


def count(connection: Connection, condition: Condition) -> ErrorCounts:
    """Count the messages that a condition is true of by asset, flow, channel and cause."""
    key = (_columns.asset_name, _columns.flow_name, _columns.channel_name, _columns.cause)
    query = (
        select(
            *key,
            func.count(),
            func.min(_columns.received_ns),
            func.max(_columns.received_ns),
            func.min(_columns.reason),
        )
        .where(condition)
        .group_by(*key)
        .order_by(func.count().desc(), *key)
        .limit(ERROR_COUNTS_MAX + 1)
    )
    counts = [ErrorCount(*row) for row in connection.execute(query)]
    return ErrorCounts(counts[:ERROR_COUNTS_MAX], len(counts) > ERROR_COUNTS_MAX)


def list_by_asset(connection: Connection, request: ListRequest, now_ns: int) -> Page[AssetErrors]:
    """Read a page of what there is of each asset.

    Raises:
        InvalidArgumentError: Filter, order or page token are wrong.
    """
    page = _listing.page(connection, select(_by_asset), request, now_ns)
    errors = [
        AssetErrors(
            row.asset_name,
            row.messages,
            row.first_ns,
            row.last_ns,
            row.first_received_ns,
            row.last_received_ns,
        )
        for row in page.items
    ]
    return Page(errors, page.next_token)
