"""What the tests of outages have in common: a config, its rows, and what came of them."""

from __future__ import annotations

import subprocess
import sys
import time

from sift_py.grpc.retry import RetryPolicy
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig

INGEST = "IngestWithConfigDataStream"
QUICK = RetryPolicy(attempts_max=3, first_wait_ms=10, wait_ms_max=50, total_ms_max=5_000)
WAIT_S = 30


def config(asset):
    return TelemetryConfig(
        asset_name=asset,
        ingestion_client_key=asset,
        flows=[
            FlowConfig("f", [ChannelConfig("x", ChannelDataType.DOUBLE)]),
            FlowConfig("logs", [ChannelConfig("log", ChannelDataType.STRING)]),
        ],
    )


def row(number):
    return {"flow_name": "f", "timestamp": number, "channel_values": [float(number)]}


def numbers(server, asset):
    """The values of all rows that the server has."""
    return [value for _, value in server.points(asset, "x")]


def up_to(end):
    """The values of the rows before `end`."""
    return [float(number) for number in range(end)]


def release(service):
    """As a program that ends: the lock is gone, files stay."""
    if service._spilling is not None:
        service._spilling.release()


def spill_files(spill_dir):
    return sorted(spill_dir.glob("*/*.spill"))


def wait_for(condition):
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true"
        time.sleep(0.02)


PROGRAM = """
import sys
from sift_py.grpc.retry import RetryPolicy
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.service import IngestionService
from support.spilling import QUICK, config, row

uri, key, asset, spill_dir, *arguments = sys.argv[1:]
channel = use_sift_channel({"uri": uri, "apikey": key})
service = IngestionService(
    channel, config(asset), spill_dir=spill_dir or None, retry_policy=QUICK
)
print("ready", flush=True)
"""


def program(text, uri, key, asset, spill_dir="", *arguments):
    """A program with a `service`, which goes on with a text; its pipes are open."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + text, uri, key, asset, spill_dir, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": "tests"},
    )
