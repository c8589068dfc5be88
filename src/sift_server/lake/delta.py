"""The Delta table of points: durable files, exact commits, and reading one channel."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.transaction import AddAction

from sift_server.lake.points import VARIABLE_KINDS, Kind, Points
from sift_server.lake.schema import FILE_SCHEMA, PARTITION_COLUMN, TABLE_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sift_server.lake.sorting import SortedPoints

APP_ID = "sift-ingest-log"
"""Name under which a commit records the log position that it covers."""

ROW_GROUP_POINTS = 256 * 1024
"""Points a row group: small enough that reading one channel of many touches little else."""

FILE_POINTS_MAX = 16 * 1024 * 1024
"""Points a data file."""

_EPOCH = dt.date(1970, 1, 1)
_DICTIONARY_COLUMNS = ["asset", "channel", "channel_id", "run_id", "value_string"]
_ENCODINGS = {
    "timestamp_ns": "DELTA_BINARY_PACKED",
    "value_double": "BYTE_STREAM_SPLIT",
    "value_float": "BYTE_STREAM_SPLIT",
    "value_int64": "DELTA_BINARY_PACKED",
}


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of the table, and what is in it at the most."""

    path: Path
    size_bytes: int
    points: int
    channel_id_min: str
    channel_id_max: str
    timestamp_ns_min: int
    timestamp_ns_max: int

    def may_hold(self, channel_id: str, start_ns: int, end_ns: int) -> bool:
        """Whether points of a channel between two times, the end excluded, can be in it."""
        return (
            self.channel_id_min <= channel_id <= self.channel_id_max
            and self.timestamp_ns_min < end_ns
            and start_ns <= self.timestamp_ns_max
        )


class DeltaLake:
    """The table in a local folder. Commits are made by one thread at a time."""

    def __init__(self, path: Path, table: DeltaTable) -> None:
        self._path = path
        self._table = table
        self.files: tuple[DataFile, ...] = _files_of(path, table)
        self.committed_position = table.transaction_version(APP_ID) or 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the table, or create it in an empty folder."""
        if not DeltaTable.is_deltatable(str(path)):
            path.mkdir(parents=True, exist_ok=True)
            DeltaTable.create(
                str(path),
                TABLE_SCHEMA,
                partition_by=[PARTITION_COLUMN],
                name="points",
                description="Telemetry points, one a row",
            )
            _sync_commit(path, 0)
        return cls(path, DeltaTable(str(path)))

    def commit(self, points: SortedPoints, position: int) -> tuple[DataFile, ...]:
        """Add points, and record the log position that the table now covers, in one commit.

        When this returns, files and commit are on disk. When it raises, or the process dies on the
        way, no reader ever sees any of the points; files that were written are left behind unused.

        Returns:
            All files of the table.
        """
        written = [
            _write_file(self._path, day, part.slice(first, first + FILE_POINTS_MAX))
            for day, part in points.by_date()
            for first in range(0, len(part), FILE_POINTS_MAX)
        ]
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
        self._table.update_incremental()
        _sync_commit(self._path, self._table.version())
        self.files = (*self.files, *written)
        self.committed_position = position
        return self.files


def read_points(
    files: Sequence[DataFile],
    channel_id: str,
    kind: Kind,
    start_ns: int,
    end_ns: int,
    run_id: str | None,
) -> Points | None:
    """Read one channel's points between two times, the end excluded; None if there are none.

    Args:
        files: Files of the table.
        channel_id: Which channel.
        kind: Kind of its values.
        start_ns: Earliest time.
        end_ns: Time that is no longer included.
        run_id: None for all points, an empty string for those without a run, else a run's id.
    """
    paths = [str(file.path) for file in files if file.may_hold(channel_id, start_ns, end_ns)]
    if not paths:
        return None
    wanted = (
        (ds.field("channel_id") == channel_id)
        & (ds.field("timestamp_ns") >= start_ns)
        & (ds.field("timestamp_ns") < end_ns)
    )
    if run_id is not None:
        wanted &= (ds.field("run_id") == run_id) if run_id else ds.field("run_id").is_null()
    table = ds.dataset(paths, schema=FILE_SCHEMA, format="parquet").to_table(
        columns=["run_id", "timestamp_ns", kind.column], filter=wanted
    )
    if not len(table):
        return None
    runs = pc.fill_null(table["run_id"], "").combine_chunks().dictionary_encode()
    run_ids = runs.dictionary.to_pylist()
    return Points(
        tuple(run_ids),
        runs.indices.to_numpy(zero_copy_only=False).astype(np.int32),
        table["timestamp_ns"].to_numpy(),
        _bits(table[kind.column], kind),
    )


def _bits(column: Any, kind: Kind) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """Values of the table as `Points` has them."""
    if kind in VARIABLE_KINDS:
        large = pa.large_string() if kind is Kind.STRING else pa.large_binary()
        return column.cast(large).combine_chunks()
    match kind:
        case Kind.DOUBLE:
            words = column.to_numpy().view(np.uint64)
        case Kind.FLOAT:
            words = column.to_numpy().view(np.uint32).astype(np.uint64)
        case Kind.INT64:
            words = column.to_numpy().view(np.uint64)
        case Kind.UINT64:
            words = column.cast(pa.uint64()).to_numpy()
        case _:
            words = column.cast(pa.uint8()).to_numpy().astype(np.uint64)
    return pa.array(words)


def _write_file(folder: Path, day: int, points: SortedPoints) -> DataFile:
    date = _date_text(day)
    directory = folder / f"{PARTITION_COLUMN}={date}"
    new = not directory.exists()
    directory.mkdir(exist_ok=True)
    path = directory / f"{uuid.uuid4()}.parquet"
    with path.open("wb") as file:
        pq.write_table(
            points.to_table(),
            file,
            row_group_size=ROW_GROUP_POINTS,
            compression="zstd",
            compression_level=1,
            use_dictionary=_DICTIONARY_COLUMNS,
            column_encoding=_ENCODINGS,
            store_schema=False,
        )
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(directory)
    if new:
        _sync_folder(folder)
    return DataFile(
        path,
        path.stat().st_size,
        len(points),
        points.channel_ids[int(points.channel[0])],
        points.channel_ids[int(points.channel[-1])],
        int(points.timestamp_ns.min()),
        int(points.timestamp_ns.max()),
    )


def _date_text(day: int) -> str:
    return (_EPOCH + dt.timedelta(days=day)).isoformat()


def _add_action(folder: Path, file: DataFile) -> AddAction:
    relative = file.path.relative_to(folder)
    stats = {
        "numRecords": file.points,
        "minValues": {"channel_id": file.channel_id_min, "timestamp_ns": file.timestamp_ns_min},
        "maxValues": {"channel_id": file.channel_id_max, "timestamp_ns": file.timestamp_ns_max},
        "nullCount": {"channel_id": 0, "timestamp_ns": 0},
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
    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return tuple(
        DataFile(
            folder / action["path"],
            action["size_bytes"],
            action["num_records"],
            action["min.channel_id"],
            action["max.channel_id"],
            action["min.timestamp_ns"],
            action["max.timestamp_ns"],
        )
        for action in actions
    )


def _sync_commit(folder: Path, version: int) -> None:
    """Make a commit durable: the table's library writes it, but does not sync it."""
    log = folder / "_delta_log"
    with (log / f"{version:020d}.json").open("rb") as file:
        os.fsync(file.fileno())
    _sync_folder(log)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
