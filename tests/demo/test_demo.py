"""The demo streams, reads back, and says what it did."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from sift_server.demo import run_demo
from sift_server.demo.found import timeline
from sift_server.demo.summary import format_value, sparkline

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_every_point_that_it_sends_comes_back_twice(tmp_path: Path):
    """It can be run again on the same folder; each run tells of its own points only."""
    for _ in range(2):
        output = io.StringIO()
        console = Console(file=output, width=160)
        assert run_demo(1.5, tmp_path / "telemetry", console) == 0
        text = output.getvalue()
        sent, read = re.search(r"([\d,]+) points sent, ([\d,]+) read back", text).groups()
        assert sent == read
        for name in (
            "cpu.core0",
            "state",
            "activity.sending",
            "memory.used",
            "log",
            "process.threads",
            "What the rules of machine found",
            "exercise",
        ):
            assert name in text


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([math.nan, math.inf], ""),
        ([1.0, 1.0, 1.0], "▄▄▄"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([0.0] * 50 + [1.0] * 50, "▁" * 12 + "█" * 12),
    ],
)
def test_a_sparkline_shows_the_course(values: list[float], drawn: str):
    """Low is low, high is high, and nothing that is not a number is drawn."""
    assert sparkline(values) == drawn


@pytest.mark.parametrize(
    ("value", "unit", "states", "shown"),
    [
        (3 * 2**30, "B", {}, "3 GiB"),
        (2048, "B/s", {}, "2 KiB/s"),
        (12, "B", {}, "12 B"),
        (1.23456, "%", {}, "1.235 %"),
        (1, "", {1: "busy"}, "busy"),
        (9, "", {1: "busy"}, "9"),
        (True, "", {}, "yes"),
        (1234567, "", {}, "1,234,567"),
    ],
)
def test_values_are_shown_for_people(value: float, unit: str, states: dict[int, str], shown: str):
    """Bytes have binary prefixes, states their names, numbers four digits."""
    assert format_value(value, unit, states) == shown


@pytest.mark.parametrize(
    ("first", "last", "drawn"),
    [
        (0, 32, "█" * 32),
        (8, 16, "·" * 8 + "█" * 8 + "·" * 16),
        (16, 16, "·" * 16 + "█" + "·" * 15),
        (32, 32, "·" * 31 + "█"),
    ],
)
def test_a_timeline_shows_when(first: int, last: int, drawn: str):
    """Also what has no length, and what is at the end."""
    assert timeline(first, last, 0, 32) == drawn
