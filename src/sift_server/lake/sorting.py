"""Batches of many flows become points sorted by date, channel and time, a row group at a time.

The words of a flow's batches are joined once, channel by channel. What is sorted are not points but
*cells*: the stretch of one channel, flow and run in one date, which is already in the order of
time. Only where several cells of one channel meet (two runs, say) are points compared. A row group
is made of whole cells, so that memory is taken for one row group at a time, and a channel rarely
lies in two.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_server.lake.points import VARIABLE_KINDS, Kind, gather
from sift_server.lake.schema import FILE_SCHEMA, UINT64_TYPE, WRITE_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sift_server.lake.hot import FlowBatches, HotFlow

NS_PER_DAY = 86_400 * 1_000_000_000

_VARIABLE = list(VARIABLE_KINDS)


@dataclass(frozen=True, slots=True, eq=False)
class PointChunk:
    """Points of one UTC date, sorted by channel id, then by time: a row group of a file.

    Attributes:
        channels: `(asset, channel, channel id)` of each channel, sorted by id.
        run_ids: Ids of the runs, each once; an empty string for 'no run'.
        channel: int32, shape (points,). Index of each point's channel.
        run: int32, shape (points,). Index of each point's run.
        timestamps_ns: int64, shape (points,).
        kind: uint8, shape (points,). `Kind` of each value.
        words: uint64, shape (points,). Values, as in `FlowRows.words`.
        heap: What the words of strings and bytes point into.
    """

    channels: list[tuple[str, str, str]]
    run_ids: list[str]
    channel: NDArray[np.int32]
    run: NDArray[np.int32]
    timestamps_ns: NDArray[np.int64]
    kind: NDArray[np.uint8]
    words: NDArray[np.uint64]
    heap: bytes

    def __len__(self) -> int:
        return len(self.words)

    @property
    def channel_id_min(self) -> str:
        """Smallest channel id."""
        return self.channels[int(self.channel[0])][2]

    @property
    def channel_id_max(self) -> str:
        """Largest channel id."""
        return self.channels[int(self.channel[-1])][2]

    def take(self, places: NDArray[np.intp]) -> PointChunk:
        """The points at some places, in that order."""
        return PointChunk(
            self.channels,
            self.run_ids,
            self.channel[places],
            self.run[places],
            self.timestamps_ns[places],
            self.kind[places],
            self.words[places],
            self.heap,
        )

    def to_table(self) -> Any:  # noqa: ANN401 (pyarrow has no types)
        """The points as an Arrow table of `WRITE_SCHEMA`."""
        assets, channels, channel_ids = zip(*self.channels, strict=True)
        columns = {
            "asset": _names(self.channel, assets),
            "channel": _names(self.channel, channels),
            "channel_id": _names(self.channel, channel_ids),
            "run_id": _names(self.run, [run_id or None for run_id in self.run_ids]),
            "timestamp_ns": pa.array(self.timestamps_ns),
            **{kind.column: self._values(kind) for kind in Kind},
        }
        return pa.table([columns[name] for name in FILE_SCHEMA.names], schema=WRITE_SCHEMA)

    def _values(self, kind: Kind) -> Any:  # noqa: ANN401
        mine = self.kind == kind
        value_type = WRITE_SCHEMA.field(kind.column).type
        if not mine.any():
            return pa.nulls(len(self), value_type)
        mask = None if mine.all() else ~mine
        match kind:
            case Kind.DOUBLE:
                return pa.array(self.words.view(np.float64), mask=mask)
            case Kind.FLOAT:
                return pa.array(self.words.astype(np.uint32).view(np.float32), mask=mask)
            case Kind.INT64:
                return pa.array(self.words.view(np.int64), mask=mask)
            case Kind.UINT64:
                return pa.array(self.words, mask=mask).cast(UINT64_TYPE)
            case Kind.BOOL:
                return pa.array(self.words != 0, mask=mask)
            case _:
                return self._texts(mine, value_type)

    def _texts(self, mine: NDArray[np.bool_], value_type: Any) -> Any:  # noqa: ANN401
        offsets, data = gather(np.where(mine, self.words, np.uint64(0)), self.heap)
        buffers = [pa.array(mine).buffers()[1], pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(value_type, len(self), buffers)


def _names(numbers: NDArray[np.int32], names: Sequence[str | None]) -> Any:  # noqa: ANN401
    """Names as a dictionary that has each once, which is what Parquet takes as it is."""
    unique = [name for name in dict.fromkeys(names) if name is not None]
    if len(unique) == len(names):
        return pa.DictionaryArray.from_arrays(pa.array(numbers), pa.array(unique, pa.string()))
    place_of = {name: place for place, name in enumerate(unique)}
    nameless = np.array([name is None for name in names])[numbers]
    places = np.array([place_of.get(name or "", 0) for name in names], np.int32)[numbers]
    indices = pa.array(places, mask=nameless if nameless.any() else None)
    return pa.DictionaryArray.from_arrays(indices, pa.array(unique, pa.string()))


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
    days: dict[int, list[_Rows]] = {}
    heaps: list[bytes] = []
    heap_bytes = 0
    for flow in flows:
        joined = _join(flow, heap_bytes)
        heaps += (batch.rows.heap for batch in flow.batches)
        heap_bytes += sum(len(batch.rows.heap) for batch in flow.batches)
        for day, rows in _by_day(joined):
            days.setdefault(day, []).append(rows)
    heap = b"".join(heaps)
    for day in sorted(days):
        yield day, _chunks(days[day], heap, points_max)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows of one flow and run, sorted by time; arrays as in `FlowRows`."""

    flow: HotFlow
    run_id: str
    timestamps_ns: NDArray[np.int64]
    words: NDArray[np.uint64]
    present: NDArray[np.bool_]


