"""Copies a file, durably, and says what its bytes are."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, BinaryIO

from sift_server.backup.manifest import Entry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHUNK_BYTES = 1024 * 1024


def copy_file(
    source: BinaryIO,
    folder: Path,
    name: str,
    size_bytes: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Entry:
    """Copy a file from its beginning; the copy is on disk when this returns.

    Args:
        source: The file.
        folder: Folder that the name is relative to.
        name: Path of the copy, with slashes.
        size_bytes: How many bytes to copy; None for all.
        advance: Told how many bytes were copied.

    Raises:
        OSError: It can't be read or written.
    """
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = os.fstat(source.fileno()).st_mode & 0o777
    digest = hashlib.sha256()
    size = 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as copy:
        while size_bytes is None or size < size_bytes:
            wanted = _CHUNK_BYTES if size_bytes is None else min(_CHUNK_BYTES, size_bytes - size)
            data = source.read(wanted)
            if not data:
                break
            digest.update(data)
            copy.write(data)
            size += len(data)
            advance(len(data))
        copy.flush()
        os.fsync(copy.fileno())
    return Entry(name, size, digest.hexdigest())


def entry_of(folder: Path, name: str, advance: Callable[[int], None] = lambda _: None) -> Entry:
    """What the bytes of a file are, which are made durable first.

    Raises:
        OSError: It can't be read.
    """
    digest = hashlib.sha256()
    size = 0
    with (folder / name).open("rb") as file:
        os.fsync(file.fileno())
        while data := file.read(_CHUNK_BYTES):
            digest.update(data)
            size += len(data)
            advance(len(data))
    return Entry(name, size, digest.hexdigest())
