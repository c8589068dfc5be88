"""How a server that runs in the foreground is asked to stop."""

from __future__ import annotations

import os
import signal


class StopSignals:
    """SIGINT and SIGTERM, from when this is made: none of them is lost. For the main thread.

    To block them and wait with `sigwait` is not enough. Libraries start threads when they are
    imported, which do not block them; while the main thread is not yet waiting, the system gives a
    signal to one of those, and the process ends as if nobody had asked for it.
    """

    def __init__(self) -> None:
        self._told, telling = os.pipe()
        os.set_blocking(telling, False)
        for number in (signal.SIGINT, signal.SIGTERM):
            # That there is a handler keeps the process alive; the byte in the pipe is what counts.
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(telling, warn_on_full_buffer=False)

    def wait(self) -> None:
        """Wait for the next one; return at once if it came before. From any thread."""
        os.read(self._told, 1)

    @staticmethod
    def ignore() -> None:
        """Ignore more of them: the process ends by itself, and its status is to say how it did."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
