"""A clock that goes on when it is told to."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, tzinfo=UTC)
_NS_PER_S = 1_000_000_000


class ManualClock:
    """A clock for tests: waits take no time, and are remembered.

    As the clock of a `RetryPolicy` it makes retries immediate: who sleeps sets the clock forward.
    As the source of timestamps it makes rows the same in each run of a test. Safe from many
    threads.

    Attributes:
        waits_s: How long each sleep was to last, in seconds.
    """

    def __init__(self, start: datetime = _START) -> None:
        """Set the clock to an aware `datetime`."""
        self._start = start
        self._passed_ns = 0
        self._lock = threading.Lock()
        self.waits_s: list[float] = []

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._passed_ns / _NS_PER_S

    def sleep(self, seconds: float) -> None:
        """Set the clock forward, and return at once."""
        with self._lock:
            self.waits_s.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Set the clock forward."""
        with self._lock:
            self._passed_ns += round(seconds * _NS_PER_S)

    def now(self) -> datetime:
        """The time, an aware `datetime` in UTC."""
        passed = timedelta(microseconds=self._passed_ns // 1_000)
        return self._start.astimezone(UTC) + passed

    def time_ns(self) -> int:
        """The time, in nanoseconds since 1970."""
        since_1970 = self._start - datetime(1970, 1, 1, tzinfo=UTC)
        return since_1970 // timedelta(microseconds=1) * 1_000 + self._passed_ns
