"""Overviews lose no peak, ticks are exact, and pictures show what there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_server.plotting import Curve, Kind, Mark, Plot, drawing
from sift_server.plotting.gaps import bridges, interrupted
from sift_server.plotting.picture import save_picture
from sift_server.plotting.reduction import Reduction
from sift_server.plotting.ticks import time_ticks

START_NS = 1_780_000_000_000_000_000
parts = st.lists(
    st.lists(st.tuples(st.integers(0, 10**9), st.floats(allow_nan=True, width=64)), max_size=60),
    max_size=5,
)


@given(parts, st.integers(4, 40))
def test_an_overview_keeps_extremes_and_has_no_more_points_than_asked_for(found, points_max):
    overview = Reduction(points_max)
    time_ns, everything = START_NS, []
    for part in found:
        times = time_ns + np.cumsum([step for step, _ in part], dtype=np.int64)
        values = np.array([value for _, value in part])
        overview.add(times, values)
        everything += list(zip(times.tolist(), values.tolist(), strict=True))
        time_ns = int(times[-1]) if len(times) else time_ns
    times, values = overview.points()
    assert len(times) <= points_max
    assert (np.diff(times) >= 0).all()
    finite = [value for _, value in everything if value == value]  # noqa: PLR0124 (NaN)
    if finite:
        assert np.nanmin(values) == min(finite)
        assert np.nanmax(values) == max(finite)
    if len(everything) <= points_max:
        assert times.tolist() == [time for time, _ in everything]


def test_an_overview_keeps_a_peak_of_one_point_of_a_million():
    overview = Reduction(1_000)
    values = np.zeros(1_000_000)
    values[777_777] = 5.0
    for first in range(0, 1_000_000, 100_000):
        times = START_NS + np.arange(first, first + 100_000) * 1_000
        overview.add(times, values[first : first + 100_000])
    times, found = overview.points()
    assert len(times) <= 1_000
    place = int(np.argmax(found))
    assert found[place] == 5.0
    assert abs(int(times[place]) - (START_NS + 777_777_000)) < 4_000_000


def test_states_are_kept_where_they_change():
    overview = Reduction(100, is_state=True)
    for number in range(10):
        overview.add(START_NS + number * 1_000 + np.arange(1_000), np.full(1_000, number // 5))
    times, values = overview.points()
    assert times.tolist() == [START_NS, START_NS + 5_000, START_NS + 9_999]
    assert values.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("span_ns", "count", "first", "caption"),
    [
        (60 * 10**9, 6, ["20:26:40", "20:26:50"], "2026-05-28, UTC"),
        (3_600 * 10**9, 6, ["20:30", "20:40"], "2026-05-28, UTC"),
        (10**9, 5, ["20:26:40.000", "20:26:40.200"], "2026-05-28, UTC"),
        (10_000, 5, ["20:26:40.000000", "20:26:40.000002"], "2026-05-28, UTC"),
        (100, 5, ["+0 ns", "+20 ns"], "after 2026-05-28 20:26:40.000000000 UTC"),
        (86_400 * 10**9, 4, ["00:00\n2026-05-29", "06:00"], "UTC"),
        (10 * 86_400 * 10**9, 5, ["2026-05-29", "2026-05-31"], "UTC"),
        (200 * 365 * 86_400 * 10**9, 5, None, "UTC"),
        (1, 8, ["+0 ns", "+1 ns"], "after 2026-05-28 20:26:40.000000000 UTC"),
    ],
)
def test_ticks_are_round_times_in_utc(span_ns, count, first, caption):
    ticks = time_ticks(START_NS, START_NS + span_ns, count)
    assert first is None or ticks.labels[:2] == first
    assert ticks.caption == caption
    assert all(START_NS <= each <= START_NS + span_ns for each in ticks.times_ns)
    assert 1 <= len(ticks.times_ns) <= count + 2


def curve(name, kind, values, states=None, run=""):
    times = START_NS + np.arange(len(values)) * 10**9
    unit = "m" if kind is Kind.NUMBER else ""
    return Curve(name, run, unit, kind, states or {}, times, np.array(values, np.float64))


EVERYTHING = [
    curve("height", Kind.NUMBER, [0.0, 1.0, np.nan, 4.0, -np.inf, 2.0]),
    curve("mode", Kind.STATE, [0, 0, 7, 7, 7, 9], {0: "off", 7: "on"}),
    curve("lamp", Kind.SWITCH, [0, 1, 1, 0, 0, 0]),
    curve("pump", Kind.SWITCH, [1, 1, 1, 0, 0, 1]),
    curve("depth", Kind.NUMBER, [1e308, -1e308, 0, 0, 0, 0]),
]
MARKS = [
    Mark("hot", START_NS + 10**9, START_NS + 2 * 10**9),
    Mark("event", START_NS + 3 * 10**9, START_NS + 3 * 10**9),
    Mark("elsewhere", 0, 1),
]


def test_panels_are_by_unit_enum_and_all_switches():
    plot = Plot.of("rig", EVERYTHING, MARKS)
    assert [[each.name for each in panel.curves] for panel in plot.panels] == [
        ["height", "depth"],
        ["mode"],
        ["lamp", "pump"],
    ]
    assert [mark.name for mark in plot.marks] == ["hot", "event"]
    assert (plot.start_ns, plot.end_ns) == (START_NS, START_NS + 5 * 10**9)


@pytest.mark.parametrize("file_format", ["png", "svg", "pdf"])
def test_a_picture_of_everything_is_drawn(tmp_path, file_format):
    path = tmp_path / "plot"
    save_picture(Plot.of("rig $x^2_{$", EVERYTHING, MARKS), path, file_format)
    data = path.read_bytes()
    assert data.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[file_format])
    if file_format == "svg":
        for word in (b"height", b"off", b"lamp", b"hot", b"2026-05-28, UTC"):
            assert word in data


@pytest.mark.parametrize("values", [[1.0], [np.nan, np.nan], [3.0, 3.0], [np.inf, -np.inf]])
def test_odd_numbers_are_drawn(tmp_path, values):
    plot = Plot.of("rig", [curve("x", Kind.NUMBER, values)], [])
    save_picture(plot, tmp_path / "x.png", "png")
    assert len(list(drawing(plot, 80))) == 12


def test_a_terminal_gets_dots_words_and_blocks():
    plot = Plot.of("rig", [*EVERYTHING[1:4], curve("up", Kind.NUMBER, range(6))], MARKS)
    lines = list(drawing(plot, 73))
    assert all(len(line) <= 100 for line in lines)
    text = "\n".join(lines)
    assert "▏off" in text
    assert "▏on" in text
    (lamp,) = [line for line in lines if line.lstrip().startswith("lamp")]
    assert "·█" in lamp
    assert lamp.endswith("·")
    assert any("▒" in line and line.strip().startswith("hot") for line in lines)
    assert any("⠁" <= sign <= "⣿" for sign in text)
    assert "2026-05-28, UTC" in text


def test_runs_are_named_if_there_are_several():
    both = [curve("x", Kind.NUMBER, [1, 2], run="one"), curve("x", Kind.NUMBER, [1, 2], run="two")]
    plot = Plot.of("rig", both, [])
    assert [plot.label(each) for each in both] == ["x, one", "x, two"]


def test_gaps_are_told_from_steps_that_are_usual():
    """No line goes across one; that of bins, two points at a time, has none."""
    times = np.array([0, 10, 20, 30, 331, 341])
    values = np.arange(6.0)
    line_times, line_values = interrupted(times, values)
    assert line_times.tolist() == [0, 10, 20, 30, 331, 331, 341]
    assert np.isnan(line_values).tolist() == [False] * 4 + [True] + [False] * 2
    across_times, across_values = bridges(times, values)
    assert across_times.tolist() == [30, 331, 331]
    assert across_values[:2].tolist() == [3.0, 4.0]
    assert np.isnan(across_values[2])
    bins = np.repeat(np.arange(50) * 8, 2)
    for one in (bins, np.array([5]), np.array([5, 5]), np.array([], np.int64)):
        unbroken = interrupted(one, np.zeros(len(one)))
        assert unbroken[0].tolist() == one.tolist()
