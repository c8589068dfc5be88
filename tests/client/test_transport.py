"""Channels: who asks, how, and what closing them does."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import grpc
import pytest

from sift.ping.v1 import ping_pb2, ping_pb2_grpc
from sift_py.errors import ChannelUriError, EmbeddedServerError
from sift_py.grpc.transport import (
    SiftChannel,
    SiftChannelConfig,
    _use_insecure_sift_channel,
    use_sift_channel,
)
from support.certificates import make_certificate
from support.recording_server import API_KEY, RecordingServer


def ping(channel: SiftChannel, **options: object) -> str:
    stub = ping_pb2_grpc.PingServiceStub(channel)
    return stub.Ping(ping_pb2.PingRequest(), timeout=10, **options).response


def test_every_call_carries_the_key(server):
    """The key arrives as a bearer token; a call can't replace it, but may add of its own."""
    with use_sift_channel({"uri": f"http://{server.address}", "apikey": API_KEY}) as channel:
        ping(channel, metadata=(("authorization", "Bearer other"), ("x-mine", "1")))
    (call,) = server.calls
    assert call.metadata["authorization"] == f"Bearer {API_KEY}"
    assert call.metadata["x-mine"] == "1"


def test_configured_metadata_is_on_every_call(server):
    """Names are sent in lower case, as HTTP/2 wants them; the key stays the key."""
    config = SiftChannelConfig(
        uri=f"http://{server.address}",
        apikey=API_KEY,
        metadata={"X-Team": "propulsion", "Authorization": "none"},
    )
    with use_sift_channel(config) as channel:
        ping(channel)
    assert server.calls[0].metadata["x-team"] == "propulsion"
    assert server.calls[0].metadata["authorization"] == f"Bearer {API_KEY}"


def test_the_insecure_channel_is_plaintext(server):
    """What tutorials use for development needs no scheme."""
    with _use_insecure_sift_channel({"uri": server.address, "apikey": API_KEY}) as channel:
        assert ping(channel) == "pong"


def test_use_ssl_false_is_plaintext(server):
    """A URI without scheme is plaintext when the config says so."""
    config = SiftChannelConfig(uri=server.address, apikey=API_KEY, use_ssl=False)
    with use_sift_channel(config) as channel:
        assert ping(channel) == "pong"


def test_the_insecure_channel_contradicts_https():
    """Asking for plaintext and for TLS at once is an error, not a choice."""
    with pytest.raises(ChannelUriError, match="contradicts"):
        _use_insecure_sift_channel({"uri": "https://localhost:1", "apikey": "key"})


PING = """
import sys
from sift.ping.v1 import ping_pb2, ping_pb2_grpc
from sift_py.grpc.transport import use_sift_channel
with use_sift_channel({"uri": sys.argv[1], "apikey": sys.argv[2]}) as channel:
    print(ping_pb2_grpc.PingServiceStub(channel).Ping(ping_pb2.PingRequest(), timeout=30).response)
"""

ROWS = """
import logging, sys
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.service import IngestionService
from support.telemetry_configs import log_row, telemetry_config
logging.basicConfig(format="%(levelname)s %(message)s")
config = {"uri": sys.argv[1], "apikey": sys.argv[2]}
with use_sift_channel(config) as channel:
    for word in ("one", "two"):
        IngestionService(channel, telemetry_config()).try_ingest_flows(log_row(word), log_row("x"))
"""
STRANGER = """
import logging, sys
import grpc
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion._internal.streams import Batch, streams_of
logging.basicConfig(format="%(levelname)s %(message)s")
with use_sift_channel({"uri": sys.argv[1], "apikey": sys.argv[2]}) as channel:
    try:
        streams_of(channel).send(Batch([]))
    except grpc.RpcError as error:
        print(error.code().name, error.details())
"""


def run_with_roots(program, uri, roots):
    """In a process of its own: gRPC reads the trusted certificates once."""
    return subprocess.run(
        [sys.executable, "-c", program, uri, API_KEY],
        env={
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(roots),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("scheme", ["", "https://"])
def test_tls_is_the_default(certificate, scheme):
    """A URI without scheme, or with https, speaks TLS and checks the certificate."""
    key, chain = certificate
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), chain.read_bytes())])
    with RecordingServer(credentials) as server:
        done = run_with_roots(PING, scheme + server.address, chain)
    assert done.stdout == "pong\n", done.stderr


def test_a_certificate_that_only_grpc_takes_is_used_with_grpc(authority_certificate):
    """Rows go the slower way, each once, and the log says so once for a channel."""
    key, chain = authority_certificate
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), chain.read_bytes())])
    with RecordingServer(credentials) as server:
        done = run_with_roots(ROWS, f"https://{server.address}", chain)
    assert done.returncode == 0, done.stderr
    words = [[request.channel_values[0].string for request in one] for one in server.streams]
    assert words == [["one", "x"], ["two", "x"]]
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 1
    assert "CaUsedAsEndEntity" in warnings[0]


def test_a_certificate_that_nobody_trusts_is_refused(certificate, tmp_path):
    """By gRPC, too, whose words the caller gets: nothing is sent to a stranger."""
    key, chain = certificate
    other_roots = tmp_path / "other.pem"
    make_certificate(tmp_path / "other_key.pem", other_roots, is_authority=True)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), chain.read_bytes())])
    with RecordingServer(credentials) as server:
        done = run_with_roots(STRANGER, f"https://{server.address}", other_roots)
    assert done.stdout.startswith("UNAVAILABLE ")
    assert "CERTIFICATE_VERIFY_FAILED" in done.stdout
    assert "WARNING" not in done.stderr
    assert server.calls == []


