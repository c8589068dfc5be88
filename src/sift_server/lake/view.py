"""What there is of one channel at one moment, read in windows of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sift_server.lake.points import VARIABLE_KINDS, Points, joined_points, part_of, words_to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift_server.lake.file_reader import FileReader, RowGroup
    from sift_server.lake.files import DataFile
    from sift_server.lake.hot_index import HotRows
    from sift_server.lake.points import Kind

WINDOW_POINTS = 64 * 1024
"""Points of row groups after which a window ends, as soon as it can. A full row group has more: it
is a window by itself, and its points are given as they were read."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class ChannelView:
    """One channel in hot columns and table, as they were when the view was taken.

    While there is a view, its files stay on disk, also when they were merged into others.

    Attributes:
        channel_id: The channel.
        kind: Kind of its values.
        hot: Rows that have the channel.
        files: Files of the table.
        reader: What reads them.
    """

    channel_id: str
    kind: Kind
    hot: Sequence[HotRows]
    files: tuple[DataFile, ...]
    reader: FileReader

    def run_ids(self, start_ns: int, end_ns: int) -> list[str]:
        """Runs that the channel may have points of between two times, the end excluded; sorted.

        An empty string stands for 'no run'.
        """
        found = {rows.run_id for rows in self.hot}
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
        groups = [
            group
            for group in self._row_groups(start_ns, end_ns)
            if group.run_id is None or group.run_id == run_id
        ]
        rests = [self._hot_points(run_id, start_ns, end_ns)]
        for last_ns, beginning in _windows(groups, start_ns, end_ns):
            parts = []
            waiting, rests = rests, []
            for group in beginning:
                points = self.reader.read(
                    group, self.channel_id, self.kind, start_ns, end_ns, run_id
                )
                if points is None:
                    continue
                if _reaches(group, last_ns):
                    waiting.append(_by_time(points))
                else:
                    parts.append(points)
            for points in waiting:
                count = int(np.searchsorted(points.timestamps_ns, last_ns))
                if count:
                    parts.append(part_of(points, 0, count))
                if count < len(points):
                    rests.append(part_of(points, count, len(points)))
            if parts:
                yield joined_points(self.kind, parts)

    def _row_groups(self, start_ns: int, end_ns: int) -> Iterator[RowGroup]:
        for file in self.files:
            yield from self.reader.row_groups(file, self.channel_id, start_ns, end_ns)

    def hot_points_of(self, run_id: str | None, start_ns: int, end_ns: int) -> Points:
        """Hot points of a run, or all of them, between two times, as they came."""
        hot = [rows for rows in self.hot if run_id in (None, rows.run_id)]
        if not hot:
            return joined_points(self.kind, [])
        times_ns = np.concatenate([rows.timestamps_ns for rows in hot])
        mine = np.concatenate([rows.present for rows in hot])
        mine &= (times_ns >= start_ns) & (times_ns < end_ns)
        if self.kind in VARIABLE_KINDS:
            ends = np.cumsum([rows.n_rows for rows in hot]).tolist()
            values = pa.concat_arrays(
                [
                    words_to_arrow(
                        self.kind, rows.words[mine[end - rows.n_rows : end]], rows.block.heap
                    )
                    for rows, end in zip(hot, ends, strict=True)
                ]
            )
        else:
            words = np.concatenate([rows.words for rows in hot])
            values = pa.array(words if mine.all() else words[mine])
        return Points(times_ns if mine.all() else times_ns[mine], values)

    def _hot_points(self, run_id: str, start_ns: int, end_ns: int) -> Points:
        """Hot points of a run between two times, sorted by time."""
        return _by_time(self.hot_points_of(run_id, start_ns, end_ns))


def _by_time(points: Points) -> Points:
    """Points sorted by time; those of one time stay as they are."""
    times = points.timestamps_ns
    if (times[1:] >= times[:-1]).all():
        return points
    order = np.argsort(times, kind="stable")
    return Points(times[order], points.values.take(pa.array(order)))


def _windows(
    groups: Sequence[RowGroup], start_ns: int, end_ns: int
) -> Iterator[tuple[int, list[RowGroup]]]:
    """Cut a time range where row groups begin, once enough of them began before.

    Yields:
        End of a window, which is excluded, and the row groups that begin in it.
    """

    def begin(group: RowGroup) -> int:
        known = group.extent.timestamp_ns_min
        return start_ns if known is None else max(known, start_ns)

    beginning: list[RowGroup] = []
    first_ns = start_ns
    points = 0
    for group in sorted(groups, key=begin):
        begin_ns = begin(group)
        if points >= WINDOW_POINTS and begin_ns > first_ns:
            yield begin_ns, beginning
            beginning, first_ns, points = [], begin_ns, 0
        beginning.append(group)
        points += group.extent.points
    yield end_ns, beginning


def _reaches(group: RowGroup, time_ns: int) -> bool:
    last_ns = group.extent.timestamp_ns_max
    return last_ns is None or last_ns >= time_ns
