"""Dates in words as nanoseconds, for whole arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_files.times.date_text import ISO, compiled, ns_of_text, zone_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ns_of_dates"]


def ns_of_dates(
    texts: Any,  # noqa: ANN401 (of Arrow)
    timezone: str,
    pattern: str = "",
    *,
    needs_zone: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Nanoseconds of an array of texts, and which of them are no times.

    Args:
        texts: The array.
        timezone: Of dates that name none; empty for UTC. A time that a zone has twice, or not at
            all, when clocks are changed, is no time.
        pattern: As for `strptime`, with fractions of any length; empty for ISO 8601.
        needs_zone: Whether dates that name no zone are no times.

    Raises:
        PlanError: There is no such zone, or the pattern can't be read.
    """
    zone = zone_of(timezone)
    if not pattern:
        try:
            return _at_once(texts, timezone, needs_zone=needs_zone)
        except pa.ArrowInvalid:
            pass
    shape = compiled(pattern) if pattern else ISO
    times, bad = np.zeros(len(texts), np.int64), np.ones(len(texts), np.bool_)
    for at, text in enumerate(texts.to_pylist()):
        ns = None if text is None else ns_of_text(text, shape, zone, needs_zone=needs_zone)
        if ns is not None:
            times[at], bad[at] = ns, False
    return times, bad


def _at_once(
    texts: Any,  # noqa: ANN401 (of Arrow)
    timezone: str,
    *,
    needs_zone: bool,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    zoned = pa.timestamp("ns", "UTC")
    try:
        times = texts.cast(zoned)
    except pa.ArrowInvalid:
        if needs_zone:
            raise
        times = pc.assume_timezone(
            texts.cast(pa.timestamp("ns")),
            "UTC" if zone_of(timezone) is None else timezone,
            ambiguous="raise",
            nonexistent="raise",
        )
    bad = times.is_null().to_numpy(zero_copy_only=False)
    numbers = times.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return numbers.astype(np.int64, copy=False), bad
