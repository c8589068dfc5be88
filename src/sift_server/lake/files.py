"""Data files of the table: written durably, read a row group at a time."""

from __future__ import annotations

import os
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sift_server import faults
from sift_server.lake.checksums import ChecksummedFile, parts_text
from sift_server.lake.delta_log import sync_folder
from sift_server.lake.points import VARIABLE_KINDS, Kind, Points, number_words
from sift_server.lake.schema import NAME_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from sift_server.lake.chunk import PointChunk

ROW_GROUP_POINTS = 128 * 1024
"""Points of a row group: what is decoded at least to read one channel."""

ROW_GROUP_HEAP_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of strings of a row group, if it has more than one point."""

FILE_POINTS_MAX = 16 * 1024 * 1024
"""Points of a data file."""

ROW_GROUPS_KEPT_MAX = 8_192
"""Row groups whose description is remembered, at about 11 KiB each; those of a billion points."""

ZSTD_LEVEL = 1
"""Higher levels cost twice the time for a few hundredths of the size."""

_BATCH_POINTS = 64 * 1024
"""Points that the encoders get at a time; 1,024, which is usual, takes a tenth more time."""

_STATISTICS_COLUMNS = ["channel", "channel_id", "run_id", "timestamp_ns"]
_DICTIONARY_COLUMNS = [*NAME_COLUMNS, "value_string"]
_ENCODINGS = {"timestamp_ns": "DELTA_BINARY_PACKED", "value_int64": "DELTA_BINARY_PACKED"}


@dataclass(frozen=True, slots=True)
class Extent:
    """The most that a file or a row group can hold, both ends included; None where unknown.

    `points` is 0 if another program wrote the file and did not say.
    """

    points: int
    channel_id_min: str | None
    channel_id_max: str | None
    timestamp_ns_min: int | None
    timestamp_ns_max: int | None

    def may_hold(self, channel_id: str, start_ns: int, end_ns: int) -> bool:
        """Whether points of a channel between two times, the end excluded, can be in it."""
        return (
            (self.channel_id_min is None or self.channel_id_min <= channel_id)
            and (self.channel_id_max is None or channel_id <= self.channel_id_max)
            and (self.timestamp_ns_min is None or self.timestamp_ns_min < end_ns)
            and (self.timestamp_ns_max is None or start_ns <= self.timestamp_ns_max)
        )


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of the table.

    Attributes:
        parts: Its checksums as the commit that adds it has them; empty for one that is there
            already.
    """

    path: Path
    size_bytes: int
    extent: Extent
    parts: str = ""


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


