"""Times and durations as filters write them, in nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeVar

from sift_server.cel import INT_64_MAX, INT_64_MIN, shortened
from sift_server.errors import InvalidArgumentError

_TIMESTAMP = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](?P<time>\d\d:\d\d(?::\d\d)?)(?:\.(?P<fraction>\d{1,9}))?"
    r" ?(?P<offset>[Zz]|[+-]\d\d:?\d\d)?)?"
)
_DURATION = re.compile(r"-?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|us|ns|m|s))+")
_DURATION_PART = re.compile(r"(\d*)\.?(\d*)(h|ms|us|ns|m|s)")
_UNIT_NS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_DURATION_CHARS_MAX = 400

N = TypeVar("N", int, float)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp_ns(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time, also with a blank for the T; UTC if not said.

    Raises:
        InvalidArgumentError: It is not such a time, or outside of 1677 to 2262.
    """
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        raise _not_a_time(text)
    try:
        moment = datetime.fromisoformat(f"{match['date']}T{match['time'] or '00:00'}")
        aware = moment.replace(tzinfo=_zone(match["offset"] or "Z"))
    except ValueError:
        raise _not_a_time(text) from None
    whole_s = (aware - _EPOCH) // timedelta(seconds=1)
    fraction_ns = int((match["fraction"] or "").ljust(9, "0"))
    return in_64_bits(whole_s * 1_000_000_000 + fraction_ns, text)


def _not_a_time(text: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{shortened(text)} in the filter is not a time; write it as '2026-01-31T12:00:00.5Z'"
    )


def _zone(offset: str) -> timezone:
    if offset in "Zz":
        return UTC
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def duration_ns(text: str) -> int:
    """Nanoseconds of a duration such as `90.0s`, `-1.5h` or `1h30m`.

    Raises:
        InvalidArgumentError: It is not such a duration.
    """
    if len(text) > _DURATION_CHARS_MAX or _DURATION.fullmatch(text.strip()) is None:
        raise InvalidArgumentError(
            f"{shortened(text)} in the filter is not a duration; write it as '90.5s' or '1h30m',"
            " of the units h, m, s, ms, us, ns"
        )
    total_ns = 0
    for whole, fraction, unit in _DURATION_PART.findall(text):
        numerator = int(whole + fraction) * _UNIT_NS[unit]
        total_ns += numerator // 10 ** len(fraction)
    return in_64_bits(-total_ns if text.strip().startswith("-") else total_ns, text)


def year_start_ns(year: int) -> int:
    """Nanoseconds since 1970 at which a year begins in UTC, or the nearest that is stored."""
    if year < 1678:  # noqa: PLR2004 - the first year that begins within 64 bits of nanoseconds
        return INT_64_MIN
    if year > 2262:  # noqa: PLR2004 - the last one
        return INT_64_MAX
    return (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1) * 1_000_000_000


def in_64_bits(number: N, text: str) -> N:
    """Return `number` if a database can hold it: a float, or an integer of 64 bits.

    Raises:
        InvalidArgumentError: It can't.
    """
    if isinstance(number, int) and not INT_64_MIN <= number <= INT_64_MAX:
        raise InvalidArgumentError(
            f"{shortened(text)} in the filter is beyond 64 bits; in nanoseconds, those are the"
            " years 1677 to 2262, and durations of up to 292 years"
        )
    return number
