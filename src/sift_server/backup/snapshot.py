"""Makes a backup of a folder, served or not: one state of it, at a position of the log.

The order is what makes it one state:

1. The idempotency keys: their batches are in the log, or in the table, by the next step.
2. The segments of the log are opened. Everything acknowledged before is in them, or in the table.
   They can be read although the server may remove them.
3. The newest version of the table, which is at least as new: it covers the log up to a position.
4. The catalog, which has what log and table name.
5. Of the log, what the table does not cover, up to the last whole record. If the table is ahead of
   it, nothing. The position of the backup is the end of both.
6. Rejected messages behind that position leave the copy of the catalog: they came later.

Each file is checked against its checksums on the way. The manifest is written last.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.backup.catalog_copy import copy_catalog, cut_error_queue
from sift_server.backup.copying import copy_file, entry_of
from sift_server.backup.lake_copy import EarlierBackup, copy_lake
from sift_server.backup.log_copy import copy_log, open_segments
from sift_server.backup.manifest import NAME, BackupError, Manifest, read_manifest
from sift_server.backup.partial import filled, require_room
from sift_server.doctor.table_log import read_table_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sift_server.backup.manifest import Entry

_SMALL_FILES = ("format", "api_key")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made.

    Attributes:
        manifest: What is in it.
        shared_bytes: Bytes of files that it shares with an earlier one.
    """

    manifest: Manifest
    shared_bytes: int


def bytes_to_copy(data_dir: Path) -> int:
    """About how large a backup gets, as far as that is known; the least that it can be."""
    total = 0
    # A server may sum up its commits meanwhile, and remove one that is about to be read.
    with suppress(FileNotFoundError):
        table = read_table_log(data_dir / "lake")
        total = sum(file.size_bytes for file in table.files.values())
    for path in (data_dir / "catalog.sqlite", *(data_dir / "log").glob("*.log")):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def make_backup(
    data_dir: Path,
    target: Path,
    earlier: Path | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Backup:
    """Make a backup: everything that was acknowledged before this call is in it.

    Args:
        data_dir: The folder of a server, which may be running.
        target: Where the backup goes; it must not be there yet, or be an empty folder.
        earlier: A backup of the same folder, on the same disk as the new one: files of the table
            that both have are kept once.
        advance: Told how many bytes were copied, of about `bytes_to_copy`.

    Raises:
        BackupError: Something is damaged, in the way, or too large; nothing is left behind.
        OSError: A file can't be read or written; nothing is left behind.
    """
    if target.resolve().is_relative_to(data_dir.resolve()):
        raise BackupError(f"{target} is in the folder that is to be copied: name another one")
    known = None
    if earlier is not None:
        entries = {entry.path: entry for entry in read_manifest(earlier).entries}
        known = EarlierBackup(earlier, entries)
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with filled(target, data_dir) as partial, ExitStack() as opened:
        if known is None:
            require_room(partial, bytes_to_copy(data_dir))
        for name in ("keys", *_SMALL_FILES):
            with suppress(FileNotFoundError), (data_dir / name).open("rb") as file:
                copy_file(file, partial, name)
        segments = open_segments(data_dir / "log", opened)
        table, data_files = copy_lake(data_dir, partial, known, advance)
        catalog = partial / "catalog.sqlite"
        copy_catalog(data_dir / "catalog.sqlite", catalog)
        advance(catalog.stat().st_size)
        position = copy_log(segments, partial, table.position, advance)
        try:
            cut_error_queue(catalog, position)
        except sqlite3.Error as error:
            raise BackupError(f"the copy of the catalog can't be changed: {error}") from None
        manifest = Manifest(
            made,
            position,
            sum(file.points or 0 for file in table.files.values()),
            tuple(_entries(partial, data_files)),
        )
        with (partial / NAME).open("w", encoding="utf-8") as written:
            written.write(manifest.to_json())
            written.flush()
            os.fsync(written.fileno())
        shared = sum(
            entry.size_bytes
            for name, entry in data_files.items()
            if (partial / name).stat().st_nlink > 1
        )
    return Backup(manifest, shared)


def _entries(folder: Path, data_files: dict[str, Entry]) -> list[Entry]:
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    return [data_files.get(name) or entry_of(folder, name) for name in names]
