"""Functions of numbers. They follow IEEE 754: out of their domain they give NaN or an infinity."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_server.expressions.functions.base import (
    AT_GAPS,
    Example,
    FunctionError,
    Library,
    Pointwise,
)
from sift_server.expressions.operators import choice, compare, negative
from sift_server.expressions.values import Column, Type, both_known

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


def _check_numbers(types: Sequence[Type]) -> None:
    for place, each in enumerate(types, 1):
        if not each.is_number:
            raise FunctionError(f"takes numbers; argument {place} is {each.value}")


def _check_count(types: Sequence[Type], count: int) -> None:
    if len(types) != count:
        what = "argument" if count == 1 else "arguments"
        raise FunctionError(f"takes {count} {what}, not {len(types)}")


def _of_doubles(
    name: str,
    arguments: str,
    compute: Callable[..., NDArray[Any]],
    meaning: str,
    given: list[float],
    found: list[Any],
) -> Pointwise:
    count = len(arguments.split(","))
    result = Type.BOOL if isinstance(found[0], bool) else Type.DOUBLE

    def type_of(types: Sequence[Type]) -> Type:
        _check_count(types, count)
        _check_numbers(types)
        return result

    def call(columns: Sequence[Column]) -> Column:
        with np.errstate(all="ignore"):
            values = compute(*[column.doubles() for column in columns])
        known = functools.reduce(both_known, (column.known for column in columns))
        return Column(result, values, known)

    return Pointwise(
        name,
        Library.MATH,
        f"{name}({arguments})",
        "bool" if result is Type.BOOL else "double",
        meaning,
        AT_GAPS,
        Example(f"{name}({arguments.replace('x', '$1')})", given, found),
        type_of,
        call,
    )


def _abs_type(types: Sequence[Type]) -> Type:
    _check_count(types, 1)
    _check_numbers(types)
    return types[0]


def _abs(columns: Sequence[Column]) -> Column:
    (column,) = columns
    if column.type is Type.DOUBLE:
        return Column(Type.DOUBLE, np.abs(column.values), column.known)
    if column.values.dtype == np.uint64:
        return column
    is_negative = compare("<", column, Column(Type.INT, 0))
    return choice(is_negative, negative(column), column)


def _several_type(types: Sequence[Type]) -> Type:
    if len(types) < 2:  # noqa: PLR2004
        raise FunctionError(
            'takes two or more numbers, or one number and a window such as rolling("10s")'
        )
    _check_numbers(types)
    return Type.DOUBLE if Type.DOUBLE in types else Type.INT


def _smallest_or_largest(sign: str) -> Callable[[Sequence[Column]], Column]:
    combine = np.minimum if sign == "<" else np.maximum

    def call(columns: Sequence[Column]) -> Column:
        if any(column.type is Type.DOUBLE for column in columns):
            found = functools.reduce(combine, (column.doubles() for column in columns))
            known = functools.reduce(both_known, (column.known for column in columns))
            return Column(Type.DOUBLE, found, known)
        # A literal is written out beside a column only.
        return functools.reduce(two, sorted(columns, key=lambda column: column.is_literal))

    def two(left: Column, right: Column) -> Column:
        found = choice(compare(sign, left, right), left, right)
        return found.only(both_known(left.known, right.known))

    return call


def _round(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # To add a half and cut would make 1 of 0.49999999999999994, and change large numbers.
    size = np.abs(values)
    whole = np.floor(size)
    return np.copysign(np.where(size - whole < 0.5, whole, whole + 1.0), values)  # noqa: PLR2004


def _power(base: Any, exponent: Any) -> NDArray[np.float64]:  # noqa: ANN401 - arrays or floats
    # Where one exponent is for all, NumPy takes the root for 0.5, which is not the same: -infinity
    # has no root, but a power. A copy has an exponent for each.
    bases, exponents = map(np.array, np.broadcast_arrays(base, exponent))
    found: NDArray[np.float64] = np.power(bases, exponents)
    return found


_ONE_DOUBLE: tuple[tuple[str, str, Callable[..., Any], str, list[float], list[Any]], ...] = (
    ("sqrt", "x", np.sqrt, "The square root; NaN below 0.", [9.0, 2.25], [3.0, 1.5]),
    ("exp", "x", np.exp, "e to the power of x.", [0.0], [1.0]),
    ("log", "x", np.log, "The natural logarithm; NaN below 0.", [1.0], [0.0]),
    ("log2", "x", np.log2, "The logarithm to base 2.", [8.0], [3.0]),
    ("log10", "x", np.log10, "The logarithm to base 10.", [1000.0], [3.0]),
    ("pow", "x, 2", _power, "The first to the power of the second.", [3.0, -4.0], [9.0, 16.0]),
    ("sin", "x", np.sin, "The sine of an angle in radians.", [0.0], [0.0]),
    ("cos", "x", np.cos, "The cosine of an angle in radians.", [0.0], [1.0]),
    ("tan", "x", np.tan, "The tangent of an angle in radians.", [0.0], [0.0]),
    ("asin", "x", np.arcsin, "The arc sine in radians; NaN beyond -1 and 1.", [0.0], [0.0]),
    ("acos", "x", np.arccos, "The arc cosine in radians; NaN beyond -1 and 1.", [1.0], [0.0]),
    ("atan", "x", np.arctan, "The arc tangent in radians.", [0.0], [0.0]),
    ("atan2", "x, 1", np.arctan2, "The angle of the point (second, first).", [0.0], [0.0]),
    ("floor", "x", np.floor, "The largest whole number not above x.", [1.7, -1.2], [1.0, -2.0]),
    ("ceil", "x", np.ceil, "The smallest whole number not below x.", [1.2, -1.7], [2.0, -1.0]),
    ("trunc", "x", np.trunc, "x without its fraction.", [1.7, -1.7], [1.0, -1.0]),
    (
        "round",
        "x",
        _round,
        "The nearest whole number; halves go up in size.",
        [1.5, -2.5],
        [2.0, -3.0],
    ),
    ("sign", "x", np.sign, "-1, 0 or 1.", [-3.0, 0.0, 7.0], [-1.0, 0.0, 1.0]),
    ("isNaN", "x", np.isnan, "Whether it is NaN.", [np.nan, 1.0], [True, False]),
    ("isInf", "x", np.isinf, "Whether it is an infinity.", [np.inf, 1.0], [True, False]),
    ("isFinite", "x", np.isfinite, "Whether it is neither.", [np.inf, 1.0], [False, True]),
)
"""Functions of doubles: name, arguments, what computes it, meaning, and an example."""

MATHEMATICS: tuple[Pointwise, ...] = (
    Pointwise(
        "abs",
        Library.MATH,
        "abs(x)",
        "that of x",
        "The absolute value.",
        AT_GAPS,
        Example("abs($1)", [-1.5, 2.0], [1.5, 2.0]),
        _abs_type,
        _abs,
    ),
    Pointwise(
        "min",
        Library.MATH,
        "min(x, y, ...)",
        "double, or integer of integers",
        "The smallest; NaN if one is.",
        AT_GAPS,
        Example("min($1, 2)", [1, 3], [1, 2]),
        _several_type,
        _smallest_or_largest("<"),
    ),
    Pointwise(
        "max",
        Library.MATH,
        "max(x, y, ...)",
        "double, or integer of integers",
        "The largest; NaN if one is.",
        AT_GAPS,
        Example("max($1, 2)", [1, 3], [2, 3]),
        _several_type,
        _smallest_or_largest(">"),
    ),
    *(_of_doubles(*row) for row in _ONE_DOUBLE),
)
