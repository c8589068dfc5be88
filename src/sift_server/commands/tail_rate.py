"""How many points of a channel are shown, if they come faster than one can read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Allowance:
    lines: float
    at_s: float


class LineRate:
    """So many lines a second of each channel, of which a second's may come at once."""

    def __init__(self, lines_per_s_max: int) -> None:
        """Take the rate; 0 is all."""
        self._per_s = lines_per_s_max
        self._allowances: dict[str, _Allowance] = {}
        self._left_out = 0

    def allow(self, channel: str, points: int, now_s: float) -> int:
        """How many of the points of a channel that came may be shown; the others are counted."""
        if not self._per_s:
            return points
        known = self._allowances.setdefault(channel, _Allowance(self._per_s, now_s))
        grown = known.lines + (now_s - known.at_s) * self._per_s
        known.at_s = now_s
        shown = min(points, int(min(grown, self._per_s)))
        known.lines = min(grown, self._per_s) - shown
        self._left_out += points - shown
        return shown

    def take_left_out(self) -> int:
        """How many points were left out since this was asked last."""
        left_out, self._left_out = self._left_out, 0
        return left_out
