"""TLS as the port speaks it, and clients that show a certificate."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from sift.ping.v1 import ping_pb2, ping_pb2_grpc
from sift_server.api import connections, tls
from sift_server.api.http2_bytes import PREFACE
from sift_server.api.http_server import HttpServer
from sift_server.api.tls import SHUTDOWN_MS_MAX, TlsFiles, tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_server.api.asgi import ASGIApp

KEY = "the key"


class Party:
    """An authority, and what it signed for one server or client, as files."""

    def __init__(self, folder: Path, name: str) -> None:
        authority = trustme.CA(organization_name=name)
        leaf = authority.issue_cert("localhost", "127.0.0.1", f"{name}@example.com")
        self.roots = folder / f"{name}-roots.pem"
        self.cert = folder / f"{name}-cert.pem"
        self.key = folder / f"{name}-key.pem"
        authority.cert_pem.write_to_path(self.roots)
        for blob in leaf.cert_chain_pems:
            blob.write_to_path(self.cert, append=True)
        leaf.private_key_pem.write_to_path(self.key)


@pytest.fixture
def server_party(tmp_path: Path) -> Party:
    return Party(tmp_path, "server")


@pytest.fixture
def client_party(tmp_path: Path) -> Party:
    return Party(tmp_path, "client")


@contextmanager
def serving(app: ASGIApp, files: TlsFiles) -> Iterator[int]:
    server = HttpServer(app, "127.0.0.1", 0, tls=files)
    server.start()
    yield server.port
    server.stop(grace_ms=500)


def ping(port: int, roots: Party, shown: Party | None = None) -> str:
    """A call of gRPC; with a client's certificate, if one is named."""
    credentials = grpc.ssl_channel_credentials(
        roots.roots.read_bytes(),
        shown and shown.key.read_bytes(),
        shown and shown.cert.read_bytes(),
    )
    both = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(KEY))
    with grpc.secure_channel(f"127.0.0.1:{port}", both) as channel:
        stub = ping_pb2_grpc.PingServiceStub(channel)
        return stub.Ping(ping_pb2.PingRequest(), timeout=5).response


def connect(port: int, roots: Party, **options: Any) -> ssl.SSLSocket:
    """A connection of Python's own TLS."""
    context = ssl.create_default_context(cafile=roots.roots)
    context.set_alpn_protocols(["http/1.1"])
    for name, value in options.items():
        if name == "ciphers":
            context.set_ciphers(value)
        elif name == "shown":
            context.load_cert_chain(value.cert, value.key)
        else:
            setattr(context, name, value)
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    return context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_and_ciphers_are_not_spoken(app: ASGIApp, server_party: Party):
    """TLS 1.3 and 1.2 are; 1.1 is not, and of 1.2 neither CBC nor keys that are kept."""
    with serving(app, TlsFiles(server_party.cert, server_party.key)) as port:
        with connect(port, server_party) as secured:
            assert secured.version() == "TLSv1.3"
        only_2 = {"maximum_version": ssl.TLSVersion.TLSv1_2}
        for ciphers in ("ECDHE+AESGCM", "ECDHE+CHACHA20"):
            with connect(port, server_party, ciphers=ciphers, **only_2) as secured:
                assert secured.version() == "TLSv1.2"
        for ciphers in ("ECDHE+AES:!AESGCM:!AESCCM", "kRSA+AESGCM"):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                connect(port, server_party, ciphers=ciphers, **only_2)
        old = {"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1_1}
        with pytest.raises((ssl.SSLError, ConnectionError)):
            connect(port, server_party, ciphers="ALL:@SECLEVEL=0", **old)


def test_all_ciphers_authenticate_and_forget_their_keys(server_party: Party):
    """Of those that the server would speak."""
    context = tls_context(TlsFiles(server_party.cert, server_party.key))
    assert context.get_ciphers()
    for cipher in context.get_ciphers():
        assert cipher["aead"], cipher
        assert cipher["kea"] in ("kx-ecdhe", "kx-any"), cipher
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.verify_mode is ssl.CERT_NONE


def test_a_client_shows_the_certificate_of_an_authority(
    app: ASGIApp, server_party: Party, client_party: Party, tmp_path: Path
):
    """With that it comes to the doors, where it needs a key as before; without, nowhere."""
    stranger = Party(tmp_path, "stranger")
    files = TlsFiles(server_party.cert, server_party.key, client_party.roots)
    with serving(app, files) as port:
        assert ping(port, server_party, client_party) == "hello"
        for shown in (None, stranger, server_party):
            with pytest.raises(grpc.RpcError) as caught:
                ping(port, server_party, shown)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        for path, status in (("/readyz", 200), ("/api/v1/ping", 401)):
            with connect(port, server_party, shown=client_party) as secured:
                assert status_of(secured, path) == status
        # With TLS 1.3 a client learns that it was refused when it reads.
        with (
            pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)),
            connect(port, server_party) as secured,
        ):
            status_of(secured, "/readyz")


