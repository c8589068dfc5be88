"""`sift tail` as a person or a program runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from sift_py.data import ChannelReadings, Readings
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType, ChannelEnumType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_server.commands.main import app
from sift_server.commands.tail_output import PointLines, json_line, points_of
from sift_server.commands.tail_rate import LineRate
from sift_server.server import Server, ServerSettings

START_NS = 1_780_000_000_000_000_000
SPEED = ChannelConfig("motor.speed", ChannelDataType.DOUBLE, unit="rpm")
STATE = ChannelConfig(
    "state",
    ChannelDataType.ENUM,
    enum_types=[ChannelEnumType("idle", 0), ChannelEnumType("turning", 1)],
)
CONFIG = TelemetryConfig(asset_name="rover", flows=[FlowConfig("motor", [SPEED, STATE])])


@pytest.fixture
def rover(tmp_path):
    """The options for its folder, which is served, and `send(first, count)`."""
    folder = tmp_path / "telemetry"
    with Server(ServerSettings(folder, port=0)) as server:
        config = {"uri": f"http://{server.address}", "apikey": server.api_key}
        with use_sift_channel(config) as channel:
            service = IngestionService(channel, CONFIG)

            def send(first, count):
                rows = np.arange(first, first + count)
                columns = {"motor.speed": rows * 0.5, "state": (rows % 2).astype(np.uint32)}
                service.ingest_columns("motor", START_NS + rows * 10**6, columns)

            send(0, 3)
            yield ["--data-dir", str(folder)], send


def tail(*arguments):
    done = CliRunner().invoke(app, ["tail", *arguments])
    return done.exit_code, done.stdout.splitlines(), done.stderr


def test_what_is_there_and_what_comes_is_printed(rover):
    options, send = rover
    later = threading.Timer(1.0, send, (3, 2))
    later.start()
    since = "2026-05-28T20:26:40.001Z"
    status, lines, _ = tail("rover", "motor.*", *options, "--since", since, "--seconds", "4")
    later.join()
    assert (status, lines) == (
        0,
        [
            "2026-05-28T20:26:40.001000000Z  motor.speed  0.5  rpm",
            "2026-05-28T20:26:40.002000000Z  motor.speed  1.0  rpm",
            "2026-05-28T20:26:40.003000000Z  motor.speed  1.5  rpm",
            "2026-05-28T20:26:40.004000000Z  motor.speed  2.0  rpm",
        ],
    )


def test_a_line_of_json_has_all_of_a_point(rover):
    options, _ = rover
    since = "2026-05-28T20:26:40Z"
    status, lines, _ = tail("rover", *options, "--since", since, "--seconds", "1", "--json")
    points = [json.loads(line) for line in lines]
    assert status == 0
    assert len(points) == 6
    assert points[-1] == {
        "time": "2026-05-28T20:26:40.002000000Z",
        "timestamp_ns": START_NS + 2 * 10**6,
        "channel": "state",
        "value": "idle",
        "unit": "",
        "run": "",
        "asset": "rover",
    }


def test_fast_channels_are_thinned_out_and_it_is_said(rover):
    options, send = rover
    send(3, 997)
    since = "2026-05-28T20:26:40Z"
    status, lines, notes = tail(
        "rover", "state", *options, "--since", since, "--seconds", "1", "--rate", "2"
    )
    assert status == 0
    assert [line.split()[0] for line in lines] == [
        "2026-05-28T20:26:40.998000000Z",
        "2026-05-28T20:26:40.999000000Z",
    ]
    assert notes == "... 998 points left out (--rate 2)\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["rug"], 1, "no asset 'rug'"),
        (["rover", "motor.sped"], 1, "Did you mean 'motor.speed'"),
        (["rover", "--run", "none"], 1, "no run 'none'"),
        (["rover", "--since", "yesterday"], 2, "30s, 5m, 2h, 1d"),
        (["rover", "--rate", "-1"], 2, "--rate"),
        ([], 2, "ASSET"),
    ],
)
def test_what_does_not_fit_is_said(rover, arguments, status, words):
    options, _ = rover
    found, lines, said = tail(*arguments, *options)
    assert (found, lines) == (status, [])
    assert words in said


def test_a_folder_that_nobody_serves_is_not_served(tmp_path):
    folder = tmp_path / "telemetry"
    with Server(ServerSettings(folder, port=0)):
        pass
    status, _, said = tail("rover", "--data-dir", str(folder))
    assert status == 1
    assert f"nobody serves {folder}" in said


def test_it_ends_as_interrupted_at_ctrl_c(rover):
    options, _send = rover
    command = [sys.executable, "-c", "from sift_server.commands import main; main()"]
    process = subprocess.Popen(
        [*command, "tail", "rover", "state", *options, "--since", "20000d"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "idle" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    began_s = time.monotonic()
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "")
    assert time.monotonic() - began_s < 5


def test_a_second_s_lines_may_come_at_once_and_then_so_many_a_second():
    rate = LineRate(10)
    assert rate.allow("a", 100, 50.0) == 10
    assert rate.allow("a", 100, 50.25) == 2
    assert rate.allow("b", 3, 50.25) == 3
    assert rate.allow("a", 100, 99.0) == 10
    assert rate.take_left_out() == 90 + 98 + 90
    assert rate.take_left_out() == 0
    assert LineRate(0).allow("a", 10**6, 0.0) == 10**6


@pytest.mark.parametrize(
    ("data_type", "value", "text", "in_json"),
    [
        ("DOUBLE", 0.1, "0.1", 0.1),
        ("DOUBLE", float("nan"), "nan", "nan"),
        ("DOUBLE", float("-inf"), "-inf", "-inf"),
        ("FLOAT", np.float32(0.1), "0.1", 0.1),
        ("UINT_64", 2**64 - 1, "18446744073709551615", 2**64 - 1),
        ("BOOL", True, "true", True),
        ("STRING", "a\x1b[31m", "a\\x1b[31m", "a\x1b[31m"),
        ("BYTES", b"\x01\xff", "01 ff", "Af8="),
        ("ENUM", 7, "on", "on"),
        ("ENUM", 8, "8", "8"),
    ],
)
def test_values_of_every_type_are_shown(data_type, value, text, in_json):
    import pyarrow as pa  # noqa: PLC0415

    times = pa.chunked_array([pa.array([START_NS]).cast(pa.timestamp("ns", tz="UTC"))])
    kind = {"UINT_64": pa.uint64(), "FLOAT": pa.float32()}.get(data_type)
    values = pa.chunked_array([pa.array([value], kind)])
    channel = ChannelReadings(
        "a", "a", "id", data_type, "V", {7: "on"}, "rig", "", "", 0, times, values
    )
    (point,) = points_of(Readings([channel]), [1])
    line = PointLines(in_colour=False).line(point)
    assert line == f"2026-05-28T20:26:40.000000000Z  a  {text}  V"
    assert json.loads(json_line(point))["value"] == in_json
    assert "\x1b[" in PointLines(in_colour=True).line(point)
