"""Batches of many flows become points sorted by date, channel and time, a row group at a time.

The words of all batches are joined once, channel by channel. What is sorted are not points but
*cells*: the stretch of one channel, flow and run in one date, which is already in the order of
time. Only where several cells of one channel meet (two runs, say) are points compared. A row group
is made of whole channels if it can be, so that a channel rarely lies in two, and memory is taken
for one row group at a time beside the joined words.

Cells are rows of arrays, not objects: a flush of a hundred thousand channels with ten points each
costs hardly more a point than one of ten channels, and other threads get their turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise, starmap
from operator import itemgetter, ne
from typing import TYPE_CHECKING

import numpy as np

from sift_server.lake.chunk import PointChunk
from sift_server.lake.points import VARIABLE_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sift_server.lake.hot import FlowBatches, HotFlow

NS_PER_DAY = 86_400 * 1_000_000_000

_VARIABLE = list(VARIABLE_KINDS)

_LONG_CELL_POINTS = 1_024
"""Average length of cells from which they are copied one by one, and not point by point."""

_REORDER_POINTS = 1024 * 1024
"""Points that are copied at a time where rows did not come in the order of time."""


def sorted_chunks(
    flows: Sequence[FlowBatches], points_max: int
) -> Iterator[tuple[int, Iterator[PointChunk]]]:
    """Sort what is there, date by date.

    Args:
        flows: The batches, by flow and run.
        points_max: Points of a chunk. It is exceeded only if one channel has more at one time.

    Yields:
        Days since 1970-01-01, and the chunks of that date, in the order of channel ids; none is
        empty.
    """
    joined, parts = _join(flows)
    days: dict[int, list[_Part]] = {}
    for part in parts:
        for day, of_day in _by_day(joined, part):
            days.setdefault(day, []).append(of_day)
    for day in sorted(days):
        yield day, _chunks(joined, _Cells.of(days[day]), points_max)


@dataclass(frozen=True, slots=True, eq=False)
class _Joined:
    """The points of all batches, flow by flow.

    Attributes:
        timestamps_ns: int64. The times of each flow and run, sorted.
        words: uint64. The words of each flow and run, channel by channel, in the order of time;
            those of strings and bytes point into `heap`.
        present: bool, as `words`.
        heap: The heaps of all batches.
    """

    timestamps_ns: NDArray[np.int64]
    words: NDArray[np.uint64]
    present: NDArray[np.bool_]
    heap: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Rows of one flow and run in `_Joined`.

    Attributes:
        flow: The flow.
        run_id: The run.
        time_start: Place of the first row's time.
        rows: Number of rows.
        word_start: Place of the first row's word of the first channel.
        stride: How far the word of the next channel is.
    """

    flow: HotFlow
    run_id: str
    time_start: int
    rows: int
    word_start: int
    stride: int


def _join(flows: Sequence[FlowBatches]) -> tuple[_Joined, list[_Part]]:
    """Copy all batches into one set of arrays, each flow's sorted by time."""
    sizes = [sum(len(batch.rows.timestamps_ns) for batch in flow.batches) for flow in flows]
    widths = [len(flow.flow.channel_ids) for flow in flows]
    timestamps_ns = np.empty(sum(sizes), np.int64)
    points = sum(rows * width for rows, width in zip(sizes, widths, strict=True))
    words = np.empty(points, np.uint64)
    present = np.empty(points, np.bool_)
    parts: list[_Part] = []
    heap_start = time_start = word_start = 0
    for flow, rows, width in zip(flows, sizes, widths, strict=True):
        time_end, word_end = time_start + rows, word_start + rows * width
        heap_start = _join_flow(
            flow,
            heap_start,
            timestamps_ns[time_start:time_end],
            words[word_start:word_end].reshape(width, rows),
            present[word_start:word_end].reshape(width, rows),
        )
        parts.append(_Part(flow.flow, flow.run_id, time_start, rows, word_start, rows))
        time_start, word_start = time_end, word_end
    heap = b"".join(batch.rows.heap for flow in flows for batch in flow.batches)
    return _Joined(timestamps_ns, words, present, heap), parts


