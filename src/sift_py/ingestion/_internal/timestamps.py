"""Timestamps of any accepted kind, as nanoseconds since 1970-01-01T00:00:00Z, exactly."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, SupportsIndex, TypeGuard

from sift_py.errors import IngestionValidationError

if TYPE_CHECKING:
    import numpy as np

    from sift_py.ingestion.flow import Timestamp

NS_PER_S = 1_000_000_000
NS_MIN = -9_223_372_036 * NS_PER_S
"""1677-09-21T00:12:44Z: from here on 64 bits hold the nanoseconds of whole seconds."""
NS_MAX = 9_223_372_036 * NS_PER_S - 1
"""The last nanosecond before 2262-04-11T23:47:16Z. A message could carry the years 1 to 9999, but
a server keeps nanoseconds in 64 bits, and would put such a row aside without a word to the sender.
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO = timedelta(0)
_YEARS = "must be between the years 1677 and 2262, whose nanoseconds fit into 64 bits"
_NS_PER_UNIT = {
    "W": Fraction(7 * 86_400 * NS_PER_S),
    "D": Fraction(86_400 * NS_PER_S),
    "h": Fraction(3_600 * NS_PER_S),
    "m": Fraction(60 * NS_PER_S),
    "s": Fraction(NS_PER_S),
    "ms": Fraction(1_000_000),
    "us": Fraction(1_000),
    "ns": Fraction(1),
    "ps": Fraction(1, 1_000),
    "fs": Fraction(1, 1_000_000),
    "as": Fraction(1, 1_000_000_000),
}
_MONTHS_PER_UNIT = {"Y": 12, "M": 1}
_NUMPY_UNIT = re.compile(r"M8\[(\d*)([A-Za-z]+)\]$")


def timestamp_ns(
    timestamp: Timestamp, flow_name: str, *, utc_only: bool, row: int | None = None
) -> int:
    """Return a timestamp in nanoseconds.

    Args:
        timestamp: A `datetime` (a `pandas.Timestamp` keeps its nanoseconds), an integer of
            nanoseconds, or a `numpy.datetime64`, which is UTC by definition.
        flow_name: For messages.
        utc_only: Refuse a `datetime` that is naive or whose offset is not zero. Otherwise a naive
            one is taken as UTC and an aware one is converted.
        row: For messages, if it is one of many.

    Raises:
        IngestionValidationError: None of these, no time at all (NaT), finer than a nanosecond, or
            not between the years 1677 and 2262.
    """
    try:
        return _checked_ns(timestamp, utc_only=utc_only)
    except _UnusableError as error:
        where = "" if row is None else f" in row {row}"
        raise IngestionValidationError(
            f"flow '{flow_name}': the timestamp{where} {error.args[0]}, got {timestamp!r}."
        ) from None


def timestamps_ns(timestamps: list[Timestamp], flow_name: str, *, utc_only: bool) -> list[int]:
    """Return timestamps as `timestamp_ns` does; what it refuses raises the same error.

    Those of the ordinary types are looked at in bulk.
    """
    nanoseconds: list[int] = []
    types = set(map(type, timestamps))
    if types == {int}:
        nanoseconds = timestamps  # type: ignore[assignment]
    elif types == {datetime}:
        moments: list[datetime] = timestamps  # type: ignore[assignment]
        if False not in [moment.tzinfo is UTC for moment in moments]:
            nanoseconds = list(map(_since_epoch_ns, moments))
    if nanoseconds and min(nanoseconds) >= NS_MIN and max(nanoseconds) <= NS_MAX:
        return nanoseconds
    return [timestamp_ns(each, flow_name, utc_only=utc_only) for each in timestamps]


def moment_ns(moment: Timestamp) -> int:
    """Return one moment in nanoseconds; a naive `datetime` is UTC.

    Raises:
        ValueError: It can't be used; the text goes on after 'the timestamp'.
    """
    return _checked_ns(moment, utc_only=False)


class _UnusableError(ValueError):
    """Why a timestamp can't be used: goes on after 'the timestamp'."""


def _checked_ns(timestamp: Timestamp, *, utc_only: bool) -> int:
    if type(timestamp) is int:
        nanoseconds = timestamp
    elif isinstance(timestamp, datetime):
        nanoseconds = _datetime_ns(timestamp, utc_only=utc_only)
    elif _is_numpy_datetime(timestamp):
        nanoseconds = _numpy_ns(timestamp)
    else:
        nanoseconds = _integer_ns(timestamp)
    if not NS_MIN <= nanoseconds <= NS_MAX:
        raise _UnusableError(_YEARS)
    return nanoseconds


def _datetime_ns(moment: datetime, *, utc_only: bool) -> int:
    if moment.tzinfo is UTC and type(moment) is datetime:
        return _since_epoch_ns(moment)
    if moment != moment:  # noqa: PLR0124 - pandas.NaT is a datetime, and like NaN
        raise _UnusableError("must be a time, not NaT")
    offset = moment.utcoffset()
    if offset != _ZERO and utc_only:
        zone = "none (a naive datetime)" if offset is None else f"'{moment.tzname()}'"
        raise _UnusableError(f"must be in UTC, but its time zone is {zone}")
    if offset is None:
        moment = moment.replace(tzinfo=UTC)
    # What pandas.Timestamp has beyond a datetime.
    return _since_epoch_ns(moment) + int(getattr(moment, "nanosecond", 0))


def _since_epoch_ns(moment: datetime) -> int:
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def _is_numpy_datetime(timestamp: object) -> TypeGuard[np.datetime64]:
    # NumPy is no dependency; who has one of its times has loaded it already.
    return type(timestamp).__module__ == "numpy" and type(timestamp).__name__ == "datetime64"


def _numpy_ns(moment: np.datetime64) -> int:
    if moment != moment:  # noqa: PLR0124 - NaT
        raise _UnusableError("must be a time, not NaT")
    match = _NUMPY_UNIT.search(moment.dtype.str)
    if match is None:
        raise _UnusableError("must have a unit")
    count = int(moment.astype("int64")) * int(match[1] or 1)
    if match[2] in _MONTHS_PER_UNIT:
        count, unit = _days_of_month(count * _MONTHS_PER_UNIT[match[2]]), "D"
    else:
        unit = match[2]
    nanoseconds = count * _NS_PER_UNIT[unit]
    if nanoseconds.denominator != 1:
        raise _UnusableError("must not be finer than a nanosecond")
    return nanoseconds.numerator


def _days_of_month(months: int) -> int:
    """Days from 1970-01-01 to the first day of a month that is counted from there."""
    years, month = divmod(months, 12)
    try:
        return date(1970 + years, month + 1, 1).toordinal() - _EPOCH.toordinal()
    except (ValueError, OverflowError):
        raise _UnusableError(_YEARS) from None


def _integer_ns(timestamp: object) -> int:
    if isinstance(timestamp, SupportsIndex) and not isinstance(timestamp, bool):
        return timestamp.__index__()
    raise _UnusableError(
        "must be a datetime, integer nanoseconds (such as time.time_ns()) or a numpy.datetime64"
    )
