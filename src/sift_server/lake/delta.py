"""The Delta table of points: durable files, and commits that say how far the log is covered."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from deltalake import DeltaTable

from sift_server import faults
from sift_server.lake.ahead import one_ahead
from sift_server.lake.checksums import PARTS_TAG
from sift_server.lake.delta_log import (
    WRITER_VERSION_MAX,
    checkpointed_version,
    remove_torn,
    sync_folder,
    sync_version,
    write_checkpoint,
    write_commit,
)
from sift_server.lake.files import ROW_GROUP_POINTS, DataFile, Extent, UnnamedFiles, write_files
from sift_server.lake.merging import merged_points
from sift_server.lake.overview import FileBins
from sift_server.lake.overview_files import OverviewFiles
from sift_server.lake.schema import PARTITION_COLUMN, TABLE_SCHEMA, write_schema
from sift_server.lake.sorting import sorted_points

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from sift_server.lake.block import PointBlock
    from sift_server.lake.chunk import PointChunk
    from sift_server.lake.removal import Doomed

APP_ID = "sift-ingest-log"
"""Name under which a commit records the log position that it covers."""

CHECKPOINT_COMMITS = 100
"""Commits after which their sum is written down, so that the table is opened fast."""

COMMIT_TRIES_MAX = 10
"""How often a commit is tried while other programs commit to the table."""

RETENTION_S_DEFAULT = 3_600
"""How long a file stays on disk behind the commit that removed it from the table."""

_STATS_COLUMNS = ("channel_id", "timestamp_ns")
"""Columns whose minima and maxima a commit gives. The table says so: readers that were not told
which columns have some take those that are missing for a reason to skip the file."""

_EPOCH = dt.date(1970, 1, 1)


class MergeAbandonedError(Exception):
    """Files were not merged: the caller wants to stop, or another program removed one of them."""


class UnreadableFileError(Exception):
    """A data file is damaged."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} can't be read")
        self.path = path


