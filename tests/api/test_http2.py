"""Connections of HTTP/2, as clients of every kind treat them."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc
import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from h2.errors import ErrorCodes

from sift.assets.v1 import assets_pb2
from sift.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from sift.ping.v1 import ping_pb2, ping_pb2_grpc
from sift_server.api.http2 import Http2Limits
from sift_server.api.http_server import HttpLimits, HttpServer
from sift_wire.messages import frame
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Iterator

API_KEY = "the key"
PING = "/sift.ping.v1.PingService/Ping"
INGEST = "/sift.ingest.v1.IngestService/IngestWithConfigDataStream"
LIST_ASSETS = "/sift.assets.v1.AssetService/ListAssets"


class Client:
    """h2 on a socket: a client that does what it is told."""

    def __init__(self, address: str, window_bytes: int = 65_535) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window_bytes},
        )
        self.h2.initiate_connection()
        self.bodies: dict[int, bytes] = {}
        self.waiting: deque[h2.events.Event] = deque()

    def call(self, path: str, body: bytes | None, **more: str) -> int:
        """Prepare a call; without a body it is not ended."""
        stream_id = self.h2.get_next_available_stream_id()
        headers = {
            ":method": "POST", ":scheme": "http", ":authority": "test", ":path": path,
            "content-type": "application/grpc", "te": "trailers",
            "authorization": f"Bearer {API_KEY}", **more,
        }  # fmt: skip
        self.h2.send_headers(stream_id, list(headers.items()))
        if body is not None:
            self.h2.send_data(stream_id, body, end_stream=True)
        return stream_id

    def flush(self, step: int = 2**20) -> None:
        data = self.h2.data_to_send()
        for at in range(0, len(data), step):
            self.socket.sendall(data[at : at + step])

    def until(self, kind: Any, stream_id: int | None = None) -> Any:
        """The next event of a kind; events before it are forgotten."""
        while True:
            while self.waiting:
                event = self.waiting.popleft()
                if isinstance(event, h2.events.DataReceived):
                    body = self.bodies.get(event.stream_id, b"")
                    self.bodies[event.stream_id] = body + event.data
                if isinstance(event, kind) and (stream_id is None or event.stream_id == stream_id):
                    return event
            self.flush()
            received = self.socket.recv(65_536)
            assert received, f"the server closed before {kind}"
            self.waiting += self.h2.receive_data(received)


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    client = Client(address)
    with contextlib.closing(client.socket):
        yield client


def test_a_preface_may_come_byte_by_byte(client: Client):
    """Which protocol a client speaks is known when it is, and no byte is lost until then."""
    stream_id = client.call(PING, frame(b""))
    client.flush(step=1)
    client.until(h2.events.StreamEnded, stream_id)
    assert b"hello" in client.bodies[stream_id]


def test_an_answer_waits_for_room(address: str):
    """The client's windows bound what is sent, and open it again."""
    client = Client(address, window_bytes=10)
    with contextlib.closing(client.socket):
        request = assets_pb2.ListAssetsRequest(filter="x" * 5_000).SerializeToString()
        stream_id = client.call(LIST_ASSETS, frame(request))
        client.until(h2.events.DataReceived)
        assert len(client.bodies[stream_id]) == 10
        client.h2.increment_flow_control_window(4_000, stream_id)
        while len(client.bodies[stream_id]) < 4_010:
            client.until(h2.events.DataReceived)
        client.h2.increment_flow_control_window(4_000, stream_id)
        client.until(h2.events.StreamEnded, stream_id)
        assert client.bodies[stream_id].count(b"x") == 5_000


