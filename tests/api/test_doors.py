"""The same services behind gRPC, Connect and REST."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from sift.assets.v1 import assets_pb2, assets_pb2_grpc
from sift.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from sift.ping.v1 import ping_pb2, ping_pb2_grpc
from sift.rules.v1 import rules_pb2, rules_pb2_grpc
from sift_server.api.grpc_status import ESCAPED_MESSAGE_BYTES_MAX
from sift_server.api.http_server import HttpServer
from sift_server.api.refusal import answers_failures
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "the key"
STATUSES = {
    "InvalidArgumentError": ("INVALID_ARGUMENT", 400),
    "NotFoundError": ("NOT_FOUND", 404),
    "AlreadyExistsError": ("ALREADY_EXISTS", 409),
    "FailedPreconditionError": ("FAILED_PRECONDITION", 400),
    "ResourceExhaustedError": ("RESOURCE_EXHAUSTED", 429),
    "UnimplementedError": ("UNIMPLEMENTED", 501),
}


def call(
    address: str, method: str, path: str, body: Any = None, key: str | None = KEY
) -> tuple[int, Any]:
    """An HTTP/1.1 request; status and parsed JSON."""
    connection = http.client.HTTPConnection(address, timeout=10)
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection.request(method, path, content, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


@pytest.fixture
def channel(address: str) -> Iterator[grpc.Channel]:
    with plain_channel(address, KEY) as opened:
        yield opened


@pytest.mark.parametrize("error", STATUSES)
def test_an_error_has_the_same_meaning_at_every_door(
    channel: grpc.Channel, address: str, error: str
):
    """Status and words of a service's error arrive in gRPC, Connect and REST."""
    name, http_status = STATUSES[error]
    words = "what was wrong, in % and ünïcode"
    with pytest.raises(grpc.RpcError) as caught:
        assets_pb2_grpc.AssetServiceStub(channel).GetAsset(
            assets_pb2.GetAssetRequest(asset_id=error)
        )
    assert caught.value.code().name == name
    assert caught.value.details() == words
    status, answer = call(address, "GET", f"/api/v1/assets/{error}")
    assert status == http_status
    assert answer["message"] == words
    assert answer["code"] == caught.value.code().value[0]
    status, answer = call(
        address, "POST", "/sift.assets.v1.AssetService/GetAsset", {"assetId": error}
    )
    assert (answer["code"], answer["message"]) == (name.lower(), words)


@pytest.mark.parametrize("letter", ["x", " ", "ü", "🛰"])
@pytest.mark.parametrize("count", [1_300, 50_000])
def test_a_long_message_is_cut_to_what_clients_take(
    channel: grpc.Channel, ingest: Any, letter: str, count: int
):
    """As percent-encoded it has at most 4 KiB, so that the status arrives and not the limit's."""
    words = "no " + letter * count
    ingest.refuse_after_bytes, ingest.words = 0, words
    message = ingest_pb2.IngestWithConfigDataStreamRequest(flow="f")
    with pytest.raises(grpc.RpcError) as streamed:
        ingest_pb2_grpc.IngestServiceStub(channel).IngestWithConfigDataStream(iter([message]))
    with pytest.raises(grpc.RpcError) as unary:
        assets_pb2_grpc.AssetServiceStub(channel).GetAsset(
            assets_pb2.GetAssetRequest(asset_id=words)
        )
    assert streamed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert unary.value.code() is grpc.StatusCode.NOT_FOUND
    said = unary.value.details()
    assert streamed.value.details() == said
    assert len(urllib.parse.quote(said, safe="")) <= ESCAPED_MESSAGE_BYTES_MAX
    if said != words:
        assert words.startswith(said.removesuffix("…"))
        assert len(urllib.parse.quote(said, safe="")) > ESCAPED_MESSAGE_BYTES_MAX - 12


def test_a_failure_of_the_server_tells_nothing_of_its_inside(
    channel: grpc.Channel, address: str, caplog: pytest.LogCaptureFixture
):
    """An unexpected exception is INTERNAL, with its traceback in the log only."""
    with pytest.raises(grpc.RpcError) as caught:
        assets_pb2_grpc.AssetServiceStub(channel).GetAsset(
            assets_pb2.GetAssetRequest(asset_id="broken")
        )
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert "ZeroDivision" not in caught.value.details()
    assert call(address, "GET", "/api/v1/assets/broken")[0] == 500
    assert "ZeroDivisionError" in caplog.text


