"""Reads data files of the table, a row group at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sift_server.lake.files import STATISTICS_COLUMNS, Extent
from sift_server.lake.points import VARIABLE_KINDS, Kind, Points, number_words
from sift_server.lake.recent_tables import RecentTables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from sift_server.lake.files import DataFile

ROW_GROUPS_KEPT_MAX = 8_192
"""Row groups whose description is remembered, at about 11 KiB each; those of a billion points."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group of a file.

    Attributes:
        path: The file.
        number: Its number in the file.
        extent: What it holds at the most.
        run_id: The one run, or an empty string, of all its points; None if there may be several.
        columns: Names of its columns.
    """

    path: Path
    number: int
    extent: Extent
    run_id: str | None
    columns: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class _Footer:
    metadata: Any
    row_groups: tuple[RowGroup, ...]


class FileReader:
    """Reads row groups, and remembers the footers of files. Safe from many threads.

    Row groups of several channels are remembered for a moment, too.
    """

    def __init__(self) -> None:
        self._footers: OrderedDict[Path, _Footer] = OrderedDict()
        self._row_groups_kept = 0
        self._lock = threading.Lock()
        self._recent = RecentTables()

    def row_groups(
        self, file: DataFile, channel_id: str, start_ns: int, end_ns: int
    ) -> list[RowGroup]:
        """Row groups that may hold points of a channel between two times, the end excluded."""
        if not file.extent.may_hold(channel_id, start_ns, end_ns):
            return []
        return [
            group
            for group in self._footer(file.path).row_groups
            if group.extent.may_hold(channel_id, start_ns, end_ns)
        ]

    def run_ids(self, group: RowGroup, channel_id: str, start_ns: int, end_ns: int) -> list[str]:
        """Runs that a channel has points of in a row group, between two times."""
        columns = ["run_id", *_compared(group, channel_id, start_ns, end_ns)]
        table = self._read(group, columns)
        runs = _column(table, "run_id")
        mine = _mask(table, group, channel_id, start_ns, end_ns)
        if mine is not None:
            runs = runs.filter(pa.array(mine))
        return [run_id or "" for run_id in runs.unique().to_pylist()]

    def read(
        self,
        group: RowGroup,
        channel_id: str,
        kind: Kind,
        start_ns: int,
        end_ns: int,
        run_id: str | None,
    ) -> Points | None:
        """Points of a channel and run, or all runs, in a row group; None if none are there.

        Of a row group that has nothing else, only times and values are read, and nothing is copied.
        """
        is_compared = run_id is not None and group.run_id is None
        if kind.column not in group.columns or not (is_compared or run_id in (None, group.run_id)):
            return None
        columns = {"timestamp_ns", kind.column, *_compared(group, channel_id, start_ns, end_ns)}
        if is_compared:
            columns.add("run_id")
        table = self._read(group, list(columns))
        mine = _mask(table, group, channel_id, start_ns, end_ns)
        if run_id is not None and is_compared:
            wanted = _is_of_run(_column(table, "run_id"), run_id)
            mine = wanted if mine is None else mine & wanted
        times, values = _column(table, "timestamp_ns").to_numpy(), _column(table, kind.column)
        if mine is not None:
            places = np.flatnonzero(mine)
            if not len(places):
                return None
            first, last = int(places[0]), int(places[-1]) + 1
            if last - first == len(places) and 2 * len(places) >= len(times):
                times, values = times[first:last], values.slice(first, last - first)
            else:
                # What is kept of a row group does not keep the rest of it in memory.
                times, values = times[places], values.take(pa.array(places))
        return Points(times, _bits(values, kind))

    def forget(self, paths: Iterable[Path]) -> None:
        """Drop what is remembered of files that are gone."""
        gone = list(paths)
        self._recent.forget(gone)
        with self._lock:
            for path in gone:
                footer = self._footers.pop(path, None)
                if footer is not None:
                    self._row_groups_kept -= len(footer.row_groups)

    def _read(self, group: RowGroup, columns: list[str]) -> Any:  # noqa: ANN401
        if "channel_id" not in columns:
            return self._decode(group, columns)
        key = (group.path, group.number, frozenset(columns))
        table = self._recent.get(key)
        if table is None:
            table = self._decode(group, columns)
            self._recent.keep(key, table)
        return table

    def _decode(self, group: RowGroup, columns: list[str]) -> Any:  # noqa: ANN401
        with pq.ParquetFile(
            group.path,
            metadata=self._footer(group.path).metadata,
            memory_map=True,
            read_dictionary=[name for name in ("channel_id", "run_id") if name in group.columns],
        ) as file:
            return file.read_row_group(group.number, columns=columns, use_threads=False)

    def _footer(self, path: Path) -> _Footer:
        with self._lock:
            footer = self._footers.get(path)
            if footer is not None:
                self._footers.move_to_end(path)
                return footer
        metadata = pq.read_metadata(path)
        columns = frozenset(metadata.schema.names)
        groups = tuple(
            _row_group(path, number, metadata.row_group(number), columns)
            for number in range(metadata.num_row_groups)
        )
        footer = _Footer(metadata, groups)
        with self._lock:
            # Another thread may have read it meanwhile.
            if path not in self._footers:
                self._row_groups_kept += len(groups)
            self._footers[path] = footer
            while self._row_groups_kept > ROW_GROUPS_KEPT_MAX and len(self._footers) > 1:
                _, dropped = self._footers.popitem(last=False)
                self._row_groups_kept -= len(dropped.row_groups)
        return footer


def _row_group(
    path: Path,
    number: int,
    metadata: Any,  # noqa: ANN401
    columns: frozenset[str],
) -> RowGroup:
    statistics = {}
    for column in range(metadata.num_columns):
        chunk = metadata.column(column)
        if chunk.path_in_schema in STATISTICS_COLUMNS:
            statistics[chunk.path_in_schema] = chunk.statistics
    ends: list[Any] = []
    for name in ("channel_id", "timestamp_ns"):
        known = statistics.get(name)
        known = known if known is not None and known.has_min_max else None
        ends += (None, None) if known is None else (known.min, known.max)
    extent = Extent(metadata.num_rows, *ends)
    run_id: str | None = ""
    if "run_id" in columns:
        run_id = _one_run(statistics.get("run_id"), metadata.num_rows)
    return RowGroup(path, number, extent, run_id, columns)


def _one_run(statistics: Any, points: int) -> str | None:  # noqa: ANN401
    if statistics is None or not statistics.has_null_count:
        return None
    if statistics.null_count == points:
        return ""
    if statistics.null_count or not statistics.has_min_max or statistics.min != statistics.max:
        return None
    return str(statistics.min)


def _compared(group: RowGroup, channel_id: str, start_ns: int, end_ns: int) -> list[str]:
    """Columns that say which points of a row group are a channel's between two times."""
    extent = group.extent
    compared = []
    if not extent.channel_id_min == extent.channel_id_max == channel_id:
        compared.append("channel_id")
    first_ns, last_ns = extent.timestamp_ns_min, extent.timestamp_ns_max
    if first_ns is None or last_ns is None or first_ns < start_ns or last_ns >= end_ns:
        compared.append("timestamp_ns")
    return compared


