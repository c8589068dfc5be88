"""Texts as values of a data type: whole arrays of Arrow at once, what fails cell by cell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_files.plan import DataType
from sift_files.states import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ARROW_TYPES",
    "REASONS",
    "cast_rows",
    "exact_up_to",
    "inexact_rows",
    "negative_hex_rows",
    "values_of",
]

ARROW_TYPES: dict[DataType, Any] = {
    DataType.DOUBLE: pa.float64(),
    DataType.FLOAT: pa.float64(),
    DataType.INT_32: pa.int32(),
    DataType.INT_64: pa.int64(),
    DataType.UINT_32: pa.uint32(),
    DataType.UINT_64: pa.uint64(),
    DataType.BOOL: pa.bool_(),
    DataType.STRING: pa.string(),
    DataType.ENUM: pa.string(),
}
"""What texts are read as; `float` by way of doubles, so that what is too large is noticed."""

REASONS = {
    DataType.DOUBLE: "is no number that a double holds",
    DataType.FLOAT: "is no number that a float holds",
    DataType.BOOL: "is neither true nor false",
    DataType.STRING: "is no text in UTF-8",
    DataType.ENUM: "is no name of the enum",
    **{
        kind: f"is no whole number that {kind.value} holds"
        for kind in (DataType.INT_32, DataType.INT_64, DataType.UINT_32, DataType.UINT_64)
    },
}

_SIGNED = frozenset({DataType.INT_32, DataType.INT_64})
_EXACT = 2.0**53
_WHOLE = re.compile(r"\s*[+-]?\d+\s*")
_KEY = re.compile(r"[0-9]{1,10}")
_KEY_MAX = 2**32 - 1
_INFINITE = re.compile(r"\s*[+-]?inf(?:inity)?\s*", re.IGNORECASE)
_FLOAT_MAX = float(np.finfo(np.float32).max)
_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")


def values_of(
    texts: Any,  # noqa: ANN401 (of Arrow)
    data_type: DataType,
    no_value: Sequence[str] = (),
    enum: Mapping[str, int] | None = None,
    decimal: str = ".",
) -> tuple[Any, list[int]]:
    """The values of an array of texts, and the rows of those that are none of the data type.

    Nothing, but for blanks, is no value, and so are the texts that stand for none; not in a string,
    where every text is a value. Those that do not fit are null, too.
    """
    if data_type is DataType.STRING:
        return texts, []
    texts = pc.utf8_trim_whitespace(texts)
    empty = pc.is_in(texts, value_set=pa.array(["", *no_value], pa.string()), skip_nulls=True)
    texts = pc.if_else(empty, pa.scalar(None, pa.string()), texts)
    if data_type is DataType.ENUM:
        return _enum(texts, enum or {})
    if data_type is DataType.BOOL:
        lower = pc.utf8_lower(texts)
        true = pc.is_in(lower, value_set=pa.array(_TRUE))
        known = pc.or_(true, pc.is_in(lower, value_set=pa.array(_FALSE)))
        bad = _rows(pc.and_(texts.is_valid(), pc.invert(known)))
        return pc.if_else(known, true, pa.scalar(None, pa.bool_())), bad
    if decimal != ".":
        texts = pc.replace_substring(texts, decimal, ".")
    if data_type not in {DataType.DOUBLE, DataType.FLOAT}:
        texts = pc.replace_substring_regex(texts, r"^\+([0-9])", r"\1")
    values, bad = cast_rows(texts, ARROW_TYPES[data_type])
    if data_type in {DataType.DOUBLE, DataType.FLOAT}:
        wrong = inexact_rows(values, texts, data_type)
    elif data_type in _SIGNED:
        wrong = negative_hex_rows(values, texts)
    else:
        wrong = []
    if wrong:
        values = _without(values, wrong)
        bad = sorted({*bad, *wrong})
    return (values.cast(pa.float32()) if data_type is DataType.FLOAT else values), bad


def exact_up_to(data_type: DataType) -> float:
    """Doubles that are as large or larger need a look at their texts."""
    return _FLOAT_MAX if data_type is DataType.FLOAT else _EXACT


def inexact_rows(values: Any, texts: Any, data_type: DataType) -> list[int]:  # noqa: ANN401 (of Arrow)
    """Rows whose doubles are not what their texts say: too large, or whole numbers too long."""
    large = pc.greater_equal(pc.abs(values), exact_up_to(data_type))
    return [row for row in _rows(large) if _is_inexact(texts[row].as_py(), values[row].as_py())]


def negative_hex_rows(values: Any, texts: Any) -> list[int]:  # noqa: ANN401 (of Arrow)
    """Rows whose texts are hexadecimal, and larger than the integers are."""
    negative = _rows(pc.less(values, 0))
    return [row for row in negative if "x" in texts[row].as_py().lower()]


def _is_inexact(text: str, value: float) -> bool:
    if value in {float("inf"), float("-inf")}:
        return not _INFINITE.fullmatch(text)
    return bool(_WHOLE.fullmatch(text)) and int(text) != int(value)


def _enum(texts: Any, enum: Mapping[str, int]) -> tuple[Any, list[int]]:  # noqa: ANN401 (of Arrow)
    """Keys of names; a number stands for itself, whether its state has a name or not."""
    found = {text: key_of(text, enum) for text in pc.unique(texts).to_pylist() if text}
    known = {text: key for text, key in found.items() if key is not None and key <= _KEY_MAX}
    keys = known | dict(enum)
    names = pa.array(list(keys), pa.string())
    at = pc.index_in(texts, value_set=names, skip_nulls=True)
    bad = _rows(pc.and_(texts.is_valid(), at.is_null()))
    return pa.array(list(keys.values()), pa.uint32()).take(at), bad


def cast_rows(texts: Any, kind: Any) -> tuple[Any, list[int]]:  # noqa: ANN401 (of Arrow)
    """Cast an array, and the rows that can't be, which are null then; they are found by halving."""
    bad: list[int] = []
    parts = [(0, len(texts))]
    while parts:
        first, count = parts.pop()
        try:
            texts.slice(first, count).cast(kind)
        except pa.ArrowInvalid:
            if count == 1:
                bad.append(first)
            else:
                half = count // 2
                parts += [(first, half), (first + half, count - half)]
    bad.sort()
    return (_without(texts, bad) if bad else texts).cast(kind), bad


def _without(array: Any, rows: list[int]) -> Any:  # noqa: ANN401 (of Arrow)
    mask = np.zeros(len(array), np.bool_)
    mask[rows] = True
    return pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)


def _rows(mask: Any) -> list[int]:  # noqa: ANN401 (of Arrow)
    found: list[int] = pc.indices_nonzero(mask).to_pylist()
    return found