def test_what_no_door_expected_is_INTERNAL_in_the_words_of_the_caller(  # noqa: N802
    caplog: pytest.LogCaptureFixture,
):
    """An app that fails before it answers leaves nobody with an empty answer."""

    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ZeroDivisionError

    server = HttpServer(answers_failures(broken), "127.0.0.1", 0)
    server.start()
    address = f"127.0.0.1:{server.port}"
    try:
        for path, code in (("/api/v1/ping", 13), ("/sift.ping.v1.PingService/Ping", "internal")):
            status, answer = call(address, "POST", path, {})
            assert (status, answer["code"]) == (500, code)
            assert "its log says why" in answer["message"]
        with plain_channel(address, KEY) as opened, pytest.raises(grpc.RpcError) as caught:
            ping_pb2_grpc.PingServiceStub(opened).Ping(ping_pb2.PingRequest())
        assert caught.value.code() is grpc.StatusCode.INTERNAL
    finally:
        server.stop(grace_ms=500)
    assert caplog.text.count("raise ZeroDivisionError") == 3


def test_what_the_server_lacks_is_unimplemented(channel: grpc.Channel, address: str):
    """Every other RPC of the protocol answers UNIMPLEMENTED and names itself."""
    with pytest.raises(grpc.RpcError) as caught:
        rules_pb2_grpc.RuleServiceStub(channel).ListRules(rules_pb2.ListRulesRequest())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "ListRules" in caught.value.details()
    with pytest.raises(grpc.RpcError) as caught:
        ingest_pb2_grpc.IngestServiceStub(channel).IngestArbitraryProtobufDataStream(iter([]))
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    unknown = channel.unary_unary("/no.such.Service/Method", bytes, bytes)
    with pytest.raises(grpc.RpcError) as caught:
        unknown(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert call(address, "GET", "/api/v1/rules:list")[0] == 501


@pytest.mark.parametrize("key", [None, "", "the kez", "the key and more", "ünïcode"])
def test_every_door_asks_for_the_key(address: str, key: str | None):
    """A missing or wrong key is UNAUTHENTICATED in the caller's protocol, and says what to do."""
    encoded = None if key is None else key.encode().decode("latin-1")
    for path in ("/api/v1/ping", "/sift.ping.v1.PingService/Ping", "/nowhere"):
        status, answer = call(address, "GET", path, key=encoded)
        assert status == 401
        assert "SIFT_API_KEY" in answer["message"]
    if key is None or key.isascii():
        options = [] if key is None else [("authorization", f"Bearer {key}")]
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
            ping_pb2_grpc.PingServiceStub(channel).Ping(ping_pb2.PingRequest(), metadata=options)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert "api_key" in caught.value.details()


def test_health_needs_no_key(address: str, ready: list[bool]):
    """Alive as long as the process runs; ready when calls can be answered."""
    assert call(address, "GET", "/healthz", key=None) == (200, {"status": "ok"})
    assert call(address, "GET", "/readyz", key=None) == (200, {"status": "ok"})
    ready[0] = False
    assert call(address, "GET", "/healthz", key=None)[0] == 200
    assert call(address, "GET", "/readyz", key=None) == (503, {"status": "not ready"})


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto"])
def test_gRPC_over_HTTP_1_is_explained(address: str, content_type: str):  # noqa: N802
    """It has no trailers, so that no status can be given."""
    connection = http.client.HTTPConnection(address, timeout=10)
    headers = {"authorization": f"Bearer {KEY}", "content-type": content_type}
    connection.request("POST", "/sift.ping.v1.PingService/Ping", b"", headers)
    response = connection.getresponse()
    assert response.status == 505
    assert b"gRPC needs HTTP/2" in response.read()
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/api/v1/assets/a%2Fb%20c", None, {"asset": {"assetId": "a/b c"}}),
        ("GET", "/api/v1/assets?filter=x%3D%3D1&pageSize=7", None, "x==1|7"),
        ("GET", "/api/v1/assets?filter=y&page_size=8", None, "y|8"),
        ("GET", "/api/v1/assets", None, "|0"),
        ("POST", "/api/v2/runs", {"name": "n", "tags": ["t"]}, {"run": {"name": "n"}}),
    ],
)
def test_REST_follows_the_bindings(  # noqa: N802
    address: str, method: str, path: str, body: Any, expected: Any
):
    """Path fields, query parameters in both spellings, and bodies reach the service."""
    status, answer = call(address, method, path, body)
    assert status == 200
    if isinstance(expected, str):
        assert answer["assets"][0]["name"] == expected
    else:
        ((outer, inner),) = expected.items()
        assert inner.items() <= answer[outer].items()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/api/v1/nothing", None, 501, "/api/v1/nothing"),
        ("GET", "/api/v1/%FF", None, 501, "/api/v1/"),
        ("DELETE", "/api/v2/runs", None, 501, "POST"),
        ("POST", "/api/v2/runs", b"[" * 100_000, 400, "nested too deeply"),
        ("POST", "/api/v2/runs", {"metadata": {"a": {"b": {}}}}, 400, "does not fit"),
        ("PATCH", "/api/v2/runs?run.name=a", {"run": "x"}, 400, "'run.name'"),
        ("PATCH", "/api/v2/runs?run.name=a", {"run": None}, 400, "'run.name'"),
        ("POST", "/api/v2/runs", b"{", 400, "not JSON"),
        ("POST", "/api/v2/runs", [], 400, "object"),
        ("POST", "/api/v2/runs", {"nome": 1}, 400, "nome"),
        ("GET", "/api/v1/assets?pagesize=x", None, 400, "pagesize"),
        ("GET", "/api/v1/assets?pageSize=many", None, 400, "does not fit"),
    ],
)
def test_a_wrong_REST_request_is_explained(  # noqa: N802
    address: str, method: str, path: str, body: Any, status: int, words: str
):
    """Nothing but JSON comes back, with a sentence."""
    found, answer = call(address, method, path, body)
    assert found == status
    assert words in answer["message"]


