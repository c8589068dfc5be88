"""What the values of a time column mean, by their looks and the column's name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_files.names import name_and_unit
from sift_files.plan import TimeFormat
from sift_files.times.date_text import compiled, has_zone, ns_of_iso, ns_of_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "NO_ZONE",
    "TimeFormatGuess",
    "format_of_numbers",
    "format_of_texts",
    "name_score",
    "unit_word",
]

_NAMES = re.compile(
    r"^(?:time|times|timestamp|timestamps|date|datetime|date[ _]?time|utc|epoch|unix|ts|t"
    r"|elapsed|clock|datum|uhrzeit|zeit|zeitstempel|temps|tiempo)$"
)
_PARTS = re.compile(r"time|date|epoch|elapsed|zeit")
_SPLIT = re.compile(r"[\s_./:-]+|(?<=[a-z])(?=[A-Z])")
_UNIT_WORDS = {
    word: unit
    for unit, words in {
        "nanoseconds": "ns nsec nanos nanoseconds",
        "microseconds": "us µs μs usec micros microseconds",
        "milliseconds": "ms msec millis milliseconds",
        "seconds": "s sec secs second seconds",
        "minutes": "min mins minutes",
        "hours": "h hr hours",
    }.items()
    for word in words.split()
}
_UNIX_RANGES = (
    # From 1995 to 2100, in the units that clocks count in.
    (788_918_400, 4_102_444_800, TimeFormat.ABSOLUTE_UNIX_SECONDS),
    (788_918_400_000, 4_102_444_800_000, TimeFormat.ABSOLUTE_UNIX_MILLISECONDS),
    (788_918_400_000_000, 4_102_444_800_000_000, TimeFormat.ABSOLUTE_UNIX_MICROSECONDS),
    (
        788_918_400_000_000_000,
        4_102_444_800_000_000_000,
        TimeFormat.ABSOLUTE_UNIX_NANOSECONDS,
    ),
)
_DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d %b %Y", "%b %d %Y", "%d-%b-%Y", "%Y%m%d"),
)
_CLOCKS = (
    *("%H:%M:%S.%f", "%H:%M:%S,%f", "%H:%M:%S", "%H:%M"),
    *("%I:%M:%S.%f %p", "%I:%M:%S %p", "%I:%M %p", ""),
)
_PATTERNS = (
    *(f"{day} {clock}".strip() for day in _DAYS for clock in _CLOCKS),
    *("%Y%m%dT%H%M%S", "%Y%m%dT%H%M%S.%f", "%Y%m%dT%H%M%S%z"),
    *("%Y-%jT%H:%M:%S.%f", "%Y-%jT%H:%M:%S"),
)
NO_ZONE = "the times name no time zone and are taken for UTC (--timezone)"


@dataclass(frozen=True, slots=True)
class TimeFormatGuess:
    """What times seem to mean.

    Attributes:
        format: Their format.
        pattern: As in `TimePlan`.
        note: What is not sure about it; empty if all is.
    """

    format: TimeFormat
    pattern: str = ""
    note: str = ""


def unit_word(unit: str) -> str | None:
    """The unit as formats call it, such as `seconds` of `s`; None if it is none of time."""
    return _UNIT_WORDS.get(unit)


def name_score(header: str) -> int:
    """How much a column's name says that it has times: 2 very, 1 somewhat, 0 not."""
    name, _ = name_and_unit(header)
    if _NAMES.match(name.lower()):
        return 2
    words = [word.lower() for word in _SPLIT.split(name) if word]
    if words and (_NAMES.match(words[0]) or _NAMES.match(words[-1])) and len(words[-1]) > 1:
        return 2 if words[-1] in _UNIT_WORDS and len(words) == 2 else 1  # noqa: PLR2004 (time_ms)
    if len(words) == 2 and _NAMES.match(words[0]) and words[1] in _UNIT_WORDS:  # noqa: PLR2004 (t_s)
        return 2
    return int(bool(_PARTS.search(name.lower())))


def format_of_numbers(first: float, last: float, header: str, unit: str = "") -> TimeFormatGuess:
    """What numbers mean, by how large the first and the last are, and the unit in the name."""
    unit = unit or name_and_unit(header)[1]
    word = _UNIT_WORDS.get(unit.strip())
    if word is None:
        last_word = ([each for each in _SPLIT.split(name_and_unit(header)[0]) if each] or [""])[-1]
        word = _UNIT_WORDS.get(last_word.lower()) if last_word.lower() != header.lower() else None
    for low, high, unix in _UNIX_RANGES:
        if low <= first < high and low <= last < high:
            named = word is None or unix.value.endswith(f"_{word}")
            if named:
                return TimeFormatGuess(unix)
    if word is not None:
        return TimeFormatGuess(TimeFormat(f"relative_{word}"))
    return TimeFormatGuess(
        TimeFormat.RELATIVE_SECONDS,
        note=f"the times in {header!r} name no unit and are taken for seconds (--time-format)",
    )


def format_of_texts(texts: Sequence[str]) -> TimeFormatGuess | None:
    """What dates in words mean; None if they are none."""
    texts = [text.strip() for text in texts if text.strip()]
    if not texts:
        return None
    if all(ns_of_iso(text) is not None for text in texts):
        if all(has_zone(text) for text in texts):
            return TimeFormatGuess(TimeFormat.ABSOLUTE_RFC3339)
        return TimeFormatGuess(TimeFormat.ABSOLUTE_DATETIME, note=NO_ZONE)
    found = [each for each in _PATTERNS if all(_fits(text, each) for text in texts)]
    if not found:
        return None
    if found[0].endswith("%p"):
        # Where half days are counted, the month is written first.
        found.sort(key=lambda each: each[:2] != "%m")
    note = NO_ZONE
    if len(found) > 1 and {found[0][:2], found[1][:2]} == {"%d", "%m"}:
        note += (
            f"; the date is read as {found[0]!r}, and could be {found[1]!r} as well (--time-format)"
        )
    return TimeFormatGuess(TimeFormat.ABSOLUTE_DATETIME, found[0], note)


def _fits(text: str, pattern: str) -> bool:
    return ns_of_text(text, compiled(pattern), None, needs_zone=False) is not None
