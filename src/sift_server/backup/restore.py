"""Makes a folder of a backup, and reads a backup again to see that it is what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.backup.copying import copy_file, entry_of
from sift_server.backup.manifest import BackupError, Entry, Manifest, read_manifest
from sift_server.backup.partial import filled, require_room

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def restore_backup(
    backup: Path, data_dir: Path, advance: Callable[[int], None] = lambda _: None
) -> Manifest:
    """Copy a backup to a folder that can be served, and check every byte on the way.

    Args:
        backup: The backup.
        data_dir: Where it goes; it must not be there yet, or be an empty folder.
        advance: Told how many bytes were copied.

    Raises:
        BackupError: The backup is damaged, or the folder in use; nothing is left behind.
        OSError: A file can't be read or written; nothing is left behind.
    """
    manifest = read_manifest(backup)
    with filled(data_dir, backup) as partial:
        require_room(partial, manifest.size_bytes)
        for entry in manifest.entries:
            try:
                with (backup / entry.path).open("rb") as file:
                    copied = copy_file(file, partial, entry.path, advance=advance)
            except FileNotFoundError:
                raise BackupError(_missing(backup, entry)) from None
            if copied != entry:
                raise BackupError(_damaged(backup, entry))
    return manifest


def check_backup(backup: Path, advance: Callable[[int], None] = lambda _: None) -> Manifest:
    """Read a backup, every byte of it.

    Raises:
        BackupError: It is damaged.
        OSError: A file can't be read.
    """
    manifest = read_manifest(backup)
    for entry in manifest.entries:
        try:
            found = entry_of(backup, entry.path, advance)
        except FileNotFoundError:
            raise BackupError(_missing(backup, entry)) from None
        if found != entry:
            raise BackupError(_damaged(backup, entry))
    return manifest


def _missing(backup: Path, entry: Entry) -> str:
    return f"{backup / entry.path} is missing, and {backup} no backup that is whole"


def _damaged(backup: Path, entry: Entry) -> str:
    return (
        f"{backup / entry.path} is damaged: its size or SHA-256 is not what it was. Take another"
        " backup; or copy this one to a folder without its manifest.json, and let"
        " 'sift doctor --repair' keep what is whole."
    )
