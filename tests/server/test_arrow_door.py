"""What callers may do to the Arrow door of a real server."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.error
import urllib.request

import h2.events
import numpy as np
import pyarrow as pa
import pytest

from sift_py.data import read_channels
from sift_py.errors import DataReadError
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.service import IngestionService
from sift_server.api.key_ring import KEY_LOOK_INTERVAL_MS
from sift_server.catalog import Catalog, Scope
from sift_server.data_dir import catalog_path
from sift_server.server import Server, ServerSettings
from support.http2_client import Client
from support.numbered_rows import telemetry, times_ns
from support.serving import ServeProcess

ROWS = 300_000
PATH = "/arrow/v1/data"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A server with `ROWS` points of a channel; gives it, its folder, and the channel's id."""
    folder = tmp_path_factory.mktemp("door") / "telemetry"
    with Server(ServerSettings(folder, port=0)) as server:
        config = {"uri": f"http://{server.address}", "apikey": server.api_key}
        with use_sift_channel(config) as channel:
            service = IngestionService(channel, telemetry("a"))
            service.ingest_columns("flow", times_ns(0, ROWS), {"a": np.arange(float(ROWS))})
            channel_id = read_channels("rig", source=channel)["a"].channel_id
        yield server, folder, channel_id


def ask(server, question, key=None):
    """Status and body of an answer."""
    body = question if isinstance(question, bytes) else json.dumps(question).encode()
    headers = {"authorization": f"Bearer {key or server.api_key}"}
    request = urllib.request.Request(f"http://{server.address}{PATH}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"\x00\xff",
        b'{"queries": ',
        [],
        5,
        "text",
        None,
        {"queries": 5},
        {"queries": [5]},
        {"queries": [{}]},
        {"queries": [{"channel": {"channelId": 5}}]},
        {"queries": [{"channel": {"channelId": "ID", "runId": {}}}]},
        {"queries": [], "startTime": "yesterday"},
        {"queries": [], "startTime": 5},
        {"queries": [], "sampleMs": -1},
        {"queries": [], "pageSize": 5},
        {"queries": [], "surprise": 1},
        {"queries": [{"channel": {"channelId": "ID"}}] * 1_001},
        {
            "queries": [{"channel": {"channelId": "ID"}}],
            "startTime": "2026-01-02T00:00:00Z",
            "endTime": "2026-01-01T00:00:00Z",
        },
    ],
    ids=lambda question: str(question)[:40],
)
def test_what_is_no_question_is_refused_in_words(running, question):
    server, _, _ = running
    status, body = ask(server, question)
    assert status == 400, body
    said = json.loads(body)
    assert said["code"] == 3
    assert len(said["message"]) > 10


def test_a_channel_that_there_is_not_is_not_found(running):
    server, _, _ = running
    assert ask(server, {"queries": [{"channel": {"channelId": "none"}}]})[0] == 404


def test_a_key_that_may_not_read_is_refused(running):
    server, folder, channel_id = running
    with Catalog.open(catalog_path(folder)) as catalog:
        _, key = catalog.api_keys.create("writer", [Scope.WRITE])
    time.sleep(2 * KEY_LOOK_INTERVAL_MS / 1_000)
    status, body = ask(server, {"queries": [{"channel": {"channelId": channel_id}}]}, key)
    assert (status, json.loads(body)["code"]) == (403, 7)


def test_http_2_gives_the_same_as_http_1(running):
    server, _, channel_id = running
    question = {"queries": [{"channel": {"channelId": channel_id}}]}
    _, expected = ask(server, question)
    client = Client(server.address, server.api_key, window_bytes=2**24)
    client.h2.increment_flow_control_window(2**24)
    call = client.call(PATH, json.dumps(question).encode(), **{"content-type": "application/json"})
    client.until(h2.events.StreamEnded, call)
    client.socket.close()
    assert (
        pa.ipc.open_stream(client.bodies[call])
        .read_all()
        .equals(pa.ipc.open_stream(expected).read_all())
    )


def test_callers_that_vanish_leave_room_for_others(running):
    """More of them than there may be answers at a time, in the middle of theirs."""
    server, _, channel_id = running
    body = json.dumps({"queries": [{"channel": {"channelId": channel_id}}]})
    headers = {"authorization": f"Bearer {server.api_key}"}
    host, port = server.address.split(":")
    for _ in range(100):
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        connection.request("POST", PATH, body, headers)
        if connection.sock is not None:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    due_s = time.monotonic() + 20
    while ask(server, body.encode())[0] != 200:
        assert time.monotonic() < due_s
        time.sleep(0.1)


def test_an_asset_with_more_channels_than_a_question_may_have_is_read(running):
    server, _, _ = running
    names = [f"c{number:04}" for number in range(1_100)]
    config = {"uri": f"http://{server.address}", "apikey": server.api_key}
    with use_sift_channel(config) as channel:
        service = IngestionService(channel, telemetry(*names, asset="wide"))
        service.ingest_columns("flow", times_ns(0, 2), dict.fromkeys(names, np.arange(2.0)))
        readings = read_channels("wide", source=channel)
    assert readings.names == names
    assert readings.points == 2 * len(names)


def test_a_server_that_dies_in_the_middle_of_an_answer_is_told_so(tmp_path):
    server = ServeProcess(tmp_path / "telemetry")
    config = {"uri": f"http://{server.address}", "apikey": server.api_key}
    with use_sift_channel(config) as channel:
        service = IngestionService(channel, telemetry("a"))
        for first in range(0, 3_000_000, 1_000_000):
            rows = np.arange(float(first), first + 1_000_000)
            service.ingest_columns("flow", times_ns(first, len(rows)), {"a": rows})
        channel_id = read_channels("rig", end=times_ns(1, 1)[0], source=channel)["a"].channel_id
        question = {"queries": [{"channel": {"channelId": channel_id}}]}
        with channel.answers().ask(PATH, question) as answer:
            assert len(answer.read(1_000)) == 1_000
            server.kill()
            with pytest.raises(DataReadError, match="broke off in the middle of an answer") as told:
                answer.read(100_000_000)
    assert "Read it again" in str(told.value)


def test_over_tls_it_is_the_same(tmp_path, monkeypatch):
    import trustme  # noqa: PLC0415

    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    roots, cert, key = (tmp_path / name for name in ("roots.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(roots)
    certificate.private_key_pem.write_to_path(key)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(cert, append=True)
    options = ["--tls-cert", str(cert), "--tls-key", str(key), "--listen", "localhost:0"]
    server = ServeProcess(tmp_path / "telemetry", *options)
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(roots))
    try:
        with use_sift_channel({"uri": server.address, "apikey": server.api_key}) as channel:
            service = IngestionService(channel, telemetry("a"))
            service.ingest_columns("flow", times_ns(0, ROWS), {"a": np.arange(float(ROWS))})
            readings = read_channels("rig", source=channel)
            assert readings["a"].values.to_numpy().tolist() == list(range(ROWS))
    finally:
        server.stop()
