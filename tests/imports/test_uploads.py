"""Files on their way in: those that break off, are too large, come twice, or have odd names."""

from __future__ import annotations

import gzip
import http.client
import socket
import subprocess
import time
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc
import pytest

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift.jobs.v1 import jobs_pb2
from sift_server.api import uploads
from sift_server.imports import ImportLimits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_server.server import Server
    from support.imports import ImportDoors

CONFIG = {
    "assetName": "rover",
    "firstDataRow": 2,
    "timeColumn": {"columnNumber": 1, "format": "TIME_FORMAT_ABSOLUTE_UNIX_NANOSECONDS"},
    "dataColumns": {"2": {"name": "v", "dataType": "CHANNEL_DATA_TYPE_DOUBLE"}},
}
FILE = b"t,v\n1,0.5\n2,1.5\n"
POINTS = {"v": [(1, 0.5), (2, 1.5)]}


def files(tmp_path: Path) -> list[str]:
    folder = tmp_path / "telemetry" / "uploads"
    return [file.name for file in folder.iterdir()] if folder.exists() else []


def until(condition) -> None:
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_curl_can_do_it(doors: ImportDoors, tmp_path: Path):
    """As the docs have it; nothing of the file is left when it is in."""
    (tmp_path / "flight.csv").write_bytes(FILE)
    created = doors.create(csv_config=CONFIG)
    curl = ["curl", "-sS", "--fail-with-body", "--data-binary", "@flight.csv"]
    curl += ["-H", f"authorization: Bearer {doors.api_key}", created.upload_url]
    subprocess.run(curl, check=True, cwd=tmp_path, capture_output=True)
    assert doors.points(doors.wait(created.data_import_id)) == POINTS
    until(lambda: not files(tmp_path))


def test_it_needs_a_key_that_may_write(doors: ImportDoors):
    created = doors.create(csv_config=CONFIG)
    answer = doors.upload(created.upload_url, FILE, authorization="Bearer wrong")
    assert answer.status == 401


@pytest.mark.parametrize("data_import_id", ["none", "..%2fcatalog.sqlite", "../log", "", "a/b"])
def test_an_id_that_is_none_is_told_so(doors, tmp_path, data_import_id):
    """Also one that would be a path."""
    answer = doors.rest("POST", f"/uploads/v1/{data_import_id}", FILE)
    assert answer.status == 404, answer
    assert files(tmp_path) == []
    with pytest.raises(grpc.RpcError) as missing:
        doors.get("none")
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\\b.csv", 'x";y.csv', "\x01", "grün.csv"])
def test_a_name_of_a_file_is_no_path(doors, tmp_path, name):
    """It is for messages."""
    created = doors.create(csv_config=CONFIG)
    encoded = name.encode().decode("latin-1")
    answer = doors.upload(created.upload_url, FILE, encoded)
    assert answer.status == 200
    assert doors.points(doors.wait(created.data_import_id)) == POINTS
    assert not (tmp_path / "etc").exists()


def test_an_upload_that_breaks_off_leaves_nothing(doors: ImportDoors, tmp_path: Path):
    """And can be made again."""
    created = doors.create(csv_config=CONFIG)
    host, _, port = doors.address.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        path = created.upload_url.partition(doors.address)[2]
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {doors.address}\r\ncontent-length: 10000000\r\n"
            f"authorization: Bearer {doors.api_key}\r\n\r\n"
        )
        connection.sendall(head.encode() + b"t,v\n" + b"1,0.5\n" * 500_000)
        until(lambda: files(tmp_path))
    until(lambda: not files(tmp_path))
    assert doors.get(created.data_import_id).status == pb.DATA_IMPORT_STATUS_PENDING
    assert doors.upload(created.upload_url, FILE).status == 200
    assert doors.points(doors.wait(created.data_import_id)) == POINTS


def test_a_file_comes_once(doors: ImportDoors):
    """The same again is answered as the first; another one is refused."""
    created = doors.create(csv_config=CONFIG)
    first = doors.upload(created.upload_url, FILE)
    again = doors.upload(created.upload_url, FILE)
    assert (again.status, again.content) == (200, first.content)
    other = doors.upload(created.upload_url, FILE + b"3,1\n")
    assert other.status == 409
    assert doors.points(doors.wait(created.data_import_id)) == POINTS


def test_two_at_a_time_to_one_url_are_told_apart(doors: ImportDoors):
    created = doors.create(csv_config=CONFIG)
    second = []

    def slowly() -> Iterator[bytes]:
        yield FILE
        yield b"3,0\n" * 500_000
        # By now the server has begun to write.
        until(lambda: second or second.append(doors.upload(created.upload_url, FILE)) is None)

    first = doors.upload(created.upload_url, slowly())
    assert first.status == 200
    assert second[0].status == 400
    assert "on its way already" in second[0].content["message"]