@pytest.mark.parametrize("missing", ["uri", "apikey"])
def test_a_missing_key_is_named(missing):
    """An incomplete config says what it lacks."""
    config = {"uri": "localhost:1", "apikey": "key"}
    del config[missing]
    with pytest.raises(KeyError, match=missing):
        use_sift_channel(config)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("secret\n", "not printable ASCII"),
        ("secret\0", "not printable ASCII"),
        ("secrét", "not printable ASCII"),
        (b"secret", "must be a string, not bytes"),
        (None, "must be a string, not NoneType"),
    ],
)
def test_a_key_that_cannot_be_sent_is_refused(key, reason):
    """When the channel is opened, and without the key in the message."""
    with pytest.raises(ChannelUriError, match=f"the apikey.*{reason}") as error:
        use_sift_channel({"uri": "http://localhost:1", "apikey": key})
    assert "secr" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("x-team", "secret\r", "the metadata 'x-team'.*not printable ASCII"),
        ("x-team", 5, "the metadata 'x-team' must be a string, not int"),
        ("x team", "secret", "the metadata name 'x team' can't be sent"),
        ("", "secret", "the metadata name '' can't be sent"),
        ("x-team\n", "secret", "the metadata name"),
        ("X-Team-Bin", "secret", "'-bin' at the end"),
    ],
)
def test_metadata_that_cannot_be_sent_is_refused(name, value, reason):
    """By name; a value may be a secret, too."""
    with pytest.raises(ChannelUriError, match=reason) as error:
        use_sift_channel({"uri": "http://localhost:1", "apikey": "a", "metadata": {name: value}})
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("use_ssl", ["false", 0, None])
@pytest.mark.parametrize("open_channel", [use_sift_channel, _use_insecure_sift_channel])
def test_use_ssl_is_a_bool(open_channel, use_ssl):
    """What comes from a file or the environment as a string is not guessed at."""
    with pytest.raises(ChannelUriError, match=f"use_ssl is {use_ssl!r}"):
        open_channel({"uri": "localhost:1", "apikey": "key", "use_ssl": use_ssl})


def test_an_empty_key_is_sent_as_it_is(server):
    """Whether a key is good is the server's to say."""
    with (
        use_sift_channel({"uri": f"http://{server.address}", "apikey": ""}) as channel,
        pytest.raises(grpc.RpcError) as error,
    ):
        ping(channel)
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_channel_is_a_grpc_channel_that_knows_its_target(channel, server):
    """Who has the channel finds the server, and what calls to it must carry."""
    assert isinstance(channel, grpc.Channel)
    assert channel.target.authority == server.address
    assert not channel.target.use_tls
    assert channel.metadata == (("authorization", f"Bearer {API_KEY}"),)


def test_a_channel_can_be_intercepted_and_watched(channel):
    """It does what gRPC's own channels do."""
    states = []
    channel.subscribe(states.append, try_to_connect=True)
    grpc.channel_ready_future(channel).result(timeout=10)
    channel.unsubscribe(states.append)
    assert ping(grpc.intercept_channel(channel, Counter())) == "pong"
    assert Counter.calls == 1


class Counter(grpc.UnaryUnaryClientInterceptor):
    calls = 0

    def intercept_unary_unary(self, continuation, client_call_details, request):
        Counter.calls += 1
        return continuation(client_call_details, request)


class FakeEmbedded:
    """Stands where the server package would be, and opens a recording server instead."""

    def __init__(self, server: RecordingServer) -> None:
        self.address = server.address
        self.api_key = API_KEY
        self.paths = []
        self.closes = 0

    def open_embedded(self, path):
        self.paths.append(path)
        return self

    def close(self):
        self.closes += 1


@pytest.fixture
def embedded(server, monkeypatch):
    fake = FakeEmbedded(server)
    module = types.ModuleType("sift_server.embedded")
    module.open_embedded = fake.open_embedded
    monkeypatch.setitem(sys.modules, "sift_server.embedded", module)
    return fake


@pytest.mark.parametrize("open_channel", [use_sift_channel, _use_insecure_sift_channel])
def test_an_embedded_channel_needs_no_key(embedded, open_channel):
    """The folder's own key is used; closing the channel, twice even, closes the server once."""
    channel = open_channel({"uri": "embedded:./telemetry"})
    assert ping(channel) == "pong"
    assert embedded.paths == ["./telemetry"]
    assert embedded.closes == 0
    channel.close()
    channel.close()
    assert embedded.closes == 1


def test_an_embedded_uri_says_when_the_server_is_not_installed(monkeypatch):
    """The base install is the client; the message says how to get the server."""
    monkeypatch.setitem(sys.modules, "sift_server.embedded", None)
    with pytest.raises(EmbeddedServerError, match=r"pip install 'sift-py\[server\]'"):
        use_sift_channel({"uri": "embedded:./telemetry"})


def test_an_embedded_server_that_cannot_start_says_why(monkeypatch):
    """The reason, such as who serves the folder, reaches the user in the client's own error."""

    def refuse(path):
        raise RuntimeError(f"the data folder {path} is served by another process (pid 7)")

    module = types.ModuleType("sift_server.embedded")
    module.open_embedded = refuse
    monkeypatch.setitem(sys.modules, "sift_server.embedded", module)
    with pytest.raises(EmbeddedServerError, match=r"embedded:x.*served by another process"):
        use_sift_channel({"uri": "embedded:x"})
