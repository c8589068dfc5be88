"""The ingest log in a folder of segment files."""

from __future__ import annotations

import errno
import logging
import os
import threading
import zlib
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from sift_server import faults
from sift_server.errors import is_disk_full
from sift_server.log.base import (
    LogCorruptionError,
    LogFailedError,
    LogFullError,
    LogLimits,
    LogRecord,
)
from sift_server.log.mapped import mapped
from sift_server.log.segment import (
    HEADER_BYTES,
    may_be_durable_beyond,
    next_record_offset,
    read_closed,
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

CLOSED_NAME = "closed"
"""File beside the segments with the position at which the log was closed in order."""

_REMEDY = "Restore the folder from a backup, or let 'sift doctor --repair' keep what is whole."

_COPY_BYTES = 1024 * 1024
_WRITEV_BUFFERS_MAX = 900
"""Buffers given to one `writev`; Linux takes 1024."""

_logger = logging.getLogger(__name__)


class Disk:
    """The calls that make bytes durable; tests pass one that fails."""

    def write(self, descriptor: int, buffers: Sequence[bytes | memoryview], offset: int) -> None:
        """Write all buffers at an offset; what the system leaves over is written again.

        Raises:
            OSError: A part may have been written.
        """
        pending = [memoryview(buffer) for buffer in buffers if len(buffer)]
        while pending:
            some = faults.reach_write("log.write", pending[:_WRITEV_BUFFERS_MAX])
            written = os.pwritev(descriptor, some, offset)
            if not written:
                raise OSError(errno.EIO, "the disk takes no bytes")
            offset += written
            while written:
                if written < len(pending[0]):
                    pending[0] = pending[0][written:]
                    break
                written -= len(pending.pop(0))

    def sync(self, descriptor: int) -> None:
        """Make a file's bytes durable."""
        faults.reach("log.sync")
        os.fdatasync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Make a folder's entries durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, folder: Path) -> int:
        """How much can still be written."""
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize


class _SyncError(OSError):
    """An fsync failed: what the disk has of a file is not known any more."""


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
    goes on, for space may come back. When an fsync fails, of a segment or of the folder, the log
    fails for good: the system may have dropped the bytes and would report success the next time.
    An `on_durable` that raises
    means that the rooms behind no longer agree with the log; it fails for good as well, and a
    restart replays.
    """

    def __init__(self, folder: Path, limits: LogLimits, disk: Disk) -> None:
        self._folder = folder
        self._limits = limits
        self._disk = disk
        self._segments: list[_Segment] = []
        self.is_new = False
        """Whether there was no segment when the log was opened."""
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
        covered_position: int = 0,
    ) -> Self:
        """Open the log in a folder, made when missing, and cut off what was never acknowledged.

        Args:
            folder: Folder of the segments.
            limits: How much the log may hold at a time.
            disk: The calls that make bytes durable.
            covered_position: Position up to which nobody needs the log: segments that end there or
                before are removed, damaged or not, and a log without any segment begins there.

        Raises:
            LogCorruptionError: A segment is damaged where it may have been acknowledged.
            OSError: A file can't be read or written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        log = cls(folder, limits or LogLimits(), disk or Disk())
        log._recover(covered_position)
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
                f" for what is behind {after_position}: a segment file is missing. {_REMEDY}"
            )
        if after_position > through:
            raise LogCorruptionError(
                f"the log in {self._folder} ends at position {through}, but the table already has"
                f" what is behind it, up to {after_position}: the end of the log is missing."
                f" {_REMEDY}"
            )
        for index, segment in enumerate(segments):
            end = segments[index + 1].base if index + 1 < len(segments) else through
            if end <= after_position or segment.base == end:
                continue
            with mapped(segment.path) as data:
                offset = HEADER_BYTES
                position = segment.base
                while position < end:
                    record = record_at(data, offset, segment.base)
                    if record is None:
                        raise _damaged(segment.path, data, offset, segment.base)
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
        self._remove([segment.path for segment in gone])

    def _remove(self, paths: Sequence[Path]) -> None:
        for path in paths:
            faults.reach("log.discard")
            path.unlink()
        if paths:
            self._disk.sync_folder(self._folder)
            faults.reach("log.discarded")

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

    def _recover(self, covered_position: int) -> None:
        paths = sorted(self._folder.glob("*.log"))
        closed = self._closed_position()
        covered = [
            path
            for path, following in pairwise(paths)
            if following.name <= segment_name(covered_position)
        ]
        proven = 0
        for path in paths[len(covered) :]:
            proven = max(proven, self._recover_segment(path, path == paths[-1], closed))
        if self._durable < closed:
            raise LogCorruptionError(
                f"the log in {self._folder} was closed at position {closed} but ends at"
                f" {self._durable}: its end is missing. {_REMEDY}"
            )
        # From here on the note says too little; a crash must not be taken for an orderly end.
        (self._folder / CLOSED_NAME).unlink(missing_ok=True)
        if self._segments:
            last = self._segments[-1]
            self._descriptor = os.open(last.path, os.O_RDWR)
            self._segment_bytes = HEADER_BYTES + self._durable - last.base
            os.ftruncate(self._descriptor, self._segment_bytes)
            self._write_again(HEADER_BYTES + proven - last.base if proven > last.base else 0)
            self._disk.sync(self._descriptor)
            self._disk.sync_folder(self._folder)
        else:
            self.is_new = True
            self._durable = max(self._durable, covered_position)
            self._begin_segment()
        self._remove(covered)

    def _write_again(self, offset: int) -> None:
        """Write the last segment's bytes from an offset on again, in their place.

        No later record proves that they were synced. If the process before this one ended because
        an fsync failed, they may be in the system's memory only, and taken for synced by it: to
        sync them once more would do nothing.
        """
        end = self._segment_bytes
        while offset < end:
            data = os.pread(self._descriptor, min(end - offset, _COPY_BYTES), offset)
            if not data:
                raise OSError(errno.EIO, f"{self._segments[-1].path} got shorter while it was read")
            self._disk.write(self._descriptor, [data], offset)
            offset += len(data)

    def _recover_segment(self, path: Path, is_last: bool, closed: int) -> int:
        """Read a segment; returns the position up to which its records say that all was durable."""
        proven = 0
        with mapped(path) as data:
            base = read_header(data)
            if base is None:
                # A crash between creating the newest segment and its first fsync.
                if is_last and len(data) <= HEADER_BYTES and self._durable >= closed:
                    _logger.warning("removed %s, which a crash left without its first bytes", path)
                    path.unlink()
                    return proven
                raise _damaged(path, data, 0, 0)
            if segment_name(base) != path.name or (self._segments and base != self._durable):
                raise LogCorruptionError(
                    f"{path} begins at position {base}, but the segment before it ends at"
                    f" {self._durable}: a segment is missing or was renamed. {_REMEDY}"
                )
            offset = HEADER_BYTES
            position = base
            while (record := record_at(data, offset, base)) is not None:
                position = record.position
                proven = record.durable
                offset = HEADER_BYTES + position - base
            torn_bytes = len(data) - offset
            if torn_bytes and (
                not is_last
                or position < closed
                or may_be_durable_beyond(data, offset, base, position)
            ):
                raise _damaged(path, data, offset, base)
        if torn_bytes:
            _logger.warning(
                "cut %d bytes off %s, from byte %d on: a crash left them unfinished, and nobody was"
                " told that they are durable",
                torn_bytes,
                path,
                offset,
            )
        self._segments.append(_Segment(base, path))
        self._durable = position
        return proven

    def _closed_position(self) -> int:
        try:
            return read_closed((self._folder / CLOSED_NAME).read_bytes())
        except FileNotFoundError:
            return 0

    def _note_closed(self) -> None:
        path = self._folder / CLOSED_NAME
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
            if self._failure is not None:
                error = LogFailedError(self._failure)
            with self._changed:
                self._waiting_bytes -= sum(len(entry.payload) for entry in group)
                self._changed.notify_all()
            for entry in group:
                if error is None or (entry.position and entry.position <= self._durable):
                    entry.future.set_result(entry.position)
                else:
                    entry.future.set_exception(error)

    def _write_group(self, group: list[_Append]) -> LogFailedError | None:
        """Write, sync and publish a group; returns why it failed if the log itself goes on."""
        try:
            self._check_room(sum(record_bytes(len(entry.payload)) for entry in group))
            if self._segment_bytes >= self._limits.segment_bytes_max:
                self._begin_segment()
            buffers: list[bytes | memoryview] = []
            end = self._durable
            for entry in group:
                end += record_bytes(len(entry.payload))
                before, behind = record_frame(len(entry.payload), entry.crc, end, self._durable)
                buffers += (before, entry.payload, behind)
            self._disk.write(self._descriptor, buffers, self._segment_bytes)
            self._sync()
        except _SyncError as error:
            self._failure = (
                f"the disk of {self._folder} could not make data durable ({error}). Check the"
                " disk, then restart the server; what was acknowledged is safe."
            )
            return None
        except OSError as error:
            return self._undo(error)
        faults.reach("log.synced")
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

    def _check_room(self, count: int) -> None:
        free = self._disk.free_bytes(self._folder)
        if free - count < self._limits.free_bytes_min:
            raise OSError(
                errno.ENOSPC,
                f"{free} bytes are free, and {self._limits.free_bytes_min} of them are kept for"
                " what shortens the log",
            )

    def _sync(self) -> None:
        try:
            self._disk.sync(self._descriptor)
        except OSError as error:
            raise _SyncError(error) from None

    def _undo(self, error: OSError) -> LogFailedError | None:
        try:
            os.ftruncate(self._descriptor, self._segment_bytes)
        except OSError as second:
            self._failure = (
                f"writing to the log in {self._folder} failed ({error}) and could not be undone"
                f" ({second}). Check the disk, then restart the server."
            )
            return None
        if is_disk_full(error):
            return LogFullError(
                f"the disk of {self._folder} is full ({error}). Free some space; nothing was taken,"
                " and the server goes on by itself when there is room."
            )
        return LogFailedError(
            f"writing to the log in {self._folder} failed: {error}. Nothing was taken."
        )

    def _begin_segment(self) -> None:
        faults.reach("log.rotate")
        path = self._folder / segment_name(self._durable)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            self._disk.write(descriptor, [segment_header(self._durable)], 0)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        faults.reach("log.rotate.written")
        try:
            self._disk.sync(descriptor)
            self._disk.sync_folder(self._folder)
        except OSError as error:
            os.close(descriptor)
            raise _SyncError(error) from None
        faults.reach("log.rotate.synced")
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._segment_bytes = HEADER_BYTES
        with self._segments_lock:
            self._segments.append(_Segment(self._durable, path))


def _damaged(path: Path, data: memoryview, offset: int, base: int) -> LogCorruptionError:
    """What is raised for damage; a copy of the damaged bytes is put beside the segment."""
    end = next_record_offset(data, offset, base) if offset else min(HEADER_BYTES, len(data))
    aside = path.with_name(f"{path.name}.damaged-{offset}")
    try:
        aside.write_bytes(data[offset:end])
        copied = (
            f"Its {end - offset} bytes up to the next record that is whole are also in {aside}."
        )
    except OSError as error:
        copied = f"Its bytes could not be set aside ({error})."
    return LogCorruptionError(
        f"{path} is damaged at byte {offset}, in data that may have been acknowledged. {copied}"
        f" The segment is as it was found. {_REMEDY}"
    )
