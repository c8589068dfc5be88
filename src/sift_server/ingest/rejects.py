"""Messages that did not fit their flow, on their way into the error queue."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from sift_server.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sift_server.catalog import RejectedEntry

REJECTS_PENDING_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of rejected messages that wait for the catalog before streams have to wait as well. Each
stream that did not wait before may add what is decoded at a time."""

_logger = logging.getLogger(__name__)


class PendingRejects:
    """Rejected messages that are in the log but not yet in the catalog's error queue.

    The log's thread adds, the flusher persists. Writing twice changes nothing: the queue knows an
    entry by its position in the log. What is on its way to the log counts as well, from the moment
    that it is known: the disk may take a while.
    """

    def __init__(self, persist: Callable[[Sequence[RejectedEntry]], None]) -> None:
        """Take `persist`, which writes entries to the error queue durably."""
        self._persist = persist
        self._entries: list[RejectedEntry] = []
        self._entries_bytes = 0
        self._reserved_bytes = 0
        """What is on its way to the log."""
        self._disk_full: DiskFullError | None = None
        self._persisting = threading.Lock()
        self._changed = threading.Condition()

    @property
    def is_full(self) -> bool:
        """Whether so much waits that streams have to wait as well."""
        return self._entries_bytes + self._reserved_bytes >= REJECTS_PENDING_BYTES_MAX

    def reserve(self, size_bytes: int) -> None:
        """Count entries that are on their way to the log, without waiting."""
        with self._changed:
            self._reserved_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Count them no longer: they were added, or failed to get into the log."""
        with self._changed:
            self._reserved_bytes -= size_bytes
            self._changed.notify_all()

    def add(self, entries: Sequence[RejectedEntry]) -> None:
        """Add entries, without waiting."""
        with self._changed:
            self._entries.extend(entries)
            self._entries_bytes += sum(entry.size_bytes for entry in entries)

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until less than `REJECTS_PENDING_BYTES_MAX` wait; False when time ran out.

        Raises:
            DiskFullError: So much waits, and could not be written because the disk is full.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self.is_full or self._disk_full, timeout_s)
            if self.is_full and self._disk_full is not None:
                raise self._disk_full
            return not self.is_full

    def persist(self) -> None:
        """Write everything that was added before this call to the error queue."""
        with self._persisting:
            with self._changed:
                entries, size_bytes = self._entries[:], self._entries_bytes
            if not entries:
                return
            try:
                self._persist(entries)
            except DiskFullError as error:
                with self._changed:
                    self._disk_full = error
                    self._changed.notify_all()
                raise
            _logger.warning(
                "%d messages that do not fit were put into the error queue; the first: %s",
                len(entries),
                entries[0].reason,
            )
            with self._changed:
                del self._entries[: len(entries)]
                self._entries_bytes -= size_bytes
                self._disk_full = None
                self._changed.notify_all()
