"""The door of the lake: publish, flush, view."""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sift_server import faults
from sift_server.errors import DiskFullError, is_disk_full
from sift_server.lake.compaction import files_to_merge
from sift_server.lake.delta import RETENTION_S_DEFAULT, DeltaLake, MergeAbandonedError
from sift_server.lake.file_reader import FileReader
from sift_server.lake.hot import HotColumns
from sift_server.lake.merging import UnsortedFileError
from sift_server.lake.snapshot import StoreSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sift_server.lake.block import PointBlock
    from sift_server.lake.view import ChannelView
    from sift_wire.columns import DataType


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How much the hot columns may hold, when they are flushed, and what stays of the table.

    Attributes:
        hot_bytes_max: Bytes of hot columns at which streams wait for a flush. A flush needs as much
            again for the points in their new order.
        flush_bytes: Bytes of hot columns at which they are flushed.
        flush_interval_ms: How long rows stay hot at the most before they are flushed.
        retention_s: How long files stay on disk after they were merged into others: whoever opened
            the table before still reads them.
    """

    hot_bytes_max: int = 128 * 1024 * 1024
    flush_bytes: int = 64 * 1024 * 1024
    flush_interval_ms: int = 10_000
    retention_s: int = RETENTION_S_DEFAULT

    def is_flush_due(self, hot_bytes: int, hot_age_ms: float) -> bool:
        """Whether hot columns of that size and age are to be flushed."""
        return hot_bytes >= self.flush_bytes or hot_age_ms >= self.flush_interval_ms


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How much there is.

    Attributes:
        table_points: Points of the table.
        table_bytes: Bytes of its files.
        table_files: Number of its files.
        hot_bytes: Bytes of the hot columns.
    """

    table_points: int
    table_bytes: int
    table_files: int
    hot_bytes: int


