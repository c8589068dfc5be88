"""The published clients read channels of every type from our server, raw and sampled."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sift.ingestion_configs.v1 import ingestion_configs_pb2, ingestion_configs_pb2_grpc
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.server import Server, ServerSettings
from support import lttb_oracle
from support.peer_env import peer_python
from support.serving import plain_channel
from support.telemetry import Type, create_config, ingest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

PROGRAMS = Path(__file__).parent / "programs"
S = 1_000_000_000
START_NS = 1_767_225_600 * S
TYPES = {
    "double": Type.CHANNEL_DATA_TYPE_DOUBLE,
    "float": Type.CHANNEL_DATA_TYPE_FLOAT,
    "int32": Type.CHANNEL_DATA_TYPE_INT_32,
    "uint32": Type.CHANNEL_DATA_TYPE_UINT_32,
    "int64": Type.CHANNEL_DATA_TYPE_INT_64,
    "uint64": Type.CHANNEL_DATA_TYPE_UINT_64,
    "bool": Type.CHANNEL_DATA_TYPE_BOOL,
    "string": Type.CHANNEL_DATA_TYPE_STRING,
    "enum": Type.CHANNEL_DATA_TYPE_ENUM,
    "bits": Type.CHANNEL_DATA_TYPE_BIT_FIELD,
}
ROWS = [
    (
        START_NS + at * S // 10 + at,
        [
            at * at % 7 / 3, at / 4, -at, 2**32 - 1 - at, -(2**63) + at, 2**64 - 1 - at,
            at % 2 == 0, f"row {at}", at % 3, bytes([at % 256]),
        ],
    )
    for at in range(100)
]  # fmt: skip
SPEEDS = [(time_ns, values[0] + 1) for time_ns, values in ROWS]


def fill(channel: grpc.Channel) -> None:
    """Have a rover that drove, with a channel of each type and one that has a component."""
    stub = runs_pb2_grpc.RunServiceStub(channel)
    run_id = stub.CreateRun(runs_pb2.CreateRunRequest(name="drive")).run.run_id
    rover = create_config(channel, {"f": TYPES}, "rover", "rover")
    ingest(channel, (rover.row("f", time_ns, values, run_id) for time_ns, values in ROWS))
    speed = ingestion_configs_pb2.ChannelConfig(
        name="speed", component="motor", unit="m/s", data_type=Type.CHANNEL_DATA_TYPE_DOUBLE
    )
    config = (
        ingestion_configs_pb2_grpc.IngestionConfigServiceStub(channel)
        .CreateIngestionConfig(
            ingestion_configs_pb2.CreateIngestionConfigRequest(
                asset_name="rover",
                client_key="motor",
                flows=[ingestion_configs_pb2.FlowConfig(name="m", channels=[speed])],
            )
        )
        .ingestion_config
    )
    types = {"m": {"speed": Type.CHANNEL_DATA_TYPE_DOUBLE}}
    motor = type(rover)(channel, config.ingestion_config_id, config.asset_id, types)
    ingest(channel, (motor.row("m", time_ns, [value], run_id) for time_ns, value in SPEEDS))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that has a rover."""
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as running:
        with plain_channel(running.address, running.api_key) as channel:
            fill(channel)
        yield running


def run(program: str, version: str, server: Server, *arguments: str) -> Any:
    """What a program prints with a published client, which is JSON."""
    done = subprocess.run(
        # Isolated, so that nothing of ours is on its path.
        [
            peer_python((f"sift-stack-py=={version}",)), "-I", "-W", "ignore",
            PROGRAMS / program, server.address, server.api_key, *arguments,
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def expected(*, sampled: bool = False) -> dict[str, list[tuple[int, Any]]]:
    """What is read of each channel, and of each element of a bit field."""
    found = {
        name: [(time_ns, values[column]) for time_ns, values in ROWS]
        for column, name in enumerate(TYPES)
    }
    bits = found.pop("bits")
    found["motor.speed"] = SPEEDS
    if sampled:
        for name in ("double", "float", "int32", "uint32", "int64", "uint64", "motor.speed"):
            floats = [(time_ns, float(value)) for time_ns, value in found[name]]
            found[name] = [found[name][place] for place in lttb_oracle.chosen(floats, S)]
            assert len(found[name]) == 12
    found["bits.low"] = [(time_ns, value[0] & 15) for time_ns, value in bits]
    found["bits.high"] = [(time_ns, value[0] >> 4) for time_ns, value in bits]
    return found


def shown(time_ns: int) -> str:
    """A time as pandas writes it."""
    seconds, nanos = divmod(time_ns - START_NS, S)
    return f"2026-01-01 00:00:{seconds:02}" + (f".{nanos:09}" if nanos else "") + "+00:00"


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "sample_ms"), [("0.1.0", 0), ("0.1.0", 1_000), ("0.3.3", 0), ("0.25.0", 1_000)]
)
def test_the_earlier_client_reads_every_type(server: Server, version: str, sample_ms: int):
    """By `data.v1`, or by `data.v2` from 0.4 on; a channel with a component, and an expression."""
    found = run("read_data_early.py", version, server, str(sample_ms))
    double = found.pop("double speed")
    asked = expected(sampled=sample_ms > 0)
    assert double["values"] == [value * 2 for _, value in asked["motor.speed"]]
    assert found == {
        name: {
            "times": [shown(time_ns) for time_ns, _ in points],
            "values": [value for _, value in points],
        }
        for name, points in asked.items()
    }


@pytest.mark.peer
@pytest.mark.slow
def test_the_newest_client_reads_every_type(server: Server):
    """Into data frames, with nanoseconds; elements of bit fields are columns."""
    found = run("read_data.py", "0.25.0", server)
    assert found == {
        name: {"times": [time_ns for time_ns, _ in points], "values": [one for _, one in points]}
        for name, points in expected().items()
    }
