"""What the spill files need of the file system."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def create_file(path: Path, data: bytes) -> int:
    """Make a file that only its owner can read, and return its descriptor.

    Raises:
        OSError: It can't be made, or is there already; no file is left.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_all(descriptor, data)
    except BaseException:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor


def read_at(path: Path, offset: int, length: int) -> bytes:
    """Up to so many bytes from an offset."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def sync_file(descriptor: int) -> None:
    """Make durable what was written to a file.

    Raises:
        OSError: The disk failed, or somebody has deleted the file.
    """
    os.fsync(descriptor)
    if not os.fstat(descriptor).st_nlink:
        raise FileNotFoundError(errno.ENOENT, "somebody deleted the spill file")


def sync_folder(folder: Path) -> None:
    """Make durable which files are in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
