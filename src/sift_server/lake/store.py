"""The door of the lake: publish, flush, view."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sift_server import faults
from sift_server.errors import DiskFullError, FailedPreconditionError, is_disk_full
from sift_server.lake.compaction import files_to_merge
from sift_server.lake.delta import (
    RETENTION_S_DEFAULT,
    DeltaLake,
    MergeAbandonedError,
    UnreadableFileError,
)
from sift_server.lake.file_reader import FileReader
from sift_server.lake.hot import HotColumns
from sift_server.lake.merging import UnsortedFileError
from sift_server.lake.overview_reading import read_overview
from sift_server.lake.points import VARIABLE_KINDS, kind_of
from sift_server.lake.removal import RemovalAbandonedError
from sift_server.lake.snapshot import StoreSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from sift_server.lake.block import PointBlock
    from sift_server.lake.files import DataFile
    from sift_server.lake.overview import Overview
    from sift_server.lake.removal import Doomed
    from sift_server.lake.view import ChannelView
    from sift_wire.columns import DataType

_logger = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class DoomedPoints:
    """Points that are removed, or would be.

    Attributes:
        points: How many they are, as often as they were written.
        bytes: What they take on disk, about: their part of the points of each file.
        files: Files that have some.
    """

    points: int
    bytes: int
    files: int


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
        self._rewriting = threading.Lock()
        """Of whoever puts files in the place of others."""
        self._frees_at_once = False
        """Whether files are still there that have points which were removed."""
        self._unreadable: set[Path] = set()

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
        with self._rewriting:
            return self._compact(go_on)

    def _compact(self, go_on: Callable[[], bool]) -> bool:
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
        with self._rewriting:
            self._lake.checkpoint()
            self._vacuum()

    def count(self, doomed: Doomed) -> DoomedPoints:
        """How many points of the table would be removed; hot ones do not count.

        Raises:
            OSError: A file can't be read.
        """
        snapshot = self.snapshot()
        return _counted(
            (file, doomed.count_in(file.path))
            for file in snapshot.files
            if doomed.may_be_in(file.extent)
        )

    def remove(self, doomed: Doomed, go_on: Callable[[], bool] = lambda: True) -> DoomedPoints:
        """Remove points from the table for good, in one commit, and from the disk.

        Hot points stay: flush before. Whoever reads meanwhile has all of the points or none of
        them. Files that a view still has go when nobody has them any more.

        Args:
            doomed: The points.
            go_on: Asked now and then whether to go on; if not, nothing was removed.

        Returns:
            What was removed.

        Raises:
            RemovalAbandonedError: `go_on` said no.
            FailedPreconditionError: A file can't be rewritten, because another program wrote it.
            OSError: A file can't be read or written. Whether the points are there is not known, if
                it was the commit.
        """
        with self._rewriting:
            counts = [
                (file, count)
                for file in self._lake.files
                if doomed.may_be_in(file.extent) and (count := doomed.count_in(file.path))
            ]
            if counts:
                self._remove([file for file, _ in counts], doomed, go_on)
            return _counted(counts)

    def _remove(self, old: Sequence[DataFile], doomed: Doomed, go_on: Callable[[], bool]) -> None:
        new: list[DataFile] = []
        try:
            for file in old:
                new += self._lake.rest(file, doomed, go_on)
        except BaseException as error:
            self._lake.abandon(new)
            if isinstance(error, MergeAbandonedError):
                raise RemovalAbandonedError from None
            if isinstance(error, UnsortedFileError):
                raise FailedPreconditionError(
                    f"{error}: another program wrote it. Nothing was removed"
                ) from None
            raise
        faults.reach("remove.written")
        with self._flush_lock:
            self._lake.remove(old, new)
            faults.reach("remove.committed")
            with self._changed:
                if self._flushing_hot is None:
                    self._files = self._lake.files
                self._frees_at_once = True
        self._vacuum()

    def _vacuum(self) -> None:
        """Remove files that nobody needs; after points were removed, at once."""
        at_once, self._frees_at_once = self._frees_at_once, False
        with self._changed:
            files = [self._files, *(each.files for each in self._in_use)]
        in_use = {file.path for each in files for file in each}
        try:
            removed = self._lake.vacuum(in_use, at_once=at_once)
            self._reader.forget(removed)
            self._lake.overviews.forget(removed)
            self._lake.overviews.sweep()
        except BaseException:
            self._frees_at_once = at_once
            raise
        named = {file.path for file in self._lake.files}
        self._frees_at_once |= at_once and not in_use <= named

    def add_overview(self, go_on: Callable[[], bool] = lambda: True) -> bool:
        """Sum up a file that has no bins beside it, if there is one.

        Returns:
            Whether there was one: then there may be more.

        Raises:
            OSError: The bins can't be written.
        """
        try:
            with self._rewriting:
                skipped = self._unsorted | self._unreadable
                return self._lake.add_overview(go_on, skipped) is not None
        except UnsortedFileError as error:
            self._unsorted.add(error.path)
        except UnreadableFileError as error:
            _logger.exception("%s has no overview until the server starts again", error.path)
            self._unreadable.add(error.path)
        except MergeAbandonedError:
            return False
        return True

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

    def overview(
        self,
        channel_id: str,
        data_type: DataType,
        start_ns: int,
        end_ns: int,
        run_id: str | None,
        buckets: int,
    ) -> Overview:
        """Sum up what there is of a channel of numbers, enums or bools in buckets of equal width.

        Every point counts once or more, which makes no difference; see `lake.overview`.

        Args:
            channel_id: Which channel.
            data_type: Its data type.
            start_ns: Earliest time.
            end_ns: Time that is no longer included.
            run_id: None for all points, an empty string for those without a run, else a run's id.
            buckets: How many buckets there are at the most. There are up to a sixteenth fewer.

        Raises:
            ValueError: The channel has strings or bytes, there is no time, or no bucket.
            OSError: A file can't be read.
        """
        if kind_of(data_type) in VARIABLE_KINDS:
            msg = f"{data_type.name} has no smallest and largest value"
            raise ValueError(msg)
        if end_ns <= start_ns or buckets < 1:
            msg = f"no buckets: {buckets} from {start_ns} ns to {end_ns} ns"
            raise ValueError(msg)
        view = self.view(channel_id, data_type)
        return read_overview(view, self._lake.overviews, run_id, start_ns, end_ns, buckets)

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


def _counted(counts: Iterable[tuple[DataFile, int]]) -> DoomedPoints:
    points = size = files = 0
    for file, count in counts:
        points += count
        size += file.size_bytes * count // max(file.extent.points, count, 1)
        files += count > 0
    return DoomedPoints(points, size, files)
