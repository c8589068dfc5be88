"""What statements have to know of files, which never change."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.lake.files import DataFile

_FILES_KEPT_MAX = 100_000
"""Files that something is remembered of."""

_NAMES = ("channel_id", "timestamp_ns")


class FileFacts:
    """Remembers what was found out. Safe from many threads."""

    def __init__(self) -> None:
        self._columns: dict[Path, frozenset[str]] = {}
        self._is_once: dict[Path, bool] = {}
        self._lock = threading.Lock()

    def columns(self, file: DataFile) -> frozenset[str]:
        """Names of the columns of a file."""
        known = self._columns.get(file.path)
        if known is None:
            known = frozenset(pq.read_schema(file.path).names)
            self._keep(self._columns, file.path, known)
        return known

    def is_once(self, file: DataFile) -> bool:
        """Whether a file has each point once, for certain.

        A file whose name does not say so, for an older version wrote it, is read for that: some ten
        million points a second.
        """
        if file.has_each_point_once:
            return True
        known = self._is_once.get(file.path)
        if known is None:
            known = has_times_once(file.path)
            self._keep(self._is_once, file.path, known)
        return known

    def _keep(self, kept: dict[Path, Any], path: Path, fact: Any) -> None:  # noqa: ANN401
        with self._lock:
            if len(kept) >= _FILES_KEPT_MAX:
                kept.clear()
            kept[path] = fact


def has_times_once(path: Path) -> bool:
    """Whether a file is sorted by channel and time, and has no time of a channel twice."""
    last: tuple[str, int] | None = None
    with pq.ParquetFile(path, memory_map=True, read_dictionary=["channel_id"]) as file:
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=list(_NAMES), use_threads=False)
            if not len(table):
                continue
            ids, times = table["channel_id"].combine_chunks(), table["timestamp_ns"].to_numpy()
            rank = pc.rank(ids.dictionary, tiebreaker="dense").to_numpy().astype(np.int64)
            order = rank[ids.indices.to_numpy()]
            same = order[1:] == order[:-1]
            if (order[1:] < order[:-1]).any() or (same & (times[1:] <= times[:-1])).any():
                return False
            first = (str(ids[0]), int(times[0]))
            if last is not None and first <= last:
                return False
            last = (str(ids[-1]), int(times[-1]))
    return True
