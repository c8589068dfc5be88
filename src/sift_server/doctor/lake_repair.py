"""Mends the table: names what is whole, and nothing else.

A file of the table that is damaged is taken out of it, and what is whole of it comes back: from the
files that it was merged from, if they are still there, else row group by row group. Files that no
commit names come back as well: a commit may be lost that did, or they have what is lost. Their
points were durable in the log before they were written to a file, and a point that is there twice
is read once: nothing is made up.

If the log of the table is whole, all this is one more commit. If not, a new checkpoint, of a
version behind all others, sums up what the log says as far as it can be read. Either is there, or
nothing has changed.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from sift_server.doctor.data_files import extents, file_health
from sift_server.doctor.findings import counted
from sift_server.lake.checksums import (
    ChecksummedFile,
    commit_lines,
    measured_parts,
    parts_text,
)
from sift_server.lake.delta import APP_ID, add_action, remove_action
from sift_server.lake.delta_log import (
    LAST_CHECKPOINT,
    note_checksum,
    sync_folder,
    sync_version,
    write_commit,
)
from sift_server.lake.files import DataFile, Extent, parquet_writer
from sift_server.lake.schema import PARTITION_COLUMN, TABLE_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.doctor.aside import Aside
    from sift_server.doctor.data_files import FileHealth
    from sift_server.doctor.lake_check import LakeState
    from sift_server.doctor.table_log import NamedFile


@dataclass(slots=True)
class _Mended:
    """What changes in the table.

    Attributes:
        added: Files that are in it from now on.
        gone: Files that it names no more.
        done: What was done, in sentences.
    """

    added: list[DataFile] = field(default_factory=list)
    gone: list[NamedFile] = field(default_factory=list)
    done: list[str] = field(default_factory=list)


def mend_lake(state: LakeState, aside: Aside) -> list[str]:
    """Mend a table.

    Args:
        state: What was found.
        aside: Where damaged files go.

    Returns:
        What was done and what is lost, in sentences.

    Raises:
        OSError: A file can't be read, written or moved.
    """
    mended = _Mended()
    for path, health in state.health.items():
        _mend_file(state, path, health, mended)
    unusable = _adopt(state, mended)
    if not state.log.is_whole or _reads_otherwise(state):
        _sum_up(state, mended, aside)
    elif mended.added or mended.gone:
        _commit(state, mended)
    for file in mended.gone:
        aside.move(state.folder / file.path)
    for path in unusable:
        aside.move(state.folder / path)
    return mended.done


def _reads_otherwise(state: LakeState) -> bool:
    """Whether other programs can't read a log that can be read here."""
    return any(each.where == "lake/_delta_log" and each.is_mendable for each in state.findings)


def _mend_file(state: LakeState, path: str, health: FileHealth, mended: _Mended) -> None:
    file = state.log.files[path]
    mended.gone.append(file)
    sources = state.log.merged_from.get(path, ())
    back = [
        found
        for source in sources
        if (found := _whole(state.folder, source, state.log.removed.get(source))) is not None
    ]
    mended.added += back
    said = "an unknown number of" if file.points is None else f"{file.points:,}"
    if sources and len(back) == len(sources):
        mended.done.append(
            f"lake/{path}: {health.why}. Its {said} points are in the table again: in"
            f" {counted(len(back), 'file')} that it was merged from."
        )
        return
    kept = 0
    if health.row_groups:
        copied = _copied(state.folder / path, health.row_groups)
        if copied is not None:
            mended.added.append(copied)
            kept = copied.extent.points
    line = f"lake/{path}: {health.why}. Of its {said} points, {kept:,} were whole and are kept"
    if back:
        line += f"; {counted(len(back), 'file')} of those that it was merged from came back"
    lost = "others" if file.points is None else f"{file.points - kept:,}"
    also = "" if state.log.is_whole else ", or another file,"
    mended.done.append(f"{line}; {lost} are lost, unless the log{also} still has them.")


def _adopt(state: LakeState, mended: _Mended) -> list[str]:
    """Take files that no commit names into the table; return those that can't be read."""
    unusable = []
    points = count = 0
    for path in state.leftovers:
        found = _whole(state.folder, path, None)
        if found is None:
            unusable.append(path)
        else:
            mended.added.append(found)
            points += found.extent.points
            count += 1
    if count:
        mended.done.append(
            f"lake: {counted(count, 'file')} that no commit names came back into the table, with"
            f" {counted(points, 'point')}; what log or other files have as well is read once."
        )
    if unusable:
        mended.done.append(
            f"lake: {counted(len(unusable), 'file')} that no commit names and that can't be read"
            " were set aside."
        )
    return unusable


def _whole(folder: Path, path: str, known: NamedFile | None) -> DataFile | None:
    """A file that is whole, as the table names it; None if it is not."""
    parts = known.parts if known is not None else ""
    size = known.size_bytes if known is not None else None
    points = known.points if known is not None else None
    health = file_health(folder / path, size, points, parts, is_quick=False)
    if health.why or not path.startswith(f"{PARTITION_COLUMN}="):
        return None
    return _described(folder / path, health.row_groups)


