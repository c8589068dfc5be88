"""The published client streams, unmodified, into our server; what comes back is what it sent."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sift.rules.v1 import rules_pb2, rules_pb2_grpc
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.server import Server, ServerSettings
from support.peer_env import peer_python
from support.serving import plain_channel
from support.telemetry import read_points

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = Path(__file__).parent / "programs" / "stream_every_type.py"
ROWS = 2500
T0_NS = 1_719_835_200_123_456_000
STEP_NS = 1_001_000


def f32(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


ALWAYS: dict[str, Callable[[int], Any]] = {
    "mainmotor.velocity": lambda row: row * 0.1,
    "voltage": lambda row: row - 1000,
    "vehicle_state": lambda row: row % 2,
}
IN_WHOLE_ROWS: dict[str, Callable[[int], Any]] = {
    "temperature": lambda row: f32(row / 4),
    "armed": lambda row: row % 3 == 0,
    "count": lambda row: row,
    "offset": lambda row: -row * 2**40,
    "serial": lambda row: 2**64 - 1 - row,
}
GPIO = {"12v": (0, 1), "charge": (1, 7), "heater": (7, 1)}


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.parametrize("client", ["published", "ours"])
def test_all_it_sent_comes_back(tmp_path: Path, client: str):
    """Ten data types, buffered, partial rows, rules, a run, and part of it sent twice."""
    if client == "published":
        # Isolated, so that nothing of ours is on its path.
        interpreter = [peer_python(("sift-stack-py==0.1.0",)), "-I"]
    else:
        interpreter = [sys.executable]
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as server:
        done = subprocess.run(
            [*interpreter, PROGRAM, server.address, server.api_key],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        asset_id = done.stdout.strip()
        with plain_channel(server.address, server.api_key) as channel:
            runs = runs_pb2_grpc.RunServiceStub(channel).ListRuns(
                runs_pb2.ListRunsRequest(filter="name == 'hot fire'")
            )
            (run,) = runs.runs
            assert (run.description, list(run.tags)) == ("a run", ["test"])
            times = [T0_NS + row * STEP_NS for row in range(ROWS)]
            for name, value in ALWAYS.items():
                points = read_points(channel, asset_id, name, run.run_id)
                assert points == [(times[row], value(row)) for row in range(ROWS)]
            whole = [row for row in range(ROWS) if row % 5]
            for name, value in IN_WHOLE_ROWS.items():
                points = read_points(channel, asset_id, name, run.run_id)
                assert points == [(times[row], value(row)) for row in whole]
            assert sorted(read_points(channel, asset_id, "gpio", run.run_id)) == sorted(
                (times[row], element, (row % 256) >> shift & mask)
                for row in whole
                for element, (shift, mask) in GPIO.items()
            )
            logs = [(times[row], f"line {row} ✓") for row in range(0, ROWS, 10)]
            assert read_points(channel, asset_id, "log", run.run_id) == logs
            late = T0_NS + 1_000_000 * STEP_NS
            assert read_points(channel, asset_id, "log", "") == [(late, "line 1000000 ✓")]
            stored = rules_pb2_grpc.RuleServiceStub(channel).ViewJsonRules(
                rules_pb2.ViewJsonRulesRequest(asset_id=asset_id)
            )
            overheating, failure = json.loads(stored.rules_json)
            assert overheating["expression"] == '$1 == "Accelerating" && $2 > 80'
            assert overheating["assignee"] == "ellen@nostromo"
            assert (failure["name"], failure["type"]) == ("failure", "phase")
