"""Which assets have how many points of which hours in a file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from sift_server.retention.planning import HOUR_NS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sift_server.lake.files import DataFile

_HOURS_BITS = 23
"""Hours of all nanoseconds that there are, before and after 1970, are fewer."""


class AssetHours:
    """Bytes of assets by hours. Reads a file once, and remembers what it has. For one thread."""

    def __init__(self) -> None:
        self._of_files: dict[Path, dict[tuple[str, int], int]] = {}

    def bytes_of(self, files: Iterable[DataFile]) -> dict[str, dict[int, float]]:
        """Bytes of each hour of each asset, in some files; others are forgotten.

        A file's bytes are shared out by its points.

        Raises:
            OSError: A file can't be read.
        """
        found: dict[str, dict[int, float]] = {}
        kept: dict[Path, dict[tuple[str, int], int]] = {}
        for file in files:
            counts = self._of_files.get(file.path)
            kept[file.path] = counts = _count(file.path) if counts is None else counts
            share = file.size_bytes / max(1, sum(counts.values()))
            for (asset, hour), points in counts.items():
                hours = found.setdefault(asset, {})
                hours[hour] = hours.get(hour, 0.0) + points * share
        self._of_files = kept
        return found


def _count(path: Path) -> dict[tuple[str, int], int]:
    counts: Counter[tuple[str, int]] = Counter()
    with pq.ParquetFile(path, memory_map=True, read_dictionary=["asset"]) as file:
        for number in range(file.num_row_groups):
            table = file.read_row_group(
                number, columns=["asset", "timestamp_ns"], use_threads=False
            )
            if not len(table):
                continue
            assets = table["asset"].combine_chunks()
            names = assets.dictionary.to_pylist()
            hours = table["timestamp_ns"].to_numpy() // HOUR_NS + (1 << (_HOURS_BITS - 1))
            keys = assets.indices.to_numpy().astype(np.int64) << _HOURS_BITS | hours
            for key, points in zip(*map(np.ndarray.tolist, np.unique_counts(keys)), strict=True):
                hour = (key & ((1 << _HOURS_BITS) - 1)) - (1 << (_HOURS_BITS - 1))
                counts[names[key >> _HOURS_BITS], hour] += points
    return dict(counts)
