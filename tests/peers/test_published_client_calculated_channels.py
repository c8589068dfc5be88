"""The published clients declare, change, list and read calculated channels on our server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sift.calculated_channels.v2 import calculated_channels_pb2, calculated_channels_pb2_grpc
from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType
from sift.rules.v1 import rules_pb2, rules_pb2_grpc
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.server import Server, ServerSettings
from support.peer_env import peer_python
from support.serving import plain_channel
from support.telemetry import create_config, ingest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

PROGRAMS = Path(__file__).parent / "programs"
START_NS = 1_767_225_600 * 10**9
DOUBLE = ChannelDataType.CHANNEL_DATA_TYPE_DOUBLE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as running:
        yield running


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    """A channel to the server, which has a rover that drove."""
    with plain_channel(server.address, server.api_key) as made:
        rover = create_config(made, {"f": {"v": DOUBLE, "i": DOUBLE}}, "rover", "rover")
        stub = runs_pb2_grpc.RunServiceStub(made)
        run = stub.CreateRun(runs_pb2.CreateRunRequest(name="drive")).run
        rows = (rover.row("f", START_NS + at * 10**9, [at, 2.0], run.run_id) for at in range(3))
        ingest(made, rows)
        yield made


def run(program: str, version: str, server: Server) -> Any:
    """What a program prints with a published client, which is JSON."""
    done = subprocess.run(
        # Isolated, so that nothing of ours is on its path.
        [
            peer_python((f"sift-stack-py=={version}",)), "-I", "-W", "ignore",
            PROGRAMS / program, server.address, server.api_key,
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.peer
@pytest.mark.slow
def test_the_newest_client_declares_them(server: Server, channel: grpc.Channel):
    """Made, changed part by part, listed by all that it filters by, archived, and in a rule."""
    found = run("calculate_channels.py", "0.25.0", server)
    created = found["created"]
    assert created == {
        "name": "power", "expression": "$1 * $2", "references": {"$1": "v", "$2": "i"},
        "units": "W", "version": 1, "is_archived": False, "notes": "first",
        "asset_ids": created["asset_ids"], "all_assets": False,
    }  # fmt: skip
    assert len(created["asset_ids"]) == 1
    updated = {**created, "units": "kW", "version": 2, "notes": ""}
    changed = {**updated, "expression": "$1 * $2 * 2", "version": 3, "notes": "twice"}
    assert found["updated"] == updated
    assert found["changed"] == found["got"] == changed
    assert found["versions"] == [created, updated, changed]
    assert found["double"]["expression"] == "$p * 2"
    for lists in ("by name", "described", "with metadata"):
        assert found[lists] == ["power"], lists
    assert found["by names"] == found["of the asset"] == found["archived"] == ["double", "power"]
    assert found["containing"] == found["left"] == ["double"]
    assert found["back"] == changed
    assert found["rule"] == ["$p > 3", ["$p"]]
    # What the client named is the version that it knew.
    stub = calculated_channels_pb2_grpc.CalculatedChannelServiceStub(channel)
    request = calculated_channels_pb2.ListCalculatedChannelVersionsRequest(client_key="power-key")
    versions = stub.ListCalculatedChannelVersions(request).calculated_channel_versions
    rules = rules_pb2_grpc.RuleServiceStub(channel).ListRules(rules_pb2.ListRulesRequest()).rules
    references = rules[0].conditions[0].expression.calculated_channel.channel_references
    assert references["$p"].calculated_channel_version_id in {one.version_id for one in versions}


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.4.2", "0.25.0"])
def test_the_earlier_client_declares_and_reads_them(
    server: Server, channel: grpc.Channel, version: str
):
    """Made, changed, told of channels that are missing, and read beside channels."""
    found = run("calculate_channels_early.py", version, server)
    created = found["created"]
    assert (created["name"], created["expression"], created["units"]) == ("power", "$1 * $2", "W")
    assert not created["all assets"]
    assert found["changed"] == {**created, "expression": "$1 * $2 + 1"}
    named = {**created, "expression": "$1 * $2 + 1", "name": "watts"}
    assert found["named"] == found["got"] == named
    assert found["listed"] == [named]
    assert found["versions"] == 3
    assert 'missing_channels: "nothing"' in found["lost"]
    assert found["read"] == {"v": {"v": [0.0, 1.0, 2.0]}, "power": {"power": [0.0, 2.0, 4.0]}}
