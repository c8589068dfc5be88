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
"""Bytes of rejected messages that wait for the catalog before streams have to wait as well."""

_logger = logging.getLogger(__name__)


class PendingRejects:
    """Rejected messages that are in the log but not yet in the catalog's error queue.

    The log's thread adds, the flusher persists. Writing twice changes nothing: the queue knows an
    entry by its position in the log.
    """

    def __init__(self, persist: Callable[[Sequence[RejectedEntry]], None]) -> None:
        """Take `persist`, which writes entries to the error queue durably."""
        self._persist = persist
        self._entries: list[RejectedEntry] = []
        self._bytes = 0
        self._disk_full: DiskFullError | None = None
        self._persisting = threading.Lock()
        self._changed = threading.Condition()

    @property
    def is_full(self) -> bool:
        """Whether so much waits that streams have to wait as well."""
        return self._bytes >= REJECTS_PENDING_BYTES_MAX

    def add(self, entries: Sequence[RejectedEntry]) -> None:
        """Add entries, without waiting."""
        with self._changed:
            self._entries.extend(entries)
            self._bytes += sum(entry.size_bytes for entry in entries)

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
                entries = self._entries[:]
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
                self._bytes -= sum(entry.size_bytes for entry in entries)
                self._disk_full = None
                self._changed.notify_all()
