"""Which key is good for which call, at every door."""

from __future__ import annotations

import http.client
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from sift.assets.v1 import assets_pb2, assets_pb2_grpc
from sift.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.api.access import ADMIN_SERVICES, scope_of
from sift_server.api.exporting import Exporting
from sift_server.api.import_configs import plan_of
from sift_server.api.key_ring import KeyRing, OpenDoor, is_loopback
from sift_server.api.registry import Registry
from sift_server.api.services import services
from sift_server.catalog import ApiKey, Catalog, Scope
from sift_server.catalog.api_keys import digest_of
from sift_server.errors import UnauthenticatedError
from sift_server.exports import ExportLimits
from sift_server.imports import ImportWorker, UrlPolicy
from sift_server.rules import CatalogBook, RuleEvaluation, RunReports
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Iterator
FOLDER_KEY = "the key"


def key_of(name: str) -> str:
    return f"sift_{name}_secret-of-{name}_"


def api_key(name: str, *scopes: Scope, expires_ns: int | None = None, revoked: bool = False):
    return ApiKey(
        name, name, frozenset(scopes), digest_of(key_of(name).encode()), 0, expires_ns,
        1 if revoked else None,
    )  # fmt: skip


KEYS = [
    api_key("reader", Scope.READ),
    api_key("writer", Scope.WRITE),
    api_key("both", Scope.READ, Scope.WRITE),
    api_key("admin", Scope.ADMIN),
]


@pytest.fixture
def ring() -> KeyRing:
    made = KeyRing(FOLDER_KEY)
    made.replace(KEYS)
    return made


@pytest.fixture
def address(ring: KeyRing, build: Any) -> Iterator[str]:
    with build(ring) as running:
        yield running


def call(address: str, method: str, path: str, key: str | None, **headers: str) -> tuple[int, Any]:
    """An HTTP/1.1 request with an empty JSON object; status and parsed JSON."""
    connection = http.client.HTTPConnection(address, timeout=10)
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    body = None if method == "GET" else b"{}"
    connection.request(method, path, body, {"content-type": "application/json", **headers})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


