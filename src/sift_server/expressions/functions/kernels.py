"""The loops of rolling windows, compiled as `sift_wire.kernels` are.

Sums are exact. A sum that is kept by adding what comes and subtracting what goes, in doubles,
drifts away, and where to depends on where it began; what a window is must depend on nothing but its
points. So numbers are summed as integers in units of 2^-1074, the smallest double: digits of 32
bits, in words of 64 so that many are added before carries have to be passed on. The sum is rounded
when it is asked for. See R. M. Neal, "Fast exact summation using small and large superaccumulators"
(2015).

A *window* is given as the places of its first point, and of the one behind its last. Both only grow
from window to window.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_wire.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Doubles = NDArray[np.float64]

UNIT_EXPONENT = -1074
"""Sums are in units of 2 to this power; sums of squares of the double of it."""

DIGITS = 72
"""Digits of a sum: 2,098 bits of doubles, and those that billions of them may carry."""

SQUARE_DIGITS = 140
"""The same for squares."""

_DIGIT_BITS = 32
_DIGIT = 0xFFFFFFFF
_ADDITIONS_MAX = 1 << 28
"""Additions after which carries are passed on: each adds less than 2^32 to a word of 2^63."""

_FRACTION_BITS = 52
_EXPONENT_MASK = 0x7FF

# What of a double's bits is used, as unsigned numbers: Numba makes a double of mixed ones.
_FRACTION = np.uint64((1 << 52) - 1)
_HIDDEN = np.uint64(1 << 52)
_U32 = np.uint64(32)
_U52 = np.uint64(52)
_U63 = np.uint64(63)
_LOW = np.uint64(0xFFFFFFFF)


@compiled
def add(digits: Ints, span: Ints, offset: int, magnitude: np.uint64, is_negative: bool) -> None:
    """Add a magnitude of up to 64 bits, shifted left by `offset` bits, to a sum.

    `span` holds the first and the last digit that is in use, and the additions since carries were
    passed on.
    """
    place = offset // _DIGIT_BITS
    shift = np.uint64(offset % _DIGIT_BITS)
    low = (magnitude & _LOW) << shift
    high = (magnitude >> _U32) << shift
    middle = (low >> _U32) + (high & _LOW)
    first = np.int64(low & _LOW)
    second = np.int64(middle & _LOW)
    third = np.int64((high >> _U32) + (middle >> _U32))
    if is_negative:
        digits[place] -= first
        digits[place + 1] -= second
        digits[place + 2] -= third
    else:
        digits[place] += first
        digits[place + 1] += second
        digits[place + 2] += third
    span[0] = min(span[0], place)
    span[1] = max(span[1], place + 2)
    span[2] += 1
    if span[2] >= _ADDITIONS_MAX:
        last = len(digits) - 1
        for index in range(span[0], last):
            carry = digits[index] >> _DIGIT_BITS
            digits[index] &= _DIGIT
            digits[index + 1] += carry
        span[1] = last
        span[2] = 0


@compiled
def add_double(digits: Ints, span: Ints, bits: np.uint64, is_removed: bool) -> None:
    """Add the double of these bits to a sum, or subtract it; it is finite."""
    exponent = np.int64((bits >> _U52) & np.uint64(_EXPONENT_MASK))
    magnitude = bits & _FRACTION
    if exponent:
        magnitude |= _HIDDEN
        exponent -= 1
    is_negative = (bits >> _U63) != np.uint64(0)
    add(digits, span, exponent, magnitude, is_negative != is_removed)


@compiled
def add_integer(digits: Ints, span: Ints, number: int, is_removed: bool) -> None:
    """Add an integer to a sum, or subtract it."""
    is_negative = number < 0
    magnitude = np.uint64(number)
    if is_negative:
        magnitude = ~magnitude + np.uint64(1)
    add(digits, span, -UNIT_EXPONENT, magnitude, is_negative != is_removed)


@compiled
def add_square(digits: Ints, span: Ints, bits: np.uint64, is_removed: bool) -> None:
    """Add the square of the double of these bits to a sum of squares, or subtract it."""
    exponent = np.int64((bits >> _U52) & np.uint64(_EXPONENT_MASK))
    magnitude = bits & _FRACTION
    if exponent:
        magnitude |= _HIDDEN
        exponent -= 1
    # 53 bits times 53 bits, by halves of at most 27.
    high = magnitude >> np.uint64(27)
    low = magnitude & np.uint64((1 << 27) - 1)
    add(digits, span, 2 * exponent, low * low, is_removed)
    add(digits, span, 2 * exponent + 28, high * low, is_removed)
    add(digits, span, 2 * exponent + 54, high * high, is_removed)


@compiled
def rounded(digits: Ints, span: Ints, scratch: Ints) -> tuple[float, int]:
    """Round a sum to the nearest double, ties to even: a fraction, and a power of 2 in units."""
    first, last = span[0], min(span[1] + 2, len(digits) - 1)
    if first > last:
        return 0.0, 0
    is_negative = False
    for _ in range(2):
        carry = np.int64(0)
        for index in range(first, last):
            digit = (-digits[index] if is_negative else digits[index]) + carry
            scratch[index] = digit & _DIGIT
            carry = digit >> _DIGIT_BITS
        scratch[last] = (-digits[last] if is_negative else digits[last]) + carry
        if scratch[last] >= 0:
            break
        is_negative = True
    top = last
    while top > first and scratch[top] == 0:
        top -= 1
    if scratch[top] == 0:
        return 0.0, 0
    # The highest 64 bits, the first of which is 1, and whether any bit is set behind them.
    bits = np.int64(0)
    while scratch[top] >> bits:
        bits += 1
    word = np.uint64(scratch[top]) << np.uint64(64 - bits)
    filled = bits
    index = top - 1
    is_inexact = False
    while index >= first and filled < 64:
        digit = np.uint64(scratch[index])
        left = 64 - filled
        if left >= _DIGIT_BITS:
            word |= digit << np.uint64(left - _DIGIT_BITS)
        else:
            word |= digit >> np.uint64(_DIGIT_BITS - left)
            is_inexact = (
                digit & ((np.uint64(1) << np.uint64(_DIGIT_BITS - left)) - np.uint64(1))
            ) != np.uint64(0)
        filled += _DIGIT_BITS
        index -= 1
    while index >= first and not is_inexact:
        is_inexact = scratch[index] != 0
        index -= 1
    fraction = word >> np.uint64(11)
    rest = word & np.uint64(0x7FF)
    half = np.uint64(0x400)
    is_odd = (fraction & np.uint64(1)) != np.uint64(0)
    if rest > half or (rest == half and (is_inexact or is_odd)):
        fraction += np.uint64(1)
    # Where the lowest of the 53 bits of `fraction` stands.
    place = top * _DIGIT_BITS + bits - 53
    number = float(np.int64(fraction))
    return (-number if is_negative else number), place


@compiled
def rolling_sums(
    values: Ints, is_integer: bool, starts: Ints, ends: Ints, is_average: bool, found: Doubles
) -> None:
    """Sum, or average, the values of each window.

    Args:
        values: int64, shape (points,): integers, or the bits of doubles.
        is_integer: Which of the two.
        starts: int64, shape (windows,): the place of the first point of each window.
        ends: int64, shape (windows,): the place behind its last point.
        is_average: Whether to divide by the number of points.
        found: float64, shape (windows,): the result.
    """
    digits = np.zeros(DIGITS, np.int64)
    scratch = np.zeros(DIGITS, np.int64)
    span = np.array([DIGITS, 0, 0])
    special = np.zeros(3, np.int64)
    start = end = starts[0] if len(starts) else 0
    for window in range(len(starts)):
        while end < ends[window]:
            _take(digits, span, special, values[end], is_integer, False)
            end += 1
        while start < starts[window]:
            _take(digits, span, special, values[start], is_integer, True)
            start += 1
        if special[0] or (special[1] and special[2]):
            found[window] = np.nan
        elif special[1]:
            found[window] = np.inf
        elif special[2]:
            found[window] = -np.inf
        else:
            number, place = rounded(digits, span, scratch)
            if is_average:
                number /= end - start
            found[window] = math.ldexp(number, place + UNIT_EXPONENT)


@compiled
def _take(
    digits: Ints, span: Ints, special: Ints, value: int, is_integer: bool, is_removed: bool
) -> None:
    """Add a value to a sum, or subtract it; count NaN, +inf and -inf instead."""
    if is_integer:
        add_integer(digits, span, value, is_removed)
        return
    bits = np.uint64(value)
    if (bits >> _U52) & np.uint64(_EXPONENT_MASK) == np.uint64(_EXPONENT_MASK):
        kind = 0
        if bits & _FRACTION == np.uint64(0):
            kind = 2 if value < 0 else 1
        special[kind] += -1 if is_removed else 1
        return
    add_double(digits, span, bits, is_removed)


@compiled
def _pair(digits: Ints, span: Ints, scratch: Ints, exponent: int) -> tuple[float, float]:
    """A sum as two doubles, the second of what the first leaves, in units of 2^-exponent."""
    number, place = rounded(digits, span, scratch)
    high = math.ldexp(number, place - exponent)
    if number == 0.0:
        return 0.0, 0.0
    magnitude = np.uint64(np.int64(abs(number)))
    offset = place
    shifted = magnitude
    while offset < 0:
        # A small sum has fewer than 53 bits, and zeros behind them.
        shifted >>= np.uint64(1)
        offset += 1
    add(digits, span, offset, shifted, number > 0)
    rest, rest_place = rounded(digits, span, scratch)
    add(digits, span, offset, shifted, number < 0)
    return high, math.ldexp(rest, rest_place - exponent)


@compiled
def _two_product(left: float, right: float) -> tuple[float, float]:
    """`left * right` and what rounding took of it (T. J. Dekker, 1971)."""
    product = left * right
    split = 134217729.0
    big = split * left
    left_high = big - (big - left)
    left_low = left - left_high
    big = split * right
    right_high = big - (big - right)
    right_low = right - right_high
    rest = left_low * right_low - (
        ((product - left_high * right_high) - left_low * right_high) - left_high * right_low
    )
    return product, rest


@compiled
def rolling_stddevs(values: Doubles, starts: Ints, ends: Ints, found: Doubles) -> None:
    """The standard deviation of each window, as of a whole population.

    It is the root of `count * sum of squares - (sum)^2`, divided by the count. Both sums are exact,
    and the difference has twice the digits of a double, so that little is lost where values are
    large and close to each other.

    Args:
        values: float64, shape (points,), of a size of 2^-500 to 2^500, or 0, or not finite.
        starts: As in `rolling_sums`.
        ends: As in `rolling_sums`.
        found: float64, shape (windows,): the result.
    """
    all_bits = values.view(np.uint64)
    sums = np.zeros(DIGITS, np.int64)
    sums_span = np.array([DIGITS, 0, 0])
    squares = np.zeros(SQUARE_DIGITS, np.int64)
    squares_span = np.array([SQUARE_DIGITS, 0, 0])
    scratch = np.zeros(SQUARE_DIGITS, np.int64)
    not_finite = 0
    start = end = starts[0] if len(starts) else 0
    for window in range(len(starts)):
        while end < ends[window]:
            if math.isfinite(values[end]):
                add_double(sums, sums_span, all_bits[end], False)
                add_square(squares, squares_span, all_bits[end], False)
            else:
                not_finite += 1
            end += 1
        while start < starts[window]:
            if math.isfinite(values[start]):
                add_double(sums, sums_span, all_bits[start], True)
                add_square(squares, squares_span, all_bits[start], True)
            else:
                not_finite -= 1
            start += 1
        if not_finite:
            found[window] = np.nan
            continue
        count = float(end - start)
        high, low = _pair(sums, sums_span, scratch, -UNIT_EXPONENT)
        square_high, square_low = _pair(squares, squares_span, scratch, -2 * UNIT_EXPONENT)
        one, one_rest = _two_product(count, square_high)
        one_rest += count * square_low
        other, other_rest = _two_product(high, high)
        other_rest += 2.0 * high * low
        difference = (one - other) + (one_rest - other_rest)
        found[window] = math.sqrt(max(difference, 0.0)) / max(count, 1.0)


@compiled
def rolling_extremes(
    values: NDArray[Any], starts: Ints, ends: Ints, is_largest: bool, found: Ints
) -> None:
    """The place of the largest, or the smallest, value of each window; of NaN if there is one.

    Candidates wait in a queue, each better than those behind it: a point that comes drives out all
    that it is not worse than.

    Args:
        values: Shape (points,): float64, int64 or uint64.
        starts: As in `rolling_sums`; no window is empty.
        ends: As in `rolling_sums`.
        is_largest: Which of the two.
        found: int64, shape (windows,): the result.
    """
    queue = np.empty(len(values), np.int64)
    head = tail = 0
    end = starts[0] if len(starts) else 0
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
        while queue[head] < starts[window]:
            head += 1
        found[window] = queue[head]
