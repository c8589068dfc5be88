"""Operators of expressions, over whole columns.

A value that is missing makes the result missing, except where logic does not depend on it:
`false && missing` is false, `true || missing` is true. Doubles follow IEEE 754: nothing is equal
to, less or greater than NaN, and dividing by zero gives an infinity or NaN. Integers are exact:
what does not fit 64 bits is missing, and an integer is compared with a double as the numbers that
they are, however large.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_server.expressions.values import Column, Texts, Type, both_known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The comparison that says the same with its sides changed."""

_COMPARE_TEXT: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}

_DOUBLE_IS_EXACT_MAX = 2**53
"""Integers up to this size are doubles too."""


_FEW = 16


def compare(sign: str, left: Column, right: Column) -> Column:
    """`left sign right`, of `== != < <= > >=`; both numbers, both strings, or both bools."""
    if left.is_literal:
        sign, left, right = FLIPPED[sign], right, left
    known = both_known(left.known, right.known)
    if left.type is Type.STRING:
        found = _compare_texts(sign, left.values, right.values)
    elif left.type is Type.INT and right.type is Type.DOUBLE:
        found = _compare_mixed(sign, left.values, right.values)
    elif left.type is Type.DOUBLE and right.type is Type.INT:
        found = _compare_mixed_flipped(sign, left.values, right.values)
    else:
        found = _COMPARE[sign](left.values, right.values)
    return Column(Type.BOOL, found, known)


def _compare_texts(sign: str, left: Texts, right: Texts | str) -> Any:  # noqa: ANN401
    call = _COMPARE_TEXT[sign]
    if isinstance(right, str):
        if left.codes is not None and len(left.strings) <= _FEW:
            # For a few strings, as enums have, Arrow takes longer than Python.
            each = [_COMPARE[sign](string, right) for string in left.strings.to_pylist()]
            return left.spread(np.array(each, np.bool_))
        return left.spread(_to_bools(call(left.strings, pa.scalar(right, pa.large_string()))))
    return _to_bools(call(left.plain(), right.plain()))


def _to_bools(found: Any) -> NDArray[np.bool_]:  # noqa: ANN401 (pyarrow has no types)
    bools: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
    return bools


def _compare_mixed(sign: str, integers: NDArray[Any], doubles: Any) -> Any:  # noqa: ANN401
    """Compare integers with doubles, none of them rounded."""
    if isinstance(doubles, float):
        return _compare_with_double(sign, integers, doubles)
    if _is_exact(integers):
        return _COMPARE[sign](integers.astype(np.float64), doubles)
    # An integer is compared with the next whole number: below for `>` and `<=`, above for others.
    whole = np.floor(doubles) if sign in (">", "<=") else np.ceil(doubles)
    top = 2.0**64 if integers.dtype == np.uint64 else 2.0**63
    bottom = 0.0 if integers.dtype == np.uint64 else -(2.0**63)
    fits = (whole >= bottom) & (whole < top)
    with np.errstate(invalid="ignore"):
        found = _COMPARE[sign](integers, np.where(fits, whole, 0.0).astype(integers.dtype))
    if sign in ("==", "!="):
        return np.where(fits & (whole == doubles), found, sign == "!=")
    # What does not fit is beyond all integers, or NaN, to which nothing is in order.
    return np.where(fits, found, _COMPARE[sign](0.0, doubles))


def _compare_mixed_flipped(sign: str, doubles: NDArray[np.float64], integers: Any) -> Any:  # noqa: ANN401
    if isinstance(integers, int):
        if abs(integers) <= _DOUBLE_IS_EXACT_MAX:
            return _COMPARE[sign](doubles, float(integers))
        integers = np.full(len(doubles), integers, np.int64)
    return _compare_mixed(FLIPPED[sign], integers, doubles)


def _compare_with_double(sign: str, integers: NDArray[Any], number: float) -> Any:  # noqa: ANN401
    if math.isnan(number) or math.isinf(number):
        holds = _COMPARE[sign](0, number)
        return np.full(len(integers), holds)
    below = math.floor(number)
    if below == number:
        return _COMPARE[sign](integers, below)
    if sign in ("==", "!="):
        return np.full(len(integers), sign == "!=")
    # Between two integers lies no other: `> 2.5` and `>= 2.5` are `> 2`.
    return integers > below if sign in (">", ">=") else integers <= below


def _is_exact(integers: NDArray[Any]) -> bool:
    if not len(integers):
        return True
    return bool(integers.max() <= _DOUBLE_IS_EXACT_MAX and integers.min() >= -_DOUBLE_IS_EXACT_MAX)


def arithmetic(sign: str, left: Column, right: Column) -> Column:
    """`left sign right`, of `+ - * / %`, of numbers.

    `/` gives a double always. The others of two integers give an integer, missing if it does not
    fit 64 bits; `%` of integers has the sign of the left one, and is missing for `% 0`.
    """
    if sign == "/" or Type.DOUBLE in (left.type, right.type):
        with np.errstate(all="ignore"):
            found = _OF_DOUBLES[sign](left.doubles(), right.doubles())
        return Column(Type.DOUBLE, found, both_known(left.known, right.known))
    left, right = left.signed(), right.signed()
    with np.errstate(all="ignore"):
        found, fits = _OF_INTEGERS[sign](_int_64(left.values), _int_64(right.values))
    known = both_known(left.known, right.known)
    return Column(Type.INT, found, known if fits.all() else both_known(known, fits))


