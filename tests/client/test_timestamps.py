"""Timestamps of every kind become nanoseconds, exactly."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.timestamps import NS_MAX, NS_MIN, timestamp_ns, timestamps_ns
from sift_wire.messages import timestamp_field

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOON_NS = 1_780_315_200_000_000_000


def ns(timestamp, *, utc_only=True):
    """By itself, and in bulk with others of its kind: the same."""
    nanoseconds = timestamp_ns(timestamp, "readings", utc_only=utc_only)
    in_bulk = timestamps_ns([timestamp, timestamp], "readings", utc_only=utc_only)
    assert in_bulk == [nanoseconds, nanoseconds]
    return nanoseconds


def sent(nanoseconds: int) -> Timestamp:
    """What the message of a row says."""
    request = IngestWithConfigDataStreamRequest.FromString(timestamp_field(nanoseconds))
    return request.timestamp


@given(st.datetimes(datetime(1678, 1, 1), datetime(2262, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - the zone is added
def test_a_datetime_keeps_its_microseconds(moment):
    """The whole range, as protobuf's own conversion has it."""
    expected = Timestamp()
    expected.FromDatetime(moment)
    assert ns(moment) % 1_000 == 0
    assert sent(ns(moment)) == expected
    assert EPOCH + timedelta(microseconds=ns(moment) // 1_000) == moment


@given(st.integers(NS_MIN, NS_MAX))
def test_integer_nanoseconds_stay_what_they_are(nanoseconds):
    """From the year 1677 to 2262, before 1970 too."""
    assert ns(nanoseconds) == nanoseconds
    assert sent(nanoseconds).ToNanoseconds() == nanoseconds


def test_integers_of_numpy_are_integers():
    """An array of nanoseconds gives such numbers."""
    assert ns(np.int64(NOON_NS + 1)) == NOON_NS + 1


@given(
    st.integers(-(2**62), 2**62),
    st.sampled_from(["D", "h", "m", "s", "ms", "us", "ns", "25us", "ps", "W"]),
)
def test_a_numpy_time_is_converted_exactly(count, unit):
    """Every fixed unit, as exact arithmetic has it; never by way of a float or a wrapped int64."""
    moment = np.datetime64(count, unit)
    per_count, base = re.fullmatch(r"(\d*)(\D+)", unit).groups()
    picoseconds = count * int(per_count or 1) * PICOSECONDS[base]
    nanoseconds, rest = divmod(picoseconds, 1_000)
    if rest or not NS_MIN <= nanoseconds <= NS_MAX:
        with pytest.raises(IngestionValidationError):
            ns(moment)
    else:
        assert ns(moment) == nanoseconds


PICOSECONDS = {
    "W": 7 * 86_400 * 10**12,
    "D": 86_400 * 10**12,
    "h": 3_600 * 10**12,
    "m": 60 * 10**12,
    "s": 10**12,
    "ms": 10**9,
    "us": 10**6,
    "ns": 10**3,
    "ps": 1,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-01T12:00:00.123456789", NOON_NS + 123_456_789),
        ("1969-12-31T23:59:59.999999999", -1),
        ("2026", 1_767_225_600_000_000_000),
        ("1969-11", -61 * 86_400_000_000_000),
    ],
)
def test_numpy_times_of_text(text, expected):
    """As written, including years, months and times before 1970."""
    assert ns(np.datetime64(text)) == expected


@pytest.mark.parametrize(
    "moment",
    [
        NOON,
        NOON.replace(tzinfo=timezone(timedelta(0), "GMT")),
        NOON.replace(tzinfo=ZoneInfo("Etc/GMT")),
        datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/London")),
    ],
)
def test_any_zone_with_offset_zero_is_utc(moment):
    """The name of the zone does not matter."""
    assert ns(moment) == ns(moment.astimezone(UTC))


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (datetime(2026, 6, 1, 12), "naive"),  # noqa: DTZ001 - what it is about
        (NOON.astimezone(timezone(timedelta(hours=2), "CEST")), "'CEST'"),
        (datetime(2026, 6, 1, tzinfo=ZoneInfo("Europe/London")), "'BST'"),
    ],
)
def test_other_zones_are_refused_where_utc_is_asked_for(moment, reason):
    """The message names the flow, the zone and the timestamp."""
    with pytest.raises(IngestionValidationError, match=r"'readings'.*must be in UTC") as error:
        ns(moment)
    assert reason in error.value.message
    assert repr(moment) in error.value.message


