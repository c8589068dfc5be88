"""A folder that is whole or not there: it is filled under another name."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sift_server.backup.manifest import BackupError
from sift_server.lake.delta_log import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".partial"


@contextmanager
def filled(target: Path, source: Path) -> Iterator[Path]:
    """Give a folder to fill; it gets its name at the end of the with-block, and is durable then.

    If the block raises, nothing stays. If the process dies, `TARGET.partial` does, and the next
    one that fills the target begins it anew.

    Args:
        target: The folder.
        source: What it will be a copy of. Who can't get into that, or into the target as it was,
            can't get into the copy.

    Raises:
        BackupError: The target is there, and is not an empty folder, or can't be replaced by one;
            or another process fills it.
        OSError: It can't be made.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"{target} is there already, and not an empty folder: name another one")
    if target.exists() and (target.is_mount() or target.samefile(".")):
        raise BackupError(
            f"{target} is a mount point, or the folder that you are in, and can't be replaced by a"
            " whole one: name a folder in it"
        )
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
            for closed in (source, target):
                if closed.exists():
                    _close_as(partial, closed)
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


def _close_as(folder: Path, source: Path) -> None:
    """Give nobody but the owner a right to a folder that they do not have to another one."""
    allowed = stat.S_IRWXU | stat.S_IMODE(source.stat().st_mode)
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(mode & (allowed | ~(stat.S_IRWXG | stat.S_IRWXO)))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
