"""The benchmarks run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
RUN_TIMEOUT_S = 150


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "tables"),
    [
        ("streams", ["durable server: double", "durable server: mixed"]),
        ("alone", ["Parts on their own", "Bytes a value"]),
        ("growth", ["Cost as work grows", "Small batches"]),
        ("rules", ["Rules"]),
    ],
)
def test_each_part_runs_to_its_tables(part: str, tables: list[str]):
    """With next to nothing to do, and without others, it prints tables and judges its figures."""
    before = RESULTS.read_bytes() if RESULTS.exists() else None
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--smoke", "--no-peers", "--only", part],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "tests"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for title in (*tables, "What is to be reached"):
        assert title in done.stdout
    after = RESULTS.read_bytes() if RESULTS.exists() else None
    assert after == before, "only a full run writes results"
