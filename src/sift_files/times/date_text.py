"""One date in words as nanoseconds: ISO 8601, or a pattern as for `strptime`."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from sift_files.errors import PlanError

__all__ = ["ISO", "compiled", "has_zone", "ns_of_iso", "ns_of_text", "zone_of"]

INT_64_MAX = 2**63 - 1

ISO = re.compile(
    r"(?P<Y>\d{4})[-/](?P<m>\d\d?)[-/](?P<d>\d\d?)"
    r"(?:(?:[Tt_]|\s+)(?P<H>\d\d?):(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d+))?)?)?"
    r"\s*(?P<z>Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?"
)
_DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d\d)",
    "m": r"(?P<m>\d\d?)",
    "d": r"(?P<d>\d\d?)",
    "j": r"(?P<j>\d{1,3})",
    "b": r"(?P<b>[A-Za-z]{3,})\.?",
    "B": r"(?P<b>[A-Za-z]{3,})\.?",
    "H": r"(?P<H>\d\d?)",
    "I": r"(?P<I>\d\d?)",
    "M": r"(?P<M>\d\d?)",
    "S": r"(?P<S>\d\d?)",
    "f": r"(?P<f>\d+)",
    "p": r"(?P<p>[AaPp]\.?[Mm]\.?)",
    "z": r"(?P<z>Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)",
    "%": "%",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SECOND_NS = 1_000_000_000
_DAY_S = 86_400
_FRACTION_DIGITS = 9
_YEARS_OF_19 = 69
"""Two digits of a year from here on are those of 19.., as POSIX has it."""


def ns_of_iso(text: str, timezone: str = "") -> int | None:
    """Nanoseconds of a date as ISO 8601 has it; None if it is no such."""
    return ns_of_text(text, ISO, zone_of(timezone), needs_zone=False)


def has_zone(text: str) -> bool:
    """Whether a date as ISO 8601 has it names its zone."""
    found = ISO.fullmatch(text.strip())
    return found is not None and found["z"] is not None


@lru_cache(maxsize=64)
def zone_of(timezone: str) -> ZoneInfo | None:
    """The zone of a name; None for UTC.

    Raises:
        PlanError: There is none.
    """
    if timezone.upper() in {"", "UTC", "GMT", "Z"}:
        return None
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise PlanError(
            f"there is no time zone {timezone!r}; names are such as UTC or Europe/Berlin"
        ) from None


@lru_cache(maxsize=64)
def compiled(pattern: str) -> re.Pattern[str]:
    """What a pattern as for `strptime` matches.

    Raises:
        PlanError: It can't be read, or has no date.
    """
    parts, used, at = [], set(), 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "%":
            at += 1
            letter = pattern[at : at + 1]
            if letter not in _DIRECTIVES or (letter in used and letter != "%"):
                known = " ".join(f"%{each}" for each in _DIRECTIVES)
                raise PlanError(
                    f"the time pattern {pattern!r} has '%{letter}' where one of {known} may be,"
                    " each once"
                )
            used.add(letter)
            parts.append(_DIRECTIVES[letter])
        elif letter.isspace():
            parts.append(r"\s+")
        else:
            parts.append(re.escape(letter))
        at += 1
    if not used & {"Y", "y"} or not ((used & {"m", "b", "B"} and "d" in used) or "j" in used):
        raise PlanError(f"the time pattern {pattern!r} has no whole date: year, month and day")
    return re.compile("".join(parts))


def ns_of_text(
    text: str, shape: re.Pattern[str], zone: ZoneInfo | None, *, needs_zone: bool
) -> int | None:
    """Nanoseconds of a date of a shape; None if it is no such, or no time."""
    found = shape.fullmatch(text.strip())
    if found is None:
        return None
    part = found.groupdict()
    if needs_zone and part.get("z") is None:
        return None
    day = _day_of(part)
    time_of_day = _seconds_of(part)
    if day is None or time_of_day is None:
        return None
    local_s = (day.toordinal() - _EPOCH_DAY) * _DAY_S + time_of_day
    offset_s = _offset_s(part.get("z")) if part.get("z") else _zone_offset_s(zone, local_s)
    if offset_s is None:
        return None
    fraction = part.get("f") or ""
    ns = int(fraction[:_FRACTION_DIGITS].ljust(_FRACTION_DIGITS, "0"))
    # Half a nanosecond and more is one.
    ns += fraction[_FRACTION_DIGITS : _FRACTION_DIGITS + 1] >= "5"
    total = (local_s - offset_s) * _SECOND_NS + ns
    return total if abs(total) <= INT_64_MAX else None


def _day_of(part: dict[str, str | None]) -> date | None:
    if (year := part.get("Y")) is not None:
        number = int(year)
    else:
        short = int(part["y"] or 0)
        number = short + (1900 if short >= _YEARS_OF_19 else 2000)
    try:
        if (day_of_year := part.get("j")) is not None:
            found = date(number, 1, 1) + timedelta(days=int(day_of_year) - 1)
            return found if found.year == number else None
        if (name := part.get("b")) is not None:
            month = _MONTHS.index(name[:3].lower()) + 1
        else:
            month = int(part["m"] or 0)
        return date(number, month, int(part["d"] or 0))
    except (ValueError, OverflowError):
        return None


def _seconds_of(part: dict[str, str | None]) -> int | None:
    hour = int(part.get("H") or part.get("I") or 0)
    minute, second = int(part.get("M") or 0), int(part.get("S") or 0)
    if (half := part.get("p")) is not None:
        if not 1 <= hour <= 12:  # noqa: PLR2004 (hours of half a day)
            return None
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    if hour > 23 or minute > 59 or second > 59:  # noqa: PLR2004 (a leap second is no time of 1970's)
        return None
    return hour * 3_600 + minute * 60 + second


def _offset_s(zone: str | None) -> int | None:
    if zone is None or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 (of a clock)
        return None
    return (hours * 3_600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def _zone_offset_s(zone: ZoneInfo | None, local_s: int) -> int | None:
    """What a zone's clocks are ahead of UTC; None if they show the time twice, or never."""
    if zone is None:
        return 0
    local = datetime(1970, 1, 1) + timedelta(seconds=local_s)  # noqa: DTZ001 (a time of the zone)
    offsets = {local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    if len(offsets) != 1:
        return None
    (offset,) = offsets
    return None if offset is None else round(offset.total_seconds())
