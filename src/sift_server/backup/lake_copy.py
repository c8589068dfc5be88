"""Copies one version of the table while a server goes on with it."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from sift_server.backup.copying import copy_file
from sift_server.backup.manifest import BackupError
from sift_server.doctor.table_log import read_table_log
from sift_server.lake.checksums import damaged_parts, parts_of
from sift_server.lake.delta_log import LAST_CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sift_server.backup.manifest import Entry
    from sift_server.doctor.table_log import NamedFile, TableLog

_TRIES_MAX = 20
"""How often the newest version is taken again because files of the one before are gone."""

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")


class EarlierBackup:
    """Files of the table in an earlier backup: they never change, and may be the same on disk."""

    def __init__(self, folder: Path, entries: Mapping[str, Entry]) -> None:
        """Take the folder and what its manifest says."""
        self._folder = folder
        self._entries = entries

    def link(self, target: Path, name: str, size_bytes: int) -> Entry | None:
        """Give a file of the earlier backup a second name; None if that can't be done."""
        entry = self._entries.get(name)
        if entry is None or entry.size_bytes != size_bytes:
            return None
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if (self._folder / name).stat().st_size != size_bytes:
                return None
            os.link(self._folder / name, path)
        except OSError:
            # Gone, on another disk, or too many names: it is copied.
            return None
        return entry


def copy_lake(
    data_dir: Path,
    target: Path,
    earlier: EarlierBackup | None,
    advance: Callable[[int], None],
) -> tuple[TableLog, dict[str, Entry]]:
    """Copy the newest version of the table: its commits, and the files that it names.

    A server may merge files meanwhile, and remove the old ones. Files that are gone before they
    were copied are in newer ones: then the newest version is taken again, and what was copied and
    is still named stays.

    Args:
        data_dir: The folder of the server.
        target: The backup.
        earlier: A backup to share files with.
        advance: Told how many bytes were copied.

    Returns:
        What the copy is, and its data files.

    Raises:
        BackupError: The table is damaged, or changes faster than it can be copied.
        OSError: A file can't be read or written.
    """
    copied: dict[str, Entry] = {}
    for _ in range(_TRIES_MAX):
        try:
            log = _copy_log(data_dir, target)
            for file in log.files.values():
                name = f"lake/{file.path}"
                if name not in copied:
                    copied[name] = _copy_data(data_dir, target, name, file, earlier, advance)
        except FileNotFoundError as error:
            gone = error
            continue
        named = {f"lake/{path}" for path in log.files}
        for name in copied.keys() - named:
            (target / name).unlink()
            del copied[name]
        return log, copied
    raise BackupError(
        f"{gone.filename} is not there. If the table changes so fast, raise --retention-s of"
        " 'sift serve'; if it does not, a file is missing: see 'sift doctor'."
    )


def _copy_log(data_dir: Path, target: Path) -> TableLog:
    """Copy the newest checkpoint and all commits behind it."""
    source, copy = data_dir / "lake" / "_delta_log", target / "lake" / "_delta_log"
    shutil.rmtree(copy, ignore_errors=True)
    names = sorted(path.name for path in source.iterdir())
    checkpoints = [name for name in names if _CHECKPOINT.fullmatch(name)][-1:]
    first = int(checkpoints[0][:20]) if checkpoints else 0
    commits = [name for name in names if _COMMIT.fullmatch(name) and int(name[:20]) >= first]
    for name in (*checkpoints, *commits):
        with (source / name).open("rb") as file:
            copy_file(file, copy, name)
    if checkpoints:
        _copy_hint(source / LAST_CHECKPOINT, copy / LAST_CHECKPOINT, first)
    log = read_table_log(target / "lake")
    if log.damaged:
        path, why = next(iter(log.damaged.items()))
        raise BackupError(f"lake/_delta_log/{path.name} is damaged: {why}. See 'sift doctor'.")
    if log.missing or log.metadata is None:
        # Commits were made, or summed up and removed, while they were listed; or one is missing.
        raise FileNotFoundError(0, "", str(source / f"{log.missing[0] if log.missing else 0}.json"))
    return log


def _copy_hint(source: Path, copy: Path, version: int) -> None:
    """Copy what is said of the last checkpoint, its checksum, if that one was copied."""
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        text = source.read_bytes()
        if json.loads(text)["version"] == version:
            copy.write_bytes(text)


def _copy_data(
    data_dir: Path,
    target: Path,
    name: str,
    file: NamedFile,
    earlier: EarlierBackup | None,
    advance: Callable[[int], None],
) -> Entry:
    if earlier is not None and (linked := earlier.link(target, name, file.size_bytes)) is not None:
        advance(linked.size_bytes)
        return linked
    with (data_dir / name).open("rb") as source:
        entry = copy_file(source, target, name, advance=advance)
    wrong = [
        part for part in damaged_parts(target / name, parts_of(file.parts)) if part is not None
    ]
    if wrong or entry.size_bytes != file.size_bytes:
        (target / name).unlink()
        raise BackupError(f"{name} is damaged, and so would be the backup. See 'sift doctor'.")
    return entry
