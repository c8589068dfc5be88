"""`sift serve` as a person or a service manager runs it."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import grpc
import pytest

from sift.ping.v1 import ping_pb2, ping_pb2_grpc
from support.serving import plain_channel, serve_command, serving

if TYPE_CHECKING:
    from pathlib import Path


def ping(channel: grpc.Channel) -> str:
    return ping_pb2_grpc.PingServiceStub(channel).Ping(ping_pb2.PingRequest(), timeout=10).response


def test_it_makes_a_key_that_only_its_owner_reads(tmp_path: Path):
    """The first start writes a key; later starts keep it; calls need it."""
    with serving(tmp_path / "data") as server:
        key_file = tmp_path / "data" / "api_key"
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        key = server.api_key
        with plain_channel(server.address, key) as channel:
            assert ping(channel)
        with (
            plain_channel(server.address, "guess") as channel,
            pytest.raises(grpc.RpcError) as caught,
        ):
            ping(channel)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert server.stop() == 0
    with serving(tmp_path / "data") as server:
        assert server.api_key == key


def test_the_environment_decides_the_key(tmp_path: Path):
    """SIFT_API_KEY is the key when it is set."""
    with (
        serving(tmp_path / "data", SIFT_API_KEY="from the environment") as server,
        plain_channel(server.address, "from the environment") as channel,
    ):
        assert ping(channel)


def test_a_second_server_on_a_folder_is_refused_with_the_pid(tmp_path: Path):
    """Two processes never write to one folder."""
    with serving(tmp_path / "data") as server:
        second = subprocess.run(
            serve_command(tmp_path / "data"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 1
        assert str(server.process.pid) in second.stderr
        assert "Traceback" not in second.stderr


def test_gRPC_JSON_and_REST_share_the_port(tmp_path: Path):  # noqa: N802
    """One address for every kind of caller; health needs no key."""
    with serving(tmp_path / "data") as server:
        base = f"http://{server.address}"
        for path in ("/healthz", "/readyz"):
            with urllib.request.urlopen(base + path, timeout=10) as answer:
                assert answer.status == 200
        key = {"authorization": f"Bearer {server.api_key}", "content-type": "application/json"}
        rest = urllib.request.Request(f"{base}/api/v1/ping", headers=key)
        rpc = urllib.request.Request(
            f"{base}/sift.ping.v1.PingService/Ping", data=b"{}", headers=key
        )
        for request in (rest, rpc):
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert json.load(answer)["response"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{base}/api/v1/ping", timeout=10)
        with caught.value as answer:
            assert answer.status == 401


def test_TLS(tmp_path: Path):  # noqa: N802
    """With a certificate the server speaks TLS only."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    with serving(
        tmp_path / "data", "--tls-cert", str(certificate), "--tls-key", str(key)
    ) as server:
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(certificate.read_bytes()),
            grpc.access_token_call_credentials(server.api_key),
        )
        with grpc.secure_channel(server.address, credentials) as channel:
            assert ping(channel)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_no_key_is_needed_if_so_said(tmp_path: Path, host: str):
    """On this machine: calls with no key, or any, are answered."""
    with serving(tmp_path / "data", "--no-auth", "--listen", f"{host}:0") as server:
        with grpc.insecure_channel(server.address) as channel:
            assert ping(channel)
        with plain_channel(server.address, "any") as channel:
            assert ping(channel)


def test_an_IPv6_address_is_printed_in_brackets(tmp_path: Path):  # noqa: N802
    """As it was given, so that clients can be told to use the line as it stands."""
    with serving(tmp_path / "data", "--listen", "[::1]:0") as server:
        assert re.fullmatch(r"\[::1\]:[1-9]\d*", server.address)
        with plain_channel(server.address, server.api_key) as channel:
            assert ping(channel)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--listen", "here"], "HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "65535"),
        (["--tls-cert", "cert.pem"], "belong together"),
        (["--tls-cert", "no.pem", "--tls-key", "no.pem"], "no.pem"),
        (["--tls-client-ca", "ca.pem"], "needs --tls-cert"),
        (["--no-auth", "--listen", "0.0.0.0:0"], "without a key"),
        (["--no-auth", "--listen", "[::]:0"], "without a key"),
        (["--no-auth", "--listen", "192.168.7.7:0"], "without a key"),
        (["--no-auth", "--listen", "example.com:0"], "without a key"),
    ],
)
def test_a_wrong_option_gets_a_sentence(tmp_path: Path, options: list[str], words: str):
    """No traceback, a status other than 0, and what is wrong."""
    refused = subprocess.run(
        [*serve_command(tmp_path / "data"), *options],
        capture_output=True, text=True, timeout=60, check=False, env={"COLUMNS": "200"},
    )  # fmt: skip
    assert refused.returncode != 0
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    if "--no-auth" in options:
        assert not (tmp_path / "data").exists()
