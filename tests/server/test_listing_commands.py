"""`sift assets`, `sift channels` and `sift runs` as a person or a program runs them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from sift.runs.v2.runs_pb2 import CreateRunRequest
from sift.runs.v2.runs_pb2_grpc import RunServiceStub
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_server.commands.main import app

START_NS = 1_780_000_000_000_000_000
MOTOR = FlowConfig(
    "motor",
    [
        ChannelConfig("speed", ChannelDataType.DOUBLE, unit="rpm", component="motor"),
        ChannelConfig(
            "state",
            ChannelDataType.ENUM,
            enum_types=[ChannelEnumType("idle", 0), ChannelEnumType("turning", 1)],
        ),
    ],
)
LIGHTS = FlowConfig(
    "lights",
    [
        ChannelConfig(
            "lights",
            ChannelDataType.BIT_FIELD,
            bit_field_elements=[
                ChannelBitFieldElement("front", 0, 1),
                ChannelBitFieldElement("level", 1, 3),
            ],
        )
    ],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A rover with two runs, of which one has its motor only, a station without any, and a run that
    nobody sent anything to."""
    folder = tmp_path_factory.mktemp("listing") / "telemetry"
    with use_sift_channel({"uri": f"embedded:{folder}"}) as channel:
        rover = TelemetryConfig(asset_name="rover", flows=[MOTOR, LIGHTS])
        service = IngestionService(channel, rover)
        times = START_NS + np.arange(3) * 10**9
        columns = {"motor.speed": np.arange(3.0), "state": np.zeros(3, np.uint32)}
        for run in ("drive 1", "drive 2"):
            service.attach_run(channel, run)
            service.ingest_columns("motor", times, columns)
        service.ingest_columns("lights", times[:1], {"lights": [b"\x03"]})
        station = FlowConfig("air", [ChannelConfig("wind", ChannelDataType.FLOAT, unit="m/s")])
        IngestionService(
            channel, TelemetryConfig(asset_name="station", flows=[station])
        ).ingest_columns("air", times, {"wind": np.zeros(3, np.float32)})
        request = CreateRunRequest(name="empty", client_key="key")
        request.start_time.FromNanoseconds(START_NS)
        request.stop_time.FromNanoseconds(START_NS + 1_500_000_000)
        RunServiceStub(channel).CreateRun(request)
    return folder


def run(folder, *words):
    return CliRunner().invoke(app, [*words, "--data-dir", str(folder)])


def documents(folder, *words):
    done = run(folder, *words, "--json")
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def names(folder, *words):
    return [each["name"] for each in documents(folder, *words)]


def test_assets_are_listed_with_their_channels(folder):
    assert [(each["name"], each["channels"]) for each in documents(folder, "assets")] == [
        ("rover", 3),
        ("station", 1),
    ]
    assert names(folder, "assets", "r*", "nothing") == ["rover"]
    lines = run(folder, "assets").stdout.splitlines()
    assert lines[0].split() == ["NAME", "CHANNELS", "CREATED", "TAGS"]
    assert lines[1].split()[:2] == ["rover", "3"]
    assert "no such assets" in run(folder, "assets", "nothing").stderr


def test_channels_are_listed_with_types_units_and_parts(folder):
    lines = run(folder, "channels", "--asset", "rover").stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["NAME", "TYPE", "UNIT"],
        ["motor.speed", "double", "rpm"],
        ["state", "enum", "-"],
        ["0", "=", "idle,"],
        ["lights", "bit_field", "-"],
        ["front:", "bit", "0,"],
    ]
    assert lines[5].strip() == "front: bit 0, level: bits 1 to 3"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), ["motor.speed", "state", "lights"]),
        (("*s*e*",), ["motor.speed", "state"]),
        (("--type", "enum", "--type", "bit_field"), ["state", "lights"]),
        (("--unit", "rpm"), ["motor.speed"]),
        (("--unit", ""), ["state", "lights"]),
        (("--run", "drive 1"), ["motor.speed", "state"]),
        (("--run", "drive 2"), ["motor.speed", "state", "lights"]),
        (("--run", "key"), []),
    ],
)
def test_channels_are_chosen(folder, words, found):
    assert names(folder, "channels", "--asset", "rover", *words) == found


def test_points_are_counted(folder):
    speed, state, lights = documents(folder, "channels", "--asset", "rover", "--points")
    assert (speed["points"], state["points"], lights["points"]) == (6, 6, 1)
    assert speed["first"] == "2026-05-28T20:26:40Z"
    assert speed["last"] == "2026-05-28T20:26:42Z"
    one = documents(folder, "channels", "--asset", "rover", "--run", "drive 1", "--points")
    assert [each["points"] for each in one] == [3, 3]
    lines = run(folder, "channels", "--asset", "rover", "--points").stdout.splitlines()
    assert lines[1].split()[3:] == ["6", "2026-05-28", "20:26:40", "2026-05-28", "20:26:42", "-"]


def test_runs_are_listed_the_newest_first(folder):
    assert names(folder, "runs") == ["empty", "drive 2", "drive 1"]
    assert names(folder, "runs", "drive*") == ["drive 2", "drive 1"]
    assert names(folder, "runs", "--limit", "1") == ["empty"]
    assert "more than 1" in run(folder, "runs", "--limit", "1").stderr
    lines = run(folder, "runs").stdout.splitlines()
    assert "  2026-05-28 20:26:40  1.500 s  " in lines[1]


def test_runs_are_chosen_by_what_they_have_points_of(folder):
    assert names(folder, "runs", "--asset", "rover") == ["drive 2", "drive 1"]
    assert names(folder, "runs", "--asset", "station") == []
    two, one = documents(folder, "runs", "drive*", "--points")
    assert (one["points"], two["points"]) == (6, 7)
    assert one["asset_names"] == two["asset_names"] == ["rover"]
    line = run(folder, "runs", "drive 1", "--points").stdout.splitlines()[1]
    assert "2026-05-28 20:26:40  2.000 s" in line


def test_what_is_not_there_is_said(folder, tmp_path):
    done = run(folder, "channels", "--asset", "rovr")
    assert (done.exit_code, done.stderr) == (1, "sift channels: there is no asset 'rovr'\n")
    done = run(folder, "channels", "--asset", "rover", "--run", "drive")
    assert (done.exit_code, done.stderr) == (1, "sift channels: there is no run 'drive'\n")
    assert run(folder, "channels", "--asset", "rover", "--type", "number").exit_code == 2
    assert run(tmp_path, "runs").exit_code == 1
