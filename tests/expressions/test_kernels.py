"""Sums of windows are exact, whatever comes and goes."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_server.expressions.functions import exact, kernels
from sift_server.expressions.places import NO_AGE, held_places
from support.expression_oracle import extreme, over_window

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODES = ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK")

HARD = [
    *(0.0, -0.0, 1.0, -1.0, 0.1, 1e16, -1e16, 1e308, -1e308, 1.7976931348623157e308),
    *(5e-324, -5e-324, 2.2250738585072014e-308, 2.2250738585072009e-308),
    *(2.0**53, 2.0**53 - 1, 2.0**-53, 1 + 2.0**-52, math.nan, math.inf, -math.inf),
]
DOUBLES = st.sampled_from(HARD) | st.floats() | st.floats(1.0, 2.0)
SIGNED = st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
UNSIGNED = st.sampled_from([0, 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
KINDS = {
    exact.DOUBLES: (np.float64, DOUBLES),
    exact.SIGNED: (np.int64, SIGNED),
    exact.UNSIGNED: (np.uint64, UNSIGNED),
}


@st.composite
def windows(draw: st.DrawFn, points: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends that only grow; some windows are empty."""
    count = draw(st.integers(1, 6))
    ends = sorted(draw(st.lists(st.integers(0, points), min_size=count, max_size=count)))
    starts = sorted(draw(st.lists(st.integers(0, points), min_size=count, max_size=count)))
    starts = [min(start, end) for start, end in zip(starts, ends, strict=True)]
    return np.array(starts), np.array(ends)


def near_the_limit(state: NDArray[np.int64]) -> None:
    """Let carries be passed on after two more additions."""
    state[kernels.ADDITIONS] = exact.ADDITIONS_MAX - 2


@given(st.data(), st.sampled_from(list(KINDS)), st.booleans())
def test_sums_are_exact(data: st.DataObject, kind: int, is_average: bool) -> None:
    """As exact fractions give them, rounded once, with cancellation and what is not finite."""
    dtype, values_of = KINDS[kind]
    values = np.array(data.draw(st.lists(values_of, max_size=12)), dtype)
    starts, ends = data.draw(windows(len(values)))
    cut = data.draw(st.integers(0, len(starts)))
    state = np.zeros(kernels.SUM_WORDS, np.int64)
    found = np.empty(len(starts))
    words = values.view(np.int64)
    kernels.rolling_sums(words, kind, 0, starts[:cut], ends[:cut], is_average, state, found[:cut])
    first, before = (int(starts[cut - 1]), int(ends[cut - 1])) if cut else (0, 0)
    near_the_limit(state)
    rest = (starts[cut:] - first, ends[cut:] - first)
    kernels.rolling_sums(words[first:], kind, before - first, *rest, is_average, state, found[cut:])
    name = "avg" if is_average else "sum"
    for start, end, one in zip(starts, ends, found.tolist(), strict=True):
        if start < end:
            assert repr(one) == repr(over_window(name, values[start:end].tolist()))


@given(st.lists(st.sampled_from(HARD[:-3]) | st.floats(-1e300, 1e300), min_size=1))
def test_sums_are_those_of_the_standard_library(values: list[float]) -> None:
    """`math.fsum` has its own algorithm."""
    found = np.empty(1)
    state = np.zeros(kernels.SUM_WORDS, np.int64)
    words = np.array(values).view(np.int64)
    places = (np.array([0]), np.array([len(values)]))
    kernels.rolling_sums(words, exact.DOUBLES, 0, *places, False, state, found)
    # `math.fsum` gives up where a sum on the way does not fit.
    with contextlib.suppress(OverflowError):
        assert found[0] == math.fsum(values)