class DeltaLake:
    """The table in a local folder. One process serves it.

    `commit`, `replace` and `remove` are called by one thread at a time; `merge`, `rest`,
    `checkpoint` and `vacuum` by one other, at any time.

    Durability: data files are synced before the commit that names them is written, and the commit
    before `commit` returns. A crash in between leaves files that no commit names; `vacuum` removes
    them. Others may commit to the table meanwhile, `optimize` of other programs for example.
    """

    def __init__(self, path: Path, table: DeltaTable) -> None:
        self._path = path
        self._checkpointed = checkpointed_version(path)
        self._unnamed = UnnamedFiles()
        self.overviews = OverviewFiles(path)
        """The bins of files."""
        self._load(table)
        self.committed_position = self._position
        """Log position up to which everything is in the table, durably; 0 if nothing is."""

    def _load(self, table: DeltaTable) -> None:
        self._version = table.version()
        self._position = table.transaction_version(APP_ID) or 0
        self.files: tuple[DataFile, ...] = _files_of(self._path, table)
        """All files of the table."""

    @classmethod
    def open(cls, path: Path, retention_s: int = RETENTION_S_DEFAULT) -> Self:
        """Open the table, or create it in an empty folder.

        Args:
            path: The folder.
            retention_s: How long files and log entries stay that the newest version does not need.
                Readers that opened the table earlier still need them.

        Raises:
            OSError: The folder can't be read or written.
        """
        path.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent)
        remove_torn(path)
        settings = {
            "delta.dataSkippingStatsColumns": ",".join(_STATS_COLUMNS),
            "delta.deletedFileRetentionDuration": f"interval {retention_s} seconds",
            "delta.logRetentionDuration": f"interval {retention_s} seconds",
        }
        if not DeltaTable.is_deltatable(str(path)):
            DeltaTable.create(
                str(path),
                TABLE_SCHEMA,
                partition_by=[PARTITION_COLUMN],
                name="points",
                description="Telemetry points, one a row",
                configuration=settings,
            )
        table = DeltaTable(str(path))
        if settings.items() - table.metadata().configuration.items():
            table.alter.set_table_properties(settings)
        if table.protocol().min_writer_version > WRITER_VERSION_MAX:
            msg = f"another program changed the table in {path} to a version that can't be written"
            raise OSError(msg)
        sync_version(path, table.version())
        return cls(path, table)

    def commit(self, blocks: Sequence[PointBlock], position: int) -> None:
        """Add the points of blocks, and the log position that the table then covers.

        All dates and flows go into one commit, a file a date (more where `FILE_POINTS_MAX` is
        reached): a commit has as many files as its points have dates. When this returns, files and
        commit are on disk. When it raises, or the process dies on the way, either no reader ever
        sees any of the points, or the next call with that position finds that they are in.

        Raises:
            OSError: A file can't be written.
        """
        if self._position < position:
            written = self._write(blocks)
            self._commit([], written, position)
        else:
            # An earlier call failed behind its commit.
            sync_version(self._path, self._version)
        self.committed_position = position

    def merge(self, files: Sequence[DataFile], go_on: Callable[[], bool]) -> list[DataFile]:
        """Write the points of files of one date to new files; `replace` puts them in their place.

        Args:
            files: The files, at most `compaction.MERGE_FILES`, for one row group of each is in
                memory.
            go_on: Asked now and then whether to go on.

        Raises:
            MergeAbandonedError: `go_on` said no.
            UnsortedFileError: A file can't be merged, for another program wrote it.
            OSError: A file can't be read or written.
        """
        merged = merged_points([file.path for file in files], ROW_GROUP_POINTS)
        schema = write_schema(merged.kinds, has_runs=merged.has_runs)
        chunks = _while(go_on, merged.chunks)
        return self._collected(
            write_files(files[0].path.parent, schema, chunks, self._unnamed, self.overviews)
        )

    def add_overview(self, go_on: Callable[[], bool], skipped: Collection[Path]) -> Path | None:
        """Keep the bins of a file that has none; returns which one that is, or None for none.

        Args:
            go_on: Asked now and then whether to go on.
            skipped: Files that are left alone.

        Raises:
            MergeAbandonedError: `go_on` said no.
            UnsortedFileError: Another program wrote the file; it has no bins.
            UnreadableFileError: The file is damaged.
            OSError: The bins can't be written.
        """
        lacking = self.overviews.lacking([file for file in self.files if file.path not in skipped])
        if not lacking:
            return None
        path = lacking[0].path
        bins = FileBins()
        try:
            for chunk in _while(go_on, merged_points([path], ROW_GROUP_POINTS).chunks):
                bins.add(chunk)
        except (OSError, pa.ArrowException) as error:
            raise UnreadableFileError(path) from error
        self.overviews.write(path, lacking[0].size_bytes, bins)
        return path

    def replace(self, old: Sequence[DataFile], new: Sequence[DataFile]) -> None:
        """Take files out of the table and put others in, which have the same points.

        The old ones stay on disk.

        Raises:
            MergeAbandonedError: An old file is not in the table any more.
            OSError: The commit can't be written.
        """
        self._commit(old, new, None)

    def rest(self, file: DataFile, doomed: Doomed, go_on: Callable[[], bool]) -> list[DataFile]:
        """Write what stays of a file to new files; `remove` puts them in its place.

        Raises:
            MergeAbandonedError: `go_on` said no.
            UnsortedFileError: The file can't be read in order, for another program wrote it.
            OSError: A file can't be read or written.
        """
        kept = doomed.rest_of(file.path, ROW_GROUP_POINTS, go_on)
        schema = write_schema(kept.kinds, has_runs=kept.has_runs)
        written = self._collected(
            write_files(file.path.parent, schema, kept.chunks, self._unnamed, self.overviews)
        )
        if not go_on():
            self.abandon(written)
            msg = "stopped on the way"
            raise MergeAbandonedError(msg)
        return written

    def abandon(self, files: Sequence[DataFile]) -> None:
        """Remove files that were written, and that no commit will name."""
        _remove(files)
        self._unnamed.remove(file.path for file in files)

    def remove(self, old: Sequence[DataFile], new: Sequence[DataFile]) -> None:
        """Take files out of the table for good, and put in what stays of them, in one commit.

        The old ones stay on disk until `vacuum`.

        Raises:
            MergeAbandonedError: An old file is not in the table any more.
            OSError: The commit can't be written.
        """
        self._commit(old, new, None, removes=True)

    def checkpoint(self) -> None:
        """Sum up the commits, if there were `CHECKPOINT_COMMITS` since the last time.

        Raises:
            OSError: It can't be written.
            deltalake.exceptions.DeltaError: The table can't be read.
        """
        if self._version - self._checkpointed >= CHECKPOINT_COMMITS:
            self._checkpointed = write_checkpoint(self._path)

    def vacuum(self, in_use: Collection[Path], *, at_once: bool = False) -> list[Path]:
        """Remove files that the table does not name, and did not for as long as it retains them.

        Args:
            in_use: Files that stay whatever their age.
            at_once: Whether to retain none of them.

        Returns:
            What was removed.

        Raises:
            OSError: A file can't be removed.
            deltalake.exceptions.DeltaError: The table can't be read.
        """
        table = DeltaTable(str(self._path))
        if at_once:
            unused = table.vacuum(0, dry_run=True, enforce_retention_duration=False, full=True)
        else:
            unused = table.vacuum(dry_run=True, full=True)
        # A flush may go on meanwhile. Its files are in the first of these before they are there,
        # and in the second before they leave the first.
        kept = self._unnamed.paths()
        kept |= {file.path for file in self.files}
        kept |= set(in_use)
        removed = []
        for name in unused:
            path = self._path / name
            if path.suffix == ".parquet" and path not in kept:
                faults.reach("vacuum")
                path.unlink(missing_ok=True)
                removed.append(path)
                faults.reach("vacuum.removed")
        return removed

    def _commit(
        self,
        old: Sequence[DataFile],
        new: Sequence[DataFile],
        position: int | None,
        *,
        removes: bool = False,
    ) -> None:
        actions = _actions(self._path, old, new, position, removes=removes)
        try:
            self._write_commit(old, new, position, actions)
        except BaseException:
            # Whether the commit is there is not known, except from the table.
            self._load(DeltaTable(str(self._path)))
            if not {file.path for file in new} & {file.path for file in self.files}:
                _remove(new)
            self._unnamed.remove(file.path for file in new)
            raise
        self._unnamed.remove(file.path for file in new)

    def _write_commit(
        self,
        old: Sequence[DataFile],
        new: Sequence[DataFile],
        position: int | None,
        actions: Sequence[dict[str, Any]],
    ) -> None:
        replaced = {file.path for file in old}
        for tries_left in reversed(range(COMMIT_TRIES_MAX)):
            if not replaced <= {file.path for file in self.files}:
                msg = "a file that was merged is not in the table any more"
                raise MergeAbandonedError(msg)
            try:
                write_commit(self._path, self._version + 1, actions)
                break
            except FileExistsError:
                if not tries_left:
                    raise
                self._load(DeltaTable(str(self._path)))
        self._version += 1
        self._position = self._position if position is None else position
        self.files = (*(file for file in self.files if file.path not in replaced), *new)

    def _write(self, blocks: Sequence[PointBlock]) -> list[DataFile]:
        return self._collected(
            file
            for points in sorted_points(blocks, ROW_GROUP_POINTS)
            for file in write_files(
                self._partition(points.day),
                write_schema(points.kinds, has_runs=points.has_runs),
                one_ahead(points.chunks, "sift-gather"),
                self._unnamed,
                self.overviews,
            )
        )

    def _collected(self, written: Iterator[DataFile]) -> list[DataFile]:
        """All files, or none: if one can't be written, those before it are removed."""
        files: list[DataFile] = []
        try:
            files.extend(written)
        except BaseException:
            _remove(files)
            self._unnamed.remove(file.path for file in files)
            raise
        return files

    def _partition(self, day: int) -> Path:
        date = (_EPOCH + dt.timedelta(days=day)).isoformat()
        folder = self._path / f"{PARTITION_COLUMN}={date}"
        if not folder.exists():
            folder.mkdir()
            sync_folder(self._path)
        return folder


