"""The thread that moves rows from the hot columns into the table."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sift_server.ingest.acknowledged import AcknowledgedKeys
    from sift_server.ingest.rejects import PendingRejects
    from sift_server.lake import PointStore
    from sift_server.log import IngestLog
    from sift_server.rules.live import LiveRules

POLL_INTERVAL_MS = 100
"""How often the flusher looks whether something is to be done."""

RETRY_INTERVAL_MS = 5_000
"""How long the flusher waits after a flush that failed."""

_logger = logging.getLogger(__name__)


class Flusher:
    """Persists rejected messages, flushes the hot columns, and lets the log forget, in that order.

    What the log forgets is therefore always in the error queue or in the table, the keys of batches
    in their file, and what rules have found among the annotations, or noted as still to be found. A
    flush that fails is tried again; meanwhile the hot columns fill, and then streams wait, or are
    refused if it is for want of space.
    """

    def __init__(
        self,
        log: IngestLog,
        store: PointStore,
        rejects: PendingRejects,
        keys: AcknowledgedKeys,
        rules: LiveRules | None = None,
    ) -> None:
        self._ingest_log = log
        self._store = store
        self._rejects = rejects
        self._keys = keys
        self._rules = rules
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sift-flusher", daemon=True)

    def start(self) -> None:
        """Begin to look after the hot columns."""
        self._thread.start()

    def stop(self) -> None:
        """Flush what is left and end the thread.

        Raises:
            OSError: The last flush failed. Nothing is lost: the log still has it.
        """
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.flush()
        self._keys.persist()

    def flush(self) -> None:
        """Move everything published so far into the table, and shorten the log."""
        self._store.flush(before_commit=self._persist)
        self._ingest_log.discard(self._store.committed_position)

    def _persist(self) -> None:
        self._rejects.persist()
        self._keys.persist()
        if self._rules is not None:
            self._rules.settle()

    def _run(self) -> None:
        wait_ms = POLL_INTERVAL_MS
        while not self._stopping.wait(wait_ms / 1_000):
            wait_ms = POLL_INTERVAL_MS
            try:
                self._rejects.persist()
                if self._store.is_flush_due():
                    self.flush()
            except Exception:
                _logger.exception("flushing failed; trying again in %d ms", RETRY_INTERVAL_MS)
                wait_ms = RETRY_INTERVAL_MS
