"""Which points show best how a signal runs: Largest-Triangle-Three-Buckets.

Source: S. Steinarsson, "Downsampling Time Series for Visual Representation", University of Iceland,
2013, section 4.2. Of each bucket the point is chosen that makes the largest triangle with the point
chosen before and the mean of the next bucket. The first point and the last one are buckets of their
own, and are always chosen.

Here a bucket is a stretch of time, so that what is chosen does not depend on how many points there
are elsewhere: bucket `n` begins at `n * width_ns` after 1970. Buckets without points are none. Of
triangles of one size the earliest point wins. A value that is not finite makes no triangle: it is
chosen only where there is no other, but for infinities, whose triangles are infinite. It is left
out of means; where a corner has no finite value, it takes that of the other one.

The loops are compiled as `sift_wire.kernels` are. They add from left to right, so that the result
is the same to the last bit wherever the points are cut into parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sift_wire.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Times = NDArray[np.int64]
    Values = NDArray[np.float64]

_NS_MAX = 2**63 - 1

SUMS = 4
"""Length of the array that `add_to_mean` adds to."""
_OFFSETS, _POINTS, _VALUES, _FINITE = 0, 1, 2, 3

NOTHING = -2.0
"""Size of the triangle of no point: less than that of any, also of one that is no number."""
_NO_NUMBER = -1.0


@compiled
def bucket_last_ns(time_ns: int, width_ns: int) -> int:
    """The last nanosecond of the bucket that a time is in, if there is such a time."""
    left_ns = width_ns - 1 - time_ns % width_ns
    if time_ns > _NS_MAX - left_ns:
        return _NS_MAX
    return time_ns + left_ns


@compiled
def _apart(later_ns: int, earlier_ns: int) -> float:
    """How far apart two times are; the difference may take 64 bits without a sign."""
    return np.float64(np.uint64(later_ns) - np.uint64(earlier_ns))


@compiled
def add_to_mean(
    times: Times, values: Values, start: int, stop: int, first_ns: int, sums: Values
) -> None:
    """Add points of a bucket to what its mean is made of.

    Args:
        times: Times of points, sorted.
        values: Their values.
        start: The first point that is added.
        stop: The first one behind it that is not.
        first_ns: Time of the first point of the bucket.
        sums: What was added before, of the length `SUMS`.
    """
    for at in range(start, stop):
        sums[_OFFSETS] += _apart(times[at], first_ns)
        if np.isfinite(values[at]):
            sums[_VALUES] += values[at]
            sums[_FINITE] += 1.0
    sums[_POINTS] += stop - start


@compiled
def corners(
    chosen_ns: int, chosen_value: float, first_ns: int, sums: Values
) -> tuple[float, float, float]:
    """What the triangles of a bucket have in common.

    Args:
        chosen_ns: Time of the point that was chosen before.
        chosen_value: Its value.
        first_ns: Time of the first point of the next bucket.
        sums: What the mean of the next bucket is made of.

    Returns:
        The value of one corner, how far behind it the other is, and the value of that.
    """
    far = _apart(first_ns, chosen_ns) + sums[_OFFSETS] / sums[_POINTS]
    value = chosen_value
    if sums[_FINITE] > 0.0:
        mean = sums[_VALUES] / sums[_FINITE]
        if not np.isfinite(value):
            value = mean
    else:
        if not np.isfinite(value):
            value = 0.0
        mean = value
    return value, far, mean


@compiled
def largest(
    times: Times,
    values: Values,
    start: int,
    stop: int,
    chosen_ns: int,
    corner: tuple[float, float, float],
    size: float,
) -> tuple[int, float]:
    """The first of some points whose triangle is the largest, and how large it is.

    Returns:
        -1 and `size`, if none is larger than `size`.
    """
    value, far, mean = corner
    best = -1
    for at in range(start, stop):
        area = np.abs(far * (values[at] - value) - _apart(times[at], chosen_ns) * (mean - value))
        if np.isnan(area):
            area = _NO_NUMBER
        if area > size:
            size = area
            best = at
    return best, size


@compiled
def _end_of_bucket(times: Times, start: int, stop: int, width_ns: int) -> int:
    """The first point that is not in the bucket of the point `start`; at most `stop`."""
    last_ns = bucket_last_ns(times[start], width_ns)
    at = start + 1
    while at < stop and times[at] <= last_ns:
        at += 1
    return at


@compiled
def choose(
    times: Times,
    values: Values,
    width_ns: int,
    is_end: bool,
    is_begun: bool,
    chosen_ns: int,
    chosen_value: float,
    chosen: Times,
    ends: Times,
) -> int:
    """Choose a point of each bucket about which enough is known.

    Args:
        times: Times of the points behind the last bucket of which one was chosen, sorted; at least
            one.
        values: Their values.
        width_ns: How long a bucket is.
        is_end: Whether no points follow.
        is_begun: Whether a point was chosen before.
        chosen_ns: Its time.
        chosen_value: Its value.
        chosen: Filled with the places of the points that were chosen.
        ends: Filled with the last place of the bucket of each.

    Returns:
        How many were chosen: as many as `chosen` has room for at the most. None, if there are not
        all points of two buckets.
    """
    count = 0
    at = 0
    if not is_begun:
        chosen[0] = 0
        ends[0] = 0
        count = 1
        at = 1
        chosen_ns = times[0]
        chosen_value = values[0]
    stop = len(times)
    if is_end and stop > at:
        stop -= 1
    end = -1
    sums = np.zeros(SUMS)
    while at < stop and count < len(chosen):
        if end < 0:
            end = _end_of_bucket(times, at, stop, width_ns)
        next_end = end
        if end < stop:
            next_end = _end_of_bucket(times, end, stop, width_ns)
        if next_end == stop and not is_end:
            break
        if end == stop:
            # Only the last point follows.
            next_end = stop + 1
        sums[:] = 0.0
        add_to_mean(times, values, end, next_end, times[end], sums)
        corner = corners(chosen_ns, chosen_value, times[end], sums)
        best, _ = largest(times, values, at, end, chosen_ns, corner, NOTHING)
        chosen[count] = best
        ends[count] = end - 1
        count += 1
        chosen_ns = times[best]
        chosen_value = values[best]
        at = end
        end = next_end
    if is_end and at == stop and stop < len(times) and count < len(chosen):
        chosen[count] = stop
        ends[count] = stop
        count += 1
    return count


def warm_up() -> None:
    """Have the loops compiled, or loaded, so that the first caller does not wait for it."""
    times = np.arange(4, dtype=np.int64)
    places = np.empty(4, np.int64)
    values = np.zeros(4)
    choose(times, values, 1, True, False, 0, 0.0, places, places)
    sums = np.ones(SUMS)
    add_to_mean(times, values, 0, 4, 0, sums)
    largest(times, values, 0, 4, 0, corners(0, 0.0, 0, sums), NOTHING)
