"""The clock that waits go by; tests pass one of their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells how time passes, and waits. Safe from many threads."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return when so many seconds have passed."""
        ...


class _SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


SYSTEM_CLOCK: Clock = _SystemClock()
