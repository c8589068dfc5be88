"""Times that people write, as nanoseconds since 1970-01-01T00:00:00Z, exactly."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from sift_py.errors import DataError
from sift_py.ingestion._internal.timestamps import NS_PER_S, moment_ns

if TYPE_CHECKING:
    import numpy as np

    Moment: TypeAlias = datetime | int | str | np.datetime64 | Timestamp

# RFC 3339, section 5.6, with fewer digits where people leave them out. Source: RFC 3339.
_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?\s*([Zz]|[+-]\d\d:?\d\d)?"
)


def to_ns(moment: Moment, name: str) -> int:
    """Return a moment in nanoseconds.

    Args:
        moment: A `datetime` (a `pandas.Timestamp` keeps its nanoseconds; naive is UTC), nanoseconds
            as an int, a `numpy.datetime64`, a protobuf `Timestamp`, or a text such as
            `2026-01-31T12:00:00.5Z` (without zone: UTC).
        name: Of the argument, for messages.

    Raises:
        DataError: It can't be used.
    """
    try:
        if isinstance(moment, str):
            return _text_ns(moment)
        if isinstance(moment, Timestamp):
            return moment.seconds * NS_PER_S + moment.nanos
        return moment_ns(moment)
    except ValueError as error:
        raise DataError(f"{name}: the time {error}, got {moment!r}.") from None


def _text_ns(text: str) -> int:
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise ValueError("must be written like 2026-01-31T12:00:00.5Z")
    date, clock, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{date}T{clock or '00:00'}{(zone or 'Z').upper()}")
    except ValueError:
        raise ValueError("is no time of any day") from None
    return moment_ns(whole.astimezone(UTC)) + int((fraction or "").ljust(9, "0"))
