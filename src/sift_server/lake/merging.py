"""Several sorted files become one stream of sorted points, a row group of each in memory.

1. Of each file, the next row group is read when the one before is used up.
2. What comes next in the result is in these row groups, up to the smallest of their ends: behind
   it, the file that ends there may have more. That much is taken from all, joined and sorted.
3. Of points that are the same (channel, run, timestamp and value) one is kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sift_server.lake.chunk import PointChunk, joined
from sift_server.lake.points import VARIABLE_KINDS, Kind, number_words
from sift_server.lake.repeats import without_repeats
from sift_server.lake.schema import NAME_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TEXT_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of strings that are joined before they are written, and those of a row group of each file:
long strings that compress well would fill the memory, and then the 32 bits that words have for the
place where a string begins."""

_CHANNEL_COLUMNS = ("asset", "channel", "channel_id")

_Key = tuple[str, int]
"""Channel id and time: what points are sorted by."""


class UnsortedFileError(Exception):
    """A file is not sorted by channel id and time, as another program may have written it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is not sorted by channel_id and timestamp_ns")
        self.path = path


class MergedPoints(NamedTuple):
    """Points of several files.

    Attributes:
        kinds: Kinds of values that there may be.
        has_runs: Whether there may be points of a run.
        chunks: The points in the order of channel ids, then times; each is in a chunk once. To get
            the next may raise `UnsortedFileError` or `OSError`.
    """

    kinds: frozenset[Kind]
    has_runs: bool
    chunks: Iterator[PointChunk]


def merged_points(paths: Sequence[Path], points_max: int) -> MergedPoints:
    """Merge files of one date.

    Args:
        paths: The files.
        points_max: Points of a chunk, exceeded by less than twice; fewer if their strings are long.

    Raises:
        OSError: A file can't be read.
    """
    columns = {name for path in paths for name in pq.read_schema(path).names}
    return MergedPoints(
        frozenset(kind for kind in Kind if kind.column in columns),
        "run_id" in columns,
        _chunks(paths, points_max),
    )


def _chunks(paths: Sequence[Path], points_max: int) -> Iterator[PointChunk]:
    waiting: list[PointChunk] = []
    points = text_bytes = 0
    for chunk in _merged(paths):
        waiting.append(chunk)
        points += len(chunk)
        text_bytes += chunk.text_bytes
        if text_bytes >= TEXT_BYTES_MAX:
            yield without_repeats(joined(waiting))
            waiting, points, text_bytes = [], 0, 0
        elif points >= 2 * points_max:
            whole = without_repeats(joined(waiting))
            first = 0
            while len(whole) - first >= 2 * points_max:
                last = _end_of_chunk(whole, first, points_max)
                yield whole.part(first, last)
                first = last
            waiting = [whole.part(first, len(whole))]
            points, text_bytes = len(waiting[0]), waiting[0].text_bytes
    if points:
        yield without_repeats(joined(waiting))


def _end_of_chunk(chunk: PointChunk, first: int, points_max: int) -> int:
    """Where the last channel ends that has room, or in one that has none, between two times."""
    last = first + points_max
    start = int(np.searchsorted(chunk.channel, chunk.channel[last], side="left"))
    if start > first:
        return start
    time_ns = chunk.timestamps_ns[last]
    start = first + int(np.searchsorted(chunk.timestamps_ns[first:last], time_ns, side="left"))
    return start if start > first else last


def _merged(paths: Sequence[Path]) -> Iterator[PointChunk]:
    sources = [_Source(path) for path in paths]
    while True:
        sources = [source for source in sources if source.fill()]
        if not sources:
            return
        ends = [source.end for source in sources if source.has_more and source.end is not None]
        end = min(ends, default=None)
        parts = [part for source in sources if len(part := source.take(end))]
        yield joined(parts)


class _Source:
    """One file, read row group by row group."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata = pq.read_metadata(path)
        self._next = 0
        self._chunk: PointChunk | None = None
        self._ids: list[str] = []
        self._first = 0
        self.end: _Key | None = None
        """Key of the last point in memory."""

    @property
    def has_more(self) -> bool:
        """Whether there are row groups behind the one in memory."""
        count: int = self._metadata.num_row_groups
        return self._next < count

    def fill(self) -> bool:
        """Have points in memory; False if there are no more."""
        while (self._chunk is None or self._first == len(self._chunk)) and self.has_more:
            with pq.ParquetFile(
                self._path,
                metadata=self._metadata,
                memory_map=True,
                read_dictionary=[
                    name for name in NAME_COLUMNS if name in self._metadata.schema.names
                ],
            ) as file:
                chunk = _chunk_of(file.read_row_group(self._next, use_threads=False))
            self._next += 1
            self._chunk, self._first = chunk, 0
            if len(chunk):
                self._ids = chunk.channels["channel_id"].to_pylist()
                self._check_order(chunk)
                self.end = (self._ids[-1], int(chunk.timestamps_ns[-1]))
        return self._chunk is not None and self._first < len(self._chunk)

    def _check_order(self, chunk: PointChunk) -> None:
        ids, channel, times = self._ids, chunk.channel, chunk.timestamps_ns
        backward = np.flatnonzero(times[1:] < times[:-1]).tolist()
        if (
            any(following < one for one, following in pairwise(ids))
            or any(ids[channel[place]] == ids[channel[place + 1]] for place in backward)
            or (self.end is not None and (ids[0], int(times[0])) < self.end)
        ):
            raise UnsortedFileError(self._path)

    def take(self, end: _Key | None) -> PointChunk:
        """The points in memory up to a key, it included; all of them without one."""
        chunk = self._chunk
        if chunk is None:
            raise RuntimeError("take before fill")
        first, self._first = self._first, len(chunk)
        if end is not None:
            channel_id, time_ns = end
            low, high = np.searchsorted(
                chunk.channel,
                [bisect_left(self._ids, channel_id), bisect_right(self._ids, channel_id)],
            )
            last = low + np.searchsorted(chunk.timestamps_ns[low:high], time_ns, side="right")
            self._first = max(first, int(last))
        return chunk.part(first, self._first)


