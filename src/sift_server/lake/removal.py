"""Which points are to be removed for good, and what of a file stays."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sift_server.lake.merging import MergedPoints, merged_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from sift_server.lake.chunk import PointChunk
    from sift_server.lake.files import Extent

NS_MIN, NS_MAX = -(2**63), 2**63 - 1


class RemovalAbandonedError(Exception):
    """Nothing was removed: the caller wants to stop."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """Points to be removed: those that all of this is true of.

    Attributes:
        channel_ids: Their channels, sorted; None for all.
        run_id: Their run, an empty string for no run; None for any.
        first_ns: Earliest time.
        last_ns: Latest time, included.
    """

    channel_ids: tuple[str, ...] | None = None
    run_id: str | None = None
    first_ns: int = NS_MIN
    last_ns: int = NS_MAX
    _ids: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", frozenset(self.channel_ids or ()))

    def may_be_in(self, extent: Extent) -> bool:
        """Whether such points can be in a file."""
        if extent.timestamp_ns_min is not None and extent.timestamp_ns_min > self.last_ns:
            return False
        if extent.timestamp_ns_max is not None and extent.timestamp_ns_max < self.first_ns:
            return False
        low, high = extent.channel_id_min, extent.channel_id_max
        if self.channel_ids is None or low is None or high is None:
            return True
        place = bisect_left(self.channel_ids, low)
        return place < len(self.channel_ids) and self.channel_ids[place] <= high

    def count_in(self, path: Path) -> int:
        """How many such points a file has; a row group is in memory at a time.

        Raises:
            OSError: The file can't be read.
        """
        count = 0
        with pq.ParquetFile(path, memory_map=True) as file:
            there = set(file.schema_arrow.names)
            columns = ["channel_id", "timestamp_ns", *({"run_id"} & there)]
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, columns=columns, use_threads=False)
                count += int(self._mask(table).sum())
        return count

    def _mask(self, table: Any) -> NDArray[np.bool_]:  # noqa: ANN401 (pyarrow has no types)
        times = table["timestamp_ns"].to_numpy()
        mine: NDArray[np.bool_] = (times >= self.first_ns) & (times <= self.last_ns)
        if self.channel_ids is not None:
            mine &= _is_in(table["channel_id"], self.channel_ids)
        if self.run_id is not None and "run_id" in table.column_names:
            runs = table["run_id"]
            mine &= _is_in(runs, (self.run_id,)) if self.run_id else _booleans(pc.is_null(runs))
        elif self.run_id:
            mine[:] = False
        return mine

    def rest_of(self, path: Path, points_max: int, go_on: Callable[[], bool]) -> MergedPoints:
        """What stays of a file; may be nothing.

        Args:
            path: The file.
            points_max: Points of a chunk.
            go_on: Asked before each chunk; if not, there are no more.

        Raises:
            OSError: The file can't be read.
        """
        merged = merged_points([path], points_max)
        return merged._replace(chunks=self._rest(merged.chunks, go_on))

    def _rest(
        self, chunks: Iterator[PointChunk], go_on: Callable[[], bool]
    ) -> Iterator[PointChunk]:
        for chunk in chunks:
            if not go_on():
                return
            kept = np.flatnonzero(~self._mask_of(chunk))
            if len(kept) == len(chunk):
                yield chunk
            elif len(kept):
                yield chunk.take(kept)

    def _mask_of(self, chunk: PointChunk) -> NDArray[np.bool_]:
        times = chunk.timestamps_ns
        mine: NDArray[np.bool_] = (times >= self.first_ns) & (times <= self.last_ns)
        if self.channel_ids is not None:
            ids = chunk.channels["channel_id"].to_pylist()
            mine &= np.array([each in self._ids for each in ids], np.bool_)[chunk.channel]
        if self.run_id is not None:
            runs = [each == self.run_id for each in chunk.run_ids]
            mine &= np.array(runs, np.bool_)[chunk.run]
        return mine


def _is_in(column: Any, values: tuple[str, ...]) -> NDArray[np.bool_]:  # noqa: ANN401
    return _booleans(pc.is_in(column, value_set=pa.array(values, pa.string())))


def _booleans(column: Any) -> NDArray[np.bool_]:  # noqa: ANN401
    booleans: NDArray[np.bool_] = column.combine_chunks().to_numpy(zero_copy_only=False)
    return booleans
