"""A lane: a folder of spill files that one program writes and sends.

```text
LANE/
    lock              held by the program that the lane belongs to
    0000000001.spill  batches, oldest first
    0000000002.spill
```

The lock is the system's: it ends with the program, however that ends, and then the next program
takes the lane over.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TypeAlias

from sift_py.ingestion._internal.spill.disk import (
    create_file,
    read_at,
    sync_file,
    sync_folder,
    write_all,
)
from sift_py.ingestion._internal.spill.records import (
    FILE_MAGIC,
    RECORD_OVERHEAD_BYTES,
    Record,
    joined,
    next_record,
    record_at,
    record_bytes,
    record_length,
)

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

_LOCK = "lock"

SetAside: TypeAlias = Callable[["Path", bytes, str, bool], None]
"""Keeps bytes of a file that must not be sent, see `SpillFolder.set_aside`."""

_logger = logging.getLogger(__name__)


class Lane:
    """Batches in the order in which they came. Safe from many threads.

    Attributes:
        path: Its folder.
    """

    def __init__(self, path: Path, lock: int, file_bytes_max: int, set_aside: SetAside) -> None:
        self.path = path
        self._file_bytes_max = file_bytes_max
        self._set_aside = set_aside
        self._lock = lock
        # Guards what follows.
        self._state = threading.RLock()
        self._files: list[tuple[Path, int]] = []
        """Each with the bytes that it has, oldest first."""
        self._next_number = 1
        self._descriptor = -1
        """Of the last of the files, if that is written to."""
        self._has_new_file = False
        self._offset = 0
        """Where the next record of the first file begins; 0 if nothing of it was read."""
        self._is_first = True
        _open_lanes.add(self)

    @classmethod
    def create(cls, path: Path, file_bytes_max: int, set_aside: SetAside) -> Self:
        """Make a lane.

        Raises:
            FileExistsError: There is one of that name, or another program took it at once.
            OSError: It can't be made.
        """
        path.mkdir()
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if not _is_locked(descriptor, path):
            raise FileExistsError(path)
        sync_folder(path.parent)
        return cls(path, descriptor, file_bytes_max, set_aside)

    @classmethod
    def adopt(cls, path: Path, file_bytes_max: int, set_aside: SetAside) -> Self | None:
        """Take over a lane of a program that ended; None if it is in use, or gone."""
        try:
            descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not _is_locked(descriptor, path):
            return None
        lane = cls(path, descriptor, file_bytes_max, set_aside)
        lane._files = [(each, each.stat().st_size) for each in sorted(path.glob("*.spill"))]
        return lane

    @property
    def files(self) -> list[Path]:
        """Files with batches that were not discarded, oldest first."""
        with self._state:
            return [path for path, _ in self._files]

    @property
    def pending_bytes(self) -> int:
        """Bytes of batches that were not discarded."""
        with self._state:
            return sum(size for _, size in self._files) - (self._offset if self._files else 0)

    def append(self, key: uuid.UUID, frames: bytes) -> None:
        """Append a batch to a lane that was not adopted; it is durable after `sync`.

        Raises:
            OSError: It could not be written, and is not there.
        """
        with self._state:
            if self._descriptor < 0 or self._files[-1][1] >= self._file_bytes_max:
                self._begin_file()
            path, size = self._files[-1]
            data = record_bytes(key, frames)
            try:
                write_all(self._descriptor, data)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, size)
                self._abandon_file()
                raise
            self._files[-1] = (path, size + len(data))

    def sync(self) -> None:
        """Make durable what was appended.

        Raises:
            OSError: That failed; the system may have dropped what was appended.
        """
        with self._state:
            try:
                if self._descriptor >= 0:
                    sync_file(self._descriptor)
                if self._has_new_file:
                    sync_folder(self.path)
                    self._has_new_file = False
            except OSError:
                self._abandon_file()
                raise

    def peek(self, bytes_max: int) -> Record | None:
        """The oldest batches that were not discarded, as one; or None if there are none.

        The first of all comes alone, with its own key: it is the one that the server may have
        taken, only that its answer was lost. Damaged bytes before a batch are set aside; files
        without anything more are deleted.

        Args:
            bytes_max: So many bytes may be added to the first of them.
        """
        with self._state:
            # A lane that was released may be another program's by now.
            while self._files and self._lock >= 0:
                path, size = self._files[0]
                try:
                    record = self._record_in(path, size)
                    if record is not None:
                        if self._is_first:
                            return record
                        return self._with_more(record, path, size, bytes_max)
                except FileNotFoundError:
                    self._set_aside(path, b"", "somebody deleted it", True)
                if len(self._files) == 1:
                    self._end_file()
                path.unlink(missing_ok=True)
                del self._files[0]
                self._offset = 0
            return None

    def discard(self, record: Record) -> None:
        """Forget the batches that `peek` gave."""
        with self._state:
            self._offset = record.end
            self._is_first = False

    def close(self) -> None:
        """Release the lane; delete it if nothing is in it. Once is enough."""
        with self._state:
            if self._lock < 0:
                return
            self._end_file()
            if not self._files:
                (self.path / _LOCK).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self.path.rmdir()
            self.let_go()

    def let_go(self) -> None:
        """Release the lock, and nothing else: a forked child has its parent's."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _record_in(self, path: Path, size: int) -> Record | None:
        """The next record of the first file; moves over what is damaged before it."""
        if not self._offset and read_at(path, 0, len(FILE_MAGIC)) == FILE_MAGIC:
            self._offset = len(FILE_MAGIC)
        if self._offset == size:
            return None
        head = read_at(path, self._offset, RECORD_OVERHEAD_BYTES)
        length = min(record_length(head), size - self._offset)
        record = record_at(read_at(path, self._offset, length), 0)
        if record is not None:
            return record._replace(end=self._offset + length)
        data = read_at(path, 0, size)
        found = next_record(data, self._offset)
        damaged = data[self._offset : found]
        if damaged:
            why = "it is cut off" if found is None else "it is damaged"
            self._set_aside(path, damaged, why, found is not None)
        self._offset = size if found is None else found
        return None if found is None else record_at(data, found)

    def _with_more(self, first: Record, path: Path, size: int, bytes_max: int) -> Record:
        """A record and those behind it as one, up to what is no record."""
        records = [first]
        data = read_at(path, first.end, min(size - first.end, bytes_max))
        at = 0
        while (record := record_at(data, at)) is not None:
            records.append(record)
            at = record.end
        return joined(records, first.end + at)

    def _begin_file(self) -> None:
        if self._descriptor >= 0:
            self.sync()
            self._end_file()
        path = self.path / f"{self._next_number:010d}.spill"
        self._descriptor = create_file(path, FILE_MAGIC)
        self._next_number += 1
        self._has_new_file = True
        self._files.append((path, len(FILE_MAGIC)))

    def _end_file(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _abandon_file(self) -> None:
        """Append no more to a file of which the disk has made nobody knows what."""
        with contextlib.suppress(OSError):
            self._end_file()


_open_lanes: weakref.WeakSet[Lane] = weakref.WeakSet()


def _let_go_in_child() -> None:
    for lane in _open_lanes:
        lane.let_go()


os.register_at_fork(after_in_child=_let_go_in_child)


def _is_locked(descriptor: int, path: Path) -> bool:
    """Lock a lane, and see that it still is one; else close the descriptor."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), (path / _LOCK).stat()):
            return True
    except OSError:
        pass
    os.close(descriptor)
    return False
