"""Pages of a channel's points: sorted, each point once."""

from __future__ import annotations

import base64
import binascii
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_server.errors import InvalidArgumentError
from sift_server.lake import Points, PointStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sift_wire.columns import DataType

SCANS_KEPT_MAX = 4
"""Scans that are kept in memory for the pages that follow the first."""

SCAN_KEPT_BYTES_MAX = 64 * 1024 * 1024
"""Larger scans are not kept: each of their pages scans anew."""


@dataclass(frozen=True, slots=True, eq=False)
class RunPoints:
    """Points of one run, sorted by time.

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
    """The last point that was given: its run, its time, and how many of that time were given."""

    run_id: str
    timestamp_ns: int
    given: int

    def to_token(self) -> str:
        text = f"{self.timestamp_ns}:{self.given}:{self.run_id}"
        return base64.urlsafe_b64encode(text.encode()).decode("ascii")

    @classmethod
    def from_token(cls, token: str) -> _Cursor:
        try:
            text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
            timestamp_ns, given, run_id = text.split(":", 2)
            return cls(run_id, int(timestamp_ns), int(given))
        except (ValueError, binascii.Error):
            raise InvalidArgumentError(
                "page_token is none that this server gave; leave it out for the first page"
            ) from None


class PointReader:
    """Reads channels page by page. Safe from many threads.

    A first page sees everything that was published before the call. The pages that follow may be
    served from the same view of the data.
    """

    def __init__(self, store: PointStore) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[Any, ...], Points] = OrderedDict()
        self._lock = threading.Lock()

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
        key = (channel_id, data_type, start_ns, end_ns, run_id)
        points = self._kept_scan(key) if cursor is not None else None
        if points is None:
            points = _sorted_once(self._store.scan(channel_id, data_type, start_ns, end_ns, run_id))
        first = 0 if cursor is None else _place_behind(points, cursor)
        last = min(first + limit, len(points))
        if last == len(points):
            return Page(_by_run(points, first, last), None)
        self._keep_scan(key, points)
        timestamp_ns = int(points.timestamps_ns[last - 1])
        run = points.runs[last - 1]
        given = last - _places_of(points, int(run), timestamp_ns)[0]
        end = _Cursor(points.run_ids[run], timestamp_ns, given)
        return Page(_by_run(points, first, last), end.to_token())

    def _kept_scan(self, key: tuple[Any, ...]) -> Points | None:
        with self._lock:
            points = self._kept.get(key)
            if points is not None:
                self._kept.move_to_end(key)
            return points

    def _keep_scan(self, key: tuple[Any, ...], points: Points) -> None:
        if points.timestamps_ns.nbytes + points.values.nbytes > SCAN_KEPT_BYTES_MAX:
            return
        with self._lock:
            self._kept[key] = points
            self._kept.move_to_end(key)
            if len(self._kept) > SCANS_KEPT_MAX:
                self._kept.popitem(last=False)


def _sorted_once(points: Points) -> Points:
    """Sort by run, time and value, and drop what is there more than once."""
    runs, times = points.runs, points.timestamps_ns
    # Compared, not subtracted: the difference of two times may not fit 64 bits.
    if (runs[1:] == runs[:-1]).all() and (times[1:] > times[:-1]).all():
        return points
    table = pa.table({"run": runs, "time": times, "value": points.values})
    order = pc.sort_indices(
        table, sort_keys=[("run", "ascending"), ("time", "ascending"), ("value", "ascending")]
    ).to_numpy()
    runs, times = runs[order], times[order]
    values = points.values.take(pa.array(order))
    new = np.ones(len(times), np.bool_)
    if len(times):
        changed = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
        new[1:] = (runs[1:] != runs[:-1]) | (times[1:] != times[:-1]) | changed
    if new.all():
        return Points(points.run_ids, runs, times, values)
    return Points(points.run_ids, runs[new], times[new], values.filter(pa.array(new)))


def _place_behind(points: Points, cursor: _Cursor) -> int:
    """Index of the first point behind a cursor."""
    if cursor.run_id not in points.run_ids:
        # Runs are sorted: go on with the next one.
        behind = sum(run_id < cursor.run_id for run_id in points.run_ids)
        return int(np.searchsorted(points.runs, behind, side="left"))
    run = points.run_ids.index(cursor.run_id)
    same, later = _places_of(points, run, cursor.timestamp_ns)
    return min(same + cursor.given, later)


def _places_of(points: Points, run: int, timestamp_ns: int) -> tuple[int, int]:
    """Where the points of a run and time begin, and where later ones do."""
    first, last = np.searchsorted(points.runs, [run, run + 1])
    times = points.timestamps_ns[first:last]
    return (
        int(first + np.searchsorted(times, timestamp_ns, side="left")),
        int(first + np.searchsorted(times, timestamp_ns, side="right")),
    )


def _by_run(points: Points, first: int, last: int) -> list[RunPoints]:
    found = []
    while first < last:
        run = points.runs[first]
        end = min(last, int(np.searchsorted(points.runs, run, side="right")))
        found.append(
            RunPoints(
                points.run_ids[run],
                points.timestamps_ns[first:end],
                points.values.slice(first, end - first),
            )
        )
        first = end
    return found
