"""Up to when points of an asset are to be deleted: whole hours, the oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR_NS = 3_600 * 10**9
_DAY_NS = 24 * HOUR_NS
_NS_PER_S = 10**9

WHOLE_DAYS_S_MIN = 2 * 86_400
"""Age from which on whole dates in UTC are deleted: files hold one date each, so that most of them
go as they are. Below, whole hours are."""

ROOM = 0.95
"""Part of its size that an asset is brought down to when it has more, so that files are not written
anew all the time."""


def cutoff_by_age(now_ns: int, age_s: int) -> int:
    """Time before which all points are too old, rounded down to a whole date or hour."""
    span_ns = _DAY_NS if age_s >= WHOLE_DAYS_S_MIN else HOUR_NS
    return (now_ns - age_s * _NS_PER_S) // span_ns * span_ns


def cutoff_by_size(hours: Mapping[int, float], size_bytes: int) -> int | None:
    """Time before which points have to go, so that the rest has room; None if all has.

    The newest hour stays, whatever its size.

    Args:
        hours: Bytes of each hour, counted from 1970, that has points.
        size_bytes: Bytes that there may be.
    """
    total = sum(hours.values())
    if total <= size_bytes:
        return None
    *oldest, newest = sorted(hours)
    for hour in oldest:
        total -= hours[hour]
        if total <= size_bytes * ROOM:
            return (hour + 1) * HOUR_NS
    return newest * HOUR_NS