def _chunk_of(table: Any) -> PointChunk:  # noqa: ANN401 (pyarrow has no types)
    """A row group as points."""
    points = len(table)
    names = {name: table[name].combine_chunks() for name in _CHANNEL_COLUMNS}
    new = np.ones(points, np.bool_)
    new[1:] = False
    for each in names.values():
        codes = each.indices.to_numpy()
        new[1:] |= codes[1:] != codes[:-1]
    firsts = pa.array(np.flatnonzero(new))
    runs = np.zeros(points, np.int32)
    # Before the names of the dictionary stands the empty one, for no run.
    run_ids = [""]
    if "run_id" in table.column_names:
        column = table["run_id"].combine_chunks()
        runs = column.indices.fill_null(-1).to_numpy() + 1
        run_ids += column.dictionary.to_pylist()
    words = np.zeros(points, np.uint64)
    kinds = np.zeros(points, np.uint8)
    heap = b""
    for kind in Kind:
        if kind.column not in table.column_names:
            continue
        column = table[kind.column].combine_chunks()
        if column.null_count == points:
            continue
        mine = column.is_valid().to_numpy(zero_copy_only=False)
        values = column.drop_null()
        if kind in VARIABLE_KINDS:
            words[mine], data = _texts(values, len(heap))
            heap += data
        else:
            words[mine] = number_words(values, kind)
        kinds[mine] = kind
    return PointChunk(
        pa.record_batch(
            {name: each.take(firsts).cast(pa.string()) for name, each in names.items()}
        ),
        run_ids,
        (np.cumsum(new) - 1).astype(np.int32),
        runs,
        table["timestamp_ns"].to_numpy(),
        kinds,
        words,
        heap,
    )


def _texts(values: Any, heap_start: int) -> tuple[NDArray[np.uint64], bytes]:  # noqa: ANN401
    """Words that point to the bytes of texts, and these bytes, for a heap that has others first."""
    large = values.cast(pa.large_binary())
    _, offset_buffer, data = large.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[large.offset :][: len(large) + 1]
    starts = (offsets[:-1] - offsets[0] + heap_start).astype(np.uint64)
    lengths = np.diff(offsets).astype(np.uint64)
    return starts << np.uint64(32) | lengths, bytes(data[int(offsets[0]) : int(offsets[-1])])