def test_a_refused_stream_gets_its_status_however_much_is_still_sent(
    channel: grpc.Channel, ingest: Any
):
    """The sender of megabytes learns why it was refused, and the connection goes on."""
    ingest.refuse_after_bytes = 100_000
    stub = ingest_pb2_grpc.IngestServiceStub(channel)
    message = ingest_pb2.IngestWithConfigDataStreamRequest(flow="x" * 10_000)
    for _ in range(5):
        with pytest.raises(grpc.RpcError) as caught:
            stub.IngestWithConfigDataStream(iter([message] * 3_000), timeout=20)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "no more of this"
        ping = ping_pb2_grpc.PingServiceStub(channel).Ping(ping_pb2.PingRequest(), timeout=10)
        assert ping.response == "hello"


def test_a_slow_stream_slows_nobody_else(channel: grpc.Channel, ingest: Any):
    """While a stream waits, calls of the same connection are answered; it loses nothing."""
    ingest.gate.clear()
    stub = ingest_pb2_grpc.IngestServiceStub(channel)
    message = ingest_pb2.IngestWithConfigDataStreamRequest(flow="x" * 10_000)
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(stub.IngestWithConfigDataStream, iter([message] * 2_000), timeout=30)
        for _ in range(20):
            ping_pb2_grpc.PingServiceStub(channel).Ping(ping_pb2.PingRequest(), timeout=10)
        assert not stream.done()
        ingest.gate.set()
        stream.result(30)
    assert ingest.received == 2_000 * (message.ByteSize() + 5)


def test_pings_without_calls_are_welcome(address: str):
    """Clients that ping an idle connection are neither dropped nor told to go away."""
    options = [
        ("grpc.keepalive_time_ms", 1_000),
        ("grpc.keepalive_timeout_ms", 1_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    states: list[grpc.ChannelConnectivity] = []
    with grpc.insecure_channel(address, options) as channel:
        channel.subscribe(states.append)
        stub = ping_pb2_grpc.PingServiceStub(channel)
        metadata = [("authorization", f"Bearer {KEY}")]
        stub.Ping(ping_pb2.PingRequest(), metadata=metadata)
        time.sleep(4)
        stub.Ping(ping_pb2.PingRequest(), metadata=metadata)
    assert grpc.ChannelConnectivity.TRANSIENT_FAILURE not in states
    assert states.count(grpc.ChannelConnectivity.READY) == 1


def test_many_calls_at_once(channel: grpc.Channel):
    """Three hundred calls in parallel on one connection are all answered."""
    stub = ping_pb2_grpc.PingServiceStub(channel)
    calls = [stub.Ping.future(ping_pb2.PingRequest(), timeout=30) for _ in range(300)]
    assert {each.result().response for each in calls} == {"hello"}


def test_a_large_request_is_taken(channel: grpc.Channel):
    """Requests beyond gRPC's default of 4 MiB are: flow configs get large."""
    stub = assets_pb2_grpc.AssetServiceStub(channel)
    request = assets_pb2.ListAssetsRequest(filter="x" * 3_900_000)
    assert len(stub.ListAssets(request).assets[0].name) > 3_900_000
    with pytest.raises(grpc.RpcError) as caught:
        stub.ListAssets(assets_pb2.ListAssetsRequest(filter="x" * 70_000_000))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_taken_port_is_named():
    """A bind error names host and port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            HttpServer(None, "127.0.0.1", port)
