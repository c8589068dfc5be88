"""The loop that finds last known values, compiled as `sift_wire.kernels` are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sift_wire.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_AGE = (1 << 63) - 1
"""Instead of an age limit: none."""


@compiled
def held_places(
    times_ns: NDArray[np.int64],
    at_ns: NDArray[np.int64],
    age_ns_max: int,
    places: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> bool:
    """Find the last point at or before each time.

    Args:
        times_ns: int64, shape (points,): rising times of the points, at least one.
        at_ns: int64, shape (times,): rising times.
        age_ns_max: How much earlier a point may be; or `NO_AGE`.
        places: int64, shape (times,): the place of the point; 0 if there is none.
        known: bool, shape (times,): whether there is one.

    Returns:
        Whether there is one at all times.
    """
    end = 0
    is_known = True
    for index in range(len(at_ns)):
        at = at_ns[index]
        while end < len(times_ns) and times_ns[end] <= at:
            end += 1
        place = max(end - 1, 0)
        places[index] = place
        # A difference of times may need all 64 bits.
        known[index] = end > 0 and (
            age_ns_max == NO_AGE or np.uint64(at - times_ns[place]) <= np.uint64(age_ns_max)
        )
        is_known &= known[index]
    return is_known