@pytest.mark.parametrize(
    ("body", "encoding", "status", "said"),
    [
        (b"", "", 400, "empty"),
        (FILE, "gzip", 400, "gzip"),
        (gzip.compress(FILE, mtime=0)[:-12], "gzip", 400, "middle of its gzip"),
        (FILE, "br", 400, "content-encoding"),
    ],
)
def test_a_body_that_is_none_is_refused(doors, tmp_path, body, encoding, status, said):
    created = doors.create(csv_config=CONFIG)
    answer = doors.upload(created.upload_url, body, **{"content-encoding": encoding})
    assert (answer.status, answer.content["message"].count(said)) == (status, 1), answer
    assert files(tmp_path) == []


@pytest.mark.parametrize("settings", [{"import_limits": ImportLimits(upload_bytes_max=1_000_000)}])
class TestLimits:
    def test_a_file_that_is_too_large_is_refused(self, doors, tmp_path):
        """By its length, as it comes, and as it inflates."""
        large = b"1,0.5\n" * 500_000
        bomb = zlib.compressobj(9, wbits=31)
        bomb = bomb.compress(bytes(50_000_000)) + bomb.flush()

        def pieces() -> Iterator[bytes]:
            yield large

        for body, encoding in ((large, ""), (pieces(), ""), (bomb, "gzip")):
            created = doors.create(csv_config=CONFIG)
            answer = doors.upload(created.upload_url, body, **{"content-encoding": encoding})
            assert answer.status == 429
            assert "upload_bytes_max" in answer.content["message"]
        assert files(tmp_path) == []


@pytest.mark.parametrize("settings", [{"import_limits": ImportLimits(upload_bytes_max=1_000_000)}])
def test_whoever_sends_on_is_told_why(doors: ImportDoors, monkeypatch: pytest.MonkeyPatch):
    """The rest of a file that is refused is taken and dropped first, so much of it and so long."""

    def answer_to(size: int, length: int) -> bytes:
        """What comes back when so many bytes are sent of a file that is said to be so long."""
        url = urlsplit(doors.create(csv_config=CONFIG).upload_url)
        with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
            connection.sendall(
                f"POST {url.path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {doors.api_key}\r\n"
                f"content-length: {length}\r\n\r\n".encode()
            )
            with suppress(ConnectionError):
                connection.sendall(bytes(size))
            with suppress(ConnectionError):
                return connection.recv(1_000)
        return b""

    assert answer_to(20_000_000, 20_000_000).startswith(b"HTTP/1.1 429")
    # One who stops in the middle is waited for a while.
    monkeypatch.setattr(uploads, "DROPPING_MS_MAX", 200)
    assert answer_to(2_000_000, 20_000_000).startswith(b"HTTP/1.1 429")
    # One who sends too much is not listened to any longer.
    monkeypatch.setattr(uploads, "DROPPED_BYTES_MAX", 1_000_000)
    began_s = time.monotonic()
    answer_to(60_000_000, 60_000_000)
    assert time.monotonic() - began_s < 10


@pytest.mark.parametrize("settings", [{"import_limits": ImportLimits(uploads_bytes_max=1_500_000)}])
def test_all_files_that_wait_have_a_limit(doors, tmp_path):
    """What failed may be retried, and so takes room, until it is old."""
    wrong = FILE + b"3,x\n" * 250_000
    failed = doors.run(wrong, csv_config=CONFIG)
    assert failed.status == pb.DATA_IMPORT_STATUS_FAILED
    assert files(tmp_path) == [failed.data_import_id]
    created = doors.create(csv_config=CONFIG)
    answer = doors.upload(created.upload_url, wrong)
    assert (answer.status, "uploads_bytes_max" in answer.content["message"]) == (429, True)
    assert files(tmp_path) == [failed.data_import_id]


@pytest.mark.parametrize("settings", [{"import_limits": ImportLimits(disk_reserve_bytes=2**60)}])
def test_uploads_leave_room_on_the_disk(doors, tmp_path):
    """The log needs it."""
    created = doors.create(csv_config=CONFIG)
    answer = doors.upload(created.upload_url, FILE)
    assert (answer.status, "for the log" in answer.content["message"]) == (429, True)
    assert files(tmp_path) == []


@pytest.mark.parametrize("settings", [{"import_limits": ImportLimits(silence_ms_max=200)}])
def test_an_upload_that_falls_silent_ends(doors, tmp_path):
    created = doors.create(csv_config=CONFIG)
    connection = http.client.HTTPConnection(doors.address, timeout=30)
    connection.putrequest("POST", created.upload_url.partition(doors.address)[2])
    connection.putheader("authorization", f"Bearer {doors.api_key}")
    connection.putheader("content-length", "1000")
    connection.endheaders(FILE)
    answer = connection.getresponse()
    assert (answer.status, b"silence_ms_max" in answer.read()) == (429, True)
    connection.close()
    assert files(tmp_path) == []


