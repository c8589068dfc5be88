"""A folder that is whole or not there: it is filled under another name."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sift_server.backup.manifest import BackupError
from sift_server.lake.delta_log import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".partial"


@contextmanager
def filled(target: Path) -> Iterator[Path]:
    """Give a folder to fill; it gets its name at the end of the with-block, and is durable then.

    If the block raises, nothing stays. If the process dies, `TARGET.partial` does, and the next
    one that fills the target begins it anew.

    Raises:
        BackupError: The target is there, and is not an empty folder; or another process fills it.
        OSError: It can't be made.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"{target} is there already, and not an empty folder: name another one")
    partial = target.with_name(target.name + SUFFIX)
    partial.mkdir(parents=True, exist_ok=True)
    lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another process is filling {partial}") from None
        try:
            _empty(partial)
            yield partial
            for folder, _, _ in os.walk(partial):
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            partial.rename(target)
            sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        os.close(lock)


def require_room(folder: Path, size_bytes: int) -> None:
    """See that a disk has room for what is to come.

    Raises:
        BackupError: It has not.
    """
    free = shutil.disk_usage(folder).free
    if free < size_bytes:
        raise BackupError(
            f"the disk of {folder.parent} has {free:,} bytes free, and {size_bytes:,} are needed:"
            " make room, or name a folder on another one"
        )


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
