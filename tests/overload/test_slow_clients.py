"""Clients that do not read, hardly write, or stop in the middle: they harm themselves alone."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import h2.events

from sift.data.v2 import data_pb2
from sift_server.api.asgi import send_body
from sift_server.api.http2 import Http2Limits
from sift_server.api.http_server import HttpLimits, HttpServer
from sift_server.api.turns import ANSWERS_AT_ONCE_MAX
from sift_server.ingest import IngestLimits
from sift_wire.messages import frame
from support.http2_client import Client
from support.overload import INGEST, MIB, T0, part_of_body, watched
from support.telemetry import Type, channel_ids, create_config, ingest, read_points

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.api.asgi import Receive, Scope, Send
    from support.overload import Watch

GET_DATA = "/sift.data.v2.DataService/GetData"
BLOBS = {"blobs": {"b": Type.CHANNEL_DATA_TYPE_BYTES}}
PAGE_MIB = 1
UNREAD_MIB_MAX = Http2Limits().unread_bytes_max / MIB
CALLS_MIB_MAX = 320
"""What the calls that run at a time hold, whoever reads their answers."""


def blobs_request(watch: Watch) -> data_pb2.GetDataRequest:
    """Asks for a page that is full."""
    config = create_config(watch.channel, BLOBS, "blobs", "blobs")
    ingest(watch.channel, [config.row("blobs", T0 + i, [b"x" * 10_000]) for i in range(150)])
    channel_id = channel_ids(watch.channel, config.asset_id)["b"]
    query = data_pb2.Query(channel=data_pb2.ChannelQuery(channel_id=channel_id))
    request = data_pb2.GetDataRequest(queries=[query])
    request.start_time.FromJsonString("1900-01-01T00:00:00Z")
    request.end_time.FromJsonString("2200-01-01T00:00:00Z")
    return request


def answered(client: Client, count: int) -> list[int]:
    """The calls of a client whose answers begin, once there are so many."""
    return [client.until(h2.events.ResponseReceived).stream_id for _ in range(count)]


def test_answers_that_nobody_reads_do_not_pile_up(tmp_path: Path):
    """Of who has most the oldest are dropped, and told of in trailers, which need no window."""
    with watched(tmp_path) as watch, ExitStack() as open_sockets:
        request = frame(blobs_request(watch).SerializeToString())
        clients = []
        for _ in range(round(UNREAD_MIB_MAX) // ANSWERS_AT_ONCE_MAX + 2):
            client = Client(watch.server.address, watch.server.api_key, window_bytes=0)
            open_sockets.enter_context(closing(client.socket))
            for _ in range(ANSWERS_AT_ONCE_MAX):
                client.call(GET_DATA, request)
            clients.append((client, answered(client, ANSWERS_AT_ONCE_MAX)))
        trailers = dict(clients[0][0].until(h2.events.TrailersReceived).headers)
        assert trailers["grpc-status"] == "8"
        assert "unread_bytes_max%20%3D%2067108864" in trailers["grpc-message"]
        # Those that are left are there to be read.
        last, (*_, left) = clients[-1]
        assert read_to_the_end(last, left) == "0"
        assert len(last.bodies[left]) > PAGE_MIB * MIB * 0.9
    assert watch.grown_mib < 2 * UNREAD_MIB_MAX + CALLS_MIB_MAX


def test_large_answers_of_a_connection_take_turns(tmp_path: Path):
    """A client may ask for as many as it likes at a time: it gets all that it reads."""
    with watched(tmp_path) as watch:
        request = frame(blobs_request(watch).SerializeToString())
        client = Client(watch.server.address, watch.server.api_key, window_bytes=0)
        with closing(client.socket):
            calls = [client.call(GET_DATA, request) for _ in range(100)]
            begun = answered(client, ANSWERS_AT_ONCE_MAX)
            assert sorted(begun) == calls[:ANSWERS_AT_ONCE_MAX]
            # Who waits for a turn may leave.
            client.h2.reset_stream(calls.pop())
            while calls:
                assert read_to_the_end(client, begun[0]) == "0"
                assert len(client.bodies.pop(begun[0])) > PAGE_MIB * MIB * 0.9
                calls.remove(begun.pop(0))
                if len(calls) > len(begun):
                    begun += answered(client, 1)
    assert watch.grown_mib < 100


def read_to_the_end(client: Client, stream_id: int) -> str:
    """Read an answer; returns the status."""
    client.h2.increment_flow_control_window(2 * MIB, stream_id)
    client.h2.increment_flow_control_window(2 * MIB)
    trailers = dict(client.until(h2.events.TrailersReceived, stream_id).headers)
    return trailers["grpc-status"]


def test_the_same_over_HTTP_1():  # noqa: N802
    """Connections that hold most are broken off; answers that are left can still be read."""
    # More than the system takes for a client that does not read.
    body = b"x" * (12 * MIB)

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send_body(send, 200, "text/plain", body)

    limits = HttpLimits(http2=Http2Limits(unread_bytes_max=3 * len(body)))
    server = HttpServer(app, "127.0.0.1", 0, limits=limits)
    server.start()
    with ExitStack() as open_sockets:
        clients = []
        for _ in range(6):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            open_sockets.enter_context(closing(client))
            client.sendall(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
            # So that the next one is later.
            client.recv(1)
            clients.append(client)
        assert [_reads_all(client, len(body)) for client in clients] == [False] * 3 + [True] * 3
    server.stop()


def _reads_all(client: socket.socket, n_bytes: int) -> bool:
    received = 1
    try:
        while received < n_bytes:
            part = client.recv(MIB)
            if not part:
                return False
            received += len(part)
    except ConnectionError:
        return False
    return True


def test_slow_writers_cost_nothing(tmp_path: Path):
    """A byte at a time, on many connections: what is whole in the end is taken."""
    with watched(tmp_path) as watch, ExitStack() as open_sockets:
        config = create_config(watch.channel, {"r": {"x": Type.CHANNEL_DATA_TYPE_DOUBLE}})
        clients = []
        for number in range(50):
            client = Client(watch.server.address, watch.server.api_key)
            open_sockets.enter_context(closing(client.socket))
            body = frame(config.row("r", T0 + number, [float(number)]).SerializeToString())
            clients.append((client, client.call(INGEST, None), body))
        for at in range(max(len(body) for _, _, body in clients)):
            for client, stream_id, body in clients:
                if at < len(body):
                    client.h2.send_data(stream_id, body[at : at + 1])
                client.flush()
        for client, stream_id, _ in clients:
            client.h2.end_stream(stream_id)
            trailers = dict(client.until(h2.events.TrailersReceived, stream_id).headers)
            assert trailers["grpc-status"] == "0"
        points = [(T0 + number, float(number)) for number in range(50)]
        assert read_points(watch.channel, config.asset_id, "x") == points
    assert watch.grown_mib < 50


def test_clients_that_stop_in_the_middle_of_a_message_hold_up_nobody(tmp_path: Path):
    """Their messages have a limit together; who holds most of it makes room for others."""
    unfinished_mib = IngestLimits().unfinished_bytes_max // MIB
    with watched(tmp_path) as watch, ExitStack() as open_sockets:
        config = create_config(watch.channel, BLOBS)
        large = frame(b"x" * (63 * MIB))
        clients = []
        for n_bytes in (62 * MIB, 62 * MIB, *[MIB // 2] * 16):
            client = Client(watch.server.address, watch.server.api_key)
            open_sockets.enter_context(closing(client.socket))
            stream_id = client.call(INGEST, None)
            part_of_body(client, stream_id, large[:n_bytes])
            clients.append((client, stream_id))
        first, second = (dict(_answer(*each)) for each in clients[:2])
        assert {first.get("grpc-status"), second.get("grpc-status")} == {None, "14"}
        told = first.get("grpc-message", "") + second.get("grpc-message", "")
        assert f"unfinished_bytes_max%20%3D%20{unfinished_mib * MIB}" in told
        rows = [config.row("blobs", T0 + i, [b"y" * MIB]) for i in range(8)]
        ingest(watch.channel, rows, timeout=30)
        assert len(read_points(watch.channel, config.asset_id, "b")) == len(rows)
    assert watch.grown_mib < 2 * unfinished_mib + 100


def _answer(client: Client, stream_id: int) -> list[tuple[str, str]]:
    """The trailers of a call; none if it is not answered soon."""
    client.socket.settimeout(1)
    try:
        return list(client.until(h2.events.TrailersReceived, stream_id).headers)
    except TimeoutError:
        return []