def _mask(
    table: Any,  # noqa: ANN401
    group: RowGroup,
    channel_id: str,
    start_ns: int,
    end_ns: int,
) -> NDArray[np.bool_] | None:
    """Which points of a row group are a channel's between two times; None if all are."""
    mine: NDArray[np.bool_] | None = None
    compared = _compared(group, channel_id, start_ns, end_ns)
    if "channel_id" in compared:
        mine = _equal(_column(table, "channel_id"), channel_id)
    if "timestamp_ns" in compared:
        times = _column(table, "timestamp_ns").to_numpy()
        inside = (times >= start_ns) & (times < end_ns)
        mine = inside if mine is None else mine & inside
    return mine


def _is_of_run(runs: Any, run_id: str) -> NDArray[np.bool_]:  # noqa: ANN401
    if run_id:
        return _equal(runs, run_id)
    without: NDArray[np.bool_] = runs.is_null().to_numpy(zero_copy_only=False)
    return without


def _equal(names: Any, name: str) -> NDArray[np.bool_]:  # noqa: ANN401
    """Where an array of dictionaries has a name."""
    code = names.dictionary.index(name).as_py()
    if code < 0:
        return np.zeros(len(names), np.bool_)
    equal: NDArray[np.bool_] = names.indices.fill_null(-1).to_numpy() == code
    return equal


def _column(table: Any, name: str) -> Any:  # noqa: ANN401
    """A column as one array; usually it is one, and then it is not copied."""
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _bits(values: Any, kind: Kind) -> Any:  # noqa: ANN401
    """Values of the table as `Points` has them."""
    if kind in VARIABLE_KINDS:
        return values.cast(pa.large_string() if kind is Kind.STRING else pa.large_binary())
    return pa.array(number_words(values, kind))
