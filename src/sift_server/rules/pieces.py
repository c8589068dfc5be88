"""What is stored of some channels in a run, in pieces of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from sift_server.lake import points_once
from sift_server.lake.points import joined_points, kind_of, part_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sift_server.lake import Points
    from sift_wire.columns import DataType

Piece = dict[str, "Points"]
"""Points of each channel, by its id."""


class Windows(Protocol):
    """What gives the points of a channel in windows of time, see `lake.ChannelView`."""

    def read(self, run_id: str, start_ns: int, end_ns: int, /) -> Iterator[Points]:
        """Read the points of a run between two times, the end excluded."""


def stored_pieces(
    views: Mapping[str, tuple[Windows, DataType]], run_id: str, start_ns: int, end_ns: int
) -> Iterator[Piece]:
    """Read what there is of channels in a run between two times, the end excluded.

    Args:
        views: The channels by id, and their data types.
        run_id: The run; an empty string for what has none.
        start_ns: Earliest time.
        end_ns: Time that is no longer included.

    Yields:
        Pieces, each with every point of every channel in some stretch of time, sorted and each
        once; each later than the one before. A few windows of the table are in memory at a time,
        however much there is.
    """
    waiting = {
        channel_id: _Waiting(view.read(run_id, start_ns, end_ns), data_type)
        for channel_id, (view, data_type) in views.items()
    }
    while True:
        for each in waiting.values():
            each.fill()
        open_ends = [each.last_ns for each in waiting.values() if not each.is_done]
        if not open_ends:
            break
        # Of no channel anything is missing up to here.
        yield _piece(waiting, min(open_ends))
    rest = _piece(waiting, None)
    if any(len(points) for points in rest.values()):
        yield rest


def _piece(waiting: Mapping[str, _Waiting], until_ns: int | None) -> Piece:
    return {channel_id: each.take(until_ns) for channel_id, each in waiting.items()}


class _Waiting:
    """The windows of a channel that were read and not yet given."""

    def __init__(self, windows: Iterator[Points], data_type: DataType) -> None:
        self._windows = windows
        self._points = joined_points(kind_of(data_type), [])
        self.is_done = False
        """Whether there are no more windows."""

    @property
    def last_ns(self) -> int:
        """Time up to which everything was read; only after `fill`, if not done."""
        return int(self._points.timestamps_ns[-1])

    def fill(self) -> None:
        """Read a window, if nothing is left of the one before."""
        if self.is_done or len(self._points):
            return
        window = next(self._windows, None)
        if window is None:
            self.is_done = True
        else:
            self._points = points_once(window)

    def take(self, until_ns: int | None) -> Points:
        """Give the points up to a time; all of them if that is None."""
        points = self._points
        count = len(points)
        if until_ns is not None:
            count = int(np.searchsorted(points.timestamps_ns, until_ns, side="right"))
        self._points = part_of(points, count, len(points))
        return part_of(points, 0, count)
