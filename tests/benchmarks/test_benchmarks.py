"""The benchmarks run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sift_server.api_key import ENVIRONMENT_VARIABLE as API_KEY_VARIABLE
from support.serving import plain_channel
from support.telemetry import Type, create_config, ingest

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
        ("reading", ["Reading", "Live"]),
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


def test_the_throwaway_server_takes_what_it_forgets(tmp_path: Path):
    """It is compared with published clients only, which the other tests leave out."""
    command = [sys.executable, ROOT / "benchmarks" / "throwaway.py", tmp_path / "telemetry"]
    environment = {**os.environ, API_KEY_VARIABLE: "key"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        address = server.stdout.readline().removeprefix("ready on ").strip()
        with plain_channel(address, "key") as channel:
            config = create_config(channel, {"f": {"x": Type.CHANNEL_DATA_TYPE_DOUBLE}})
            ingest(channel, [config.row("f", 1, [1.0])])
        server.terminate()
    assert server.returncode == 0
