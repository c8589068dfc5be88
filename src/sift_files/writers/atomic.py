"""Files that appear when they are complete, or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["whole_or_nothing"]


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """Gives a path beside a file to write to, and renames it to the file in the end.

    What is written is on disk before it is renamed. After an error, nothing is left of it, and what
    was there stays.

    Raises:
        OSError: The folder is not there, or can't be written to.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    beside = Path(name)
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        # What mkstemp makes is for its owner only.
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
