"""The rocket flight reads back equal, value by value."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLIGHT = ROOT.parent / "shared" / "data" / "rocket_flight_telemega.csv"


def replay(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "rocket_flight.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(not FLIGHT.exists(), reason="the flight is not beside the repository")
def test_every_point_comes_back(tmp_path: Path):
    """6,234 rows of 82 columns: streamed, read, compared with the file."""
    done = replay(FLIGHT, "--data-dir", tmp_path / "telemetry")
    assert done.returncode == 0, done.stdout + done.stderr
    # Every cell of the file that has a value, where rows that repeat time and value are one point.
    assert "points equal" in done.stdout
    assert "gps.altitude" in done.stdout


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