class PointStore:
    """Hot columns and table as one. Safe from many threads.

    A point is readable from the moment it is published, and at every moment in exactly one of hot
    columns and table.
    """

    def __init__(self, lake: DeltaLake, limits: StoreLimits) -> None:
        self._lake = lake
        self._limits = limits
        self._hot = HotColumns()
        self._flushing_hot: HotColumns | None = None
        self._hot_since_s: float | None = None
        self._changed = threading.Condition()
        self._flush_lock = threading.Lock()
        self._disk_full: BaseException | None = None
        """Why the last flush failed, if it was for that."""
        self._files = lake.files
        self._reader = FileReader()
        self._in_use: weakref.WeakSet[StoreSnapshot | ChannelView] = weakref.WeakSet()
        self._position = lake.committed_position
        self._unsorted: set[Path] = set()

    @classmethod
    def open(cls, path: Path, limits: StoreLimits | None = None) -> Self:
        """Open the table in a folder, made when missing."""
        limits = limits or StoreLimits()
        return cls(DeltaLake.open(path, limits.retention_s), limits)

    @property
    def committed_position(self) -> int:
        """Log position up to which everything is in the table."""
        return self._lake.committed_position

    @property
    def hot_bytes(self) -> int:
        """Bytes of the hot columns."""
        with self._changed:
            return self._hot_bytes()

    @property
    def is_full(self) -> bool:
        """Whether the hot columns are at their limit."""
        return self.hot_bytes >= self._limits.hot_bytes_max

    def publish(self, position: int, blocks: Sequence[PointBlock]) -> None:
        """Make rows readable; `position` is where the log has them, and grows."""
        with self._changed:
            if self._hot_since_s is None:
                self._hot_since_s = time.monotonic()
            self._hot.publish(position, blocks)
            self._position = position

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until the hot columns are below their limit; False when time ran out.

        Raises:
            DiskFullError: They are at their limit, and could not be flushed because the disk is
                full.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or self._disk_full, timeout_s)
            has_room = self._has_room()
            if not has_room and self._disk_full is not None:
                raise DiskFullError(
                    f"the disk of the table is full ({self._disk_full}), and so is the memory for"
                    " points that are not in the table yet. Free some space; the server goes on by"
                    " itself when there is room."
                )
            return has_room

    def is_flush_due(self) -> bool:
        """Whether the hot columns are large, or old, enough for a flush, or one failed."""
        with self._changed:
            if self._flushing_hot is not None:
                return True
            if self._hot_since_s is None:
                return False
            age_ms = (time.monotonic() - self._hot_since_s) * 1_000
            return self._limits.is_flush_due(self._hot.nbytes, age_ms)

    def flush(self, before_commit: Callable[[], None] | None = None) -> None:
        """Move what is hot into the table, in one commit.

        Args:
            before_commit: Called when it is decided what the commit covers, and before it is
                made: what else belongs to those positions can be made durable here.

        Raises:
            OSError: The table can't be written. Nothing is lost; the rows stay hot.
        """
        try:
            self._flush(before_commit)
        except BaseException as error:
            with self._changed:
                self._disk_full = error if is_disk_full(error) else None
                self._changed.notify_all()
            raise

    def _flush(self, before_commit: Callable[[], None] | None) -> None:
        with self._flush_lock:
            faults.reach("flush")
            with self._changed:
                if self._flushing_hot is None:
                    self._flushing_hot, self._hot = self._hot, HotColumns()
                    self._hot_since_s = None
                flushing = self._flushing_hot
            if flushing.position > self._lake.committed_position:
                if before_commit is not None:
                    before_commit()
                faults.reach("flush.decided")
                self._lake.commit(flushing.blocks(), flushing.position)
                faults.reach("flush.committed")
            with self._changed:
                self._files = self._lake.files
                self._flushing_hot = None
                self._disk_full = None
                self._changed.notify_all()

    def compact(self, go_on: Callable[[], bool] = lambda: True) -> bool:
        """Merge a few small files of the table, if there are enough; called by one thread.

        Flushes and readers go on meanwhile. Readers see the old files or the new ones, never both.

        Args:
            go_on: Asked now and then whether to go on; if not, nothing was done.

        Returns:
            Whether files were merged: then there may be more to merge.

        Raises:
            OSError: A file can't be read or written; nothing was done.
        """
        old = files_to_merge(file for file in self._lake.files if file.path not in self._unsorted)
        if not old:
            return False
        try:
            new = self._lake.merge(old, go_on)
            faults.reach("merge.written")
            # While a flush is under way, its points are in the hot columns for readers, and
            # perhaps in the table already.
            with self._flush_lock:
                self._lake.replace(old, new)
                faults.reach("merge.replaced")
                with self._changed:
                    if self._flushing_hot is None:
                        self._files = self._lake.files
        except UnsortedFileError as error:
            self._unsorted.add(error.path)
        except MergeAbandonedError:
            return False
        return True

    def tidy(self) -> None:
        """Sum up the table's log and remove files that nobody needs; called by one thread.

        Files that a view, or a snapshot, still has stay.

        Raises:
            OSError: A file can't be written or removed.
            deltalake.exceptions.DeltaError: The table can't be read.
        """
        self._lake.checkpoint()
        with self._changed:
            files = [self._files, *(each.files for each in self._in_use)]
        in_use = {file.path for each in files for file in each}
        self._reader.forget(self._lake.vacuum(in_use))

    def view(self, channel_id: str, data_type: DataType) -> ChannelView:
        """What there is of a channel now; what is published later is not in it."""
        snapshot = self.snapshot()
        view = snapshot.view(channel_id, data_type)
        with self._changed:
            self._in_use.add(view)
        return view

    def snapshot(self) -> StoreSnapshot:
        """All that there is now, of all channels; what is published later is not in it."""
        with self._changed:
            hot = [
                columns.snapshot()
                for columns in (self._flushing_hot, self._hot)
                if columns is not None
            ]
            snapshot = StoreSnapshot(self._position, self._files, hot, self._reader)
            self._in_use.add(snapshot)
        return snapshot

    def stats(self) -> StoreStats:
        """How much there is now."""
        with self._changed:
            files = self._files
            hot_bytes = self._hot_bytes()
        return StoreStats(
            sum(file.extent.points for file in files),
            sum(file.size_bytes for file in files),
            len(files),
            hot_bytes,
        )

    def close(self) -> None:
        """Let go of what is in memory; it is in the log, if it was not flushed."""
        with self._changed:
            self._hot = HotColumns()
            self._flushing_hot = None

    def _has_room(self) -> bool:
        return self._hot_bytes() < self._limits.hot_bytes_max

    def _hot_bytes(self) -> int:
        flushing = self._flushing_hot.nbytes if self._flushing_hot is not None else 0
        return self._hot.nbytes + flushing
