"""Times of files are nanoseconds to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from sift_files import PlanError, TimeFormat, TimePlan
from sift_files.times.column import ns_of_array, ns_of_texts
from sift_files.times.detect import format_of_numbers, format_of_texts

DAY = 1_656_083_836
"""2022-06-24T15:17:16Z"""


def ns(texts, time_format, **more):
    times, bad = ns_of_texts(pa.array(texts, pa.string()), TimePlan(("1",), time_format, **more))
    return [None if wrong else time for time, wrong in zip(times.tolist(), bad, strict=True)]


@pytest.mark.parametrize(
    ("time_format", "text", "expected"),
    [
        ("absolute_unix_seconds", "1656083836.123456789", DAY * 10**9 + 123_456_789),
        ("absolute_unix_seconds", "1656083836.1234567894", DAY * 10**9 + 123_456_789),
        ("absolute_unix_seconds", "1.656083836e9", DAY * 10**9),
        ("absolute_unix_milliseconds", "1656083836123.456789", DAY * 10**9 + 123_456_789),
        ("absolute_unix_microseconds", "1656083836123456.789", DAY * 10**9 + 123_456_789),
        ("absolute_unix_nanoseconds", "1656083836123456789", DAY * 10**9 + 123_456_789),
        ("absolute_unix_nanoseconds", "9223372036854775807", 2**63 - 1),
        ("relative_seconds", "-0.30", -300_000_000 + 7),
        ("relative_seconds", "0.30000000000000004", 300_000_007),
        ("relative_seconds", "0.1000000000000000055511151231257827", 100_000_007),
        ("relative_minutes", "1.5", 90 * 10**9 + 7),
        ("relative_hours", "0.000000000001", 4 + 7),
        ("relative_nanoseconds", "1e-30", 7),
        ("absolute_rfc3339", "2022-06-24T15:17:16.123456789Z", DAY * 10**9 + 123_456_789),
        ("absolute_rfc3339", "2022-06-24T17:17:16.123456789+02:00", DAY * 10**9 + 123_456_789),
        ("absolute_datetime", "2022-06-24 15:17:16", DAY * 10**9),
        ("absolute_datetime", "2022-06-24 15:17:16,5", DAY * 10**9 + 500_000_000),
        ("absolute_datetime", "2022/6/24 15:17:16.000000001", DAY * 10**9 + 1),
        ("absolute_datetime", "2022-06-24 15:17:16.1234567896", DAY * 10**9 + 123_456_790),
        ("absolute_datetime", "1969-12-31T23:59:59.999999999Z", -1),
    ],
)
def test_times_in_words_are_exact(time_format, text, expected):
    """Alone, and between others that are read in another way."""
    plan = TimeFormat(time_format)
    more = {"start_ns": 7} if plan.is_relative else {}
    assert ns([text], plan, **more) == [expected]
    assert ns(["?", text, None], plan, **more) == [None, expected, None]


@pytest.mark.parametrize(
    ("time_format", "text"),
    [
        ("absolute_unix_seconds", "1_656"),
        ("absolute_unix_seconds", "nan"),
        ("absolute_unix_seconds", "1e30"),
        ("absolute_unix_nanoseconds", "9223372036854775808"),
        ("absolute_rfc3339", "2022-06-24T15:17:16"),
        ("absolute_datetime", "2022-02-30T15:17:16"),
        ("absolute_datetime", "2022-06-24T24:17:16"),
        ("absolute_datetime", "2622-06-24T15:17:16"),
        ("absolute_datetime", ""),
    ],
)
def test_what_is_no_time_is_told(time_format, text):
    """It is never made something."""
    assert ns([text], TimeFormat(time_format)) == [None]


def test_zones_are_those_of_the_place():
    """And an hour that clocks show twice, or never, is no time."""
    berlin = {"timezone": "Europe/Berlin"}
    kind = TimeFormat.ABSOLUTE_DATETIME
    assert ns(["2022-06-24T17:17:16"], kind, **berlin) == [DAY * 10**9]
    assert ns(["2022-06-24T17:17:16.5+01:00"], kind, **berlin) == [(DAY + 3600) * 10**9 + 5 * 10**8]
    twice = "2022-10-30T02:30:00"
    never = "2022-03-27T02:30:00"
    assert ns(["2022-06-24T17:17:16", twice, never], kind, **berlin) == [DAY * 10**9, None, None]
    with pytest.raises(PlanError, match="no time zone 'Europe/Atlantis'"):
        ns(["2022-06-24T17:17:16"], kind, timezone="Europe/Atlantis")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("24.06.2022 15:17:16.25", "%d.%m.%Y %H:%M:%S.%f"),
        ("06/24/2022 03:17:16 PM", "%m/%d/%Y %I:%M:%S %p"),
        ("24-Jun-2022 15:17:16", "%d-%b-%Y %H:%M:%S"),
        ("2022-175T15:17:16", "%Y-%jT%H:%M:%S"),
        ("24/06/22 15:17:16 +0000", "%d/%m/%y %H:%M:%S %z"),
    ],
)
def test_patterns(text, pattern):
    """As `strptime` has them."""
    (found,) = ns([text], TimeFormat.ABSOLUTE_DATETIME, pattern=pattern)
    expected = datetime.strptime(text, pattern).replace(tzinfo=UTC)
    assert found == round(expected.timestamp() * 1000) * 10**6


def test_a_pattern_that_is_none_is_told():
    """It needs a whole date."""
    with pytest.raises(PlanError, match="no whole date"):
        ns(["1"], TimeFormat.ABSOLUTE_DATETIME, pattern="%H:%M")
    with pytest.raises(PlanError, match="'%Q'"):
        ns(["1"], TimeFormat.ABSOLUTE_DATETIME, pattern="%Q")


def test_numbers_keep_every_bit():
    """Integers are exact, and of a double its exact value is rounded once."""
    plan = TimePlan(("t",), TimeFormat.ABSOLUTE_UNIX_SECONDS)
    value = 1_656_083_836.1234567
    times, bad = ns_of_array(np.array([value, np.nan, np.inf, 1e300, -0.5]), plan)
    whole = int(value)
    assert times[0] == whole * 10**9 + round((value - whole) * 10**9)
    assert bad.tolist() == [False, True, True, True, False]
    assert times[4] == -500_000_000
    nanoseconds = TimePlan(("t",), TimeFormat.ABSOLUTE_UNIX_NANOSECONDS)
    times, bad = ns_of_array(np.array([2**63 - 1, 2**63], np.uint64), nanoseconds)
    assert times[0] == 2**63 - 1
    assert bad.tolist() == [False, True]


def test_times_of_arrow_are_what_they_are():
    """Whatever the plan calls them."""
    plan = TimePlan(("t",), TimeFormat.ABSOLUTE_DATETIME)
    for unit in ("s", "ms", "us", "ns"):
        array = pa.array([DAY], pa.timestamp("s")).cast(pa.timestamp(unit))
        assert ns_of_array(array, plan)[0].tolist() == [DAY * 10**9]
    naive = TimePlan(("t",), TimeFormat.ABSOLUTE_DATETIME, timezone="Europe/Berlin")
    array = pa.array([DAY + 7200], pa.timestamp("s"))
    assert ns_of_array(array, naive)[0].tolist() == [DAY * 10**9]


def test_relative_times_need_a_start():
    """Nothing is guessed."""
    with pytest.raises(PlanError, match="--start-time"):
        ns(["1"], TimeFormat.RELATIVE_SECONDS)


@pytest.mark.parametrize(
    ("first", "header", "expected"),
    [
        (1.6e9, "time", "absolute_unix_seconds"),
        (1.6e12, "time", "absolute_unix_milliseconds"),
        (1.6e15, "time", "absolute_unix_microseconds"),
        (1.6e18, "time", "absolute_unix_nanoseconds"),
        (1.6e9, "time_ns", "relative_nanoseconds"),
        (0.0, "time (ms)", "relative_milliseconds"),
        (0.0, "time_us", "relative_microseconds"),
        (0.0, "Elapsed [min]", "relative_minutes"),
        (0.0, "t", "relative_seconds"),
    ],
)
def test_formats_of_numbers(first, header, expected):
    """By how large they are, and by the unit in the name."""
    guess = format_of_numbers(first, first + 10, header)
    assert guess.format.value == expected
    assert ("no unit" in guess.note) == (header == "t")


def test_a_date_that_can_be_two_is_told():
    """The user decides."""
    guess = format_of_texts(["01/02/2022 10:00:00"])
    assert guess is not None
    assert "'%m/%d/%Y %H:%M:%S' as well" in guess.note
    guess = format_of_texts(["01/02/2022 10:00:00", "31/01/2022 10:00:00"])
    assert guess is not None
    assert guess.pattern == "%d/%m/%Y %H:%M:%S"
    assert "as well" not in guess.note
    guess = format_of_texts(["01/02/2022 10:00:00 PM"])
    assert guess is not None
    assert guess.pattern == "%m/%d/%Y %I:%M:%S %p"
    assert "'%d/%m/%Y %I:%M:%S %p' as well" in guess.note
    assert format_of_texts(["hello"]) is None
