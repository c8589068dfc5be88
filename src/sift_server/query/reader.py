"""Pages of a channel's points: sorted, each point once."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_server.errors import InvalidArgumentError
from sift_server.lake import Points, points_once
from sift_server.lake.ahead import one_ahead
from sift_server.lake.points import joined_points, kind_of, part_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sift_server.lake import ChannelView, PointStore
    from sift_wire.columns import DataType


@dataclass(frozen=True, slots=True, eq=False)
class RunPoints:
    """Points of one run, sorted by time, then by value.

    Attributes:
        run_id: The run, or an empty string.
        timestamps_ns: int64, shape (points,).
        values: Arrow array as in `lake.Points`.
    """

    run_id: str
    timestamps_ns: NDArray[np.int64]
    values: Any


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer.

    Attributes:
        runs: Points by run, in the order of run ids; none of them is empty.
        next_cursor: What to ask with for the rest, or None if this is the end.
    """

    runs: list[RunPoints]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The last point that was given: its run, its time, and what tells its value from others."""

    run_id: str
    timestamp_ns: int
    mark: str

    def to_token(self) -> str:
        text = f"{self.timestamp_ns}:{self.mark}:{self.run_id}"
        return base64.urlsafe_b64encode(text.encode()).decode("ascii")

    @classmethod
    def from_token(cls, token: str) -> _Cursor:
        try:
            text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
            timestamp_ns, mark, run_id = text.split(":", 2)
            time_ns = np.int64(int(timestamp_ns))
        except (ValueError, OverflowError, binascii.Error):
            raise InvalidArgumentError(
                "page_token is none that this server gave; leave it out for the first page"
            ) from None
        return cls(run_id, int(time_ns), mark)


class PointReader:
    """Reads channels page by page. Safe from many threads.

    A page sees everything that was published before the call. Points that arrive between two pages
    are in the pages that follow if they belong there; what was given is never given again, also
    after a restart. Memory is taken for a page and a window of the table, however long the channel
    is.

    Example:
        ```python
        page = PointReader(store).read(
            channel_id, DataType.DOUBLE, start_ns, end_ns, run_id=None, after=None, limit=10_000
        )
        ```
    """

    def __init__(self, store: PointStore) -> None:
        self._store = store

    def read(
        self,
        channel_id: str,
        data_type: DataType,
        start_ns: int,
        end_ns: int,
        run_id: str | None,
        after: str | None,
        limit: int,
    ) -> Page:
        """Read at most `limit` points, sorted by run, time and value, identical ones once.

        Values at one time are sorted by their bits.

        Args:
            channel_id: Which channel.
            data_type: Its data type.
            start_ns: Earliest time.
            end_ns: Time that is no longer included.
            run_id: None for all points, an empty string for those without a run, else a run's id.
            after: `next_cursor` of the page before, or None for the first one.
            limit: Most points to give; at least 1.

        Raises:
            InvalidArgumentError: `after` is no cursor.
        """
        cursor = None if after is None else _Cursor.from_token(after)
        view = self._store.view(channel_id, data_type)
        found: list[tuple[str, Points]] = []
        missing = limit + 1  # One more tells whether this is the end.
        for run, points in _in_order(view, start_ns, end_ns, run_id, cursor):
            found.append((run, points))
            missing -= len(points)
            if missing <= 0:
                break
        if missing > 0:
            return Page(_by_run(data_type, found), None)
        run, points = found.pop()
        kept = len(points) + missing - 1
        if kept:
            found.append((run, part_of(points, 0, kept)))
        last_run, last_points = found[-1]
        end = _Cursor(
            last_run, int(last_points.timestamps_ns[-1]), _mark(last_points, len(last_points) - 1)
        )
        return Page(_by_run(data_type, found), end.to_token())

    def read_all(
        self,
        channel_id: str,
        data_type: DataType,
        start_ns: int,
        end_ns: int,
        run_id: str | None,
    ) -> Iterator[RunPoints]:
        """Read all that there is now, sorted by run, time and value, identical points once.

        Args:
            channel_id: Which channel.
            data_type: Its data type.
            start_ns: Earliest time.
            end_ns: Time that is no longer included.
            run_id: As in `read`.

        Yields:
            Points of one run, which go on in the next item or end; none is empty. The next item
            is read on a thread while this one is used: two windows of the table are in memory.
        """
        view = self._store.view(channel_id, data_type)
        found = _in_order(view, start_ns, end_ns, run_id, None)
        return one_ahead(
            (RunPoints(run, points.timestamps_ns, points.values) for run, points in found),
            "sift-read",
        )


def _in_order(
    view: ChannelView, start_ns: int, end_ns: int, run_id: str | None, cursor: _Cursor | None
) -> Iterator[tuple[str, Points]]:
    """Points behind a cursor, run by run, each point once."""
    for run in view.run_ids(start_ns, end_ns) if run_id is None else [run_id]:
        from_ns = start_ns
        if cursor is not None:
            if run < cursor.run_id:
                continue
            if run == cursor.run_id:
                from_ns = max(start_ns, cursor.timestamp_ns)
        for window in view.read(run, from_ns, end_ns):
            points = points_once(window)
            if cursor is not None and run == cursor.run_id:
                points = _behind(points, cursor)
            if len(points):
                yield run, points


def _behind(points: Points, cursor: _Cursor) -> Points:
    """The points, sorted and each once, that come behind a cursor."""
    first = int(np.searchsorted(points.timestamps_ns, cursor.timestamp_ns, side="left"))
    last = int(np.searchsorted(points.timestamps_ns, cursor.timestamp_ns, side="right"))
    for place in range(first, last):
        if _mark(points, place) == cursor.mark:
            return part_of(points, place + 1, len(points))
    return part_of(points, first, len(points))


def _mark(points: Points, place: int) -> str:
    """What tells a value from others at its time, short however long it is."""
    value = points.values[place].as_py()
    if isinstance(value, int):
        return f"{value:x}"
    data = value.encode() if isinstance(value, str) else value
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _by_run(data_type: DataType, found: list[tuple[str, Points]]) -> list[RunPoints]:
    parts: dict[str, list[Points]] = {}
    for run, points in found:
        parts.setdefault(run, []).append(points)
    joined = {run: joined_points(kind_of(data_type), mine) for run, mine in parts.items()}
    return [RunPoints(run, mine.timestamps_ns, mine.values) for run, mine in joined.items()]
