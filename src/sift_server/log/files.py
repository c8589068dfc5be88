"""The ingest log in a folder of segment files."""

from __future__ import annotations

import errno
import mmap
import os
import threading
import zlib
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from sift_server.log.base import LogCorruptionError, LogFailedError, LogLimits, LogRecord
from sift_server.log.segment import (
    HEADER_BYTES,
    durable_behind,
    read_header,
    record_at,
    record_bytes,
    record_frame,
    segment_header,
    segment_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_CLOSED_NAME = "closed"
_WRITEV_BUFFERS_MAX = 900
"""Buffers given to one `writev`; Linux takes 1024."""


class Disk:
    """The calls that make bytes durable; tests pass one that fails."""

    def write(self, descriptor: int, buffers: Sequence[bytes | memoryview], offset: int) -> None:
        """Write all buffers at an offset."""
        pending = [memoryview(buffer) for buffer in buffers if len(buffer)]
        while pending:
            written = os.pwritev(descriptor, pending[:_WRITEV_BUFFERS_MAX], offset)
            offset += written
            while written:
                if written < len(pending[0]):
                    pending[0] = pending[0][written:]
                    break
                written -= len(pending.pop(0))

    def sync(self, descriptor: int) -> None:
        """Make a file's bytes durable."""
        os.fdatasync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Make a folder's entries durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(slots=True)
class _Append:
    payload: bytes | memoryview
    crc: int
    on_durable: Callable[[int], None]
    future: Future[int] = field(default_factory=Future)
    position: int = 0


@dataclass(frozen=True, slots=True)
class _Segment:
    base: int
    path: Path


class FileLog:
    """Segments in a folder, one writer thread, one fsync for all that waits.

    Records that arrive while the disk is busy share the next write and fsync. After the fsync the
    writer thread calls each record's `on_durable`, in order, and then completes its future.

    When the disk is full, the write is undone and the appends that were in it fail; the log itself
    goes on, for space may come back. When an fsync fails, the log fails for good: the system may
    have dropped the bytes and would report success the next time. An `on_durable` that raises
    means that the rooms behind no longer agree with the log; it fails for good as well, and a
    restart replays.
    """

    def __init__(self, folder: Path, limits: LogLimits, disk: Disk) -> None:
        self._folder = folder
        self._limits = limits
        self._disk = disk
        self._segments: list[_Segment] = []
        self._descriptor = -1
        self._segment_bytes = 0
        self._durable = 0
        self._failure: str | None = None
        self._closing = False
        self._waiting: deque[_Append] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._segments_lock = threading.Lock()
        self._writer = threading.Thread(target=self._run, name="sift-log", daemon=True)

    @classmethod
    def open(
        cls,
        folder: Path,
        limits: LogLimits | None = None,
        disk: Disk | None = None,
        empty_position: int = 0,
    ) -> Self:
        """Open the log in a folder, made when missing, and cut off what was never acknowledged.

        Args:
            folder: Folder of the segments.
            limits: How much the log may hold at a time.
            disk: The calls that make bytes durable.
            empty_position: Where a log without any segment begins.

        Raises:
            LogCorruptionError: A segment is damaged where it may have been acknowledged.
            OSError: A file can't be read or written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        log = cls(folder, limits or LogLimits(), disk or Disk())
        log._recover(empty_position)
        log._writer.start()
        return log

    @property
    def durable_position(self) -> int:
        """Position of the last durable record; 0 before the first."""
        return self._durable

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments on disk."""
        with self._segments_lock:
            return sum(segment.path.stat().st_size for segment in self._segments)

    def append(self, payload: bytes | memoryview, on_durable: Callable[[int], None]) -> Future[int]:
        """Append a record; see `IngestLog.append`."""
        if not 0 < len(payload) <= self._limits.record_bytes_max:
            raise ValueError(
                f"a log record has 1 to {self._limits.record_bytes_max} bytes, not {len(payload)}"
            )
        entry = _Append(payload, zlib.crc32(payload), on_durable)
        with self._changed:
            self._changed.wait_for(
                lambda: self.has_room(len(payload)) or self._failure or self._closing
            )
            if self._failure or self._closing:
                raise LogFailedError(self._failure or "the ingest log is closed")
            self._waiting.append(entry)
            self._waiting_bytes += len(payload)
            self._changed.notify_all()
        return entry.future

    def has_room(self, payload_bytes: int) -> bool:
        """Whether an append of that size would not have to wait; see `IngestLog.has_room`."""
        waiting = self._waiting_bytes
        return not waiting or waiting + payload_bytes <= self._limits.pending_bytes_max

    def replay(self, after_position: int) -> Iterator[LogRecord]:
        """Give back every durable record behind a position; see `IngestLog.replay`."""
        with self._segments_lock:
            segments = list(self._segments)
        through = self._durable
        if after_position < segments[0].base:
            raise LogCorruptionError(
                f"the log in {self._folder} begins at position {segments[0].base}, but it is asked"
                f" for what is behind {after_position}: a segment file is missing. Restore the"
                " folder from a backup."
            )
        if after_position > through:
            raise LogCorruptionError(
                f"the log in {self._folder} ends at position {through}, but the table already has"
                f" what is behind it, up to {after_position}: the end of the log is missing."
                " Restore the folder from a backup."
            )
        for index, segment in enumerate(segments):
            end = segments[index + 1].base if index + 1 < len(segments) else through
            if end <= after_position or segment.base == end:
                continue
            with _mapped(segment.path) as data:
                offset = HEADER_BYTES
                position = segment.base
                while position < end:
                    record = record_at(data, offset, segment.base)
                    if record is None:
                        raise _damaged(segment.path, offset)
                    position = record.position
                    offset = HEADER_BYTES + position - segment.base
                    if position > after_position:
                        yield LogRecord(position, bytes(data[record.start : record.end]))

    def discard(self, through_position: int) -> None:
        """Delete segments that end at or before a position; the newest one always stays."""
        with self._segments_lock:
            keep = 0
            while (
                keep + 1 < len(self._segments) and self._segments[keep + 1].base <= through_position
            ):
                keep += 1
            gone, self._segments = self._segments[:keep], self._segments[keep:]
        for segment in gone:
            segment.path.unlink()
        if gone:
            self._disk.sync_folder(self._folder)

    def close(self) -> None:
        """Write what waits, note that everything is durable, and close."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._writer.is_alive():
            self._writer.join()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            if self._failure is None:
                self._note_closed()

    # Recovery

    def _recover(self, empty_position: int) -> None:
        paths = sorted(self._folder.glob("*.log"))
        closed = self._closed_position()
        for index, path in enumerate(paths):
            self._recover_segment(path, is_last=index + 1 == len(paths), closed=closed)
        if self._durable < closed:
            raise LogCorruptionError(
                f"the log in {self._folder} was closed at position {closed} but ends at"
                f" {self._durable}: its end is missing. Restore the folder from a backup."
            )
        # From here on the note says too little; a crash must not be taken for an orderly end.
        (self._folder / _CLOSED_NAME).unlink(missing_ok=True)
        if self._segments:
            last = self._segments[-1]
            self._descriptor = os.open(last.path, os.O_RDWR)
            self._segment_bytes = HEADER_BYTES + self._durable - last.base
            os.ftruncate(self._descriptor, self._segment_bytes)
            os.fsync(self._descriptor)
            self._disk.sync_folder(self._folder)
        else:
            self._durable = max(self._durable, empty_position)
            self._begin_segment()

    def _recover_segment(self, path: Path, *, is_last: bool, closed: int) -> None:
        with _mapped(path) as data:
            base = read_header(data)
            if base is None:
                # A crash between creating the newest segment and its first fsync.
                if is_last and len(data) <= HEADER_BYTES and self._durable >= closed:
                    path.unlink()
                    return
                raise _damaged(path, 0)
            if segment_name(base) != path.name or (self._segments and base != self._durable):
                raise LogCorruptionError(
                    f"{path} begins at position {base}, but the segment before it ends at"
                    f" {self._durable}: a segment is missing or was renamed. Restore the folder"
                    " from a backup."
                )
            offset = HEADER_BYTES
            position = base
            while (record := record_at(data, offset, base)) is not None:
                position = record.position
                offset = HEADER_BYTES + position - base
            if offset < len(data) and (
                not is_last or position < closed or position < durable_behind(data, offset, base)
            ):
                raise _damaged(path, offset)
        self._segments.append(_Segment(base, path))
        self._durable = position

    def _closed_position(self) -> int:
        try:
            text = (self._folder / _CLOSED_NAME).read_text(encoding="ascii")
        except FileNotFoundError:
            return 0
        # The note is written in one piece but not checked by anything: an unreadable one says
        # nothing, which is what a crash says as well.
        return int(text) if text.strip().isdecimal() else 0

    def _note_closed(self) -> None:
        path = self._folder / _CLOSED_NAME
        path.write_text(f"{self._durable}\n", encoding="ascii")
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._disk.sync_folder(self._folder)

    # Writing, on the writer thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                group = list(self._waiting)
                self._waiting.clear()
            if not group:
                return
            error = self._write_group(group) if self._failure is None else None
            failure = self._failure or error
            with self._changed:
                self._waiting_bytes -= sum(len(entry.payload) for entry in group)
                self._changed.notify_all()
            for entry in group:
                if failure is None or (entry.position and entry.position <= self._durable):
                    entry.future.set_result(entry.position)
                else:
                    entry.future.set_exception(LogFailedError(failure))

    def _write_group(self, group: list[_Append]) -> str | None:
        """Write, sync and publish a group; returns why it failed if the log itself goes on."""
        try:
            if self._segment_bytes >= self._limits.segment_bytes_max:
                self._begin_segment()
            buffers: list[bytes | memoryview] = []
            end = self._durable
            for entry in group:
                end += record_bytes(len(entry.payload))
                before, behind = record_frame(len(entry.payload), entry.crc, end, self._durable)
                buffers += (before, entry.payload, behind)
            self._disk.write(self._descriptor, buffers, self._segment_bytes)
        except OSError as error:
            return self._undo(error)
        try:
            self._disk.sync(self._descriptor)
        except OSError as error:
            self._failure = (
                f"the disk of {self._folder} could not make data durable ({error}). Check the"
                " disk, then restart the server; what was acknowledged is safe."
            )
            return None
        self._segment_bytes += end - self._durable
        position = self._durable
        self._durable = end
        for entry in group:
            position += record_bytes(len(entry.payload))
            try:
                entry.on_durable(position)
            except Exception as error:  # noqa: BLE001 (whatever it is, later ones must not overtake)
                self._failure = (
                    f"data in the log could not be published ({error!r}). Restart the server: it"
                    " replays the log."
                )
                return None
            entry.position = position
        return None

    def _undo(self, error: OSError) -> str | None:
        try:
            os.ftruncate(self._descriptor, self._segment_bytes)
        except OSError as second:
            self._failure = (
                f"writing to the log in {self._folder} failed ({error}) and could not be undone"
                f" ({second}). Check the disk, then restart the server."
            )
            return None
        hint = " Free some space." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"writing to the log in {self._folder} failed: {error}.{hint} Nothing was taken."

    def _begin_segment(self) -> None:
        path = self._folder / segment_name(self._durable)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            self._disk.write(descriptor, [segment_header(self._durable)], 0)
            self._disk.sync(descriptor)
            self._disk.sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._segment_bytes = HEADER_BYTES
        with self._segments_lock:
            self._segments.append(_Segment(self._durable, path))


class _mapped:  # noqa: N801 (used like a function)
    """A file's bytes, mapped into memory while the with-block lasts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._view = memoryview(b"")

    def __enter__(self) -> memoryview:
        with self._path.open("rb") as file:
            if os.fstat(file.fileno()).st_size:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self._view = memoryview(self._map)
        return self._view

    def __exit__(self, *_: object) -> None:
        self._view.release()
        if self._map is not None:
            self._map.close()


def _damaged(path: Path, offset: int) -> LogCorruptionError:
    return LogCorruptionError(
        f"{path} is damaged at byte {offset}, in data that may have been acknowledged. Restore the"
        " file from a backup, or move the whole log folder away to start without what it holds"
        " that is not in the table yet."
    )
