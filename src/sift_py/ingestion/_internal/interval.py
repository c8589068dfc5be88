"""Does something each time an interval has passed, in a thread of its own."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Interval:
    """Calls a method of another object when an interval has passed since the last `restart`.

    The thread is a daemon and holds the object weakly: when that is gone, or the process ends, the
    calls end. The method must not raise. Safe from many threads.

    Attributes:
        interval_s: Seconds between two calls.
    """

    def __init__(self, interval_s: float, method: Callable[[], None]) -> None:
        self.interval_s = interval_s
        self._method = weakref.WeakMethod(method)
        self._changed = threading.Condition()
        self._deadline_s = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to count, unless it does already."""
        with self._changed:
            if self._thread is None:
                self._deadline_s = time.monotonic() + self.interval_s
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def restart(self) -> None:
        """Count from now."""
        with self._changed:
            self._deadline_s = time.monotonic() + self.interval_s

    def stop(self) -> None:
        """End the calls, and wait for one that is being made. Not from within the method."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while self._wait():
            method = self._method()
            if method is None:
                return
            method()
            # Not held while waiting: the object could not go away.
            del method

    def _wait(self) -> bool:
        """Wait until the interval is over; False when stopped before."""
        with self._changed:
            while self._thread is threading.current_thread():
                remaining_s = self._deadline_s - time.monotonic()
                if remaining_s <= 0:
                    self._deadline_s = time.monotonic() + self.interval_s
                    return True
                self._changed.wait(remaining_s)
            return False