def test_what_a_call_left_untaken_is_given_back(address: str, ingest: Any):
    """Refused streams do not use up the window of their connection."""
    ingest.refuse_after_bytes = 1
    message = ingest_pb2.IngestWithConfigDataStreamRequest(flow="x" * 100_000)
    with plain_channel(address, API_KEY) as channel:
        stub = ingest_pb2_grpc.IngestServiceStub(channel)
        for _ in range(40):
            with pytest.raises(grpc.RpcError) as caught:
                stub.IngestWithConfigDataStream(iter([message] * 30), timeout=20)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_resets_do_not_make_room_for_more_calls_than_may_run(app: Any, ingest: Any):
    """A call counts until its app is done, however soon its client left it."""
    limits = HttpLimits(http2=Http2Limits(calls_max=20))
    server = HttpServer(app, "127.0.0.1", 0, limits=limits)
    server.start()
    client = Client(f"127.0.0.1:{server.port}")
    ingest.gate.clear()
    try:
        for _ in range(20):
            client.h2.reset_stream(client.call(INGEST, None))
        refused = client.call(PING, frame(b""))
        event = client.until(h2.events.StreamReset)
        assert (event.stream_id, event.error_code) == (refused, ErrorCodes.REFUSED_STREAM)
        ingest.gate.set()
        deadline = time.monotonic() + 10
        while True:
            stream_id = client.call(PING, frame(b""))
            event = client.until((h2.events.StreamReset, h2.events.StreamEnded))
            if isinstance(event, h2.events.StreamEnded):
                break
            assert time.monotonic() < deadline
        assert b"hello" in client.bodies[stream_id]
    finally:
        ingest.gate.set()
        client.socket.close()
        server.stop()


def test_what_breaks_the_protocol_is_told_so(client: Client):
    """A frame that may not be there ends the connection, and says why."""
    client.flush()
    client.socket.sendall(struct.pack(">HBBBI", 0, 4, 0x0, 0, 0) + b"oops")
    event = client.until(h2.events.ConnectionTerminated)
    assert event.error_code == ErrorCodes.PROTOCOL_ERROR


def test_head_has_no_body(client: Client):
    """The headers of an answer, and nothing else."""
    stream_id = client.call("/healthz", b"", **{":method": "HEAD"})
    client.until(h2.events.StreamEnded, stream_id)
    assert not client.bodies.get(stream_id)


def test_stopping_lets_calls_end(app: Any, ingest: Any):
    """A call that runs is answered; then its connection says goodbye, as idle ones do at once."""
    server = HttpServer(app, "127.0.0.1", 0)
    server.start()
    address = f"127.0.0.1:{server.port}"
    idle, busy = Client(address), Client(address)
    with contextlib.closing(idle.socket), contextlib.closing(busy.socket):
        idle.until(h2.events.SettingsAcknowledged)
        ingest.gate.clear()
        stream_id = busy.call(INGEST, frame(b"x"))
        busy.until(h2.events.SettingsAcknowledged)
        stopping = threading.Thread(target=server.stop, args=(10_000,))
        stopping.start()
        idle.until(h2.events.ConnectionTerminated)
        assert busy.until(h2.events.ConnectionTerminated).last_stream_id == stream_id
        # h2 as a client takes that for the end.
        busy.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        late = busy.call(PING, frame(b""))
        refused = busy.until(h2.events.StreamReset, late)
        assert refused.error_code == ErrorCodes.REFUSED_STREAM
        ingest.gate.set()
        busy.until(h2.events.StreamEnded, stream_id)
        stopping.join(10)
        assert not stopping.is_alive()


def test_an_idle_connection_is_closed(app: Any):
    """After a while without a call, and not before."""
    limits = HttpLimits(http2=Http2Limits(idle_ms=300))
    server = HttpServer(app, "127.0.0.1", 0, limits=limits)
    server.start()
    client = Client(f"127.0.0.1:{server.port}")
    start = time.monotonic()
    client.until(h2.events.ConnectionTerminated)
    assert time.monotonic() - start >= 0.3
    client.socket.close()
    server.stop()


def test_many_connections_call_at_once(address: str):
    """Connections that come and go leave nothing behind."""
    metadata = [("authorization", f"Bearer {API_KEY}")]
    for _ in range(30):
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = ping_pb2_grpc.PingServiceStub(channel)
            assert stub.Ping(ping_pb2.PingRequest(), metadata=metadata, timeout=10).response