def test_every_method_that_is_there_needs_what_it_does(tmp_path: Path):
    """Reading needs read, making and changing needs write; a method that is new shows up here."""
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        evaluation = RuleEvaluation(catalog, CatalogBook(catalog, None))
        registry = Registry(
            services(
                catalog,
                None,
                RunReports(catalog, evaluation),
                None,
                ImportWorker(catalog, None, None, UrlPolicy.OFF, plan_of),
                Exporting.over(catalog, None, Path("exports"), ExportLimits()),
            ),
            None,
        )
    needed = {
        method.path.removeprefix("/sift."): scope_of(method.descriptor)
        for method in registry.methods
        if method.handler is not None
    }
    writes = {path for path, scope in needed.items() if scope is Scope.WRITE}
    assert writes == {
        "annotation_logs.v1.AnnotationLogService/CreateAnnotationLog",
        "annotation_logs.v1.AnnotationLogService/DeleteAnnotationLog",
        "annotations.v1.AnnotationService/ArchiveAnnotation",
        "annotations.v1.AnnotationService/BatchArchiveAnnotations",
        "annotations.v1.AnnotationService/BatchDeleteAnnotations",
        "annotations.v1.AnnotationService/BatchUnarchiveAnnotations",
        "annotations.v1.AnnotationService/CreateAnnotation",
        "annotations.v1.AnnotationService/DeleteAnnotation",
        "annotations.v1.AnnotationService/UnarchiveAnnotation",
        "annotations.v1.AnnotationService/UpdateAnnotation",
        "assets.v1.AssetService/ArchiveAsset",
        "assets.v1.AssetService/UpdateAsset",
        "calculated_channels.v2.CalculatedChannelService/CreateCalculatedChannel",
        "calculated_channels.v2.CalculatedChannelService/UpdateCalculatedChannel",
        "channels.v3.ChannelService/BatchArchiveChannels",
        "channels.v3.ChannelService/BatchUnarchiveChannels",
        "channels.v3.ChannelService/UpdateChannel",
        "data_imports.v2.DataImportService/CreateDataImportFromUpload",
        "data_imports.v2.DataImportService/CreateDataImportFromUrl",
        "data_imports.v2.DataImportService/DetectConfig",
        "data_imports.v2.DataImportService/RetryDataImport",
        "exports.v1.ExportService/ExportData",
        "ingestion_configs.v1.IngestionConfigService/CreateIngestionConfig",
        "ingestion_configs.v1.IngestionConfigService/CreateIngestionConfigFlows",
        "ingestion_configs.v2.IngestionConfigService/CreateIngestionConfig",
        "ingestion_configs.v2.IngestionConfigService/CreateIngestionConfigFlows",
        "jobs.v1.JobService/CancelJob",
        "jobs.v1.JobService/RetryJob",
        "report_templates.v1.ReportTemplateService/CreateReportTemplate",
        "report_templates.v1.ReportTemplateService/UpdateReportTemplate",
        "reports.v1.ReportService/CancelReport",
        "reports.v1.ReportService/CreateReport",
        "reports.v1.ReportService/RerunReport",
        "reports.v1.ReportService/UpdateReport",
        "rule_evaluation.v1.RuleEvaluationService/EvaluateRules",
        "rules.v1.RuleService/ArchiveRule",
        "rules.v1.RuleService/BatchArchiveRules",
        "rules.v1.RuleService/BatchDeleteRules",
        "rules.v1.RuleService/BatchUnarchiveRules",
        "rules.v1.RuleService/BatchUndeleteRules",
        "rules.v1.RuleService/BatchUpdateRules",
        "rules.v1.RuleService/CreateRule",
        "rules.v1.RuleService/DeleteRule",
        "rules.v1.RuleService/EvaluateRules",
        "rules.v1.RuleService/UnarchiveRule",
        "rules.v1.RuleService/UndeleteRule",
        "rules.v1.RuleService/UpdateHumanFriendlyRules",
        "rules.v1.RuleService/UpdateJsonRules",
        "rules.v1.RuleService/UpdateRule",
        "runs.v2.RunService/CreateRun",
        "runs.v2.RunService/StopRun",
        "runs.v2.RunService/UpdateRun",
        "server.v1.RetentionService/DeletePoints",
        "server.v1.RetentionService/RemoveRetentionPolicy",
        "server.v1.RetentionService/SetRetentionPolicy",
        "tags.v2.TagService/CreateTag",
        "unit.v2.UnitService/CreateUnit",
    }
    for path in needed.keys() - writes:
        assert re.search(
            r"/(BatchGet|Get|List|Search|View|Validate|Ping|Resolve|BatchResolve"
            r"|[A-Za-z]+Preview$)",
            path,
        ), path
        assert needed[path] is Scope.READ


LOOKS_AT_USERS = tuple(
    f"/sift.users.v2.UserService/{name}" for name in ("GetUser", "ListUsers", "ListActiveUsers")
)


def test_no_method_of_the_protocol_changes_anything_by_a_key_that_reads():
    """Also those that this server does not have yet."""
    changes = re.compile("Create|Update|Delete|Archive|Import|Ingest|Stop|Token|Secret|Rotate")
    registry = Registry([], None)
    for method in registry.methods:
        scope = scope_of(method.descriptor)
        service = method.descriptor.containing_service.full_name
        if method.path.startswith(LOOKS_AT_USERS):
            assert scope is Scope.READ
        elif service in ADMIN_SERVICES:
            assert scope is Scope.ADMIN
        elif changes.match(method.descriptor.name):
            assert scope is Scope.WRITE
    assert {
        method.descriptor.containing_service.full_name for method in registry.methods
    } >= ADMIN_SERVICES


