"""The published client has rules evaluated on a run, and gets reports, by both of its libraries."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.server import Server, ServerSettings
from support.peer_env import peer_python
from support.serving import plain_channel
from support.telemetry import Type, create_config, ingest

PROGRAM = Path(__file__).parent / "programs" / "report_a_run.py"
START_NS = 1_767_225_600 * 10**9
CREATED, FINISHED = 1, 3


@pytest.mark.peer
@pytest.mark.slow
def test_it_gets_reports_of_a_run(tmp_path: Path):
    """From rules, of a template, of a part of the run, of rules that are not in any list."""
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as server:
        with plain_channel(server.address, server.api_key) as channel:
            config = create_config(
                channel, {"drive": {"speed": Type.CHANNEL_DATA_TYPE_DOUBLE}}, "rover"
            )
            run = (
                runs_pb2_grpc.RunServiceStub(channel)
                .CreateRun(runs_pb2.CreateRunRequest(name="drive"))
                .run
            )
            rows = [
                config.row(
                    "drive",
                    START_NS + second * 10**9,
                    [9.0 if 10 <= second % 30 < 20 else 1.0],
                    run_id=run.run_id,
                )
                for second in range(60)
            ]
            ingest(channel, rows)
        done = subprocess.run(
            # Isolated, so that nothing of ours is on its path.
            [peer_python(("sift-stack-py==0.25.0",)), "-I", PROGRAM,
             server.address, server.api_key, run.run_id],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sift_py"] == {
        "template": ["acceptance", "All of it", ["night"], ["fast", "faster"]],
        "preview": 2,
        "is_done": True,
        "by template": [["fast", 2, 0, 0, FINISHED], ["faster", 0, 0, 0, FINISHED]],
        "a part": [["fast", 1, 0, 0, FINISHED], ["faster", 0, 0, 0, FINISHED]],
        "external": [["", 3, 0, 0, FINISHED]],
    }
    both = [["fast", 2, "FINISHED"], ["faster", 0, "FINISHED"]]
    assert found["sift_client"] == {
        "template": ["changed", ["fast"]],
        "reports": [
            ["by rules", both],
            ["templated", both[:1]],
            ["applicable", [["", 3, "FINISHED"], *both]],
        ],
        "job": [True, "RULE_EVALUATION"],
        "annotations": ["fast", "fast"],
        "rerun": [True, True],
        "updated": {"team": "drive"},
        "by metadata": [True],
        "listed": ["a part", "ad hoc", "applicable", "by rules", "by template", "templated"],
        "archived": 7,
        "templates": ["acceptance"],
    }
