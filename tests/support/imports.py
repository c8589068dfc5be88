"""Talks to the doors of data imports as `curl` and the gRPC library would."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift.data_imports.v2 import data_imports_pb2_grpc
from sift.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from support.telemetry import channel_ids, read_points

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import grpc

ENDED = (pb.DATA_IMPORT_STATUS_SUCCEEDED, pb.DATA_IMPORT_STATUS_FAILED)
WAIT_S = 60


@dataclass(frozen=True)
class Answer:
    status: int
    content: Any


class ImportDoors:
    """The doors of a server."""

    def __init__(self, address: str, api_key: str, channel: grpc.Channel) -> None:
        self.address = address
        self.api_key = api_key
        self.channel = channel
        self.stub = data_imports_pb2_grpc.DataImportServiceStub(channel)
        self.jobs = jobs_pb2_grpc.JobServiceStub(channel)

    def rest(
        self,
        verb: str,
        path: str,
        body: bytes | Iterator[bytes] | dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A call; `path` may be a whole URL."""
        url = path if path.startswith("http") else f"http://{self.address}{path}"
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(
            url,
            data,
            {"authorization": f"Bearer {self.api_key}", **(headers or {})},
            method=verb,
        )
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return Answer(answer.status, json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.loads(error.read()))

    def create(self, **config: Any) -> pb.CreateDataImportFromUploadResponse:
        """Create an import: `csv_config={...}`, as JSON."""
        request = json_format.ParseDict(config, pb.CreateDataImportFromUploadRequest())
        return self.stub.CreateDataImportFromUpload(request)

    def upload(
        self, url: str, content: bytes | Iterator[bytes], name: str = "", **headers: str
    ) -> Answer:
        """Send a file."""
        named = {"content-disposition": f'attachment; filename="{name}"'} if name else {}
        return self.rest("POST", url, content, {**named, **headers})

    def get(self, data_import_id: str) -> pb.DataImport:
        request = pb.GetDataImportRequest(data_import_id=data_import_id)
        return self.stub.GetDataImport(request).data_import

    def wait(self, data_import_id: str) -> pb.DataImport:
        """The import when it ended."""
        until = time.monotonic() + WAIT_S
        while (found := self.get(data_import_id)).status not in ENDED:
            assert time.monotonic() < until, found
            time.sleep(0.01)
        return found

    def job(self, job_id: str) -> jobs_pb2.Job:
        (job,) = self.jobs.ListJobs(jobs_pb2.ListJobsRequest(filter=f"job_id == '{job_id}'")).jobs
        return job

    def run(self, content: bytes, name: str = "data", **config: Any) -> pb.DataImport:
        """Create an import, send its file, and wait for its end."""
        created = self.create(**config)
        answer = self.upload(created.upload_url, content, name)
        assert answer.status == 200, answer
        return self.wait(created.data_import_id)

    def points(self, imported: pb.DataImport, *names: str) -> dict[str, list[tuple[int, Any]]]:
        """Points of channels of an import, by name; of all channels if none is named."""
        run_id = imported.run_id if imported.HasField("run_id") else None
        return {
            name: read_points(self.channel, imported.asset_id, name, run_id)
            for name in names or channel_ids(self.channel, imported.asset_id)
        }