def _described(path: Path, row_groups: Sequence[int], parts: str = "") -> DataFile | None:
    found = extents(path, row_groups)
    if found is None:
        return None
    size = path.stat().st_size
    return DataFile(path, size, Extent(*found), parts or _measured(path, size))


def _measured(path: Path, size: int) -> str:
    metadata = pq.read_metadata(path)
    starts = []
    for number in range(1, metadata.num_row_groups):
        first = metadata.row_group(number).column(0)
        starts.append(first.dictionary_page_offset or first.data_page_offset)
    return parts_text(measured_parts(path, [*starts, size]))


def _copied(path: Path, row_groups: Sequence[int]) -> DataFile | None:
    """Row groups of a file in a new one."""
    target = path.with_name(f"{uuid.uuid4()}.parquet")
    try:
        with target.open("wb") as opened:
            file = ChecksummedFile(opened)
            with (
                pq.ParquetFile(path) as source,
                parquet_writer(file, source.schema_arrow) as writer,
            ):
                for number in row_groups:
                    table = source.read_row_group(number)
                    writer.write_table(table, row_group_size=max(1, table.num_rows))
                    file.end_part()
            file.flush()
            os.fsync(opened.fileno())
        sync_folder(target.parent)
    except pa.ArrowException:
        # Without checksums, what could be decoded a moment ago is all that is known.
        target.unlink()
        return None
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return _described(target, range(len(row_groups)), parts_text(file.parts()))


def _info(now_ms: int) -> dict[str, Any]:
    info = {
        "timestamp": now_ms,
        "operation": "RESTORE",
        "operationParameters": {},
        "engineInfo": "sift doctor",
    }
    return {"commitInfo": info}


def _adds(state: LakeState, mended: _Mended, now_ms: int) -> list[dict[str, Any]]:
    return [
        {"add": add_action(state.folder, file, now_ms, data_change=True)} for file in mended.added
    ]


def _commit(state: LakeState, mended: _Mended) -> None:
    now_ms = time.time_ns() // 1_000_000
    unknown = Extent(0, None, None, None, None)
    removes = [
        remove_action(
            state.folder, DataFile(state.folder / file.path, file.size_bytes, unknown), now_ms
        )
        for file in mended.gone
    ]
    actions = [
        _info(now_ms),
        *({"remove": {**remove, "dataChange": True}} for remove in removes),
        *_adds(state, mended, now_ms),
    ]
    write_commit(state.folder, state.log.newest + 1, actions)


def _sum_up(state: LakeState, mended: _Mended, aside: Aside) -> None:
    """Write a checkpoint of all that can be known, of a version behind all others."""
    log = state.folder / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    now_ms = time.time_ns() // 1_000_000
    gone = {file.path for file in mended.gone}
    version = state.log.newest + 1
    with tempfile.TemporaryDirectory(prefix="doctor-", dir=state.folder.parent) as folder:
        kept = [
            {"add": _without_nulls(file.action)}
            for path, file in state.log.files.items()
            if path not in gone
        ]
        actions = [
            _info(now_ms),
            *_definition(state, Path(folder) / "new"),
            *kept,
            *_adds(state, mended, now_ms),
            {"txn": {"appId": APP_ID, "version": state.log.position, "lastUpdated": now_ms}},
        ]
        sum_log = Path(folder) / "sum" / "_delta_log"
        sum_log.mkdir(parents=True)
        (sum_log / f"{0:020d}.json").write_text("".join(commit_lines(actions)), encoding="utf-8")
        DeltaTable(str(sum_log.parent)).create_checkpoint()
        checkpoint = sum_log / f"{0:020d}.checkpoint.parquet"
        for path in (checkpoint, sum_log / f"{0:020d}.json"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        # From here on the new state is there, whole.
        checkpoint.rename(log / f"{version:020d}.checkpoint.parquet")
        (sum_log / f"{0:020d}.json").rename(log / f"{version:020d}.json")
    for path in state.log.damaged:
        aside.move(path)
    # What it says of the checkpoint before is of no use.
    (log / LAST_CHECKPOINT).unlink(missing_ok=True)
    sync_version(state.folder, version)
    note_checksum(state.folder, version)
    mended.done.append(
        f"lake/_delta_log: version {version} sums up what could be read of the others:"
        f" {counted(len(kept) + len(mended.added), 'file')}, up to position"
        f" {state.log.position} of the log."
    )


def _definition(state: LakeState, scratch: Path) -> list[dict[str, Any]]:
    """What the table is: its protocol and columns, as it says, or as a new one would have them."""
    protocol, metadata = state.log.protocol, state.log.metadata
    if protocol is not None and metadata is not None and not _reads_otherwise(state):
        return [{"protocol": _without_nulls(protocol)}, {"metaData": _without_nulls(metadata)}]
    DeltaTable.create(
        str(scratch),
        TABLE_SCHEMA,
        partition_by=[PARTITION_COLUMN],
        name="points",
        description="Telemetry points, one a row",
    )
    lines = (scratch / "_delta_log" / f"{0:020d}.json").read_text(encoding="utf-8").splitlines()
    actions = [json.loads(line) for line in lines]
    return [action for action in actions if action.keys() & {"protocol", "metaData"}]


def _without_nulls(action: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in action.items() if value is not None}
