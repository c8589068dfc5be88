"""Commits and checkpoints of a Delta table in a local folder.

A commit is written by hand, and not by the table's library, for three reasons. The library has no
call that replaces some files of a partition by others, which merging is. It reads what it knows of
the table again for each commit, so that commits take longer the more there were. And it syncs
nothing: here a commit is on disk, whole, before it has its name, and its name before anybody is
told. What is written is the simplest form of the format, for tables of writer version 2.

    _delta_log/00000000000000000007.json      one action a line, as JSON
    _delta_log/_commit_ID.json.tmp            a commit that does not have its name yet
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from sift_server import faults
from sift_server.lake.checksums import commit_lines, hint_text, is_checkpoint_damaged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LAST_CHECKPOINT = "_last_checkpoint"

WRITER_VERSION_MAX = 2
"""Highest writer version of a table that `write_commit` can serve."""


def write_commit(table_path: Path, version: int, actions: Sequence[dict[str, Any]]) -> None:
    """Make a version of the table, durably. The first action is `commitInfo`.

    When it raises, the version may be there or not, except:

    Raises:
        FileExistsError: Another program made that version; nothing was changed.
        OSError: It can't be written.
    """
    log = table_path / "_delta_log"
    waiting = log / f"_commit_{uuid.uuid4()}.json.tmp"
    try:
        with waiting.open("w", encoding="utf-8") as file:
            file.writelines(commit_lines(actions))
            file.flush()
            faults.reach("commit.sync")
            os.fsync(file.fileno())
        faults.reach("commit.synced")
        (log / f"{version:020d}.json").hardlink_to(waiting)
        faults.reach("commit.named")
    finally:
        waiting.unlink(missing_ok=True)
    sync_folder(log)


def write_checkpoint(table_path: Path) -> int:
    """Sum up the newest version, durably, and remove log files that are older than the retention.

    Returns:
        The version.
    """
    table = DeltaTable(str(table_path))
    faults.reach("checkpoint")
    table.create_checkpoint()
    faults.reach("checkpoint.written")
    sync_version(table_path, table.version())
    faults.reach("checkpoint.synced")
    note_checksum(table_path, table.version())
    table.cleanup_metadata()
    return table.version()


def note_checksum(table_path: Path, version: int) -> None:
    """Let `_last_checkpoint` name a checkpoint that is durable, and say what its bytes are."""
    log = table_path / "_delta_log"
    hint = log / LAST_CHECKPOINT
    waiting = log / f"{LAST_CHECKPOINT}.tmp"
    text = hint_text(
        version, (log / f"{version:020d}.checkpoint.parquet").read_bytes(), _hint(hint)
    )
    with waiting.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    waiting.replace(hint)
    sync_folder(log)


def _hint(path: Path) -> dict[str, Any]:
    try:
        hint = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return hint if isinstance(hint, dict) else {}


def checkpointed_version(table_path: Path) -> int:
    """Version of the newest checkpoint; 0 if there is none."""
    names = [path.name for path in (table_path / "_delta_log").glob("*.checkpoint.parquet")]
    return max((int(name.partition(".")[0]) for name in names), default=0)


def sync_version(table_path: Path, version: int) -> None:
    """Make a version durable that the library wrote, and its checkpoint if there is one."""
    log = table_path / "_delta_log"
    names = (f"{version:020d}.json", f"{version:020d}.checkpoint.parquet", LAST_CHECKPOINT)
    for name in names:
        with suppress(FileNotFoundError), (log / name).open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(log)
    sync_folder(table_path)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_torn(table_path: Path) -> None:
    """Remove what power failed in the middle of: commits without a name, the last checkpoint.

    Commits that the library wrote, like the first one, may be torn as well. The last line of a
    commit is its log position: a commit that ends before, but at the end of a line, has points
    that the log will bring again, which does no harm.

    Raises:
        OSError: The last checkpoint is damaged, and the commits that it sums up are gone: this is
            no torn one.
    """
    log = table_path / "_delta_log"
    for waiting in log.glob("_commit_*.json.tmp"):
        waiting.unlink()
    commits = sorted(log.glob("[0-9]*.json"))
    if commits and not _is_whole_commit(commits[-1]):
        commits[-1].unlink()
    checkpoints = sorted(log.glob("*.checkpoint.parquet"))
    if checkpoints and not _is_whole_checkpoint(checkpoints[-1]):
        # Log files are only removed behind a checkpoint that was synced: if this one was not, the
        # one before it, and all commits since, are there.
        before = _version(checkpoints[-2]) if len(checkpoints) > 1 else -1
        there = {_version(path) for path in log.glob("[0-9]*.json")}
        if not there.issuperset(range(before + 1, _version(checkpoints[-1]) + 1)):
            raise OSError(
                f"{checkpoints[-1]} is damaged, and the commits that it sums up are not there any"
                " more. Restore the folder from a backup, or let 'sift doctor --repair' keep what"
                " is whole."
            )
        checkpoints[-1].unlink()
        (log / LAST_CHECKPOINT).unlink(missing_ok=True)


def _version(path: Path) -> int:
    return int(path.name.partition(".")[0])


def _is_whole_commit(path: Path) -> bool:
    lines = path.read_bytes().splitlines()
    try:
        return bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
    except ValueError:
        return False


def _is_whole_checkpoint(path: Path) -> bool:
    hint = path.with_name(LAST_CHECKPOINT)
    said = hint.read_bytes() if hint.exists() else b""
    if is_checkpoint_damaged(_version(path), path.read_bytes(), said):
        return False
    try:
        pq.read_table(path)
    except (pa.ArrowException, OSError):
        return False
    return True
