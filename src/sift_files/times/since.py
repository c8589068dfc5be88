"""Units of times as CF has them: `seconds since 2026-01-01 00:00:00`."""

from __future__ import annotations

import re

from sift_files.plan import TimeFormat
from sift_files.times.date_text import ns_of_iso
from sift_files.times.detect import unit_word

__all__ = ["since_of"]

_SINCE = re.compile(r"(?P<unit>\S+)\s+since\s+(?P<date>.+)", re.IGNORECASE)


def since_of(unit: str) -> tuple[TimeFormat, int] | None:
    """The format, and what it counts from in nanoseconds; None if a unit is no such."""
    found = _SINCE.fullmatch(unit.strip())
    if found is None:
        return None
    word, start_ns = unit_word(found["unit"].lower()), ns_of_iso(found["date"])
    if word is None or start_ns is None:
        return None
    return TimeFormat(f"relative_{word}"), start_ns