READ = [
    ("GET", "/api/v1/assets/a"),
    ("GET", "/api/v1/assets"),
    ("POST", "/sift.assets.v1.AssetService/GetAsset"),
]
WRITE = [("POST", "/api/v2/runs"), ("POST", "/sift.runs.v2.RunService/CreateRun")]
ADMIN = [("GET", "/api/v2/api-keys"), ("POST", "/sift.api_keys.v2.ApiKeyService/ListApiKeys")]


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("reader", READ),
        ("writer", WRITE),
        ("both", READ + WRITE),
        ("admin", READ + WRITE + ADMIN),
        (None, READ + WRITE + ADMIN),
    ],
)
def test_a_key_is_good_for_its_scopes_at_JSON_and_REST(  # noqa: N802
    address: str, name: str | None, allowed: list[tuple[str, str]]
):
    """Others are PERMISSION_DENIED, and told which scope is needed and which there is."""
    key = FOLDER_KEY if name is None else key_of(name)
    for method, path in READ + WRITE + ADMIN:
        status, answer = call(address, method, path, key)
        if (method, path) not in allowed:
            assert status == 403
            assert answer["code"] == (7 if path.startswith("/api/") else "permission_denied")
            assert re.search(f"needs an API key with the scope .*'{name}' has ", answer["message"])
        else:
            # What this server does not have, it does not have for anybody.
            assert status == (501 if (method, path) in ADMIN else 200)


def test_a_key_is_good_for_its_scopes_at_gRPC(address: str):  # noqa: N802
    """Reading, making, and the ingest stream, which needs write."""
    message = ingest_pb2.IngestWithConfigDataStreamRequest(flow="f")
    for name in ("reader", "writer", "both", "admin"):
        with plain_channel(address, key_of(name)) as channel:
            attempts = {
                Scope.READ: lambda channel=channel: assets_pb2_grpc.AssetServiceStub(
                    channel
                ).GetAsset(assets_pb2.GetAssetRequest(asset_id="a")),
                Scope.WRITE: lambda channel=channel: runs_pb2_grpc.RunServiceStub(
                    channel
                ).CreateRun(runs_pb2.CreateRunRequest(name="a")),
            }
            attempts_of_writers = lambda channel=channel: ingest_pb2_grpc.IngestServiceStub(  # noqa: E731
                channel
            ).IngestWithConfigDataStream(iter([message] * 100))
            scopes = next(one.scopes for one in KEYS if one.name == name)
            for scope, attempt in [*attempts.items(), (Scope.WRITE, attempts_of_writers)]:
                if scope in scopes or Scope.ADMIN in scopes:
                    attempt()
                    continue
                with pytest.raises(grpc.RpcError) as caught:
                    attempt()
                assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
                assert f"scope {scope.value}" in caught.value.details()


@pytest.mark.parametrize(
    "path",
    [
        "//sift.runs.v2.RunService/CreateRun",
        "/sift.runs.v2.RunService/CreateRun/",
        "/sift.runs.v2.RunService//CreateRun",
        "/x/../sift.runs.v2.RunService/CreateRun",
        "/sift.runs.v2.runservice/createrun",
        "/api/../sift.runs.v2.RunService/CreateRun",
        "/api//v2/runs",
        "/api/v2/runs/",
        "/api/v2/runs;a",
        "/API/v2/runs",
        "/api/v2/%72uns",
    ],
)
def test_no_other_spelling_of_a_path_leads_past_the_scopes(address: str, path: str):
    """What is not exactly a path of the protocol is none."""
    assert call(address, "POST", path, key_of("reader"))[0] in (403, 501)
    assert call(address, "POST", path, key_of("both"))[0] == 501


def test_an_escaped_path_is_the_same_path(address: str):
    """And needs the same scope."""
    path = "/sift.runs.v2.RunService/%43reateRun"
    assert call(address, "POST", path, key_of("both"))[0] == 200
    assert call(address, "POST", path, key_of("reader"))[0] == 403


@pytest.mark.parametrize(
    "sent",
    [
        "Bearer sift_reader_secret-of-writer_",
        "Bearer sift_reader_",
        "Bearer sift_reader",
        "Bearer sift__secret-of-reader_",
        "Bearer SIFT_reader_secret-of-reader_",
        "Bearer sift_reader_secret-of-reader",
        "Bearer  sift_reader_secret-of-reader_",
        "Bearer",
        "Bearer ",
        "Basic sift_reader_secret-of-reader_",
        "sift_reader_secret-of-reader_",
        "Bearer the ke",
        "Bearer \xfc",
        "Bearer " + "a" * 30_000,
    ],
)
def test_what_is_not_exactly_a_key_is_wrong(ring: KeyRing, sent: str):
    """The words never have in them what was sent."""
    scope = {"headers": [(b"authorization", sent.encode("latin-1"))]}
    with pytest.raises(UnauthenticatedError, match="the API key is wrong") as caught:
        ring.admit(scope)
    assert "secret" not in str(caught.value)