def _while(go_on: Callable[[], bool], chunks: Iterator[PointChunk]) -> Iterator[PointChunk]:
    for chunk in chunks:
        if not go_on():
            msg = "stopped on the way"
            raise MergeAbandonedError(msg)
        yield chunk


def _remove(files: Sequence[DataFile]) -> None:
    for file in files:
        with suppress(OSError):
            file.path.unlink()


def _actions(
    folder: Path,
    old: Sequence[DataFile],
    new: Sequence[DataFile],
    position: int | None,
    *,
    removes: bool,
) -> list[dict[str, Any]]:
    """What a commit says. Its first part says how it came, its last one what it covers."""
    now_ms = time.time_ns() // 1_000_000
    adds = not old
    changes = adds or removes
    info = {
        "timestamp": now_ms,
        "operation": "WRITE" if adds else "DELETE" if removes else "OPTIMIZE",
        "operationParameters": {"mode": "Append"} if adds else {},
        "engineInfo": "sift_server",
        "txnId": str(uuid.uuid4()),
    }
    actions: list[dict[str, Any]] = [{"commitInfo": info}]
    actions += (
        {"remove": {**remove_action(folder, file, now_ms), "dataChange": changes}} for file in old
    )
    actions += ({"add": add_action(folder, file, now_ms, data_change=changes)} for file in new)
    if position is not None:
        actions.append({"txn": {"appId": APP_ID, "version": position, "lastUpdated": now_ms}})
    return actions


