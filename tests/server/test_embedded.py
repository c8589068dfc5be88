"""`embedded:FOLDER` is the same server, inside the user's process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sift_py.data import read_channels
from sift_py.errors import EmbeddedServerError
from sift_py.grpc.transport import SiftChannel, use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType, double_value
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from support.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_700_000_000_000_000_001

CONFIG = TelemetryConfig(
    asset_name="rig",
    ingestion_client_key="rig-1",
    flows=[FlowConfig("readings", [ChannelConfig("pressure", ChannelDataType.DOUBLE)])],
)


def send(channel: SiftChannel, first: int, count: int = 1) -> IngestionService:
    service = IngestionService(channel, CONFIG)
    service.try_ingest_flows(
        *(
            {
                "flow_name": "readings",
                "timestamp": T0 + number,
                "channel_values": [{"channel_name": "pressure", "value": double_value(number)}],
            }
            for number in range(first, first + count)
        )
    )
    return service


def read(channel: SiftChannel, service: IngestionService) -> list[int]:
    pressure = read_channels(service.asset_name, "pressure", source=channel)["pressure"]
    times_ns = pressure.timestamps_ns.tolist()
    assert pressure.values.to_pylist() == [float(time - T0) for time in times_ns]
    return [time - T0 for time in times_ns]


def test_a_folder_keeps_what_was_streamed(tmp_path: Path):
    """No key, no set-up; what one program wrote, the next one reads."""
    for number in range(3):
        with use_sift_channel({"uri": f"embedded:{tmp_path / 'telemetry'}"}) as channel:
            service = send(channel, number)
            assert read(channel, service) == list(range(number + 1))


def test_channels_of_a_process_share_the_folder(tmp_path: Path):
    """Two channels are one server; it stops with the last of them."""
    uri = f"embedded:{tmp_path / 'telemetry'}"
    with use_sift_channel({"uri": uri}) as first:
        with use_sift_channel({"uri": uri}) as second:
            send(second, 0)
        service = send(first, 1)
        assert read(first, service) == [0, 1]


def test_a_folder_that_another_process_serves_is_refused_with_its_pid(tmp_path: Path):
    """Two processes never write to one folder; the error says which one does."""
    with (
        serving(tmp_path / "telemetry") as server,
        pytest.raises(EmbeddedServerError, match=str(server.process.pid)),
    ):
        use_sift_channel({"uri": f"embedded:{tmp_path / 'telemetry'}"})


def test_the_program_streams_to_a_server_as_well(tmp_path: Path):
    """What was streamed into a folder is served from it, and the other way round."""
    folder = tmp_path / "telemetry"
    with use_sift_channel({"uri": f"embedded:{folder}"}) as channel:
        send(channel, 0)
    with serving(folder) as server:
        uri = f"http://{server.address}"
        with use_sift_channel({"uri": uri, "apikey": server.api_key}) as channel:
            service = send(channel, 1)
            assert read(channel, service) == [0, 1]
        server.stop()
    with use_sift_channel({"uri": f"embedded:{folder}"}) as channel:
        service = send(channel, 2)
        assert read(channel, service) == [0, 1, 2]


FORGETFUL = """
import sys
sys.path.insert(0, sys.argv[2])
from test_embedded import send, use_sift_channel
channel = use_sift_channel({"uri": "embedded:" + sys.argv[1]})
send(channel, 0, 100)
"""


def test_a_program_that_never_closes_its_channel_loses_nothing(tmp_path: Path):
    """The server stops when the process ends; the points are there for the next one."""
    here = str(__file__).rpartition("/")[0]
    done = subprocess.run(
        [sys.executable, "-c", FORGETFUL, str(tmp_path / "telemetry"), here],
        capture_output=True, text=True, timeout=60, check=False,
        env={"PYTHONPATH": str(here).rpartition("/")[0]},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    with use_sift_channel({"uri": f"embedded:{tmp_path / 'telemetry'}"}) as channel:
        service = send(channel, 100)
        assert read(channel, service) == list(range(101))
