"""Data files of the table, written durably."""

from __future__ import annotations

import os
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from sift_server import faults
from sift_server.lake.checksums import ChecksummedFile, parts_text
from sift_server.lake.delta_log import sync_folder
from sift_server.lake.overview import FileBins
from sift_server.lake.schema import NAME_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sift_server.lake.chunk import PointChunk
    from sift_server.lake.overview_files import OverviewFiles

ROW_GROUP_POINTS = 128 * 1024
"""Points of a row group: what is decoded at least to read one channel."""

ROW_GROUP_HEAP_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of strings of a row group, if it has more than one point."""

FILE_POINTS_MAX = 16 * 1024 * 1024
"""Points of a data file."""

ONCE_SUFFIX = "-once.parquet"
"""How the names of files end that are known to have each point once. It is in the name because the
table's library gives names, whatever becomes of commits and checkpoints, and not the tags of
files."""

ZSTD_LEVEL = 1
"""Higher levels cost twice the time for a few hundredths of the size."""

_BATCH_POINTS = 64 * 1024
"""Points that the encoders get at a time; 1,024, which is usual, takes a tenth more time."""

STATISTICS_COLUMNS = ["channel", "channel_id", "run_id", "timestamp_ns"]
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

    @property
    def has_each_point_once(self) -> bool:
        """Whether that is known; a point may be in several such files."""
        return self.path.name.endswith(ONCE_SUFFIX)


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
    overviews: OverviewFiles,
) -> Iterator[DataFile]:
    """Write chunks to new files in a folder; each is on disk when it is yielded.

    A file is known to have each point once if no chunk goes on with the channel and time that the
    one before ended with.

    Args:
        folder: The folder.
        schema: As `write_schema` makes it, with columns for all that there is.
        chunks: The points, in order; each is in a chunk once.
        unnamed: Where each file is noted before it is there.
        overviews: Where the bins of each file are kept, if they can be.

    Raises:
        OSError: A file can't be written; what there is of it was removed.
    """
    for first in chunks:
        name = str(uuid.uuid4())
        paths = folder / f"{name}.parquet", folder / f"{name}{ONCE_SUFFIX}"
        for path in paths:
            unnamed.add(path)
        try:
            file = _write_file(*paths, schema, first, chunks, overviews)
        except BaseException:
            for path in paths:
                path.unlink(missing_ok=True)
            with suppress(OSError):
                overviews.forget(paths)
            unnamed.remove(paths)
            raise
        unnamed.remove(path for path in paths if path != file.path)
        yield file


def parquet_writer(file: ChecksummedFile, schema: Any) -> Any:  # noqa: ANN401
    """A `ParquetWriter` that writes as files of the table are written."""
    return pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[name for name in _DICTIONARY_COLUMNS if name in schema.names],
        write_statistics=[name for name in STATISTICS_COLUMNS if name in schema.names],
        column_encoding={
            name: encoding for name, encoding in _ENCODINGS.items() if name in schema.names
        },
        store_schema=False,
        write_batch_size=_BATCH_POINTS,
    )


def _write_file(
    path: Path,
    path_once: Path,
    schema: Any,  # noqa: ANN401
    chunk: PointChunk | None,
    more: Iterator[PointChunk],
    overviews: OverviewFiles,
) -> DataFile:
    """Write a file; in the end it has the second name, if it is known to have each point once."""
    extents = []
    bins = FileBins()
    is_once = True
    last_key = None
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
                bins.add(chunk)
                points += len(chunk)
                is_once &= chunk.first_key != last_key
                last_key = chunk.last_key
                chunk = None if points >= FILE_POINTS_MAX else next(more, None)
        file.flush()
        faults.reach("file.sync")
        os.fsync(opened.fileno())
    if is_once:
        path = path.rename(path_once)
    sync_folder(path.parent)
    faults.reach("file.synced")
    # Nobody needs them: they are made later, when there is room.
    with suppress(OSError):
        overviews.write(path, file.tell(), bins)
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
