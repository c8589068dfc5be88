"""Many connections: all are served up to a limit, and beyond it each is told why not."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import grpc
import h2.events
import pytest

from sift.ping.v1 import ping_pb2, ping_pb2_grpc
from sift_server.api import connections, http_server
from sift_server.api.connections import REFUSAL_MS
from sift_server.api.http_server import HttpLimits
from sift_server.server import Server, ServerSettings
from sift_wire.messages import frame
from support.http2_client import Client
from support.overload import FLOWS, INGEST, T0, watched
from support.serving import plain_channel
from support.telemetry import create_config, read_points

if TYPE_CHECKING:
    from pathlib import Path

N_CONNECTIONS = 500
ROWS = 4
CONNECTION_MIB_MAX = 0.25
"""What an open connection with a stream costs at most."""


def ping(channel: grpc.Channel) -> str:
    return ping_pb2_grpc.PingServiceStub(channel).Ping(ping_pb2.PingRequest(), timeout=10).response


def test_500_connections_stream_at_a_time(tmp_path: Path):
    """Rows of all of them are taken; none costs much."""
    with watched(tmp_path) as watch, ExitStack() as open_sockets:
        config = create_config(watch.channel, FLOWS)
        clients = []
        for _ in range(N_CONNECTIONS):
            client = Client(watch.server.address, watch.server.api_key)
            open_sockets.enter_context(closing(client.socket))
            clients.append((client, client.call(INGEST, None)))
            client.flush()
        points = []
        for row in range(ROWS):
            for number, (client, stream_id) in enumerate(clients):
                points.append((T0 + row * N_CONNECTIONS + number, float(number)))
                message = config.row("readings", points[-1][0], [points[-1][1]])
                client.h2.send_data(stream_id, frame(message.SerializeToString()))
                client.flush()
        for client, stream_id in clients:
            client.h2.end_stream(stream_id)
            client.flush()
        for client, stream_id in clients:
            trailers = dict(client.until(h2.events.TrailersReceived, stream_id).headers)
            assert trailers["grpc-status"] == "0"
        assert read_points(watch.channel, config.asset_id, "x") == points
    assert watch.grown_mib < N_CONNECTIONS * CONNECTION_MIB_MAX


def test_one_connection_too_many_is_told_so(tmp_path: Path):
    """In HTTP/2 and in HTTP/1.1; those that are open go on, and when one closes there is room."""
    limits = HttpLimits(connections_max=3)
    with (
        Server(ServerSettings(tmp_path, port=0, http_limits=limits)) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        host, _, port = server.address.rpartition(":")
        assert ping(channel)
        with closing(http.client.HTTPConnection(server.address, timeout=10)) as first_http:
            first_http.request("GET", "/healthz")
            assert first_http.getresponse().read()
            silent = socket.create_connection((host, int(port)), timeout=10)
            time.sleep(0.1)
            with closing(http.client.HTTPConnection(server.address, timeout=10)) as second_http:
                second_http.request("GET", "/healthz")
                answer = second_http.getresponse()
                assert answer.status == 429
                assert b"connections_max = 3" in answer.read()
            with (
                plain_channel_of_its_own(server) as other,
                pytest.raises(grpc.RpcError) as caught,
            ):
                ping(other)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "connections_max = 3" in caught.value.details()
            assert ping(channel)
            silent.close()
            time.sleep(REFUSAL_MS / 1_000 + 0.2)
            with plain_channel_of_its_own(server) as other:
                assert ping(other)


def test_more_are_closed_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """To tell them costs memory, too."""
    monkeypatch.setattr(connections, "REFUSALS_MAX", 2)
    limits = HttpLimits(connections_max=1)
    with (
        Server(ServerSettings(tmp_path, port=0, http_limits=limits)) as server,
        ExitStack() as open_sockets,
    ):
        host, _, port = server.address.rpartition(":")
        clients = []
        for _ in range(4):
            client = socket.create_connection((host, int(port)), timeout=10)
            clients.append(open_sockets.enter_context(closing(client)))
            time.sleep(0.05)
        answers = []
        for client in clients:
            try:
                client.sendall(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n")
                answers.append(client.recv(1_000).partition(b"\r\n")[0].rstrip())
            except ConnectionError:
                answers.append(b"")
        assert answers == [b"HTTP/1.1 200", *[b"HTTP/1.1 429"] * 2, b""]


def plain_channel_of_its_own(server: Server) -> grpc.Channel:
    """A channel that shares no connection with another of this process."""
    return plain_channel(server.address, server.api_key, ("grpc.use_local_subchannel_pool", 1))


def test_a_connection_that_is_idle_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The one that had no call for longest is closed; one with a call never is."""
    monkeypatch.setattr(connections, "ROOM_IDLE_MS", 200)
    limits = HttpLimits(connections_max=2)
    with Server(ServerSettings(tmp_path, port=0, http_limits=limits)) as server:
        busy, idle = (Client(server.address, server.api_key) for _ in range(2))
        with closing(busy.socket), closing(idle.socket):
            stream_id = busy.call(INGEST, None)
            for client in (busy, idle):
                client.until(h2.events.SettingsAcknowledged)
            time.sleep(0.3)
            with plain_channel(server.address, server.api_key) as channel:
                assert ping(channel)
                idle.until(h2.events.ConnectionTerminated)
                busy.h2.end_stream(stream_id)
                busy.until(h2.events.StreamEnded, stream_id)


def test_there_are_no_more_connections_than_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """The log says so when the server starts."""
    files_max = http_server.FILES_RESERVED + 1
    monkeypatch.setattr(http_server.resource, "getrlimit", lambda _: (files_max, files_max))
    with Server(ServerSettings(tmp_path, port=0)) as server:
        assert "connections_max is 1, and not 2000" in caplog.text
        with (
            plain_channel(server.address, server.api_key) as channel,
            plain_channel_of_its_own(server) as other,
        ):
            assert ping(channel)
            with pytest.raises(grpc.RpcError, match="connections_max = 1"):
                ping(other)
