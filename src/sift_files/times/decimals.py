"""Numbers in words as nanoseconds: no digit passes through floating point."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_files.times.numbers import INT_64_MAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ns_of_decimals"]

_DECIMAL = pa.decimal128(38, 18)
_POWERS = {10**power: power for power in range(10)}
_CONTEXT = Context(prec=120, rounding=ROUND_HALF_EVEN)
_CHARACTERS_MAX = 100


def ns_of_decimals(texts: Any, unit_ns: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:  # noqa: ANN401 (of Arrow)
    """Nanoseconds of an array of texts, and which of them are no times; rounded half to even."""
    digits = _POWERS.get(unit_ns)
    if digits is not None:
        try:
            return _at_once(texts, digits)
        except pa.ArrowInvalid:
            pass
    return _one_by_one(texts, unit_ns)


def _at_once(texts: Any, digits: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:  # noqa: ANN401 (of Arrow)
    rounded = pc.round(texts.cast(_DECIMAL), digits, round_mode="half_to_even")
    whole = rounded.cast(pa.decimal128(38, digits))
    bad = texts.is_null().to_numpy(zero_copy_only=False)
    # 128 bits each, the lower half first.
    halves = np.frombuffer(whole.buffers()[1], np.int64)
    first = 2 * whole.offset
    halves = halves[first : first + 2 * len(whole)].reshape(-1, 2)
    low = np.where(bad, 0, halves[:, 0])
    bad |= (halves[:, 1] != low >> 63) & ~bad
    return np.where(bad, 0, low), bad


def _one_by_one(texts: Any, unit_ns: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:  # noqa: ANN401 (of Arrow)
    times, bad = np.zeros(len(texts), np.int64), np.ones(len(texts), np.bool_)
    for at, text in enumerate(texts.to_pylist()):
        ns = None if text is None else _ns_of(text, unit_ns)
        if ns is not None:
            times[at], bad[at] = ns, False
    return times, bad


def _ns_of(text: str, unit_ns: int) -> int | None:
    if len(text) > _CHARACTERS_MAX or "_" in text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if not value.is_finite() or abs(value.adjusted()) > _CHARACTERS_MAX:
        return 0 if value.is_finite() and value.adjusted() < 0 else None
    ns = int(
        _CONTEXT.multiply(value, Decimal(unit_ns)).to_integral_value(ROUND_HALF_EVEN, _CONTEXT)
    )
    return ns if abs(ns) <= INT_64_MAX else None
