"""Makes the overview of a channel from bins of files, points of files, and points that are hot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sift_server.lake.overview import Buckets, Overview, values_of_keys, values_of_words
from sift_server.lake.overview_kernels import add_bins, add_points

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sift_server.lake.files import DataFile
    from sift_server.lake.overview_files import BinRow, OverviewFiles
    from sift_server.lake.points import Kind, Points
    from sift_server.lake.view import ChannelView


def read_overview(
    view: ChannelView,
    bins: OverviewFiles,
    run_id: str | None,
    start_ns: int,
    end_ns: int,
    buckets: int,
) -> Overview:
    """Sum up the points between two times, the end excluded and later, in so many buckets at most.

    Memory is taken for a row group at a time, beside what is hot and the buckets.

    Args:
        view: The channel; its values are numbers.
        bins: The bins of files.
        run_id: The run, an empty string for points without one, or None for all points.
        start_ns: The start.
        end_ns: The end.
        buckets: How many buckets there are at the most; at least 1.

    Raises:
        OSError: A data file can't be read.
    """
    cut = Buckets.of(start_ns, end_ns, buckets)
    sums = _Sums(cut, view.kind)
    sums.add_points(view.hot_points_of(run_id, start_ns, end_ns))
    for file in view.files:
        if not file.extent.may_hold(view.channel_id, start_ns, end_ns):
            continue
        rows = bins.read(file, view.channel_id, run_id, cut.shift)
        if rows is None:
            ranges = [(start_ns, end_ns)]
        else:
            for row in rows:
                sums.add_bins(row)
            ranges = [(start_ns, cut.whole_first_ns), (cut.whole_last_ns, end_ns)]
        for first_ns, last_ns in ranges:
            for points in _points(view, file, run_id, first_ns, min(last_ns, end_ns)):
                sums.add_points(points)
    return sums.overview()


def _points(
    view: ChannelView, file: DataFile, run_id: str | None, start_ns: int, end_ns: int
) -> Iterator[Points]:
    if start_ns >= end_ns:
        return
    for group in view.reader.row_groups(file, view.channel_id, start_ns, end_ns):
        points = view.reader.read(group, view.channel_id, view.kind, start_ns, end_ns, run_id)
        if points is not None:
            yield points


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, of the one type that loops are compiled for."""
    array = array.view()
    array.flags.writeable = False
    return array


class _Sums:
    """The buckets while they are filled."""

    def __init__(self, cut: Buckets, kind: Kind) -> None:
        self._cut = cut
        self._kind = kind
        self._width = np.uint64(min(cut.width_ns, 2**64 - 1))
        self._has_points = np.zeros(cut.count, np.bool_)
        self._sums = np.zeros((4, cut.count), np.int64)

    def add_bins(self, row: BinRow) -> None:
        """Add the bins of a row that are wholly inside of the range."""
        index = row.columns[0]
        ends = [each >> row.shift for each in (self._cut.whole_first_ns, self._cut.whole_last_ns)]
        first, last = np.searchsorted(index, ends)
        if first < last:
            add_bins(
                *(_read_only(column[first:last]) for column in row.columns),
                row.shift,
                self._cut.first_ns,
                self._width,
                self._has_points,
                self._sums,
            )

    def add_points(self, points: Points) -> None:
        """Add points, all of them inside of the range."""
        add_points(
            _read_only(points.timestamps_ns),
            _read_only(points.values.to_numpy()),
            int(self._kind),
            self._cut.first_ns,
            self._width,
            self._has_points,
            self._sums,
        )

    def overview(self) -> Overview:
        """What was added."""
        places = np.flatnonzero(self._has_points)
        last_ns, last, smallest, largest = self._sums[:, places]
        is_none = smallest > largest
        offsets = places.astype(np.uint64) * self._width
        starts: NDArray[np.int64] = (
            offsets + np.array([self._cut.first_ns], np.int64).view(np.uint64)
        ).view(np.int64)
        return Overview(
            self._cut.width_ns,
            starts,
            last_ns.copy(),
            values_of_words(last.copy(), self._kind),
            values_of_keys(smallest, is_none, self._kind),
            values_of_keys(largest, is_none, self._kind),
        )