def test_an_empty_folder_key_lets_nobody_in():
    """A ring is never made with one; if it were, calls without a key are still none with it."""
    with pytest.raises(UnauthenticatedError, match="no API key"):
        KeyRing("").admit({"headers": [(b"authorization", b"")]})


def test_a_key_ends_when_it_is_revoked_or_expires(ring: KeyRing):
    """It is told which; the others are as they were, and what was granted before ends too."""
    scope = {"headers": [(b"authorization", f"Bearer {key_of('both')}".encode())]}
    before = ring.admit(scope)
    ring.replace([*KEYS[:2], api_key("both", Scope.READ, revoked=True)])
    for attempt in (lambda: ring.admit(scope), before.check):
        with pytest.raises(UnauthenticatedError, match="'both' was revoked"):
            attempt()
    in_a_moment_ns = time.time_ns() + 200_000_000
    ring.replace([api_key("soon", Scope.READ, expires_ns=in_a_moment_ns)])
    scope = {"headers": [(b"authorization", f"Bearer {key_of('soon')}".encode())]}
    assert ring.admit(scope).name == "soon"
    time.sleep(0.3)
    with pytest.raises(UnauthenticatedError, match="'soon' expired"):
        ring.admit(scope)


def test_a_key_that_is_gone_from_the_catalog_is_revoked(ring: KeyRing):
    """Also for what is open with it."""
    grant = ring.admit({"headers": [(b"authorization", f"Bearer {key_of('both')}".encode())]})
    ring.replace([])
    with pytest.raises(UnauthenticatedError, match="was revoked"):
        grant.check()


@pytest.fixture
def open_address(build: Any) -> Iterator[str]:
    with build(OpenDoor()) as running:
        yield running


def test_without_keys_programs_of_this_machine_may_do_everything(open_address: str):
    """With or without a key, by any name of this machine."""
    port = open_address.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "[::1]:1", "127.9.9.9", "LocalHost"):
        for key in (None, "any"):
            for method, path in READ + WRITE:
                assert call(open_address, method, path, key, host=host)[0] == 200
    with grpc.insecure_channel(open_address) as channel:
        stub = runs_pb2_grpc.RunServiceStub(channel)
        assert stub.CreateRun(runs_pb2.CreateRunRequest(name="a")).run.name == "a"
    origin = "http://localhost:3000"
    assert call(open_address, "POST", "/api/v2/runs", None, origin=origin)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example:50051"},
        {"host": "user@127.0.0.1@evil.example"},
        {"host": "0.0.0.0"},
        {"host": "192.168.1.4:50051"},
        {"host": "[::1"},
        {"host": ""},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1.evil.example"},
    ],
)
def test_without_keys_web_pages_may_do_nothing(open_address: str, headers: dict[str, str]):
    """Neither by their own origin, nor by a name of theirs that leads here."""
    for method, path in READ + WRITE:
        status, answer = call(open_address, method, path, None, **headers)
        assert status == 401
        assert "without a key" in answer["message"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("example.com", False),
        ("", False),
        ("127.0.0.1 ", False),
    ],
)
def test_loopback_is_what_is_written_so(host: str, expected: bool):
    """No name but one is trusted to lead here."""
    assert is_loopback(host) is expected


def test_the_check_costs_no_SQL(ring: KeyRing):  # noqa: N802
    """It needs nothing but memory: a ring has no catalog."""
    scope = {"headers": [(b"authorization", f"Bearer {key_of('both')}".encode())]}
    started_s = time.thread_time()
    for _ in range(10_000):
        ring.admit(scope)
    assert (time.thread_time() - started_s) / 10_000 < 100e-6