def remove_action(folder: Path, file: DataFile, now_ms: int) -> dict[str, Any]:
    """The `remove` action of a file whose points are in another one.

    Args:
        folder: The table's folder.
        file: The file.
        now_ms: Milliseconds since 1970.
    """
    return {
        "path": str(file.path.relative_to(folder)),
        "deletionTimestamp": now_ms,
        "dataChange": False,
        "extendedFileMetadata": True,
        "partitionValues": _partition_values(file),
        "size": file.size_bytes,
    }


def add_action(folder: Path, file: DataFile, now_ms: int, *, data_change: bool) -> dict[str, Any]:
    """The `add` action of a file.

    Args:
        folder: The table's folder.
        file: The file.
        now_ms: Milliseconds since 1970.
        data_change: Whether the table did not have its points before.
    """
    extent = file.extent
    stats = {
        "numRecords": extent.points,
        "minValues": {
            "channel_id": extent.channel_id_min,
            "timestamp_ns": extent.timestamp_ns_min,
        },
        "maxValues": {
            "channel_id": extent.channel_id_max,
            "timestamp_ns": extent.timestamp_ns_max,
        },
        "nullCount": dict.fromkeys(_STATS_COLUMNS, 0),
    }
    return {
        "path": str(file.path.relative_to(folder)),
        "partitionValues": _partition_values(file),
        "size": file.size_bytes,
        "modificationTime": now_ms,
        "dataChange": data_change,
        "stats": json.dumps(stats),
        "tags": {PARTS_TAG: file.parts},
    }


def _partition_values(file: DataFile) -> dict[str, str]:
    return {PARTITION_COLUMN: file.path.parent.name.partition("=")[2]}


def _files_of(folder: Path, table: DeltaTable) -> tuple[DataFile, ...]:
    actions: list[dict[str, Any]] = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return tuple(
        DataFile(
            folder / action["path"],
            action["size_bytes"],
            Extent(
                action.get("num_records") or 0,
                action.get("min.channel_id"),
                action.get("max.channel_id"),
                action.get("min.timestamp_ns"),
                action.get("max.timestamp_ns"),
            ),
        )
        for action in actions
    )
