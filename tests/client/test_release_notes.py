"""Every snippet of the release notes runs as it is written there.

The notes leave out where names come from; these are supplied around a snippet, and nothing in its
text is changed. The last snippet calls `config_a.try_ingest_flow(...)`: its three dots stand for
arguments that the notes leave out, so the same is done with them as with names that are missing.
"""

from __future__ import annotations

import ast
import re
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sift.ingestion_configs.v1.ingestion_configs_pb2 import ListIngestionConfigFlowsRequest
from sift.ingestion_configs.v1.ingestion_configs_pb2_grpc import IngestionConfigServiceStub
from sift_py.data import read_channels
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    double_value,
    enum_value,
    int32_value,
    string_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.manager import IngestionServicesManager
from sift_py.ingestion.service import IngestionService
from sift_server.server import Server, ServerSettings
from support.recording_server import API_KEY, RecordingServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_py.grpc.transport import SiftChannel

NOTES = Path(__file__).resolve().parents[3] / "shared" / "release_notes.md"
SNIPPETS = (
    re.findall(
        r"^```python\n(.*?)^```$", NOTES.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    if NOTES.exists()
    else []
)
LOTS = 1200
LOTS_MORE = 300
LINES = {"log": LOTS + LOTS_MORE, "logs": LOTS + LOTS_MORE}


@dataclass(frozen=True)
class Expected:
    """What a snippet sends.

    Attributes:
        points: Points of each channel, each counted once however often it is sent.
        streams: Requests in each of its streams.
    """

    points: dict[str, int]
    streams: list[int]


EXPECTED = {
    "a request, then its ingestion": Expected({"log": 1}, [1]),
    "both in a single step": Expected({"log": 1}, [1]),
    "several flows": Expected(
        {"mainmotor.velocity": 1, "voltage": 1, "vehicle_state": 1, "logs": 1}, [2]
    ),
    "buffered": Expected(LINES, [1000, 500, 750, 750]),
    "flushed by hand": Expected({"log": LOTS, "logs": LOTS}, [1000, 200]),
    "not buffered": Expected(LINES, [LOTS, LOTS_MORE]),
    "a flow on the fly": Expected({}, []),
    "several configs": Expected({"log": 2}, [1, 1]),
}

pytestmark = pytest.mark.skipif(not SNIPPETS, reason="the release notes are not beside the project")


def log_channel(name: str) -> ChannelConfig:
    return ChannelConfig(name, ChannelDataType.STRING)


def config(name: str, *flows: FlowConfig) -> TelemetryConfig:
    return TelemetryConfig(
        asset_name=name, ingestion_client_key=f"key of {name}", flows=list(flows)
    )


RELEASED = config(
    "released",
    FlowConfig("log", [log_channel("log")]),
    FlowConfig("logs", [log_channel("log"), log_channel("logs")]),
    FlowConfig(
        "readings",
        [
            ChannelConfig("velocity", ChannelDataType.DOUBLE, component="mainmotor"),
            ChannelConfig("voltage", ChannelDataType.INT_32),
            ChannelConfig(
                "vehicle_state", ChannelDataType.ENUM, enum_types=[ChannelEnumType("Idle", 2)]
            ),
        ],
    ),
)
MANAGED = [config(f"config {each}", FlowConfig(each, [log_channel("log")])) for each in "ab"]


class Recorded:
    """A server that records."""

    def __init__(self, server: RecordingServer) -> None:
        self._server = server
        self.uri, self.api_key = f"http://{server.address}", API_KEY

    def points(self, channel: SiftChannel) -> Counter[str]:
        flows = {flow.name: flow for one in (RELEASED, *MANAGED) for flow in one.flows}
        return Counter(
            name
            for name, _, _, _ in {
                (channel.fqn(), row.ingestion_config_id, row.timestamp.ToNanoseconds(), str(value))
                for row in self._server.rows
                for channel, value in zip(flows[row.flow].channels, row.channel_values, strict=True)
                if value.WhichOneof("type") != "empty"
            }
        )

    def stream_sizes(self) -> list[int]:
        return [len(stream) for stream in self._server.streams]


class Stored:
    """A real server, asked for what it stored."""

    def __init__(self, server: Server) -> None:
        self.uri, self.api_key = f"http://{server.address}", server.api_key

    def points(self, channel: SiftChannel) -> Counter[str]:
        found: Counter[str] = Counter()
        for one in (RELEASED, *MANAGED):
            service = IngestionService(channel, one)
            for each in read_channels(service.asset_name, source=channel):
                found[each.name] += len(each)
        return found


@pytest.fixture(params=["recorded", "stored"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Recorded | Stored]:
    if request.param == "recorded":
        with RecordingServer() as recording:
            yield Recorded(recording)
    else:
        with Server(ServerSettings(tmp_path / "telemetry", port=0)) as real:
            yield Stored(real)


def flows(count: int, first: int) -> list[dict[str, Any]]:
    start_ns = time.time_ns()
    return [
        {
            "flow_name": "logs",
            "timestamp": start_ns + number,
            "channel_values": [
                {"channel_name": name, "value": string_value(f"line {number}")}
                for name in ("log", "logs")
            ],
        }
        for number in range(first, first + count)
    ]


class OmittedArguments(ast.NodeTransformer):
    """Puts `omitted(callee)` where a call has three dots for its arguments."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        node.args = [
            ast.copy_location(
                ast.Call(ast.Name("omitted", ast.Load()), [node.func.value], []), argument
            )
            if isinstance(argument, ast.Constant) and argument.value is ...
            else argument
            for argument in node.args
        ]
        return node


def omitted(service: IngestionService) -> dict[str, Any]:
    """A row of the first flow of a service."""
    (name,) = service.flow_configs_by_name
    return {
        "flow_name": name,
        "timestamp": datetime.now(UTC),
        "channel_values": [{"channel_name": "log", "value": string_value(name)}],
    }


def test_the_notes_have_the_snippets_that_are_known():
    """A new one would have to be run too."""
    assert len(SNIPPETS) == len(EXPECTED)


@pytest.mark.parametrize(("name", "index"), [(name, i) for i, name in enumerate(EXPECTED)])
def test_a_snippet_runs_as_it_is_written(name: str, index: int, server: Recorded | Stored):
    """It raises nothing, and what it sends arrives."""
    with use_sift_channel({"uri": server.uri, "apikey": server.api_key}) as channel:
        ingestion_service = IngestionService(channel, RELEASED)
        names = {
            "ChannelConfig": ChannelConfig,
            "ChannelDataType": ChannelDataType,
            "FlowConfig": FlowConfig,
            "IngestionServicesManager": IngestionServicesManager,
            "config_a": MANAGED[0],
            "config_b": MANAGED[1],
            "datetime": datetime,
            "double_value": double_value,
            "enum_value": enum_value,
            "grpc_channel": channel,
            "ingestion_service": ingestion_service,
            "int32_value": int32_value,
            "lots_more_flows": flows(LOTS_MORE, LOTS),
            "lots_of_flows": flows(LOTS, 0),
            "omitted": omitted,
            "string_value": string_value,
            "timestamp": datetime.now(UTC),
            "timezone": timezone,
        }
        tree = ast.fix_missing_locations(OmittedArguments().visit(ast.parse(SNIPPETS[index])))
        exec(compile(tree, str(NOTES), "exec"), names)
        assert server.points(channel) == EXPECTED[name].points
        if isinstance(server, Recorded):
            assert server.stream_sizes() == EXPECTED[name].streams
        if name == "a flow on the fly":
            flows_of_config = ListIngestionConfigFlowsRequest(
                ingestion_config_id=ingestion_service.ingestion_config.ingestion_config_id,
                page_size=100,
            )
            known = (
                IngestionConfigServiceStub(channel).ListIngestionConfigFlows(flows_of_config).flows
            )
            (flow,) = (flow for flow in known if flow.name == "my_new_flow")
            (made,) = flow.channels
            assert (made.name, made.data_type) == ("new_channel", ChannelDataType.DOUBLE.value)