def _join_flow(
    flow: FlowBatches,
    heap_start: int,
    timestamps_ns: NDArray[np.int64],
    words: NDArray[np.uint64],
    present: NDArray[np.bool_],
) -> int:
    """Copy the batches of a flow and run into arrays as in `FlowRows`, sorted by time.

    Returns:
        Where the heaps of these batches end; words point into them behind `heap_start`.
    """
    batches = [batch.rows for batch in flow.batches]
    np.concatenate([rows.timestamps_ns for rows in batches], out=timestamps_ns)
    np.concatenate([rows.words for rows in batches], axis=1, out=words)
    np.concatenate([rows.present for rows in batches], axis=1, out=present)
    if any(rows.heap for rows in batches):
        variable = np.isin(flow.flow.kinds, _VARIABLE)
        moved = words[variable]
        first = 0
        for rows in batches:
            last = first + len(rows.timestamps_ns)
            moved[:, first:last] += np.uint64(heap_start << 32)
            first = last
            heap_start += len(rows.heap)
        words[variable] = moved
    if (timestamps_ns[1:] < timestamps_ns[:-1]).any():
        order = np.argsort(timestamps_ns, kind="stable")
        timestamps_ns[:] = timestamps_ns[order]
        # Some channels at a time: a copy of all would need as much memory again.
        step = max(1, _REORDER_POINTS // len(order))
        for first in range(0, len(words), step):
            words[first : first + step] = words[first : first + step, order]
            present[first : first + step] = present[first : first + step, order]
    return heap_start


def _by_day(joined: _Joined, part: _Part) -> Iterator[tuple[int, _Part]]:
    times = joined.timestamps_ns[part.time_start : part.time_start + part.rows]
    if not len(times):
        return
    if times[0] // NS_PER_DAY == times[-1] // NS_PER_DAY:
        yield int(times[0] // NS_PER_DAY), part
        return
    dates, starts = np.unique(times // NS_PER_DAY, return_index=True)
    edges = [*starts.tolist(), len(times)]
    for day, (first, last) in zip(dates.tolist(), pairwise(edges), strict=True):
        yield (
            day,
            _Part(
                part.flow,
                part.run_id,
                part.time_start + first,
                last - first,
                part.word_start + first,
                part.stride,
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Cells sorted by channel id; all arrays have a row a cell.

    Attributes:
        channels: `(asset, channel, channel id)`.
        run_ids: Ids of the runs.
        channel: int64. Number of the channel: equal where the id is, growing.
        run: int64. Index in `run_ids`.
        kind: uint8. `Kind` of the values.
        time_start: int64. Place of the first time in `_Joined`.
        word_start: int64. Place of the first word in `_Joined`.
        length: int64. Number of rows.
    """

    channels: list[tuple[str, str, str]]
    run_ids: list[str]
    channel: NDArray[np.int64]
    run: NDArray[np.int64]
    kind: NDArray[np.uint8]
    time_start: NDArray[np.int64]
    word_start: NDArray[np.int64]
    length: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.length)

    @classmethod
    def of(cls, parts: Sequence[_Part]) -> _Cells:
        """The cells of some parts."""
        ids = list(chain.from_iterable(part.flow.channel_ids for part in parts))
        names = list(chain.from_iterable(part.flow.channel_names for part in parts))
        order = sorted(range(len(ids)), key=ids.__getitem__)
        ids = [ids[place] for place in order]
        new = np.zeros(len(ids), np.int64)
        new[1:] = np.fromiter(starmap(ne, pairwise(ids)), np.bool_, len(ids) - 1)
        places = np.array(order)

        widths = [len(part.flow.channel_ids) for part in parts]
        part_of = np.repeat(np.arange(len(parts)), widths)[places]
        index = places - np.repeat(np.cumsum([0, *widths[:-1]]), widths)[places]
        runs = {run_id: number for number, run_id in enumerate({part.run_id for part in parts})}
        starts = np.array(
            [
                (part.time_start, part.word_start, part.stride, part.rows, runs[part.run_id])
                for part in parts
            ],
            np.int64,
        )
        time_start, word_start, stride, length, run = starts[part_of].T
        assets = [parts[number].flow.asset_name for number in part_of.tolist()]
        return cls(
            list(zip(assets, [names[place] for place in order], ids, strict=True)),
            list(runs),
            np.cumsum(new),
            run,
            np.concatenate([part.flow.kinds for part in parts])[places],
            time_start,
            word_start + index * stride,
            length,
        )

    def part(self, first: int, last: int) -> _Cells:
        """Some of the cells, in this order."""
        mine = slice(first, last)
        return _Cells(
            self.channels[mine],
            self.run_ids,
            self.channel[mine],
            self.run[mine],
            self.kind[mine],
            self.time_start[mine],
            self.word_start[mine],
            self.length[mine],
        )

    def rows(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> _Cells:
        """The cells from a row on, each its own, to another; those without rows are left out."""
        kept = np.flatnonzero(first < last)
        return _Cells(
            [self.channels[place] for place in kept.tolist()],
            self.run_ids,
            self.channel[kept],
            self.run[kept],
            self.kind[kept],
            (self.time_start + first)[kept],
            (self.word_start + first)[kept],
            (last - first)[kept],
        )


def _chunks(joined: _Joined, cells: _Cells, points_max: int) -> Iterator[PointChunk]:
    """Cut cells between channels, or inside of one that has more than `points_max`."""
    if not len(cells):
        return
    starts = np.flatnonzero(np.diff(cells.channel, prepend=-1))
    edges = np.append(starts, len(cells))
    ends = np.cumsum(cells.length)[edges[1:] - 1]
    channel = 0
    while channel < len(starts):
        before = int(ends[channel - 1]) if channel else 0
        behind = int(np.searchsorted(ends, before + points_max, side="right"))
        if behind > channel:
            yield from _chunk(joined, cells.part(int(edges[channel]), int(edges[behind])))
            channel = behind
        else:
            one = cells.part(int(edges[channel]), int(edges[channel + 1]))
            for piece in _pieces(joined, one, points_max):
                yield from _chunk(joined, piece)
            channel += 1


def _pieces(joined: _Joined, cells: _Cells, points_max: int) -> Iterator[_Cells]:
    """Cut the cells of one channel at common times, so that pieces have about the same size."""
    times = [
        joined.timestamps_ns[start : start + length]
        for start, length in zip(cells.time_start.tolist(), cells.length.tolist(), strict=True)
    ]
    largest = max(times, key=len)
    count = -(-int(cells.length.sum()) // points_max)
    cuts = np.unique(largest[np.arange(1, count) * len(largest) // count])
    inner = np.array([np.searchsorted(each, cuts) for each in times])
    edges = [np.zeros(len(cells), np.int64), *inner.T, cells.length]
    for first, last in pairwise(edges):
        if (first < last).any():
            yield cells.rows(first, last)


def _chunk(joined: _Joined, cells: _Cells) -> Iterator[PointChunk]:
    """The points that are present in some cells, as one chunk; nothing if there are none."""
    new = np.diff(cells.channel, prepend=-1) != 0
    channels = list(itemgetter(*np.flatnonzero(new).tolist(), -1)(cells.channels))[:-1]
    runs, run = np.unique(cells.run, return_inverse=True)
    lengths = cells.length
    times, words, present = _gather(joined, cells)
    chunk = PointChunk(
        channels,
        [cells.run_ids[number] for number in runs.tolist()],
        np.repeat((np.cumsum(new) - 1).astype(np.int32), lengths),
        np.repeat(run.astype(np.int32), lengths),
        times,
        np.repeat(cells.kind, lengths),
        words,
        joined.heap,
    )
    if not present.all():
        chunk = chunk.take(np.flatnonzero(present))
    if len(channels) < len(cells):
        chunk = chunk.take(np.lexsort((chunk.timestamps_ns, chunk.channel)))
    if len(chunk):
        yield chunk


def _gather(
    joined: _Joined, cells: _Cells
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.bool_]]:
    """Times, words and presence of the points of cells, one cell behind the other."""
    lengths = cells.length
    points = int(lengths.sum())
    if points >= _LONG_CELL_POINTS * len(cells):
        time_spans = [
            slice(start, start + length)
            for start, length in zip(cells.time_start.tolist(), lengths.tolist(), strict=True)
        ]
        word_spans = [
            slice(start, start + length)
            for start, length in zip(cells.word_start.tolist(), lengths.tolist(), strict=True)
        ]
        return (
            np.concatenate([joined.timestamps_ns[span] for span in time_spans]),
            np.concatenate([joined.words[span] for span in word_spans]),
            np.concatenate([joined.present[span] for span in word_spans]),
        )
    row = np.arange(points) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = row + np.repeat(cells.word_start, lengths)
    words, present = joined.words[places], joined.present[places]
    return joined.timestamps_ns[row + np.repeat(cells.time_start, lengths)], words, present