def test_what_failed_can_be_retried(doors: ImportDoors, server: Server):
    """With the file that is there; what succeeded can not."""
    runs = {"csv_config": CONFIG | {"runId": "none"}}
    failed = doors.run(FILE, **runs)
    assert failed.status == pb.DATA_IMPORT_STATUS_FAILED
    retry = pb.RetryDataImportRequest(data_import_id=failed.data_import_id)
    doors.stub.RetryDataImport(retry)
    assert doors.wait(failed.data_import_id).status == pb.DATA_IMPORT_STATUS_FAILED
    answer = doors.rest("POST", f"/api/v2/data-imports/{failed.data_import_id}:retry", b"{}")
    assert answer.status == 200
    done = doors.run(FILE, csv_config=CONFIG)
    with pytest.raises(grpc.RpcError) as refused:
        doors.stub.RetryDataImport(pb.RetryDataImportRequest(data_import_id=done.data_import_id))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    created = doors.create(csv_config=CONFIG)
    with pytest.raises(grpc.RpcError) as refused:
        doors.stub.RetryDataImport(pb.RetryDataImportRequest(data_import_id=created.data_import_id))
    assert "has not come" in refused.value.details()


def test_imports_are_listed(doors: ImportDoors):
    """The oldest first, by what published clients filter for."""
    wrong = doors.run(b"t,v\n1,x\n", csv_config=CONFIG)
    done = doors.run(FILE, csv_config=CONFIG | {"runName": "drive"})
    waiting = doors.create(csv_config=CONFIG)

    def ids(cel: str = "", **more: object) -> list[str]:
        listed = doors.stub.ListDataImports(pb.ListDataImportsRequest(filter=cel, **more))
        return [one.data_import_id for one in listed.data_imports]

    assert ids() == [wrong.data_import_id, done.data_import_id, waiting.data_import_id]
    assert ids(order_by="created_date desc")[0] == waiting.data_import_id
    for name, one in (("FAILED", wrong), ("SUCCEEDED", done), ("PENDING", waiting)):
        assert ids(f"status == 'DATA_IMPORT_STATUS_{name}'") == [one.data_import_id]
    assert ids(f"run_id == '{done.run_id}'") == [done.data_import_id]
    assert ids(f"data_import_id in ['{wrong.data_import_id}']") == [wrong.data_import_id]
    assert ids("source_url == ''", page_size=1) == [wrong.data_import_id]
    with pytest.raises(grpc.RpcError):
        ids("status == 'DONE'")


def test_the_paths_of_older_versions(doors: ImportDoors):
    """Published clients call them."""
    created = doors.rest(
        "POST", "/api/v1/data-imports:upload", {"csv_config": CONFIG},
        {"content-encoding": "application/octet-stream"},
    )  # fmt: skip
    assert created.status == 200
    assert created.content["uploadUrl"].startswith(f"http://{doors.address}/")
    answer = doors.upload(created.content["uploadUrl"], FILE)
    assert answer.content["jobId"]
    data_import_id = created.content["dataImportId"]
    doors.wait(data_import_id)
    got = doors.rest("GET", f"/api/v1/data-imports/{data_import_id}")
    assert got.content["dataImport"]["status"] == "DATA_IMPORT_STATUS_SUCCEEDED"
    assert got.content["dataImport"]["errorMessage"] == ""
    body = gzip.compress(b'{"data": "dCx2CjEsMgo=", "type": "DATA_TYPE_KEY_CSV"}')
    found = doors.rest(
        "POST", "/api/v0/data-imports:detect-config", body, {"content-encoding": "gzip"}
    )
    assert found.content["csvConfig"]["dataColumns"]["2"]["name"] == "v"


def test_a_job_that_waits_can_be_cancelled(doors: ImportDoors):
    """One that is under way ends between two batches."""
    large = b"t,v\n" + b"".join(b"%d,0.5\n" % at for at in range(3_000_000))
    first = doors.create(csv_config=CONFIG)
    second = doors.create(csv_config=CONFIG)
    running = doors.upload(first.upload_url, large).content["jobId"]
    waiting = doors.upload(second.upload_url, FILE).content["jobId"]
    doors.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=waiting))
    ended = doors.wait(second.data_import_id)
    assert (ended.status, ended.error_message.partition(";")[0]) == (
        pb.DATA_IMPORT_STATUS_FAILED, "it was cancelled",
    )  # fmt: skip
    assert doors.job(waiting).job_status == jobs_pb2.JOB_STATUS_CANCELLED
    doors.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=running))
    doors.wait(first.data_import_id)
    assert doors.job(running).job_status in (
        jobs_pb2.JOB_STATUS_CANCELLED, jobs_pb2.JOB_STATUS_FINISHED,
    )  # fmt: skip


@pytest.mark.parametrize("settings", [{"import_limits": ImportLimits(uploads_at_once_max=1)}])
def test_so_many_uploads_are_taken_at_a_time(doors, tmp_path):
    first, second = (doors.create(csv_config=CONFIG).upload_url for _ in range(2))
    connection = http.client.HTTPConnection(doors.address, timeout=30)
    connection.putrequest("POST", first.partition(doors.address)[2])
    connection.putheader("authorization", f"Bearer {doors.api_key}")
    connection.putheader("content-length", str(len(FILE) + 1))
    connection.endheaders(FILE)
    until(lambda: files(tmp_path))
    answer = doors.upload(second, FILE)
    assert (answer.status, "uploads_at_once_max" in answer.content["message"]) == (429, True)
    connection.send(b"\n")
    assert connection.getresponse().status == 200
    connection.close()
    assert doors.upload(second, FILE).status == 200
