"""Which spans of time to read one after the other, so that each has about as many points.

How dense points are is not known before. The first span is everything. One that turns out too large
is broken off, and what came of it says how dense the points are; one that fits says how long the
next one may be. Behind a gap it is everything again: so a gap costs a question or two, however long
it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GROWTH_MAX = 4.0
"""How much longer, or shorter, a span is than the one before, at most."""


class Spans:
    """Spans of a range of time, without gaps. For one thread.

    Attributes:
        start_ns: Start of the span to read next.
        end_ns: Its end, excluded.
    """

    def __init__(self, start_ns: int, end_ns: int, points: int) -> None:
        """Begin with a range, and how many points a span is to have."""
        self._range_end_ns = end_ns
        self._points = points
        self.start_ns = start_ns
        self.end_ns = end_ns

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left."""
        return self.start_ns >= self._range_end_ns

    @property
    def points_max(self) -> int | None:
        """When to break off; None for a span that can't be made shorter."""
        return 2 * self._points if self.end_ns - self.start_ns > 1 else None

    def done(self, points: int) -> None:
        """Go on behind a span that was read."""
        width_ns = self.end_ns - self.start_ns
        self.start_ns = self.end_ns
        if points:
            factor = min(max(self._points / points, 1 / GROWTH_MAX), GROWTH_MAX)
            # Whole numbers: nanoseconds of today are more than a float can tell apart.
            self._take(max(1, width_ns * int(factor * 1_024) // 1_024))
        else:
            self.end_ns = self._range_end_ns

    def broken_off(self, times_ns: Sequence[NDArray[np.int64]], share: float) -> None:
        """Take a shorter span.

        Args:
            times_ns: Times of the points that came.
            share: Which part of the channels they are of, above 0 and at most 1.
        """
        came = np.concatenate(times_ns)
        place = min(int(self._points * share), len(came) - 1)
        likely_ns = int(np.partition(came, place)[place]) - self.start_ns
        half_ns = (self.end_ns - self.start_ns) // 2
        self._take(max(1, min(likely_ns, half_ns)))

    def _take(self, width_ns: int) -> None:
        self.end_ns = min(self.start_ns + width_ns, self._range_end_ns)