def _join(flow: FlowBatches, heap_start: int) -> _Rows:
    """All batches of a flow and run as one; words point into the heaps joined behind a start."""
    batches = flow.batches
    rows = batches[0].rows
    timestamps_ns, words, present = rows.timestamps_ns, rows.words, rows.present
    if len(batches) > 1:
        timestamps_ns = np.concatenate([batch.rows.timestamps_ns for batch in batches])
        words = np.concatenate([batch.rows.words for batch in batches], axis=1)
        present = np.concatenate([batch.rows.present for batch in batches], axis=1)
    if any(batch.rows.heap for batch in batches):
        variable = np.isin(flow.flow.kinds, _VARIABLE)
        moved = words[variable]
        first = 0
        for batch in batches:
            last = first + len(batch.rows.timestamps_ns)
            moved[:, first:last] += np.uint64(heap_start << 32)
            first = last
            heap_start += len(batch.rows.heap)
        words = words.copy() if len(batches) == 1 else words
        words[variable] = moved
    if not (timestamps_ns[1:] >= timestamps_ns[:-1]).all():
        order = np.argsort(timestamps_ns, kind="stable")
        timestamps_ns, words, present = timestamps_ns[order], words[:, order], present[:, order]
    return _Rows(flow.flow, flow.run_id, timestamps_ns, words, present)


def _by_day(rows: _Rows) -> Iterator[tuple[int, _Rows]]:
    times = rows.timestamps_ns
    if not len(times):
        return
    if times[0] // NS_PER_DAY == times[-1] // NS_PER_DAY:
        yield int(times[0] // NS_PER_DAY), rows
        return
    dates, starts = np.unique(times // NS_PER_DAY, return_index=True)
    edges = [*starts.tolist(), len(times)]
    for day, (first, last) in zip(dates.tolist(), pairwise(edges), strict=True):
        part = slice(first, last)
        yield (
            day,
            _Rows(rows.flow, rows.run_id, times[part], rows.words[:, part], rows.present[:, part]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Cell:
    """One channel of some rows, from one of them to another."""

    channel_id: str
    rows: _Rows
    index: int
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first


def _chunks(parts: Sequence[_Rows], heap: bytes, points_max: int) -> Iterator[PointChunk]:
    cells = [
        _Cell(channel_id, rows, index, 0, len(rows.timestamps_ns))
        for rows in parts
        for index, channel_id in enumerate(rows.flow.channel_ids)
    ]
    cells.sort(key=attrgetter("channel_id"))
    waiting: list[_Cell] = []
    points = 0
    for _, of_channel in groupby(cells, attrgetter("channel_id")):
        for piece in _pieces(list(of_channel), points_max):
            size = sum(map(len, piece))
            if waiting and points + size > points_max:
                yield from _chunk(waiting, heap)
                waiting, points = [], 0
            waiting += piece
            points += size
    yield from _chunk(waiting, heap)


def _pieces(cells: list[_Cell], points_max: int) -> Iterator[list[_Cell]]:
    """Cut the cells of one channel at common times, so that a piece has about `points_max`."""
    points = sum(map(len, cells))
    if points <= points_max:
        yield cells
        return
    largest = max(cells, key=len)
    step = max(1, points_max * len(largest) // points)
    cuts = np.unique(largest.rows.timestamps_ns[step::step])
    edges = [
        [0, *np.searchsorted(cell.rows.timestamps_ns, cuts).tolist(), len(cell)] for cell in cells
    ]
    for number in range(len(cuts) + 1):
        piece = [
            _Cell(cell.channel_id, cell.rows, cell.index, *edge[number : number + 2])
            for cell, edge in zip(cells, edges, strict=True)
            if edge[number] < edge[number + 1]
        ]
        if piece:
            yield piece


def _chunk(cells: Sequence[_Cell], heap: bytes) -> Iterator[PointChunk]:
    """The points that are present in some cells, as one chunk; nothing if there are none."""
    if not cells:
        return
    channels: list[tuple[str, str, str]] = []
    number: list[int] = []
    runs: dict[str, int] = {}
    run: list[int] = []
    kind: list[int] = []
    for cell in cells:
        flow = cell.rows.flow
        if not channels or channels[-1][2] != cell.channel_id:
            channels.append((flow.asset_name, flow.channel_names[cell.index], cell.channel_id))
        number.append(len(channels) - 1)
        run.append(runs.setdefault(cell.rows.run_id, len(runs)))
        kind.append(flow.kinds[cell.index])
    words = np.concatenate([cell.rows.words[cell.index, cell.first : cell.last] for cell in cells])
    present = np.concatenate(
        [cell.rows.present[cell.index, cell.first : cell.last] for cell in cells]
    )
    times = np.concatenate([cell.rows.timestamps_ns[cell.first : cell.last] for cell in cells])
    lengths = np.array([len(cell) for cell in cells])
    chunk = PointChunk(
        channels,
        list(runs),
        np.repeat(np.array(number, np.int32), lengths),
        np.repeat(np.array(run, np.int32), lengths),
        times,
        np.repeat(np.array(kind, np.uint8), lengths),
        words,
        heap,
    )
    if not present.all():
        chunk = chunk.take(np.flatnonzero(present))
    if len(channels) < len(cells):
        chunk = chunk.take(np.lexsort((chunk.timestamps_ns, chunk.channel)))
    if len(chunk):
        yield chunk
