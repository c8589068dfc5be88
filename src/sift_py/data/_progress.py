"""How much was read, on the last line of a terminal or under a notebook's cell."""

from __future__ import annotations

import sys
import time

_QUIET_S = 1.0
"""What is read faster shows nothing."""

_EVERY_S = 0.2


class ReadProgress:
    """Counts points; shows them on standard error if it is a terminal, or if that is asked for."""

    def __init__(self, *, wanted: bool | None) -> None:
        """Begin; `wanted` is None to show it on a terminal only."""
        self._shows = sys.stderr.isatty() if wanted is None else wanted
        self._begun_s = time.monotonic()
        self._due_s = self._begun_s + _QUIET_S
        self._points = 0
        self._is_shown = False

    def add(self, points: int) -> None:
        """Count some more."""
        self._points += points
        now_s = time.monotonic()
        if self._shows and now_s >= self._due_s:
            self._due_s = now_s + _EVERY_S
            self._show(now_s, "\r")

    def end(self) -> None:
        """Leave the last line as it is."""
        if self._is_shown:
            self._show(time.monotonic(), "\r")
            sys.stderr.write("\n")

    def _show(self, now_s: float, before: str) -> None:
        self._is_shown = True
        passed_s = now_s - self._begun_s
        rate = self._points / passed_s
        text = f"{before}read {self._points:,} points, {rate:,.0f} a second, {passed_s:.0f} s "
        sys.stderr.write(text)
        sys.stderr.flush()
