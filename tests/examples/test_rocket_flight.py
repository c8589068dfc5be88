"""The rocket flight reads back equal, value by value, and its rules find what is in the file."""

from __future__ import annotations

import csv
import json
import struct
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).resolve().parents[2]
FLIGHT = ROOT.parent / "shared" / "data" / "rocket_flight_telemega.csv"
Row = dict[str, str]
Stretches = list[tuple[str, Decimal, Decimal]]
"""Names, starts and ends; times are seconds from lift-off."""

needs_flight = pytest.mark.skipif(
    not FLIGHT.exists(), reason="the flight is not beside the repository"
)


def replay(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run(ROOT / "examples" / "rocket_flight.py", *arguments)


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=150, check=False
    )


def found(data_dir: Path) -> list[dict[str, str]]:
    """The annotations of a folder."""
    code = "from sift_server.commands.main import main; main()"
    done = run("-c", code, "annotations", "list", "--json", "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def flight_rows(path: Path) -> list[Row]:
    """Rows of the file by column; of two columns of one name the first one."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    names = [name.removeprefix("#") for name in header]
    return [dict(zip(reversed(names), reversed(row), strict=True)) for row in rows]


def number(cell: str) -> float | None:
    value = float(cell)
    return None if value != value else value  # noqa: PLR0124 (NaN)


def at_each_time(rows: Iterable[Row], column: str) -> dict[Decimal, float]:
    """The value of a column at each time that it has one.

    Of several at one time the last one in the order of their bits counts, as docs/rules.md says.
    """
    values: dict[Decimal, float] = {}
    for row in rows:
        time, value = Decimal(row["time"]), number(row[column])
        if value is not None and (time not in values or bits(value) > bits(values[time])):
            values[time] = value
    return values


def bits(value: float) -> int:
    return int.from_bytes(struct.pack(">d", value))


def stretches(name: str, truth: dict[Decimal, bool]) -> Stretches:
    """From the first time that something is true to the first behind that it is not."""
    result: Stretches = []
    start = None
    for time, is_true in sorted(truth.items()):
        if is_true and start is None:
            start = time
        if not is_true and start is not None:
            result.append((name, start, time))
            start = None
    assert start is None
    return result


def expected(rows: list[Row]) -> Stretches:
    """What the rules are to find, by plain Python over the file."""
    state = at_each_time(rows, "state")
    speed = at_each_time(rows, "speed")
    thrust = at_each_time(rows, "acceleration")
    battery = at_each_time(rows, "battery_voltage")
    locked = at_each_time(rows, "locked")
    before = dict(zip(sorted(speed)[1:], sorted(speed), strict=False))
    boost, drogue = 3, 6

    def is_apogee(time: Decimal) -> bool:
        return time in before and speed[before[time]] > 0 >= speed[time]

    def when(condition: Callable[[Decimal], bool], times: Iterable[Decimal]) -> dict[Decimal, bool]:
        return {time: condition(time) for time in times}

    known = [time for time in state if time in speed]
    return sorted(
        [
            *stretches("lift-off", when(lambda t: state[t] == boost and thrust[t] > 20, state)),
            *stretches("apogee", when(lambda t: state[t] == drogue and is_apogee(t), known)),
            *stretches(
                "fast under drogue", when(lambda t: state[t] == drogue and speed[t] < -30, known)
            ),
            *stretches("battery sag", when(lambda t: battery[t] < 3.97, battery)),
            *stretches("GPS lock lost", when(lambda t: not locked[t], locked)),
        ],
        key=lambda one: (one[1], one[0]),
    )


def from_the_first(annotations: list[dict[str, str]]) -> Stretches:
    """Annotations in seconds from the start of the first of them, exact."""
    first_s = seconds(annotations[0]["start_time"])
    return sorted(
        (
            (
                one["name"],
                seconds(one["start_time"]) - first_s,
                seconds(one["end_time"]) - first_s,
            )
            for one in annotations
        ),
        key=lambda one: (one[1], one[0]),
    )


def seconds(text: str) -> Decimal:
    """Seconds since 1970 of a time of the protocol's JSON."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return Decimal(int(moment.timestamp())) + Decimal(f"0.{fraction or 0}")


@pytest.mark.slow
@needs_flight
def test_every_point_comes_back_and_the_rules_find_what_is_there(tmp_path: Path):
    """6,234 rows of 82 columns: streamed, read, compared; the times of all that was found, too."""
    done = replay(FLIGHT, "--data-dir", tmp_path / "telemetry")
    assert done.returncode == 0, done.stdout + done.stderr
    # Every cell of the file that has a value, where rows that repeat time and value are one point.
    assert "points equal" in done.stdout
    assert "gps.altitude" in done.stdout
    assert "Found nothing: GPS lock lost" in done.stdout
    rows = flight_rows(FLIGHT)
    wanted = expected(rows)
    assert [name for name, *_ in wanted].count("lift-off") == 1
    assert ("apogee", Decimal("29.21")) in [one[:2] for one in wanted]
    assert next(one[1] for one in wanted if one[0] == "battery sag") == Decimal("179.86")
    assert len([one for one in wanted if one[0] == "fast under drogue"]) == 12
    annotations = found(tmp_path / "telemetry")
    assert from_the_first(annotations) == [
        (name, start - wanted[0][1], end - wanted[0][1]) for name, start, end in wanted
    ]


@pytest.mark.slow
@needs_flight
def test_a_lost_gps_lock_is_found(tmp_path: Path):
    """In a part of the flight in which it is taken away for a while."""
    lines = FLIGHT.read_text(encoding="utf-8").splitlines()
    place = [name.strip() for name in lines[0].split(",")].index("locked")
    part = lines[3400:3800]
    lost = range(100, 150)
    for index in lost:
        cells = part[index].split(",")
        cells[place] = " 0"
        part[index] = ",".join(cells)
    path = tmp_path / "lost.csv"
    path.write_text("\n".join([lines[0], *part]) + "\n", encoding="utf-8")
    done = replay(path, "--data-dir", tmp_path / "telemetry")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = flight_rows(path)
    (wanted,) = [one for one in expected(rows) if one[0] == "GPS lock lost"]
    assert wanted[1:] == (Decimal(rows[lost[0]]["time"]), Decimal(rows[lost[-1] + 1]["time"]))
    line = f"T{wanted[1]:+} s"
    assert line in done.stdout


def test_another_file_is_refused_in_words(tmp_path: Path):
    """A file that is no flight is named, and so is what it lacks."""
    other = tmp_path / "other.csv"
    other.write_text("#version,time\n1,2\n")
    done = replay(other, "--data-dir", tmp_path / "telemetry")
    assert done.returncode == 1
    assert "acceleration" in done.stderr
    assert "Traceback" not in done.stderr
    done = replay(tmp_path / "missing.csv", "--data-dir", tmp_path / "telemetry")
    assert done.returncode == 1
    assert "missing.csv" in done.stderr
