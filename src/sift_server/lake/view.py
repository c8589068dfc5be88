"""What there is of one channel at one moment, read in windows of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sift_server.lake.points import Points, joined_points, part_of, words_to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sift_server.lake.files import DataFile, FileReader, RowGroup
    from sift_server.lake.points import Kind
    from sift_wire.columns import FlowRows

WINDOW_POINTS = 256 * 1024
"""Points of row groups after which a window ends, as soon as it can."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class ChannelView:
    """One channel in hot columns and table, as they were when the view was taken.

    While there is a view, its files stay on disk, also when they were merged into others.

    Attributes:
        channel_id: The channel.
        kind: Kind of its values.
        hot: Rows that have the channel, and its index in them.
        files: Files of the table.
        reader: What reads them.
    """

    channel_id: str
    kind: Kind
    hot: Sequence[tuple[FlowRows, int]]
    files: tuple[DataFile, ...]
    reader: FileReader

    def run_ids(self, start_ns: int, end_ns: int) -> list[str]:
        """Runs that the channel may have points of between two times, the end excluded; sorted.

        An empty string stands for 'no run'.
        """
        found = {rows.run_id for rows, _ in self.hot}
        for group in self._row_groups(start_ns, end_ns):
            if group.run_id is not None:
                found.add(group.run_id)
            else:
                found.update(self.reader.run_ids(group, self.channel_id, start_ns, end_ns))
        return sorted(found)

    def read(self, run_id: str, start_ns: int, end_ns: int) -> Iterator[Points]:
        """Read the points of a run between two times, the end excluded.

        Yields:
            Points in no particular order, as they were sent: some perhaps more than once. All of
            them are earlier than those that come after; none is empty. About `WINDOW_POINTS` are
            in memory at a time, beside those that are hot.
        """
        hot = self._hot_points(run_id, start_ns, end_ns)
        groups = [
            group
            for group in self._row_groups(start_ns, end_ns)
            if group.run_id is None or group.run_id == run_id
        ]
        for first_ns, last_ns, in_window in _windows(groups, start_ns, end_ns):
            parts = [
                part
                for group in in_window
                if (
                    part := self.reader.read(
                        group, self.channel_id, self.kind, first_ns, last_ns, run_id
                    )
                )
            ]
            first, last = np.searchsorted(hot.timestamps_ns, [first_ns, last_ns])
            if first < last:
                parts.append(part_of(hot, int(first), int(last)))
            if parts:
                yield joined_points(self.kind, parts)

    def _row_groups(self, start_ns: int, end_ns: int) -> Iterator[RowGroup]:
        for file in self.files:
            yield from self.reader.row_groups(file, self.channel_id, start_ns, end_ns)

    def _hot_points(self, run_id: str, start_ns: int, end_ns: int) -> Points:
        """Hot points of a run between two times, sorted by time."""
        times: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        values = [words_to_arrow(self.kind, np.empty(0, np.uint64), b"")]
        for rows, index in self.hot:
            if rows.run_id != run_id:
                continue
            mine = rows.present[index] & (rows.timestamps_ns >= start_ns)
            mine &= rows.timestamps_ns < end_ns
            if mine.any():
                times.append(rows.timestamps_ns[mine])
                values.append(words_to_arrow(self.kind, rows.words[index][mine], rows.heap))
        points = Points(np.concatenate(times), pa.concat_arrays(values))
        if (points.timestamps_ns[1:] >= points.timestamps_ns[:-1]).all():
            return points
        order = np.argsort(points.timestamps_ns, kind="stable")
        return Points(points.timestamps_ns[order], points.values.take(pa.array(order)))


def _windows(
    groups: Sequence[RowGroup], start_ns: int, end_ns: int
) -> Iterator[tuple[int, int, list[RowGroup]]]:
    """Cut a time range where row groups begin, once enough of them began before.

    Yields:
        Start of a window, its end, which is excluded, and all row groups that overlap it.
    """

    def begin(group: RowGroup) -> int:
        known = group.extent.timestamp_ns_min
        return start_ns if known is None else max(known, start_ns)

    waiting = sorted(groups, key=begin)
    open_groups: list[RowGroup] = []
    first_ns = start_ns
    points = 0
    for group in waiting:
        begin_ns = begin(group)
        if points >= WINDOW_POINTS and begin_ns > first_ns:
            yield first_ns, begin_ns, open_groups
            open_groups = [each for each in open_groups if _reaches(each, begin_ns)]
            first_ns = begin_ns
            points = 0
        open_groups.append(group)
        points += group.extent.points
    yield first_ns, end_ns, open_groups


def _reaches(group: RowGroup, time_ns: int) -> bool:
    last_ns = group.extent.timestamp_ns_max
    return last_ns is None or last_ns >= time_ns
