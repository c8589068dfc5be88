"""A server with two assets in two runs, and its doors for exports."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest

from sift.exports.v1 import exports_pb2 as pb
from sift.exports.v1.exports_pb2_grpc import ExportServiceStub
from sift.jobs.v1 import jobs_pb2
from sift.jobs.v1.jobs_pb2_grpc import JobServiceStub
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType, ChannelEnumType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_server.server import Server, ServerSettings

START_NS = 1_780_000_000_123_456_789
ROWS = 10
WAIT_S = 60
ENDED = (
    jobs_pb2.JOB_STATUS_FINISHED,
    jobs_pb2.JOB_STATUS_FAILED,
    jobs_pb2.JOB_STATUS_CANCELLED,
)


def times_ns(drive: int = 0) -> np.ndarray:
    return START_NS + drive * 3_600 * 10**9 + np.arange(ROWS) * 10**6


class Exports:
    """What a client sees."""

    def __init__(self, server, channel) -> None:
        self.server = server
        self.channel = channel
        self.stub = ExportServiceStub(channel)
        self.jobs = JobServiceStub(channel)

    def begin(self, **request) -> str:
        return self.stub.ExportData(pb.ExportDataRequest(**request)).job_id

    def job(self, job_id):
        request = jobs_pb2.ListJobsRequest(filter=f'job_id == "{job_id}"')
        (job,) = self.jobs.ListJobs(request).jobs
        return job

    def ended(self, job_id):
        due = time.monotonic() + WAIT_S
        while (job := self.job(job_id)).job_status not in ENDED:
            assert time.monotonic() < due
            time.sleep(0.02)
        return job

    def url(self, job_id) -> str:
        return self.stub.GetDownloadUrl(pb.GetDownloadUrlRequest(job_id=job_id)).presigned_url

    def done(self, **request) -> str:
        """The job of an export that went well."""
        job = self.ended(self.begin(**request))
        assert job.job_status == jobs_pb2.JOB_STATUS_FINISHED, job
        return job.job_id

    def file(self, **request) -> tuple[str, bytes]:
        """Name and content of an exported file, fetched without a key."""
        url = self.url(self.done(**request))
        return url.rpartition("/")[2], fetched(url)[1]


def fetched(url, method="GET") -> tuple[int, bytes, dict]:
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


@pytest.fixture
def settings() -> dict:
    """Settings of the server that are not as usual."""
    return {}


@pytest.fixture
def server(tmp_path, settings):
    with Server(ServerSettings(tmp_path / "telemetry", port=0, **settings)) as running:
        yield running


def stream(channel) -> SimpleNamespace:
    """Two drives of a rover, of which a station saw the first; gives ids."""
    rover = TelemetryConfig(
        asset_name="rover",
        flows=[
            FlowConfig(
                "motor",
                [
                    ChannelConfig("speed", ChannelDataType.DOUBLE, unit="rpm", component="motor"),
                    ChannelConfig("count", ChannelDataType.INT_64),
                    ChannelConfig(
                        "state",
                        ChannelDataType.ENUM,
                        enum_types=[ChannelEnumType("idle", 0), ChannelEnumType("on", 1)],
                    ),
                ],
            ),
            FlowConfig("unused", [ChannelConfig("never", ChannelDataType.DOUBLE)]),
        ],
    )
    station = TelemetryConfig(
        asset_name="station",
        flows=[
            FlowConfig("air", [ChannelConfig("wind.speed", ChannelDataType.DOUBLE, unit="m/s")])
        ],
    )
    found = SimpleNamespace(runs=[])
    service = IngestionService(channel, rover)
    for drive in range(2):
        service.attach_run(channel, f"drive {drive + 1}")
        found.runs.append(service.run_id)
        columns = {
            "motor.speed": np.arange(ROWS) / 3 + drive,
            "count": np.arange(ROWS) + 2**53 + 1,
            "state": (np.arange(ROWS) % 2).astype(np.uint32),
        }
        service.ingest_columns("motor", times_ns(drive), columns)
    found.rover = service.ingestion_config.asset_id
    service = IngestionService(channel, station)
    service.attach_run(channel, "drive 1")
    service.ingest_columns("air", times_ns()[::2] + 1, {"wind.speed": np.arange(ROWS // 2) + 0.5})
    found.station = service.ingestion_config.asset_id
    return found


@pytest.fixture
def exports(server):
    config = {"uri": f"http://{server.address}", "apikey": server.api_key}
    with use_sift_channel(config) as channel:
        yield Exports(server, channel)


@pytest.fixture
def ids(exports):
    return stream(exports.channel)
