"""The published clients declare rules on our server, and find what comes of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sift.annotations.v1 import annotations_pb2, annotations_pb2_grpc
from sift.rules.v1 import rules_pb2, rules_pb2_grpc
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType, ChannelEnumType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_server.server import Server, ServerSettings
from support.peer_env import peer_python
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

PROGRAMS = Path(__file__).parent / "programs"
RELEASE_START_S = 1_719_835_200
PATIENCE_S = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as running:
        yield running


def run(program: str, version: str | None, server: Server, *arguments: str) -> Any:
    """What a program prints, which is JSON; with our client if no version is given."""
    # Isolated, so that nothing of ours is on the path of a published client.
    interpreter = [sys.executable]
    if version is not None:
        interpreter = [peer_python((f"sift-stack-py=={version}",)), "-I", "-W", "ignore"]
    done = subprocess.run(
        [*interpreter, PROGRAMS / program, server.address, server.api_key, *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def annotations(channel: grpc.Channel, start_s: int) -> set[tuple[str, float, float, bool]]:
    """Name, start and end in seconds, and whether it is pending, of every annotation."""
    stub = annotations_pb2_grpc.AnnotationServiceStub(channel)
    request = annotations_pb2.ListAnnotationsRequest(page_size=1000)
    return {
        (
            one.name,
            one.start_time.ToNanoseconds() / 1e9 - start_s,
            one.end_time.ToNanoseconds() / 1e9 - start_s,
            one.pending,
        )
        for one in stub.ListAnnotations(request).annotations
    }


@pytest.mark.peer
@pytest.mark.parametrize("version", ["0.1.0", None], ids=["published", "ours"])
def test_the_rules_of_the_release_make_annotations(server: Server, version: str | None):
    """Each from its first true point to the first behind at which it is not."""
    told = run("stream_rules_of_the_release.py", version, server)
    assert [(one["name"], one["type"], one["expression"]) for one in told["rules"]] == [
        ("overvoltage", "review", '$1 == "Accelerating" && $2 > 80'),
        ("too_fast", "phase", "$1 > 400"),
        ("kinetic_energy", "review", "0.5 * 10 * $1 * $1 > 470"),
        ("failure", "review", 'contains($1, "ERROR")'),
    ]
    expected = {
        ("overvoltage", 1, 3, False),
        ("too_fast", 4, 6, False),
        ("kinetic_energy", 2, 7, False),
        ("failure", 3, 5, False),
    }
    with plain_channel(server.address, server.api_key) as channel:
        deadline = time.monotonic() + PATIENCE_S
        while (found := annotations(channel, RELEASE_START_S)) != expected:
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        rules = rules_pb2_grpc.RuleServiceStub(channel).ListRules(rules_pb2.ListRulesRequest())
        # What is declared twice is one version.
        assert {rule.rule_version.version for rule in rules.rules} == {"1"}


STATE = ChannelConfig(
    "state",
    ChannelDataType.ENUM,
    enum_types=[ChannelEnumType("Idle", 0), ChannelEnumType("Hot", 1)],
)
FLOW = FlowConfig(
    "all",
    [
        ChannelConfig("temperature", ChannelDataType.DOUBLE, unit="degC"),
        STATE,
        ChannelConfig("velocity", ChannelDataType.DOUBLE, component="motor"),
        ChannelConfig("log", ChannelDataType.STRING),
    ],
)
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with plain_channel(server.address, server.api_key) as opened:
        yield opened


def declare(channel: grpc.Channel, asset: str) -> IngestionService:
    """An asset with channels of several kinds."""
    return IngestionService(channel, TelemetryConfig(asset, flows=[FLOW]))


@pytest.mark.peer
@pytest.mark.parametrize("version", ["0.3.3", "0.25.0"])
def test_rules_are_kept_by_key(server: Server, channel: grpc.Channel, version: str):
    """Created, refused, changed, attached to assets, and loaded from YAML."""
    for asset in ("rover", "lander"):
        declare(channel, asset)
    told = run("keep_rules_by_key.py", version, server, "rover", "lander")
    assert "compares temperature (a double) with a string" in told["refusal"]
    assert (sorted(told["attached"]), told["detached"]) == (["lander", "rover"], ["lander"])
    both = {"$1": "temperature", "$2": "state"}
    assert told["rules"] == {
        "hot": {
            "expression": '$1 > 90 && $2 == "Hot"',
            "description": "It is hot.",
            "assets": ["lander"],
            "channels": both,
        },
        "fast": {
            "expression": "$1 > 3",
            "description": "",
            "assets": ["rover"],
            "channels": {"$1": "motor.velocity"},
        },
        "overheating": {
            "expression": '$1 > 80 && $2 == "Hot"',
            "description": "from YAML",
            "assets": ["rover"],
            "channels": both,
        },
        "failed": {
            "expression": 'contains($1, "failure")',
            "description": "",
            "assets": ["rover"],
            "channels": {"$1": "log"},
        },
    }
    listed = rules_pb2_grpc.RuleServiceStub(channel).ListRules(rules_pb2.ListRulesRequest())
    versions = {rule.name: rule.rule_version.version for rule in listed.rules}
    # The same YAML again is the same version.
    assert versions == {"hot": "4", "fast": "1", "overheating": "1", "failed": "1"}


@pytest.mark.peer
def test_rules_are_previewed_over_a_run(server: Server, channel: grpc.Channel):
    """A stored one, over half of it, and one that is not stored."""
    service = declare(channel, "rover")
    service.attach_run(channel, "flight")
    service.ingest_flows(
        *(
            {
                "flow_name": "all",
                "timestamp": START + timedelta(seconds=second),
                "channel_values": [70.0 + second if second < 20 else 0.0, "Idle", 0.0, "line"],
            }
            for second in range(30)
        )
    )
    run_id = service.run_id
    told = run("preview_rules.py", "0.25.0", server, "rover", run_id)
    assert told == {
        "run": [["hot", 11, 20]],
        "half": [["hot", 11, 14]],
        "external": [["external", 11, 20]],
    }
    # Nothing of it is kept, and the rule is not live.
    assert annotations(channel, 0) == set()


@pytest.mark.peer
def test_the_newest_client_reviews(server: Server, channel: grpc.Channel):
    """Its pages of rules, versions, tags, users, runs, annotations and their logs."""
    declare(channel, "rover")
    told = run("review_with_the_newest_client.py", "0.25.0", server, "rover")
    assert told == ["$1 > 90", "$1 > 90", "$1 > 80"]