def status_of(secured: ssl.SSLSocket, path: str) -> int:
    secured.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    response = http.client.HTTPResponse(secured)
    response.begin()
    return response.status


@pytest.mark.parametrize(
    ("cert", "key", "client_ca", "said"),
    [
        ("none.pem", "server-key.pem", None, "none.pem with the key"),
        ("server-cert.pem", "none.pem", None, "none.pem can't be used"),
        ("server-cert.pem", "client-key.pem", None, "client-key.pem can't be used"),
        ("server-cert.pem", "locked.pem", None, "the key has a password"),
        ("server-cert.pem", "server-key.pem", "none.pem", "client authorities in .*none.pem"),
        ("server-cert.pem", "server-key.pem", "server-key.pem", "client authorities in"),
    ],
)
def test_files_that_do_not_fit_are_named(
    server_party: Party,
    client_party: Party,
    tmp_path: Path,
    cert: str,
    key: str,
    client_ca: str | None,
    said: str,
):
    """At the start, in words, and without a question at the terminal."""
    assert client_party.key.exists()
    opened = load_pem_private_key(server_party.key.read_bytes(), None)
    locked = opened.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "locked.pem").write_bytes(locked)
    files = TlsFiles(tmp_path / cert, tmp_path / key, client_ca and tmp_path / client_ca)
    with pytest.raises(OSError, match=said):
        tls_context(files)


def test_a_client_that_says_nothing_is_left(
    app: ASGIApp, server_party: Party, monkeypatch: pytest.MonkeyPatch
):
    """Whether it should begin with TLS or with HTTP; others are answered meanwhile."""
    monkeypatch.setattr(connections, "FIRST_BYTES_MS_MAX", 300)
    monkeypatch.setattr("sift_server.api.http_server.HANDSHAKE_MS_MAX", 300)
    assert tls.HANDSHAKE_MS_MAX == 10_000
    files = TlsFiles(server_party.cert, server_party.key)
    plain = HttpServer(app, "127.0.0.1", 0)
    plain.start()
    with serving(app, files) as port:
        for silent_port in (port, plain.port):
            with socket.create_connection(("127.0.0.1", silent_port), timeout=10) as silent:
                if silent_port == plain.port:
                    silent.sendall(b"PRI * HT")
                started_s = time.monotonic()
                try:
                    left = silent.recv(100)
                except ConnectionError:
                    left = b""
                assert left == b""
                assert time.monotonic() - started_s < 5
        assert ping(port, server_party) == "hello"
    plain.stop(grace_ms=500)


def test_a_client_that_does_not_say_goodbye_holds_up_no_stop(app: ASGIApp, server_party: Party):
    """It is told that the connection ends, and waited for a second."""
    server = HttpServer(app, "127.0.0.1", 0, tls=TlsFiles(server_party.cert, server_party.key))
    server.start()
    context = ssl.create_default_context(cafile=server_party.roots)
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    with context.wrap_socket(plain, server_hostname="localhost") as client:
        client.sendall(PREFACE + b"\0\0\0\4\0\0\0\0\0")
        client.recv(1)
        start = time.monotonic()
        server.stop(grace_ms=20_000)
        assert time.monotonic() - start < SHUTDOWN_MS_MAX / 1_000 + 1