@pytest.mark.parametrize(
    "moment",
    [
        NOON.replace(tzinfo=None),
        NOON.astimezone(timezone(timedelta(hours=2))),
        NOON.astimezone(ZoneInfo("America/New_York")),
    ],
)
def test_where_any_zone_will_do_it_is_converted(moment):
    """A naive datetime is taken as UTC, whatever the zone of the machine."""
    assert ns(moment, utc_only=False) == NOON_NS


class PandasLike(datetime):
    """A datetime with nanoseconds, as `pandas.Timestamp` is."""

    nanosecond = 789


class NotATime(datetime):
    """Not equal to itself, as `pandas.NaT` is."""

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = datetime.__hash__


def test_a_pandas_timestamp_keeps_its_nanoseconds():
    """It is a datetime with three digits more."""
    assert ns(PandasLike(2026, 6, 1, 12, 0, 0, 123_456, tzinfo=UTC)) == NOON_NS + 123_456_789


@pytest.mark.parametrize("moment", [np.datetime64("NaT"), np.datetime64("NaT", "ns")])
def test_not_a_time_is_refused(moment):
    """NaT is no time."""
    with pytest.raises(IngestionValidationError, match="not NaT"):
        ns(moment)


def test_a_datetime_that_is_no_time_is_refused():
    """NaT of pandas is a datetime by its class only."""
    with pytest.raises(IngestionValidationError, match="not NaT"):
        ns(NotATime(2026, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize("wrong", [1.5, "2026-06-01", None, True, ..., np.float64(1)])
def test_what_is_no_timestamp_is_refused(wrong):
    """Seconds as floats can't be exact; the message says what is taken."""
    with pytest.raises(IngestionValidationError, match=r"'readings'.*time\.time_ns\(\)"):
        ns(wrong)


@pytest.mark.parametrize("wrong", [NS_MIN - 1, NS_MAX + 1, np.datetime64("12000", "Y")])
def test_what_the_wire_cannot_carry_is_refused(wrong):
    """Nanoseconds in 64 bits end in 2262; a server could not keep such a row."""
    with pytest.raises(IngestionValidationError, match="years 1677 and 2262"):
        ns(wrong)


@pytest.mark.parametrize(
    ("good", "wrong"),
    [
        (NOON_NS, NS_MAX + 1),
        (NOON_NS, NS_MIN - 1),
        (NOON_NS, True),
        (NOON, NOON.replace(tzinfo=None)),
        (NOON, NOON.astimezone(ZoneInfo("Asia/Tokyo"))),
        (NOON, NOON.replace(year=1600)),
        (NOON, datetime.max.replace(tzinfo=UTC)),
        (NOON, "noon"),
    ],
)
def test_one_among_many_is_refused_as_by_itself(good, wrong):
    """Wherever it is, and others of its type or not."""
    with pytest.raises(IngestionValidationError) as alone:
        ns(wrong)
    for timestamps in ([wrong, good], [good, wrong], [NOON_NS, NOON, wrong]):
        with pytest.raises(IngestionValidationError) as among:
            timestamps_ns(timestamps, "readings", utc_only=True)
        assert among.value.message == alone.value.message


def test_the_client_does_not_load_numpy():
    """NumPy is no dependency of the client, and its times are known without it."""
    program = "import sys, sift_py.ingestion.manager; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_unknown_offset_is_not_utc():
    """A zone that does not tell its offset makes a naive datetime."""

    class Unknown(tzinfo):
        def utcoffset(self, _):
            return None

    with pytest.raises(IngestionValidationError, match="naive"):
        ns(NOON.replace(tzinfo=Unknown()))
