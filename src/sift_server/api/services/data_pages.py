"""Pages of values of channels and of calculated channels, for `GetData` of both versions."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from sift.data.v2 import data_pb2
from sift_server.api.services.convert import INT_64_MAX, INT_64_MIN, clamped_timestamp
from sift_server.api.services.data_queries import DataQueries
from sift_server.errors import InvalidArgumentError, UnimplementedError
from sift_server.query import AssetInfo, RunInfo, data_message
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from types import ModuleType

    from google.protobuf.any_pb2 import Any as AnyMessage
    from numpy.typing import NDArray

    from sift_server.api.services.data_queries import DataQuery
    from sift_server.catalog import Catalog
    from sift_server.lake import PointStore
    from sift_server.query import Page

PAGE_SIZE_DEFAULT = 10_000
"""Points of a page, of all queries together, if the request does not say."""

PAGE_SIZE_MAX = 100_000
"""Most points of a page; elements of a bit field count as points of their own."""

PAGE_BYTES_MAX = 1024 * 1024
"""Bytes of strings and byte values of a page, unless a single one is larger."""

QUERIES_MAX = 1_000
"""Queries of a request."""


class DataAnswer(NamedTuple):
    """A page.

    Attributes:
        data: `sift.data.*.*Values`, packed.
        next_page_token: Of the page behind it; empty if this is the last one.
    """

    data: list[AnyMessage]
    next_page_token: str


@dataclass(slots=True)
class _Room:
    """What still goes into a page."""

    values: int
    bytes: int

    @property
    def is_left(self) -> bool:
        return self.values > 0 and self.bytes > 0


class DataPages:
    """Gives back points as they were sent, and what expressions make of them."""

    def __init__(self, catalog: Catalog, store: PointStore, package: ModuleType) -> None:
        """Take what there is, and `data_pb2` of the version whose messages are made."""
        self._catalog = catalog
        self._store = store
        self._package = package

    def read(self, request: data_pb2.GetDataRequest) -> DataAnswer:
        """Return a page of the points of all queries, one after the other.

        Each data object of the answer holds points of one query and one run, sorted by time. Only
        what exists is there: a query without points adds nothing. With `sample_ms`, numbers are
        sampled, see `sift_server.query.lttb`, and `sampled_ms` of their metadata says so; values
        that have no size are all there.

        Raises:
            NotFoundError: A channel is unknown.
            UnimplementedError: Times are asked for that the server does not keep.
            InvalidArgumentError: The request contradicts itself, its page token is of another, or
                an expression does not fit its channels.
            FailedPreconditionError: A calculated channel is of no or of several assets.
            ResourceExhaustedError: Too many runs are to be combined.
        """
        check_data_request(request)
        start_ns, end_ns = time_range(request)
        question = _fingerprint(request)
        number, cursor = _read_token(request, question)
        room = _Room(min(request.page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX), PAGE_BYTES_MAX)
        data: list[AnyMessage] = []
        queries = DataQueries(self._catalog, self._store, start_ns, end_ns, request.sample_ms)
        while number < len(request.queries) and room.is_left:
            query = queries.of(request.queries[number], cursor)
            page = _read_into(room, query)
            data += self._messages(query, page)
            cursor = page.next_cursor
            if cursor is not None:
                break
            number += 1
        is_end = number == len(request.queries)
        return DataAnswer(data, "" if is_end else _token(question, number, cursor))

    def _messages(self, query: DataQuery, page: Page) -> list[AnyMessage]:
        if not page.runs:
            return []
        asset = self._catalog.assets.get(query.asset_id)
        names = self._catalog.runs.names(points.run_id for points in page.runs)
        return [
            data_message(
                self._package,
                query.channel,
                AssetInfo(asset.asset_id, asset.name),
                RunInfo(points.run_id, names.get(points.run_id, "")) if points.run_id else None,
                points,
                query.sampled_ms,
            )
            for points in page.runs
        ]


def check_data_request(request: data_pb2.GetDataRequest) -> None:
    """Check what a request asks for, apart from channels and times.

    Raises:
        UnimplementedError: This server does not do that.
        InvalidArgumentError: Too many queries, or empty ones.
    """
    if request.include_received_at:
        raise UnimplementedError("this server does not keep when a point was received")
    if len(request.queries) > QUERIES_MAX:
        raise InvalidArgumentError(
            f"the request has {len(request.queries):,} queries; the limit is {QUERIES_MAX:,}, ask"
            " in several requests"
        )
    for number, query in enumerate(request.queries, 1):
        if query.WhichOneof("query") is None:
            raise InvalidArgumentError(f"query {number} names no channel")


def time_range(request: data_pb2.GetDataRequest) -> tuple[int, int]:
    """Start and end, which is excluded, in nanoseconds.

    Raises:
        InvalidArgumentError: The end is before the start.
    """
    start_ns, end_ns = INT_64_MIN, INT_64_MAX
    if request.HasField("start_time"):
        start_ns = clamped_timestamp(request.start_time, "start_time")
    if request.HasField("end_time"):
        end_ns = clamped_timestamp(request.end_time, "end_time")
    if end_ns < start_ns:
        raise InvalidArgumentError(
            f"end_time, {request.end_time.ToJsonString()}, is before start_time,"
            f" {request.start_time.ToJsonString()}"
        )
    return start_ns, end_ns


def _read_into(room: _Room, query: DataQuery) -> Page:
    """Read as much as there is room for, at least one point, and take it off the room."""
    page = query.read(max(1, room.values // query.width))
    lengths = np.array([], np.int64)
    if query.channel.data_type in (DataType.STRING, DataType.BYTES) and page.runs:
        lengths = _lengths(page)
        fitting = int(np.searchsorted(np.cumsum(lengths), room.bytes, side="right"))
        if fitting < len(lengths):
            page = query.read(max(1, fitting))
            lengths = _lengths(page)
    room.values -= query.width * sum(len(points.timestamps_ns) for points in page.runs)
    room.bytes -= int(lengths.sum())
    return page


def _lengths(page: Page) -> NDArray[np.int64]:
    """Bytes of each string or byte value."""
    return np.concatenate([pc.binary_length(points.values).to_numpy() for points in page.runs])


def _fingerprint(request: data_pb2.GetDataRequest) -> str:
    """What is asked for, apart from how much of it."""
    asked = data_pb2.GetDataRequest()
    asked.CopyFrom(request)
    asked.ClearField("page_token")
    asked.ClearField("page_size")
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).hexdigest()[:16]


def _token(question: str, number: int, cursor: str | None) -> str:
    document = json.dumps([question, number, cursor], separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode()


def _read_token(request: data_pb2.GetDataRequest, question: str) -> tuple[int, str | None]:
    """Number of the query to go on with, and its cursor."""
    if not request.page_token:
        return 0, None
    try:
        document = json.loads(base64.urlsafe_b64decode(request.page_token.encode("ascii")))
        asked, number, cursor = document
    except (ValueError, TypeError, RecursionError, binascii.Error):
        asked, number, cursor = None, 0, None
    is_token = isinstance(asked, str) and type(number) is int and number >= 0
    if not is_token or not isinstance(cursor, str | None):
        raise InvalidArgumentError(
            "page_token is none that this server gave; send the next_page_token of the page"
            " before, or an empty one for the first page"
        )
    if asked != question:
        raise InvalidArgumentError(
            "page_token belongs to a request with other queries or another time range; start again"
            " with an empty one"
        )
    return number, cursor
