"""A column and the times of its values, and how signals of different rates meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sift_server.expressions.places import NO_AGE, held_places
from sift_server.expressions.values import Column, blank, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

AGE_NS_MAX = 600 * 1_000_000_000
"""How old a last known value may be; behind that nothing is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """Values over time.

    Attributes:
        times_ns: int64, shape (points,), nanoseconds since 1970 in UTC; each larger than the one
            before.
        column: A value a point, perhaps missing.
    """

    times_ns: NDArray[np.int64]
    column: Column

    def __len__(self) -> int:
        return len(self.times_ns)

    def last(self) -> Signal:
        """The last point, or an empty signal."""
        places = np.arange(max(len(self) - 1, 0), len(self))
        return Signal(self.times_ns[places], self.column.take(places))


def behind(before: Signal | None, now: Signal) -> Signal:
    """Two signals as one; all of the second is later."""
    if before is None or not len(before):
        return now
    if not len(now):
        return before
    return Signal(
        np.concatenate([before.times_ns, now.times_ns]), joined(before.column, now.column)
    )


def meet(
    signals: Sequence[Signal], lasts: Sequence[Signal | None], is_ageless: Sequence[bool]
) -> tuple[NDArray[np.int64], list[Column]]:
    """Bring signals together: each has its last known value at every point of any of them.

    Args:
        signals: What there is of each now.
        lasts: The last point of each before that, or None.
        is_ageless: Of each, whether its last value is good however old it is; others are missing
            when they are older than `AGE_NS_MAX`.

    Returns:
        The times of all points, and a column of each signal.
    """
    first = signals[0].times_ns
    if all(signal.times_ns is first for signal in signals) or all(
        np.array_equal(signal.times_ns, first) for signal in signals[1:]
    ):
        return first, [signal.column for signal in signals]
    times_ns = _all_times(signals)
    columns = [
        _held(behind(last, signal), times_ns, ageless)
        for signal, last, ageless in zip(signals, lasts, is_ageless, strict=True)
    ]
    return times_ns, columns


def _all_times(signals: Sequence[Signal]) -> NDArray[np.int64]:
    times_ns = np.concatenate([signal.times_ns for signal in signals])
    times_ns.sort(kind="stable")  # which merges what is in order already
    is_new = np.ones(len(times_ns), np.bool_)
    np.not_equal(times_ns[1:], times_ns[:-1], out=is_new[1:])
    return times_ns[is_new]


def ages(before_ns: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.uint64]:
    """How long each of the first times is before that of the second, which is no earlier."""
    # A difference of times may need all 64 bits.
    return (times_ns - before_ns).view(np.uint64)


def _held(signal: Signal, times_ns: NDArray[np.int64], is_ageless: bool) -> Column:
    if not len(signal):
        return blank(signal.column, len(times_ns))
    places = np.empty(len(times_ns), np.int64)
    known = np.empty(len(times_ns), np.bool_)
    age_ns_max = NO_AGE if is_ageless else AGE_NS_MAX
    is_known = held_places(signal.times_ns, times_ns, age_ns_max, places, known)
    return signal.column.take(places).only(None if is_known else known)