@given(st.data())
def test_standard_deviations_are_exact_until_the_root(data: st.DataObject) -> None:
    """Also where values are large and hardly differ, which costs doubles all their digits."""
    base = data.draw(st.sampled_from([0.0, 1.0, 1e9, 1e16, 1e300, 1e-300]))
    near = st.integers(-3, 3).map(lambda steps: base + steps * math.ulp(base))
    values = np.array(data.draw(st.lists(near | DOUBLES, max_size=10)), np.float64)
    starts, ends = data.draw(windows(len(values)))
    cut = data.draw(st.integers(0, len(starts)))
    found = np.empty(len(starts))
    words = values.view(np.int64)
    state = np.zeros(kernels.STDDEV_WORDS, np.int64)
    kernels.rolling_stddevs(words, 0, starts[:cut], ends[:cut], state, found[:cut])
    first, before = (int(starts[cut - 1]), int(ends[cut - 1])) if cut else (0, 0)
    near_the_limit(state)
    rest = (starts[cut:] - first, ends[cut:] - first)
    kernels.rolling_stddevs(words[first:], before - first, *rest, state, found[cut:])
    for start, end, one in zip(starts, ends, found.tolist(), strict=True):
        if start < end:
            expected = over_window("stddev", values[start:end].tolist())
            assert math.isnan(one) == math.isnan(expected)
            assert math.isnan(one) or math.isclose(one, expected, rel_tol=4e-16, abs_tol=5e-324)


@given(st.data(), st.sampled_from(list(KINDS)), st.booleans())
def test_extremes_are_found(data: st.DataObject, kind: int, is_largest: bool) -> None:
    """Of NaN and of values that are alike, the last one."""
    dtype, values_of = KINDS[kind]
    if kind == exact.DOUBLES and data.draw(st.booleans()):
        values_of = st.sampled_from([0.0, -0.0, 1.0, math.nan])
    values = np.array(data.draw(st.lists(values_of, max_size=12)), dtype)
    starts, ends = data.draw(windows(len(values)))
    queue, found = np.empty(len(values), np.int64), np.empty(len(starts), np.int64)
    kernels.rolling_extremes(values, 0, starts, ends, is_largest, queue, found)
    name = "max" if is_largest else "min"
    for start, end, place in zip(starts, ends, found.tolist(), strict=True):
        if start < end:
            assert start <= place < end
            assert repr(values[place].item()) == repr(extreme(name, values[start:end].tolist()))


TIMES = st.integers(-20, 20) | st.sampled_from([-(2**63), -(2**63) + 5, 2**63 - 6, 2**63 - 1])


@given(st.data(), st.sets(TIMES), st.sets(TIMES), st.sampled_from([1, 5, 2**62]))
def test_windows_are_found(data: st.DataObject, times: Any, at: Any, length: int) -> None:
    """At all times that 64 bits can say, and as far apart as they can be."""
    times, at = sorted(times), sorted(at)
    before = data.draw(st.sampled_from([0, sum(time < min(at, default=0) for time in times)]))
    starts, ends = np.empty(len(at), np.int64), np.empty(len(at), np.int64)
    arrays = (np.array(times, np.int64), np.array(at, np.int64))
    is_full = kernels.window_places(*arrays, length, before, starts, ends)
    expected = [[time for time in times if one - length < time <= one] for one in at]
    assert [
        times[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ] == expected
    assert is_full == all(expected)


@given(st.sets(TIMES, min_size=1), st.sets(TIMES), st.sampled_from([0, 5, 2**62, NO_AGE]))
def test_last_known_values_are_found(times: Any, at: Any, age: int) -> None:
    """The last point at or before each time, if it is not too old."""
    times, at = sorted(times), sorted(at)
    places, known = np.empty(len(at), np.int64), np.empty(len(at), np.bool_)
    arrays = (np.array(times, np.int64), np.array(at, np.int64))
    is_known = held_places(*arrays, age, places, known)
    for one, place, there in zip(at, places.tolist(), known.tolist(), strict=True):
        before = [time for time in times if time <= one and (age == NO_AGE or one - time <= age)]
        assert there == bool(before)
        assert not before or times[place] == before[-1]
    assert is_known == all(known)


@pytest.mark.skipif(any(map(os.environ.get, MODES)), reason="this is the other run")
@pytest.mark.parametrize("mode", MODES)
def test_the_loops_agree_as_plain_python_and_with_checks_of_bounds(tmp_path, mode: str) -> None:
    """They are ordinary functions first, and no index is outside of its array."""
    # Plain NumPy warns where numbers wrap around, or become infinite, as they are meant to.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", __file__, "-W", "ignore::RuntimeWarning"],
        env={**os.environ, mode: "1", "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
