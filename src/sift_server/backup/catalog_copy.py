"""Copies the catalog as it is at one moment, and makes it fit the log."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from sift_server.backup.manifest import BackupError

if TYPE_CHECKING:
    from pathlib import Path

_INDEX_MAX = (1 << 63) - 1


def copy_catalog(source: Path, target: Path) -> None:
    """Copy a catalog that a server may be writing to.

    Raises:
        BackupError: It is missing or damaged, or there is no room.
    """
    if not source.is_file():
        raise BackupError(f"{source} is missing. See 'sift doctor'.")
    # Before anything is in it: it can be read by those who can read the catalog.
    mode = source.stat().st_mode & 0o777
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    address = f"file:{quote(str(source.absolute()))}?mode=rw"
    try:
        with (
            closing(sqlite3.connect(address, uri=True, timeout=10)) as reading,
            closing(sqlite3.connect(target)) as copy,
        ):
            reading.execute("PRAGMA query_only=ON")
            # All pages in one step, on one state of the database; writers go on meanwhile.
            reading.backup(copy)
            found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{source} can't be copied: {error}. See 'sift doctor'.") from None
    if found != "ok":
        raise BackupError(f"{source} is damaged: {found}. See 'sift doctor'.")


def cut_error_queue(copy: Path, position: int) -> None:
    """Remove rejected messages that came behind a position of the log.

    The copy of the log ends there, and who restores it gives these positions to other messages.

    Raises:
        sqlite3.Error: The copy can't be changed.
    """
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("DELETE FROM error_queue WHERE position > ?", (position,))
        has_totals = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'error_queue_totals'"
        ).fetchone()
        if has_totals:
            connection.execute(
                "UPDATE error_queue_totals SET"
                " kept_messages = (SELECT count(*) FROM error_queue),"
                " kept_bytes = (SELECT coalesce(sum(size_bytes), 0) FROM error_queue)"
            )
            # The oldest are dropped first: if a later one was, then all up to there.
            connection.execute(
                "UPDATE error_queue_totals SET dropped_position = ?, dropped_index = ?"
                " WHERE dropped_position > ?",
                (position, _INDEX_MAX, position),
            )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
