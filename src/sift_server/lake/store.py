"""The door of the lake: publish, flush, scan."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from sift_server.lake.delta import DeltaLake, read_points
from sift_server.lake.hot import HotColumns
from sift_server.lake.points import Points, kind_of, words_to_arrow
from sift_server.lake.sorting import sort_points

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sift_server.lake.batch import PointBatch
    from sift_wire.columns import DataType


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How much the hot columns may hold, and when they are flushed.

    Attributes:
        hot_bytes_max: Bytes of hot columns at which streams wait for a flush.
        flush_bytes: Bytes of hot columns at which they are flushed.
        flush_interval_ms: How long rows stay hot at the most before they are flushed.
    """

    hot_bytes_max: int = 256 * 1024 * 1024
    flush_bytes: int = 64 * 1024 * 1024
    flush_interval_ms: int = 10_000


class PointStore:
    """Hot columns and table as one. Safe from many threads.

    A point is readable from the moment it is published, and at every moment in exactly one of hot
    columns and table.
    """

    def __init__(self, lake: DeltaLake, limits: StoreLimits) -> None:
        self._lake = lake
        self._limits = limits
        self._hot = HotColumns()
        self._flushing_hot: HotColumns | None = None
        self._hot_since_s: float | None = None
        self._changed = threading.Condition()
        self._flush_lock = threading.Lock()
        self._files = lake.files

    @classmethod
    def open(cls, path: Path, limits: StoreLimits | None = None) -> Self:
        """Open the table in a folder, made when missing."""
        return cls(DeltaLake.open(path), limits or StoreLimits())

    @property
    def committed_position(self) -> int:
        """Log position up to which everything is in the table."""
        return self._lake.committed_position

    @property
    def hot_bytes(self) -> int:
        """Bytes of the hot columns."""
        with self._changed:
            return self._hot_bytes()

    @property
    def is_full(self) -> bool:
        """Whether the hot columns are at their limit."""
        return self.hot_bytes >= self._limits.hot_bytes_max

    def publish(self, position: int, batches: Sequence[PointBatch]) -> None:
        """Make rows readable; `position` is where the log has them, and grows."""
        with self._changed:
            if self._hot_since_s is None:
                self._hot_since_s = time.monotonic()
            self._hot.publish(position, batches)

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until the hot columns are below their limit; False when time ran out."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._hot_bytes() < self._limits.hot_bytes_max, timeout_s
            )

    def is_flush_due(self) -> bool:
        """Whether the hot columns are large, or old, enough for a flush."""
        with self._changed:
            if self._hot_since_s is None:
                return False
            age_ms = (time.monotonic() - self._hot_since_s) * 1_000
            return (
                self._hot.nbytes >= self._limits.flush_bytes
                or age_ms >= self._limits.flush_interval_ms
            )

    def flush(self, before_commit: Callable[[], None] | None = None) -> None:
        """Move what is hot into the table, in one commit.

        Args:
            before_commit: Called when it is decided what the commit covers, and before it is
                made: what else belongs to those positions can be made durable here.

        Raises:
            OSError: The table can't be written. Nothing is lost; the rows stay hot.
        """
        with self._flush_lock:
            with self._changed:
                if self._flushing_hot is None:
                    self._flushing_hot, self._hot = self._hot, HotColumns()
                    self._hot_since_s = None
                flushing = self._flushing_hot
            if flushing.position > self._lake.committed_position:
                if before_commit is not None:
                    before_commit()
                self._lake.commit(sort_points(flushing.flows()), flushing.position)
            with self._changed:
                self._files = self._lake.files
                self._flushing_hot = None
                self._changed.notify_all()

    def scan(
        self,
        channel_id: str,
        data_type: DataType,
        start_ns: int,
        end_ns: int,
        run_id: str | None = None,
    ) -> Points:
        """All points of a channel between two times, the end excluded, in no particular order.

        Args:
            channel_id: Which channel.
            data_type: Its data type.
            start_ns: Earliest time.
            end_ns: Time that is no longer included.
            run_id: None for all points, an empty string for those without a run, else a run's id.
        """
        kind = kind_of(data_type)
        with self._changed:
            hot = [
                found
                for columns in (self._flushing_hot, self._hot)
                if columns is not None
                for found in columns.of_channel(channel_id)
            ]
            files = self._files
        parts = []
        from_table = read_points(files, channel_id, kind, start_ns, end_ns, run_id)
        if from_table is not None:
            parts.append(from_table)
        for batch, index in hot:
            rows = batch.rows
            if run_id is not None and rows.run_id != run_id:
                continue
            mine = rows.present[index] & (rows.timestamps_ns >= start_ns)
            mine &= rows.timestamps_ns < end_ns
            timestamps_ns = rows.timestamps_ns[mine]
            if len(timestamps_ns):
                values = words_to_arrow(kind, rows.words[index][mine], rows.heap)
                runs = np.zeros(len(timestamps_ns), np.int32)
                parts.append(Points((rows.run_id,), runs, timestamps_ns, values))
        if not parts:
            values = words_to_arrow(kind, np.empty(0, np.uint64), b"")
            parts.append(Points((), np.empty(0, np.int32), np.empty(0, np.int64), values))
        return _joined(parts)

    def size_bytes(self) -> int:
        """Bytes of the table's files."""
        with self._changed:
            return sum(file.size_bytes for file in self._files)

    def close(self) -> None:
        """Let go of what is in memory; it is in the log, if it was not flushed."""
        with self._changed:
            self._hot = HotColumns()
            self._flushing_hot = None

    def _hot_bytes(self) -> int:
        flushing = self._flushing_hot.nbytes if self._flushing_hot is not None else 0
        return self._hot.nbytes + flushing


def _joined(parts: Sequence[Points]) -> Points:
    if len(parts) == 1 and len(parts[0].run_ids) <= 1:
        return parts[0]
    run_ids = sorted({run_id for part in parts for run_id in part.run_ids})
    number_of = {run_id: number for number, run_id in enumerate(run_ids)}
    runs = [
        np.array([number_of[run_id] for run_id in part.run_ids], np.int32)[part.runs]
        for part in parts
    ]
    return Points(
        tuple(run_ids),
        np.concatenate(runs),
        np.concatenate([part.timestamps_ns for part in parts]),
        pa.concat_arrays([part.values for part in parts]),
    )
