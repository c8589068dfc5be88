"""The Delta table of points: durable files, and commits that say how far the log is covered."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.transaction import AddAction

from sift_server.lake.files import (
    ROW_GROUP_POINTS,
    DataFile,
    Extent,
    sync_folder,
    write_files,
)
from sift_server.lake.schema import PARTITION_COLUMN, TABLE_SCHEMA
from sift_server.lake.sorting import sorted_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sift_server.lake.hot import FlowBatches

APP_ID = "sift-ingest-log"
"""Name under which a commit records the log position that it covers."""

_STATS_COLUMNS = ("channel_id", "timestamp_ns")
"""Columns whose minima and maxima a commit gives. The table says so: readers that were not told
which columns have some take those that are missing for a reason to skip the file."""

_EPOCH = dt.date(1970, 1, 1)


class DeltaLake:
    """The table in a local folder. Commits are made by one thread at a time, of one process.

    Durability: data files are synced before the commit that names them is written, and the commit
    is synced before `commit` returns, which the table's library does not do. Power may be lost in
    between: then the last commit, or the last checkpoint, can be there in part. Nobody was told
    of it yet, and the log still has its points, so `open` removes it.
    """

    def __init__(self, path: Path, table: DeltaTable) -> None:
        self._path = path
        self._table = table
        self.files: tuple[DataFile, ...] = _files_of(path, table)
        """All files of the table."""
        self.committed_position = _position_of(table)
        """Log position up to which everything is in the table; 0 if nothing is."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the table, or create it in an empty folder.

        Raises:
            OSError: The folder can't be read or written.
        """
        path.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent)
        _remove_torn(path / "_delta_log")
        if not DeltaTable.is_deltatable(str(path)):
            DeltaTable.create(
                str(path),
                TABLE_SCHEMA,
                partition_by=[PARTITION_COLUMN],
                name="points",
                description="Telemetry points, one a row",
                configuration={"delta.dataSkippingStatsColumns": ",".join(_STATS_COLUMNS)},
            )
        table = DeltaTable(str(path))
        _sync_version(path, table.version())
        return cls(path, table)

    def commit(self, flows: Sequence[FlowBatches], position: int) -> None:
        """Add the points of batches, and the log position that the table then covers.

        All dates and flows go into one commit, a file a date (more where `FILE_POINTS_MAX` is
        reached): a commit has as many files as its points have dates. When this returns, files and
        commit are on disk. When it raises, or the process dies on the way, either no reader ever
        sees any of the points, or the next call with that position finds that they are in.

        Raises:
            OSError: A file can't be written.
            deltalake.exceptions.DeltaError: The commit can't be made.
        """
        self._table.update_incremental()
        if _position_of(self._table) < position:
            written = self._write(flows)
            try:
                self._add(written, position)
            except BaseException:
                self._table.update_incremental()
                if _position_of(self._table) < position:
                    _remove(written)
                raise
            self._table.update_incremental()
            _sync_version(self._path, self._table.version())
            self.files = (*self.files, *written)
        else:
            # An earlier call failed behind its commit.
            _sync_version(self._path, self._table.version())
            self.files = _files_of(self._path, self._table)
        self.committed_position = position

    def _write(self, flows: Sequence[FlowBatches]) -> list[DataFile]:
        written: list[DataFile] = []
        try:
            for day, chunks in sorted_chunks(flows, ROW_GROUP_POINTS):
                written += write_files(self._partition(day), chunks)
        except BaseException:
            _remove(written)
            raise
        return written

    def _partition(self, day: int) -> Path:
        date = (_EPOCH + dt.timedelta(days=day)).isoformat()
        folder = self._path / f"{PARTITION_COLUMN}={date}"
        if not folder.exists():
            folder.mkdir()
            sync_folder(self._path)
        return folder

    def _add(self, written: Sequence[DataFile], position: int) -> None:
        self._table.create_write_transaction(
            [_add_action(self._path, file) for file in written],
            mode="append",
            schema=TABLE_SCHEMA,
            partition_by=[PARTITION_COLUMN],
            commit_properties=CommitProperties(app_transactions=[Transaction(APP_ID, position)]),
            post_commithook_properties=PostCommitHookProperties(
                create_checkpoint=True, cleanup_expired_logs=False
            ),
        )


def _position_of(table: DeltaTable) -> int:
    return table.transaction_version(APP_ID) or 0


def _remove(files: Sequence[DataFile]) -> None:
    for file in files:
        with suppress(OSError):
            file.path.unlink()


def _add_action(folder: Path, file: DataFile) -> AddAction:
    relative = file.path.relative_to(folder)
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
    return AddAction(
        str(relative),
        file.size_bytes,
        {PARTITION_COLUMN: relative.parent.name.partition("=")[2]},
        time.time_ns() // 1_000_000,
        data_change=True,
        stats=json.dumps(stats),
    )


def _files_of(folder: Path, table: DeltaTable) -> tuple[DataFile, ...]:
    actions: list[dict[str, Any]] = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return tuple(
        DataFile(
            folder / action["path"],
            action["size_bytes"],
            Extent(
                action["num_records"],
                action.get("min.channel_id"),
                action.get("max.channel_id"),
                action.get("min.timestamp_ns"),
                action.get("max.timestamp_ns"),
            ),
        )
        for action in actions
    )


def _sync_version(folder: Path, version: int) -> None:
    """Make a commit durable, and the checkpoint that may have been made of it."""
    log = folder / "_delta_log"
    names = (f"{version:020d}.json", f"{version:020d}.checkpoint.parquet", "_last_checkpoint")
    for name in names:
        with suppress(FileNotFoundError), (log / name).open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(log)
    sync_folder(folder)


def _remove_torn(log: Path) -> None:
    """Remove the last commit and the last checkpoint if they are there in part only.

    The last line of a commit is its log position: a commit that ends before, but at the end of a
    line, has points that the log will bring again, which does no harm.
    """
    commits = sorted(log.glob("[0-9]*.json"))
    if commits and not _is_whole_commit(commits[-1]):
        commits[-1].unlink()
    checkpoints = sorted(log.glob("*.checkpoint.parquet"))
    if checkpoints and not _is_whole_checkpoint(checkpoints[-1]):
        # All commits are kept, so that the table can be read without checkpoints.
        checkpoints[-1].unlink()
        (log / "_last_checkpoint").unlink(missing_ok=True)


def _is_whole_commit(path: Path) -> bool:
    lines = path.read_bytes().splitlines()
    try:
        return bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
    except ValueError:
        return False


def _is_whole_checkpoint(path: Path) -> bool:
    try:
        pq.read_table(path)
    except (pa.ArrowException, OSError):
        return False
    return True