class UnnamedFiles:
    """Files that are written here, and that no commit names yet. Safe from many threads."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._lock = threading.Lock()

    def add(self, path: Path) -> None:
        """Note a file, before it is there."""
        with self._lock:
            self._paths.add(path)

    def remove(self, paths: Iterable[Path]) -> None:
        """Strike files that are in the table, or gone."""
        with self._lock:
            self._paths.difference_update(paths)

    def paths(self) -> set[Path]:
        """All of them now."""
        with self._lock:
            return set(self._paths)


def write_files(
    folder: Path,
    schema: Any,  # noqa: ANN401 (pyarrow has no types)
    chunks: Iterator[PointChunk],
    unnamed: UnnamedFiles,
) -> Iterator[DataFile]:
    """Write chunks to new files in a folder; each is on disk when it is yielded.

    Args:
        folder: The folder.
        schema: As `write_schema` makes it, with columns for all that there is.
        chunks: The points.
        unnamed: Where each file is noted before it is there.

    Raises:
        OSError: A file can't be written; what there is of it was removed.
    """
    for first in chunks:
        path = folder / f"{uuid.uuid4()}.parquet"
        unnamed.add(path)
        try:
            yield _write_file(path, schema, first, chunks)
        except BaseException:
            path.unlink(missing_ok=True)
            unnamed.remove([path])
            raise


def parquet_writer(file: ChecksummedFile, schema: Any) -> Any:  # noqa: ANN401
    """A `ParquetWriter` that writes as files of the table are written."""
    return pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[name for name in _DICTIONARY_COLUMNS if name in schema.names],
        write_statistics=[name for name in _STATISTICS_COLUMNS if name in schema.names],
        column_encoding={
            name: encoding for name, encoding in _ENCODINGS.items() if name in schema.names
        },
        store_schema=False,
        write_batch_size=_BATCH_POINTS,
    )


def _write_file(
    path: Path,
    schema: Any,  # noqa: ANN401
    chunk: PointChunk | None,
    more: Iterator[PointChunk],
) -> DataFile:
    extents = []
    points = 0
    with path.open("wb") as opened:
        file = ChecksummedFile(opened)
        with parquet_writer(file, schema) as writer:
            while chunk is not None:
                faults.reach("file.write")
                for piece in chunk.pieces(ROW_GROUP_HEAP_BYTES_MAX):
                    writer.write_table(piece.to_table(schema), row_group_size=len(piece))
                    file.end_part()
                extents.append(_extent_of(chunk))
                points += len(chunk)
                chunk = None if points >= FILE_POINTS_MAX else next(more, None)
        file.flush()
        faults.reach("file.sync")
        os.fsync(opened.fileno())
    sync_folder(path.parent)
    faults.reach("file.synced")
    return DataFile(path, file.tell(), _joined(extents), parts_text(file.parts()))


def _extent_of(chunk: PointChunk) -> Extent:
    return Extent(
        len(chunk),
        chunk.channel_id_min,
        chunk.channel_id_max,
        int(chunk.timestamps_ns.min()),
        int(chunk.timestamps_ns.max()),
    )


def _joined(extents: list[Extent]) -> Extent:
    return Extent(
        sum(extent.points for extent in extents),
        min(extent.channel_id_min for extent in extents if extent.channel_id_min is not None),
        max(extent.channel_id_max for extent in extents if extent.channel_id_max is not None),
        min(extent.timestamp_ns_min for extent in extents if extent.timestamp_ns_min is not None),
        max(extent.timestamp_ns_max for extent in extents if extent.timestamp_ns_max is not None),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Footer:
    metadata: Any
    row_groups: tuple[RowGroup, ...]


class FileReader:
    """Reads row groups, and remembers the footers of files. Safe from many threads."""

    def __init__(self) -> None:
        self._footers: OrderedDict[Path, _Footer] = OrderedDict()
        self._row_groups_kept = 0
        self._lock = threading.Lock()

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
        table = self._read(group, ["channel_id", "run_id", "timestamp_ns"])
        mine = _places(table, channel_id, start_ns, end_ns)
        runs = table["run_id"].combine_chunks().take(pa.array(mine))
        return [run_id or "" for run_id in runs.unique().to_pylist()]

    def read(
        self, group: RowGroup, channel_id: str, kind: Kind, start_ns: int, end_ns: int, run_id: str
    ) -> Points | None:
        """Points of a channel and run in a row group, between two times; None if none are there."""
        if kind.column not in group.columns or group.run_id not in (None, run_id):
            return None
        columns = ["channel_id", "timestamp_ns", kind.column]
        if group.run_id is None:
            columns.append("run_id")
        table = self._read(group, columns)
        mine = _places(table, channel_id, start_ns, end_ns)
        if group.run_id is None:
            runs = table["run_id"].combine_chunks()
            if run_id:
                wanted = _equal(runs, run_id)
            else:
                wanted = runs.is_null().to_numpy(zero_copy_only=False)
            mine = mine[wanted[mine]]
        if not len(mine):
            return None
        values = table[kind.column].combine_chunks()
        if mine[-1] - mine[0] + 1 == len(mine):
            values = values.slice(mine[0], len(mine))
        else:
            values = values.take(pa.array(mine))
        return Points(table["timestamp_ns"].to_numpy()[mine], _bits(values, kind))

    def forget(self, paths: Iterable[Path]) -> None:
        """Drop what is remembered of files that are gone."""
        with self._lock:
            for path in paths:
                footer = self._footers.pop(path, None)
                if footer is not None:
                    self._row_groups_kept -= len(footer.row_groups)

    def _read(self, group: RowGroup, columns: list[str]) -> Any:  # noqa: ANN401
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
        if chunk.path_in_schema in _STATISTICS_COLUMNS:
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


def _places(table: Any, channel_id: str, start_ns: int, end_ns: int) -> NDArray[np.intp]:  # noqa: ANN401
    """Places of a channel's points between two times in a row group."""
    times = table["timestamp_ns"].to_numpy()
    mine = _equal(table["channel_id"].combine_chunks(), channel_id)
    return np.flatnonzero(mine & (times >= start_ns) & (times < end_ns))


def _equal(names: Any, name: str) -> NDArray[np.bool_]:  # noqa: ANN401
    """Where an array of dictionaries has a name."""
    code = names.dictionary.index(name).as_py()
    if code < 0:
        return np.zeros(len(names), np.bool_)
    equal: NDArray[np.bool_] = names.indices.fill_null(-1).to_numpy() == code
    return equal


def _bits(values: Any, kind: Kind) -> Any:  # noqa: ANN401
    """Values of the table as `Points` has them."""
    if kind in VARIABLE_KINDS:
        return values.cast(pa.large_string() if kind is Kind.STRING else pa.large_binary())
    return pa.array(number_words(values, kind))
