"""Exact sums of numbers, compiled as `sift_wire.kernels` are.

A sum that is kept by adding what comes and subtracting what goes, in doubles, drifts away, and
where to depends on where it began; what a window is must depend on nothing but its points. So
numbers are summed as integers in units of 2^-1074, the smallest double: digits of 32 bits, in words
of 64 so that many are added before carries have to be passed on. The sum is rounded when it is
asked for. See R. M. Neal, "Fast exact summation using small and large superaccumulators" (2015).

Of a sum, `digits` are int64 words, the lowest first, of which those from `first` to `last` are in
use. Whoever adds has to know these, and to pass carries on after so many additions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sift_wire.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

UNIT_EXPONENT = -1074
"""Sums are in units of 2 to this power; sums of squares of the double of it."""

DIGITS = 72
"""Digits of a sum: 2,098 bits of doubles, and those that billions of them may carry."""

SQUARE_DIGITS = 2 * DIGITS
"""The same for squares."""

ADDITIONS_MAX = 1 << 28
"""Additions after which carries are passed on: each adds less than 2^33 to a word of 2^63."""

REACH = 2
"""How many digits an addition changes behind the one that it returns."""

SQUARE_REACH = 4
"""The same of a square."""

DOUBLES, SIGNED, UNSIGNED = 0, 1, 2
"""What words are, 64 bits each: the bits of doubles, int64, or uint64."""

_DIGIT_BITS = 32
_WORD_BITS = 64
_DIGIT = 0xFFFFFFFF
_EXPONENT_MASK = 0x7FF

# What of a double's bits is used, as unsigned numbers: Numba makes a double of mixed ones.
_FRACTION = np.uint64((1 << 52) - 1)
_HIDDEN = np.uint64(1 << 52)
_U32 = np.uint64(32)
_U52 = np.uint64(52)
_LOW = np.uint64(_DIGIT)


@compiled
def add(digits: Ints, offset: np.int64, magnitude: np.uint64, is_negative: bool) -> np.int64:
    """Add a magnitude of up to 64 bits, shifted left by `offset` bits; from which digit on."""
    place: np.int64 = offset // _DIGIT_BITS
    shift = np.uint64(offset % _DIGIT_BITS)
    low = (magnitude & _LOW) << shift
    high = (magnitude >> _U32) << shift
    middle = (low >> _U32) + (high & _LOW)
    top = (high >> _U32) + (middle >> _U32)
    sign = np.int64(-1 if is_negative else 1)
    digits[place] += sign * np.int64(low & _LOW)
    digits[place + 1] += sign * np.int64(middle & _LOW)
    digits[place + 2] += sign * np.int64(top)
    return place


@compiled
def add_word(digits: Ints, word: np.int64, kind: int, is_removed: bool) -> np.int64:
    """Add a word of a kind, or subtract it; a double is finite. From which digit on."""
    if kind == DOUBLES:
        is_negative = bool(word < 0)
        offset, magnitude = _parts(np.uint64(word))
    else:
        is_negative = bool(kind == SIGNED and word < 0)
        offset, magnitude = np.int64(-UNIT_EXPONENT), np.uint64(word)
        if is_negative:
            magnitude = ~magnitude + np.uint64(1)
    place: np.int64 = add(digits, offset, magnitude, is_negative != is_removed)
    return place


@compiled
def add_square(digits: Ints, word: np.int64, is_removed: bool) -> np.int64:
    """Add the square of the double of these bits, which is finite, or subtract it."""
    exponent, fraction = _parts(np.uint64(word))
    place: np.int64 = 2 * exponent // _DIGIT_BITS
    shift = np.uint64(2 * exponent % _DIGIT_BITS)
    # 53 bits times 53 bits by halves, to digits without a shift, to digits with it.
    low, high = fraction & _LOW, fraction >> _U32
    lowest = low * low
    middle = low * high * np.uint64(2)
    second = (lowest >> _U32) + (middle & _LOW)
    third = (second >> _U32) + (middle >> _U32) + high * high
    lowest = (lowest & _LOW) << shift
    second = ((second & _LOW) << shift) + (lowest >> _U32)
    fourth = (third >> _U32) << shift
    third = ((third & _LOW) << shift) + (second >> _U32)
    fourth += third >> _U32
    sign = np.int64(-1 if is_removed else 1)
    digits[place] += sign * np.int64(lowest & _LOW)
    digits[place + 1] += sign * np.int64(second & _LOW)
    digits[place + 2] += sign * np.int64(third & _LOW)
    digits[place + 3] += sign * np.int64(fourth & _LOW)
    digits[place + 4] += sign * np.int64(fourth >> _U32)
    return place


@compiled
def _parts(bits: np.uint64) -> tuple[np.int64, np.uint64]:
    """The exponent of a double in units, and its 53 bits."""
    exponent = np.int64((bits >> _U52) & np.uint64(_EXPONENT_MASK))
    fraction = bits & _FRACTION
    if exponent == 0:
        return exponent, fraction
    return exponent - 1, fraction | _HIDDEN


@compiled
def pass_carries(digits: Ints, first: int) -> None:
    """Bring all digits but the last one below 2^32."""
    for index in range(first, len(digits) - 1):
        digits[index + 1] += digits[index] >> _DIGIT_BITS
        digits[index] &= _DIGIT


@compiled
def carried(digits: Ints, first: int, last: int, out: Ints) -> tuple[int, bool]:
    """Pass carries on, from digit `first` to `last`, behind which all are 0.

    Returns:
        The place of the highest digit of the size of the sum, which is in `out` from `first` on, or
        -1 if the sum is 0; and whether it is negative.
    """
    last = min(last + 2, len(digits) - 1)
    top = -1
    carry = np.int64(0)
    for index in range(first, last):
        digit = digits[index] + carry
        out[index] = digit & _DIGIT
        carry = digit >> _DIGIT_BITS
        if out[index]:
            top = index
    out[last] = digits[last] + carry
    if out[last] > 0:
        return last, False
    if out[last] == 0:
        return top, False
    carry = np.int64(0)
    for index in range(first, last):
        digit = carry - out[index]
        out[index] = digit & _DIGIT
        carry = digit >> _DIGIT_BITS
        if out[index]:
            top = index
    out[last] = carry - out[last]
    return (last if out[last] else top), True


@compiled
def rounded(digits: Ints, first: int, top: int) -> tuple[float, int]:
    """Round digits that `carried` gave to 53 bits, ties to even: a number, and a power of 2."""
    if top < 0:
        return 0.0, 0
    # The highest 64 bits, the first of which is 1, and whether any bit is set behind them.
    bits = math.frexp(float(digits[top]))[1]
    word = np.uint64(digits[top]) << np.uint64(_WORD_BITS - bits)
    filled = bits
    index = top - 1
    is_inexact = False
    while index >= first and filled < _WORD_BITS:
        digit = np.uint64(digits[index])
        left = _WORD_BITS - filled
        if left >= _DIGIT_BITS:
            word |= digit << np.uint64(left - _DIGIT_BITS)
        else:
            cut = np.uint64(_DIGIT_BITS - left)
            word |= digit >> cut
            is_inexact = (digit & ((np.uint64(1) << cut) - np.uint64(1))) != np.uint64(0)
        filled += _DIGIT_BITS
        index -= 1
    fraction = word >> np.uint64(11)
    rest = word & np.uint64(0x7FF)
    half = np.uint64(0x400)
    if rest == half and (fraction & np.uint64(1)) == np.uint64(0):
        while index >= first and not is_inexact:
            is_inexact = digits[index] != 0
            index -= 1
        if is_inexact:
            fraction += np.uint64(1)
    elif rest >= half:
        fraction += np.uint64(1)
    # Where the lowest of the 53 bits of `fraction` stands.
    return float(np.int64(fraction)), top * _DIGIT_BITS + bits - 53
