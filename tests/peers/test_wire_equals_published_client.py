"""For the same program, our client sends what the published client sends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.peer_env import peer_python
from support.recording_server import API_KEY, Call, RecordingServer

PROGRAM = Path(__file__).parent / "programs" / "make_every_call.py"
TIMEOUT_S = 120


def calls_of(interpreter: list[str | Path]) -> list[Call]:
    """The calls that the program makes with the library of an interpreter."""
    with RecordingServer() as server:
        done = subprocess.run(
            [*interpreter, PROGRAM, server.address, API_KEY],
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return server.calls


def canonical(call: Call) -> list[bytes]:
    """Its requests as bytes; equal messages may differ in the sign of a zero, these do not."""
    return [request.SerializeToString(deterministic=True) for request in call.requests]


@pytest.mark.peer
def test_the_requests_decode_to_equal_messages():
    """Method by method, in order, to the sign of a zero, with the key.

    There is one exception: ours asks for the asset of an ingestion config that it finds, and
    compares its name, which the published client does not (see `IngestionService`).
    """
    # Isolated, so that nothing of ours is on its path.
    published = calls_of([peer_python(("sift-stack-py==0.1.0",)), "-I"])
    ours = calls_of([sys.executable])
    expected = [
        method
        for call in published
        for method in (
            ["GetAsset", call.method]
            if call.method == "ListIngestionConfigFlows"
            else [call.method]
        )
    ]
    assert [call.method for call in ours] == expected
    same = [call for call in ours if call.method != "GetAsset"]
    for mine, theirs in zip(same, published, strict=True):
        assert mine.requests == theirs.requests, mine.method
        assert canonical(mine) == canonical(theirs), mine.method
        assert mine.metadata["authorization"] == theirs.metadata["authorization"]


@pytest.mark.peer
def test_the_program_covers_the_protocol():
    """Every method that a client of this release calls, streams of none and of many messages."""
    calls = calls_of([sys.executable])
    assert {call.method for call in calls} >= {
        "CreateIngestionConfig",
        "CreateIngestionConfigFlows",
        "CreateRun",
        "IngestWithConfigDataStream",
        "ListIngestionConfigFlows",
        "ListIngestionConfigs",
        "ListRuns",
        "UpdateJsonRules",
        "ViewJsonRules",
    }
    sizes = {len(call.requests) for call in calls if call.method == "IngestWithConfigDataStream"}
    assert {0, 1, 7, 1000} <= sizes
