"""Numbers as nanoseconds, for whole arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ns_of_numbers", "plus"]

INT_64_MAX = 2**63 - 1


def ns_of_numbers(
    numbers: NDArray[Any], unit_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Nanoseconds of numbers of a unit, and which of them are no times.

    Integers are exact. Of floating point the exact value is rounded to the nearest nanosecond: its
    fraction is taken off first, so that the product rounds nothing else.
    """
    if numbers.dtype.kind in "iu":
        limit = INT_64_MAX // unit_ns
        bad = numbers > limit
        if numbers.dtype.kind == "i":
            bad |= numbers < -limit
        return np.where(bad, 0, numbers).astype(np.int64) * unit_ns, bad
    # A double has all values of smaller ones; of a longer one the rest is beyond nanoseconds.
    values = numbers.astype(np.float64)
    with np.errstate(invalid="ignore"):
        whole = np.floor(values)
        bad = ~(np.abs(whole) <= (INT_64_MAX // unit_ns) - 1)
    values, whole = np.where(bad, 0, values), np.where(bad, 0, whole)
    rest = np.rint((values - whole) * unit_ns).astype(np.int64)
    return whole.astype(np.int64) * unit_ns + rest, bad


def plus(times_ns: NDArray[np.int64], start_ns: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Times that count from a start, and which of them are beyond all times."""
    above, below = max(start_ns, 0), min(start_ns, 0)
    bad = (times_ns > INT_64_MAX - above) | (times_ns < -INT_64_MAX - below)
    return np.where(bad, 0, times_ns) + start_ns, bad