def _int_64(values: Any) -> NDArray[np.int64]:  # noqa: ANN401
    return np.asarray(values, np.int64)


_Checked = tuple["NDArray[np.int64]", "NDArray[np.bool_]"]


def _add(left: NDArray[np.int64], right: NDArray[np.int64]) -> _Checked:
    found = left + right
    return found, ((left ^ found) & (right ^ found)) >= 0


def _subtract(left: NDArray[np.int64], right: NDArray[np.int64]) -> _Checked:
    found = left - right
    return found, ((left ^ right) & (left ^ found)) >= 0


def _multiply(left: NDArray[np.int64], right: NDArray[np.int64]) -> _Checked:
    found = left * right
    fits = np.abs(left.astype(np.float64) * right) < 2.0**62
    if not fits.all():
        # Near the limit only the division tells.
        smallest = np.iinfo(np.int64).min
        divisor = np.where((left == 0) | (left == -1), 1, left)
        is_whole = (found // divisor == right) & (found % divisor == 0)
        negated = (left == -1) & (right != smallest)
        fits |= np.where(left == -1, negated, is_whole)
    return found, fits


def _remainder(left: NDArray[np.int64], right: NDArray[np.int64]) -> _Checked:
    fits = right != 0
    # The smallest integer % -1 traps in some processors; every integer % -1 is 0.
    divisor = np.where(fits & (right != -1), right, 1)
    return np.fmod(left, divisor), np.broadcast_to(fits, np.broadcast(left, right).shape)


_OF_INTEGERS: Mapping[str, Callable[[Any, Any], _Checked]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "%": _remainder,
}
_OF_DOUBLES: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.divide,
    "%": np.fmod,
}


def negative(operand: Column) -> Column:
    """`-operand` of a number."""
    if operand.type is Type.DOUBLE:
        return Column(Type.DOUBLE, -operand.values, operand.known)
    return arithmetic("-", Column(Type.INT, 0), operand)


def negation(operand: Column) -> Column:
    """`!operand` of a bool."""
    return Column(Type.BOOL, np.logical_not(operand.values), operand.known)


def every(operands: Sequence[Column]) -> Column:
    """`a && b && ...` of bools: false as soon as one is known to be false."""
    return _logic(operands, decides=False)


def either(operands: Sequence[Column]) -> Column:
    """`a || b || ...` of bools: true as soon as one is known to be true."""
    return _logic(operands, decides=True)


def _logic(operands: Sequence[Column], *, decides: bool) -> Column:
    combine = np.logical_or if decides else np.logical_and
    found = operands[0].values
    known = operands[0].known
    for operand in operands[1:]:
        if known is not None or operand.known is not None:
            left, right = _is_known(known), _is_known(operand.known)
            known = (
                (left & right) | (left & (found == decides)) | (right & (operand.values == decides))
            )
        found = combine(found, operand.values)
    return Column(Type.BOOL, found, known)


def _is_known(known: NDArray[np.bool_] | None) -> Any:  # noqa: ANN401
    return np.True_ if known is None else known


def choice(condition: Column, yes: Column, no: Column) -> Column:
    """`condition ? yes : no`: of the side that is chosen, nothing else matters."""
    count = max(len(column) for column in (condition, yes, no) if not column.is_literal)
    condition, yes, no = (column.written_out(count) for column in (condition, yes, no))
    if yes.type is no.type is Type.INT and yes.values.dtype != no.values.dtype:
        yes, no = yes.signed(), no.signed()
    known = condition.known
    if yes.known is not None or no.known is not None:
        chosen = np.where(condition.values, yes.known_places(), no.known_places())
        known = both_known(known, chosen)
    if yes.type is Type.STRING:
        strings = pc.if_else(pa.array(condition.values), yes.values.plain(), no.values.plain())
        return Column(Type.STRING, Texts(strings), known)
    if Type.DOUBLE in (yes.type, no.type):
        found = np.where(condition.values, yes.doubles(), no.doubles())
        return Column(Type.DOUBLE, found, known)
    return Column(yes.type, np.where(condition.values, yes.values, no.values), known)


def is_in(subject: Column, items: Sequence[Column]) -> Column:
    """`subject in [items]`, of literals that can be compared with it."""
    if subject.type is Type.STRING:
        listed = pa.array([item.values for item in items], pa.large_string())
        found = subject.values.spread(_to_bools(pc.is_in(subject.values.strings, listed)))
        return Column(Type.BOOL, found, subject.known)
    found = np.zeros(len(subject), np.bool_)
    for item in items:
        found |= compare("==", subject, item).values
    return Column(Type.BOOL, found, subject.known)
