"""Batches of many flows become one sorted run of points, ready for files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_server.lake.points import VARIABLE_KINDS, Kind, gather, kind_of
from sift_server.lake.schema import FILE_SCHEMA, UINT64_TYPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sift_server.lake.batch import PointBatch
    from sift_server.lake.hot import FlowBatches

NS_PER_DAY = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class SortedPoints:
    """Points sorted by channel id, then by time, as parallel arrays.

    Attributes:
        assets: Asset name of each channel, by channel number.
        channels: Name of each channel, by channel number.
        channel_ids: Id of each channel, by channel number; sorted.
        run_ids: Ids of the runs, by run number; an empty string for 'no run'.
        channel: int32, shape (points,). Channel number of each point.
        run: int32, shape (points,). Run number of each point.
        timestamp_ns: int64, shape (points,).
        kind: uint8, shape (points,). `Kind` of each value.
        word: uint64, shape (points,). Value, as in `FlowRows.words`.
        heap: What the words of strings and bytes point into.
    """

    assets: Sequence[str]
    channels: Sequence[str]
    channel_ids: Sequence[str]
    run_ids: Sequence[str]
    channel: NDArray[np.int32]
    run: NDArray[np.int32]
    timestamp_ns: NDArray[np.int64]
    kind: NDArray[np.uint8]
    word: NDArray[np.uint64]
    heap: bytes

    def __len__(self) -> int:
        return len(self.timestamp_ns)

    def by_date(self) -> list[tuple[int, SortedPoints]]:
        """The points of each UTC date, as (days since 1970, points); sorted by date."""
        if not len(self):
            return []
        days = self.timestamp_ns // NS_PER_DAY
        if days.min() == days.max():
            return [(int(days[0]), self)]
        order = np.argsort(days, kind="stable")
        dates, starts = np.unique(days[order], return_index=True)
        ends = [*starts[1:].tolist(), len(order)]
        return [
            (date, self.take(order[start:end]))
            for date, start, end in zip(dates.tolist(), starts.tolist(), ends, strict=True)
        ]

    def take(self, order: NDArray[np.intp]) -> SortedPoints:
        """The points at some places, in that order."""
        return SortedPoints(
            self.assets, self.channels, self.channel_ids, self.run_ids,
            self.channel[order], self.run[order], self.timestamp_ns[order],
            self.kind[order], self.word[order], self.heap,
        )  # fmt: skip

    def slice(self, first: int, last: int) -> SortedPoints:
        """The points from `first` up to, but not including, `last`."""
        part = slice(first, last)
        return SortedPoints(
            self.assets, self.channels, self.channel_ids, self.run_ids,
            self.channel[part], self.run[part], self.timestamp_ns[part],
            self.kind[part], self.word[part], self.heap,
        )  # fmt: skip

    def to_table(self) -> Any:  # noqa: ANN401 (pyarrow has no types)
        """The points as an Arrow table of `FILE_SCHEMA`; names and ids as dictionaries."""

        def named(numbers: NDArray[np.int32], names: Sequence[str]) -> Any:  # noqa: ANN401
            nameless = np.isin(numbers, [number for number, name in enumerate(names) if not name])
            indices = pa.array(numbers, mask=nameless if nameless.any() else None)
            return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))

        columns = {
            "asset": named(self.channel, self.assets),
            "channel": named(self.channel, self.channels),
            "channel_id": named(self.channel, self.channel_ids),
            "run_id": named(self.run, self.run_ids),
            "timestamp_ns": pa.array(self.timestamp_ns),
            **{kind.column: self._values(kind) for kind in Kind},
        }
        return pa.table([columns[name] for name in FILE_SCHEMA.names], names=FILE_SCHEMA.names)

    def _values(self, kind: Kind) -> Any:  # noqa: ANN401
        mine = self.kind == kind
        value_type = FILE_SCHEMA.field(kind.column).type
        if not mine.any():
            return pa.nulls(len(self), value_type)
        if kind in VARIABLE_KINDS:
            return _text(np.where(mine, self.word, 0), mine, self.heap, value_type)
        mask = None if mine.all() else ~mine
        match kind:
            case Kind.DOUBLE:
                return pa.array(self.word.view(np.float64), mask=mask)
            case Kind.FLOAT:
                bits = self.word.astype(np.uint32)
                return pa.array(bits.view(np.float32), mask=mask)
            case Kind.INT64:
                return pa.array(self.word.view(np.int64), mask=mask)
            case Kind.UINT64:
                return pa.array(self.word, mask=mask).cast(UINT64_TYPE)
            case _:
                return pa.array(self.word != 0, mask=mask)


def _text(
    words: NDArray[np.uint64],
    mine: NDArray[np.bool_],
    heap: bytes,
    value_type: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    offsets, data = gather(words, heap)
    # Parquet files are written in slices far below 2 GiB, which 32-bit offsets can address.
    buffers = [
        pa.array(mine).buffers()[1],
        pa.py_buffer(offsets.astype(np.int32)),
        pa.py_buffer(data),
    ]
    return pa.Array.from_buffers(value_type, len(words), buffers)


def sort_points(flows: Sequence[FlowBatches]) -> SortedPoints:
    """Merge batches: all points that are present, sorted by channel id, then by time."""
    merged = [_merge(flow.batches) for flow in flows if flow.batches]
    names: dict[str, tuple[str, str]] = {}
    for one in merged:
        for channel_id, name in zip(one.channel_ids, one.channel_names, strict=True):
            names[channel_id] = (one.asset_name, name)
    channel_ids = sorted(names)
    number_of = {channel_id: number for number, channel_id in enumerate(channel_ids)}
    runs = sorted({one.run_id for one in merged})
    run_number_of = {run_id: number for number, run_id in enumerate(runs)}

    heaps: list[bytes] = []
    heap_bytes = 0
    parts: list[tuple[NDArray[Any], ...]] = []
    for one in merged:
        numbers = np.array([number_of[each] for each in one.channel_ids], np.int32)
        parts.append(_points(one, numbers, run_number_of[one.run_id], heap_bytes))
        heaps.append(one.heap)
        heap_bytes += len(one.heap)
    if not parts:
        empty = tuple(np.empty(0, kind) for kind in (np.int32, np.int32, np.int64, "u1", "u8"))
        parts = [empty]
    channel, run, timestamp_ns, kind, word = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    points = SortedPoints(
        [names[each][0] for each in channel_ids],
        [names[each][1] for each in channel_ids],
        channel_ids,
        runs,
        channel,
        run,
        timestamp_ns,
        kind,
        word,
        b"".join(heaps),
    )
    if _is_sorted(channel, timestamp_ns):
        return points
    return points.take(np.lexsort((timestamp_ns, channel)))


def _is_sorted(channel: NDArray[np.int32], timestamp_ns: NDArray[np.int64]) -> bool:
    # Compared, not subtracted: the difference of two times may not fit 64 bits.
    later_channel = channel[1:] > channel[:-1]
    same_channel = channel[1:] == channel[:-1]
    later_time = timestamp_ns[1:] >= timestamp_ns[:-1]
    return bool(np.all(later_channel | (same_channel & later_time)))


@dataclass(frozen=True, slots=True, eq=False)
class _MergedFlow:
    """All batches of a flow and run as one, sorted by time."""

    asset_name: str
    run_id: str
    channel_ids: tuple[str, ...]
    channel_names: tuple[str, ...]
    kinds: NDArray[np.uint8]
    timestamps_ns: NDArray[np.int64]
    words: NDArray[np.uint64]
    present: NDArray[np.bool_]
    heap: bytes


def _merge(batches: Sequence[PointBatch]) -> _MergedFlow:
    first = batches[0]
    layout = first.rows.layout
    kinds = np.array([kind_of(data_type) for data_type in layout.data_types], np.uint8)
    timestamps_ns = np.concatenate([batch.rows.timestamps_ns for batch in batches])
    words = np.concatenate([batch.rows.words for batch in batches], axis=1)
    present = np.concatenate([batch.rows.present for batch in batches], axis=1)
    heap = b"".join(batch.rows.heap for batch in batches)
    if heap:
        variable = np.isin(kinds, list(VARIABLE_KINDS))
        column = heap_start = 0
        for batch in batches:
            rows = len(batch.rows.timestamps_ns)
            words[variable, column : column + rows] += np.uint64(heap_start << 32)
            column += rows
            heap_start += len(batch.rows.heap)
    if not np.all(timestamps_ns[1:] >= timestamps_ns[:-1]):
        order = np.argsort(timestamps_ns, kind="stable")
        timestamps_ns = timestamps_ns[order]
        words = words[:, order]
        present = present[:, order]
    return _MergedFlow(
        first.asset_name, first.rows.run_id, first.channel_ids, layout.channel_names,
        kinds, timestamps_ns, words, present, heap,
    )  # fmt: skip


def _points(
    flow: _MergedFlow, numbers: NDArray[np.int32], run: int, heap_start: int
) -> tuple[NDArray[Any], ...]:
    """The present cells of a flow, channel by channel in the order of their numbers."""
    order = np.argsort(numbers, kind="stable")
    words, present, kinds = flow.words[order], flow.present[order], flow.kinds[order]
    if heap_start and flow.heap:
        words[np.isin(kinds, list(VARIABLE_KINDS))] += np.uint64(heap_start << 32)
    channels, rows = words.shape
    channel = np.repeat(numbers[order], rows)
    kind = np.repeat(kinds, rows)
    timestamp_ns = np.tile(flow.timestamps_ns, channels)
    word = words.reshape(-1)
    if not present.all():
        cells = present.reshape(-1)
        channel, kind, timestamp_ns, word = (
            channel[cells], kind[cells], timestamp_ns[cells], word[cells],
        )  # fmt: skip
    return channel, np.full(len(word), run, np.int32), timestamp_ns, kind, word
