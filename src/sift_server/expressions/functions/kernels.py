"""The loops of rolling windows, compiled as `sift_wire.kernels` are.

A *window* is given as the places of its first point, and of the one behind its last. Both only grow
from window to window. The points before the place `before` are those of the last window before;
what is known of them is handed over, so that nobody has to look at all of them again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_server.expressions.functions.exact import (
    ADDITIONS_MAX,
    DIGITS,
    DOUBLES,
    REACH,
    SQUARE_DIGITS,
    UNIT_EXPONENT,
    add_square,
    add_word,
    carried,
    pass_carries,
    rounded,
)
from sift_wire.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Doubles = NDArray[np.float64]

_DIGIT_BITS = 32
_DIGIT = 0xFFFFFFFF
_INFINITY_BITS = 0x7FF0000000000000
_SIZE_BITS = 0x7FFFFFFFFFFFFFFF

# What a state begins with, before the digits of its sums.
_NANS, _INFINITIES, _NEGATIVE_INFINITIES = 0, 1, 2
"""How many of these the window has; no sum has them."""
_FIRST, _LAST = 3, 4
"""The digits of the sum that are in use; twice as far up are those of the sum of squares."""
ADDITIONS = 5
"""How many there were since carries were passed on."""
_HEAD = 6

SUM_WORDS = _HEAD + DIGITS
"""Length of the state of `rolling_sums`."""

STDDEV_WORDS = _HEAD + DIGITS + SQUARE_DIGITS
"""Length of the state of `rolling_stddevs`."""


@compiled
def window_places(
    times_ns: Ints, at_ns: Ints, window_ns: int, before: int, starts: Ints, ends: Ints
) -> bool:
    """Find the window that ends at each time: the points at it, and less than its length before.

    Args:
        times_ns: int64, shape (points,): rising times of the points.
        at_ns: int64, shape (windows,): rising times, all behind those of the points `before`.
        window_ns: Length of a window.
        before: See the module.
        starts: int64, shape (windows,): the place of the first point of each window.
        ends: int64, shape (windows,): the place behind its last point.

    Returns:
        Whether every window has a point.
    """
    start = 0
    end = before
    is_full = True
    for window in range(len(at_ns)):
        at = at_ns[window]
        while end < len(times_ns) and times_ns[end] <= at:
            end += 1
        # A difference of times may need all 64 bits.
        while start < end and np.uint64(at - times_ns[start]) >= np.uint64(window_ns):
            start += 1
        starts[window] = start
        ends[window] = end
        is_full &= start < end
    return is_full


@compiled
def rolling_sums(
    words: Ints,
    kind: int,
    before: int,
    starts: Ints,
    ends: Ints,
    is_average: bool,
    state: Ints,
    found: Doubles,
) -> None:
    """Sum, or average, the values of each window.

    Args:
        words: int64, shape (points,): 64 bits each.
        kind: What they are.
        before: See the module.
        starts: int64, shape (windows,): the place of the first point of each window.
        ends: int64, shape (windows,): the place behind its last point.
        is_average: Whether to divide by the number of points.
        state: int64, shape (`SUM_WORDS`,): what is known of the points before; becomes what is
            known of the last window. All 0 if there are none.
        found: float64, shape (windows,): the result.
    """
    digits = state[_HEAD:]
    out = np.zeros(DIGITS, np.int64)
    start = 0
    end = before
    if start == end:
        _clear(state)
    first, last, additions = state[_FIRST], state[_LAST], state[ADDITIONS]
    for window in range(len(starts)):
        while end < ends[window] or start < starts[window]:
            is_removed = end == ends[window]
            word = words[start if is_removed else end]
            if is_removed:
                start += 1
            else:
                end += 1
            if _count_special(state, word, kind, is_removed):
                continue
            place = add_word(digits, word, kind, is_removed)
            first = min(first, place)
            last = max(last, place + REACH)
            additions += 1
            if additions >= ADDITIONS_MAX:
                pass_carries(digits, first)
                last, additions = DIGITS - 1, 0
        if start == end:
            # No digit is in use any longer.
            _clear(state)
            first, last, additions = state[_FIRST], state[_LAST], state[ADDITIONS]
        if state[_NANS] or state[_INFINITIES] or state[_NEGATIVE_INFINITIES]:
            found[window] = _special_sum(state)
            continue
        top, is_negative = carried(digits, first, last, out)
        number, place = rounded(out, first, top)
        if is_negative:
            number = -number
        found[window] = _scaled(number, place, end - start if is_average else 1)
    state[_FIRST], state[_LAST], state[ADDITIONS] = first, last, additions


@compiled
def _clear(state: Ints) -> None:
    """Make it that of a window without points."""
    state[:] = 0
    state[_FIRST] = DIGITS


@compiled
def _scaled(number: float, place: int, count: int) -> float:
    """A sum that `rounded` gave, divided by a count."""
    total = np.ldexp(number, place + UNIT_EXPONENT)
    if count <= 1 or math.isfinite(total):
        return total / max(count, 1)
    # A sum may be too large for a double where the average is not.
    return np.ldexp(number / count, place + UNIT_EXPONENT)


@compiled
def _count_special(state: Ints, word: int, kind: int, is_removed: bool) -> bool:
    """Count NaN, +inf and -inf; whether it is one of them."""
    size = word & _SIZE_BITS
    if kind != DOUBLES or size < _INFINITY_BITS:
        return False
    which = _NEGATIVE_INFINITIES if word < 0 else _INFINITIES
    if size > _INFINITY_BITS:
        which = _NANS
    state[which] += -1 if is_removed else 1
    return True


@compiled
def _special_sum(state: Ints) -> float:
    """A sum in which something is not finite."""
    if state[_NANS] or (state[_INFINITIES] and state[_NEGATIVE_INFINITIES]):
        return np.nan
    return np.inf if state[_INFINITIES] else -np.inf


@compiled
def rolling_stddevs(
    words: Ints, before: int, starts: Ints, ends: Ints, state: Ints, found: Doubles
) -> None:
    """The standard deviation of each window, as of a whole population.

    It is the root of `count * sum of squares - sum^2`, divided by the count. All of that is exact,
    until the difference is rounded.

    Args:
        words: int64, shape (points,): the bits of doubles.
        before: See the module.
        starts: As in `rolling_sums`.
        ends: As in `rolling_sums`; no window has 2^30 points.
        state: int64, shape (`STDDEV_WORDS`,): as in `rolling_sums`.
        found: float64, shape (windows,): the result.
    """
    digits = state[_HEAD : _HEAD + DIGITS]
    squares = state[_HEAD + DIGITS :]
    out = np.zeros(DIGITS, np.int64)
    squares_out = np.zeros(SQUARE_DIGITS, np.int64)
    start = 0
    end = before
    if start == end:
        _clear(state)
    first, last, additions = state[_FIRST], state[_LAST], state[ADDITIONS]
    for window in range(len(starts)):
        while end < ends[window] or start < starts[window]:
            is_removed = end == ends[window]
            word = words[start if is_removed else end]
            if is_removed:
                start += 1
            else:
                end += 1
            if _count_special(state, word, DOUBLES, is_removed):
                continue
            place = add_word(digits, word, DOUBLES, is_removed)
            add_square(squares, word, is_removed)
            first = min(first, place)
            last = max(last, place + REACH)
            additions += 1
            if additions >= ADDITIONS_MAX:
                pass_carries(digits, first)
                pass_carries(squares, 2 * first)
                last, additions = DIGITS - 1, 0
        if start == end:
            # No digit is in use any longer.
            _clear(state)
            first, last, additions = state[_FIRST], state[_LAST], state[ADDITIONS]
        if state[_NANS] or state[_INFINITIES] or state[_NEGATIVE_INFINITIES]:
            found[window] = np.nan
            continue
        count = max(end - start, 1)
        top, _ = carried(digits, first, last, out)
        # The digits of squares that are in use, and as many more as carries may need.
        first_square, last_square = 2 * first, min(2 * last + 1, SQUARE_DIGITS - 1)
        behind = min(last_square + 5, SQUARE_DIGITS)
        carried(squares, first_square, last_square, squares_out)
        for index in range(first_square, behind):
            squares_out[index] = squares_out[index] * count if index <= last_square + 2 else 0
        _subtract_square(out, first, top, squares_out)
        top, _ = carried(squares_out, first_square, last_square + 2, squares_out)
        number, place = rounded(squares_out, first_square, top)
        if place % 2:
            number *= 2.0
            place -= 1
        found[window] = np.ldexp(math.sqrt(number) / count, place // 2 + UNIT_EXPONENT)
    state[_FIRST], state[_LAST], state[ADDITIONS] = first, last, additions


@compiled
def _subtract_square(digits: Ints, first: int, top: int, out: Ints) -> None:
    """Subtract the square of digits, without passing carries on."""
    for index in range(first, top + 1):
        digit = np.uint64(digits[index])
        for other in range(first, top + 1):
            product = digit * np.uint64(digits[other])
            out[index + other] -= np.int64(product & np.uint64(_DIGIT))
            out[index + other + 1] -= np.int64(product >> np.uint64(_DIGIT_BITS))


@compiled
def rolling_extremes(
    values: NDArray[Any],
    before: int,
    starts: Ints,
    ends: Ints,
    is_largest: bool,
    queue: Ints,
    found: Ints,
) -> tuple[int, int]:
    """The place of the largest, or the smallest, value of each window; of NaN if there is one.

    Candidates wait in a queue, each better than those behind it: a point that comes drives out all
    that it is not worse than. Of those that are alike the last one stays.

    Args:
        values: Shape (points,): float64, int64 or uint64.
        before: See the module. These points are the candidates of the last window.
        starts: As in `rolling_sums`.
        ends: As in `rolling_sums`.
        is_largest: Which of the two.
        queue: int64, shape (points,): becomes the places of the candidates.
        found: int64, shape (windows,): the result; 0 for a window without points.

    Returns:
        Where in `queue` the candidates of the last window begin and end.
    """
    for index in range(before):
        queue[index] = index
    head = 0
    tail = end = before
    for window in range(len(starts)):
        while end < ends[window]:
            value = values[end]
            is_nan = value != value
            while tail > head:
                last = values[queue[tail - 1]]
                if last != last:
                    if not is_nan:
                        break
                elif not is_nan and (last > value if is_largest else last < value):
                    break
                tail -= 1
            queue[tail] = end
            tail += 1
            end += 1
        while head < tail and queue[head] < starts[window]:
            head += 1
        found[window] = queue[head] if head < tail else 0
    return head, tail
