"""Few points of many that come bit by bit: no more than can be seen, and no peak is lost.

Up to `points_max` points are kept as they are. More go into bins of `2**k` ns, which begin at
multiples of that: of each, the smallest and largest value are kept. When there are more bins than
half of `points_max`, `k` grows until there are not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Times = NDArray[np.int64]


class Reduction:
    """Takes points in the order of time. For one thread.

    Args:
        points_max: How many points it gives at most, at least 4.
        is_state: Whether values hold until the next one: what repeats the one before is dropped.
    """

    def __init__(self, points_max: int, *, is_state: bool = False) -> None:
        self._points_max = points_max
        self._is_state = is_state
        self._bits = 0
        """Bins are `2**bits` ns wide; 0 if points are kept as they are."""
        self._times: Times = np.empty(0, np.int64)
        """Of points, or starts of bins."""
        self._low: Numbers = np.empty(0, np.float64)
        self._high: Numbers = np.empty(0, np.float64)
        self._end: tuple[int, float] | None = None
        """The last point that was dropped, as states hold up to it."""

    def add(self, times_ns: Times, values: NDArray[np.generic]) -> None:
        """Take more points, of later times than all before or the same as the last one."""
        if not len(times_ns):
            return
        numbers: Numbers = values.astype(np.float64)
        if self._is_state:
            self._end = int(times_ns[-1]), float(numbers[-1])
            changes = np.ones(len(numbers), np.bool_)
            changes[1:] = numbers[1:] != numbers[:-1]
            if len(self._high) and not self._bits:
                changes[0] = numbers[0] != self._high[-1]
            times_ns, numbers = times_ns[changes], numbers[changes]
        self._times = np.concatenate([self._times, times_ns])
        self._low = np.concatenate([self._low, numbers])
        self._high = np.concatenate([self._high, numbers])
        room = self._points_max // 2 if self._bits else self._points_max
        if len(self._times) > room:
            self._shrink()

    def points(self) -> tuple[Times, Numbers]:
        """Times and values to draw a line through; of a bin its smallest and largest value."""
        if self._bits:
            times = np.repeat(self._times + (1 << self._bits >> 1), 2)
            values = np.column_stack([self._low, self._high]).ravel()
        else:
            times, values = self._times, self._high
        if self._end is not None and len(times) and self._end[0] > times[-1]:
            times = np.append(times, self._end[0])
            values = np.append(values, self._end[1])
        return times, values

    def _shrink(self) -> None:
        bins_max = self._points_max // 2
        if not self._bits:
            span = int(self._times[-1]) - int(self._times[0])
            self._bits = max(1, (span // bins_max).bit_length() - 1)
        while True:
            bins = self._times >> self._bits
            firsts = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
            if len(firsts) <= bins_max:
                break
            self._bits += 1
        # NaN is no extreme, unless there is nothing else.
        self._low = np.fmin.reduceat(self._low, firsts)
        self._high = np.fmax.reduceat(self._high, firsts)
        self._times = bins[firsts] << self._bits
