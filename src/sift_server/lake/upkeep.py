"""The thread that keeps the table in few files and its log short."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.lake.store import PointStore

COMPACT_INTERVAL_MS = 2_000
"""How often it is looked whether files are to be merged."""

TIDY_INTERVAL_S = 300
"""How often the log is summed up and old files are removed."""

ENFORCE_INTERVAL_S = 60
"""How often it is looked whether points are too old, or too many."""

RETRY_INTERVAL_MS = 60_000
"""How long the thread waits after something failed."""

_logger = logging.getLogger(__name__)


class Upkeep:
    """Merges small files, sums up the log and old files, and removes what is no longer needed.

    Nothing waits for it: what fails is logged and tried again.
    """

    def __init__(
        self,
        store: PointStore,
        enforce: Callable[[Callable[[], bool]], object] = lambda _: None,
    ) -> None:
        """Take the store, and what deletes points that are not to be kept.

        That is asked with what says whether to go on.
        """
        self._store = store
        self._enforce = enforce
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sift-upkeep", daemon=True)

    def start(self) -> None:
        """Begin to look after the table."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a merge that is under way is given up."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _goes_on(self) -> bool:
        return not self._stopping.is_set()

    def _run(self) -> None:
        tidied_s: float | None = None
        enforced_s: float | None = None
        wait_ms = COMPACT_INTERVAL_MS
        while not self._stopping.wait(wait_ms / 1_000):
            wait_ms = COMPACT_INTERVAL_MS
            try:
                while self._store.compact(self._goes_on):
                    pass
                if enforced_s is None or time.monotonic() - enforced_s >= ENFORCE_INTERVAL_S:
                    self._enforce(self._goes_on)
                    enforced_s = time.monotonic()
                if tidied_s is None or time.monotonic() - tidied_s >= TIDY_INTERVAL_S:
                    self._store.tidy()
                    while self._store.add_overview(lambda: not self._stopping.is_set()):
                        pass
                    tidied_s = time.monotonic()
            except Exception:
                _logger.exception("upkeep failed; trying again in %d ms", RETRY_INTERVAL_MS)
                wait_ms = RETRY_INTERVAL_MS
