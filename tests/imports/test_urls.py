"""Files that the server fetches itself: only where it was told that it may."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_server.errors import InvalidArgumentError
from sift_server.imports import ImportLimits, UrlPolicy, fetching
from sift_server.imports.fetching import FetchError, fetch
from sift_server.imports.uploads import UploadFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = b"t,v\n1,0.5\n"
CONFIG = {
    "assetName": "rover",
    "firstDataRow": 2,
    "timeColumn": {"columnNumber": 1, "format": "TIME_FORMAT_ABSOLUTE_UNIX_NANOSECONDS"},
    "dataColumns": {"2": {"name": "v", "dataType": "CHANNEL_DATA_TYPE_DOUBLE"}},
}


class Files(http.server.BaseHTTPRequestHandler):
    """`/file.csv` is a file; others lead elsewhere or break off."""

    def do_GET(self) -> None:
        match self.path:
            case "/file.csv?version=1":
                self.send_response(200)
                self.send_header("content-length", str(len(FILE)))
                self.end_headers()
                self.wfile.write(FILE)
            case "/moved":
                self.send_response(302)
                self.send_header("location", "/file.csv?version=1")
                self.end_headers()
            case "/round":
                self.send_response(307)
                self.send_header("location", "/round")
                self.end_headers()
            case "/local":
                self.send_response(302)
                self.send_header("location", "file:///etc/passwd")
                self.end_headers()
            case "/short":
                self.send_response(200)
                self.send_header("content-length", "1000")
                self.end_headers()
                self.wfile.write(FILE)
            case _:
                self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def file_server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def site() -> Iterator[str]:
    with file_server() as url:
        yield url


def fetched(tmp_path, url: str, policy: UrlPolicy = UrlPolicy.ANY) -> tuple[str, bytes]:
    folder = UploadFolder(tmp_path / "uploads", ImportLimits())
    with folder.begin("one") as upload:
        name = fetch(url, policy, upload, 5_000, lambda: True)
        upload.digest()
        upload.keep()
    return name, folder.path_of("one").read_bytes()


@pytest.mark.parametrize("path", ["/file.csv?version=1", "/moved"])
def test_a_file_is_fetched(tmp_path, site, path):
    """Also one that moved."""
    assert fetched(tmp_path, site + path) == ("file.csv", FILE)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/none", "answers 404"),
        ("/round", "redirects"),
        ("/local", "not from file"),
        ("/short", "broke off after 10 of 1,000 bytes"),
    ],
)
def test_what_can_not_be_fetched_is_said(tmp_path, site, path, said):
    with pytest.raises((FetchError, InvalidArgumentError), match=said):
        fetched(tmp_path, site + path)
    assert list((tmp_path / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "[::1]", "10.1.2.3", "169.254.169.254", "0.0.0.0",
        "[::ffff:127.0.0.1]", "[64:ff9b::a00:1]", "2130706433",
    ],
)  # fmt: skip
def test_public_means_public(tmp_path, host):
    """Whatever way an address is written."""
    with pytest.raises(FetchError, match="no public address"):
        fetched(tmp_path, f"http://{host}/file.csv", UrlPolicy.PUBLIC)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///etc/passwd", "from file"),
        ("s3://bucket/file", "from s3"),
        ("/etc/passwd", "from a path"),
        ("http:///file", "needs a host"),
        ("http://user:secret@host/", "no user or password"),
        ("http://host:99999/", "can't be read"),
        ("http://host/a b", "no blanks"),
        ("http://host/" + "a" * 5_000, "characters"),
    ],
)
@pytest.mark.parametrize("settings", [{"import_urls": UrlPolicy.ANY}])
def test_a_url_that_is_none_is_refused(doors, url, said):
    answer = doors.rest("POST", "/api/v1/data-imports:url", {"url": url, "csv_config": CONFIG})
    assert (answer.status, said in answer.content["message"]) == (400, True), answer


def test_nothing_is_fetched_unless_the_server_is_told_so(doors, site):
    """Others could have it call machines that only the server can reach."""
    answer = doors.rest(
        "POST", "/api/v1/data-imports:url", {"url": f"{site}/moved", "csv_config": CONFIG}
    )
    assert (answer.status, "--import-urls" in answer.content["message"]) == (400, True)


@pytest.mark.parametrize("settings", [{"import_urls": UrlPolicy.ANY}])
def test_a_file_behind_a_url_is_imported(doors, site):
    request = {"url": f"{site}/moved", "csvConfig": CONFIG}
    answer = doors.rest("POST", "/api/v2/data-imports:url", request)
    imported = doors.wait(answer.content["dataImportId"])
    assert imported.source_url == f"{site}/moved"
    assert doors.points(imported) == {"v": [(1, 0.5)]}
    failed = doors.rest("POST", "/api/v2/data-imports:url", request | {"url": f"{site}/none"})
    imported = doors.wait(failed.content["dataImportId"])
    assert (imported.status, imported.error_message) == (
        pb.DATA_IMPORT_STATUS_FAILED, f"{site}/none answers 404 Not Found",
    )  # fmt: skip
    answer = doors.rest("POST", f"/uploads/v1/{imported.data_import_id}", FILE)
    assert answer.status == 400


@pytest.mark.parametrize("settings", [{"import_urls": UrlPolicy.PUBLIC}])
def test_public_is_checked_when_it_is_fetched(doors, site):
    request = pb.CreateDataImportFromUrlRequest(url=f"{site}/moved")
    with pytest.raises(grpc.RpcError, match="has one config"):
        doors.stub.CreateDataImportFromUrl(request)
    request = {"url": f"{site}/moved", "csvConfig": CONFIG}
    answer = doors.rest("POST", "/api/v2/data-imports:url", request)
    assert "no public address" in doors.wait(answer.content["dataImportId"]).error_message


def test_a_file_that_takes_too_long_is_left(tmp_path, site, monkeypatch):
    """Others wait for it."""
    monkeypatch.setattr(fetching, "FETCH_S_MAX", -1)
    with pytest.raises(FetchError, match="takes longer than"):
        fetched(tmp_path, f"{site}/moved")
