"""Connections of HTTP/2, as clients of every kind treat them."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
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
from sift_server.api.calls import limited
from sift_server.api.http2 import Http2Limits
from sift_server.api.http2_bytes import CONTROL_FRAME_BYTES_MAX
from sift_server.api.http_server import HttpLimits, HttpServer
from sift_wire.messages import frame
from support.http2_client import Client
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Iterator

API_KEY = "the key"
PING = "/sift.ping.v1.PingService/Ping"
INGEST = "/sift.ingest.v1.IngestService/IngestWithConfigDataStream"
LIST_ASSETS = "/sift.assets.v1.AssetService/ListAssets"


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    client = Client(address, API_KEY)
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
    client = Client(address, API_KEY, window_bytes=10)
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
    client = Client(f"127.0.0.1:{server.port}", API_KEY)
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
    idle, busy = Client(address, API_KEY), Client(address, API_KEY)
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
    client = Client(f"127.0.0.1:{server.port}", API_KEY)
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


def test_headers_and_frames_have_a_size(address: str):
    """The connection ends where they are larger, and before they are kept."""
    limits = Http2Limits()
    wide = Client(address, API_KEY)
    wide.call(PING, frame(b""), more="x" * limits.header_bytes_max)
    long = Client(address, API_KEY)
    long.flush()
    long.socket.sendall(struct.pack(">BHBBI", 0x04, 0x0001, 0x0, 0, 1) + bytes(1_000))
    block = Client(address, API_KEY)
    block.flush()
    heads = [(0x1, 0x0, limits.header_bytes_max - 1), (0x9, 0x0, 2)]
    for kind, flags, length in heads:
        block.socket.sendall(struct.pack(">BHBBI", 0, length, kind, flags, 1) + bytes(length))
    control = Client(address, API_KEY)
    control.flush()
    control.socket.sendall(struct.pack(">BHBBI", 0, CONTROL_FRAME_BYTES_MAX + 1, 0x4, 0, 0))
    calm = ErrorCodes.ENHANCE_YOUR_CALM
    for client, code in (
        (wide, calm),
        (long, ErrorCodes.FRAME_SIZE_ERROR),
        (block, calm),
        (control, calm),
    ):
        with contextlib.closing(client.socket):
            assert client.until(h2.events.ConnectionTerminated).error_code == code


def test_a_connection_has_so_many_calls_at_a_time(app: Any):
    """As its settings say; clients that know them wait with more."""
    server = HttpServer(app, "127.0.0.1", 0, limits=HttpLimits(http2=Http2Limits(calls_max=3)))
    server.start()
    polite, rude = (Client(f"127.0.0.1:{server.port}", API_KEY) for _ in range(2))
    with contextlib.closing(polite.socket), contextlib.closing(rude.socket):
        polite.until(h2.events.RemoteSettingsChanged)
        assert polite.h2.remote_settings.max_concurrent_streams == 3
        for _ in range(4):
            rude.call(INGEST, None)
        assert rude.until(h2.events.ConnectionTerminated).error_code == ErrorCodes.PROTOCOL_ERROR
    server.stop(grace_ms=500)


def test_a_server_has_so_many_calls_at_a_time(app: Any, ingest: Any):
    """Of all connections; one more is told so, whatever it speaks."""
    server = HttpServer(limited(app, 3), "127.0.0.1", 0)
    server.start()
    address = f"127.0.0.1:{server.port}"
    ingest.gate.clear()
    busy, other = Client(address, API_KEY), Client(address, API_KEY)
    with contextlib.closing(busy.socket), contextlib.closing(other.socket):
        stream_ids = [busy.call(INGEST, frame(b"x")) for _ in range(3)]
        busy.until(h2.events.SettingsAcknowledged)
        refused = other.call(PING, frame(b""))
        trailers = dict(other.until(h2.events.TrailersReceived, refused).headers)
        assert trailers["grpc-status"] == "8"
        assert "CALLS_MAX%20%3D%203" in trailers["grpc-message"]
        ingest.gate.set()
        ended = {busy.until(h2.events.StreamEnded).stream_id for _ in stream_ids}
        assert ended == set(stream_ids)
        other.until(h2.events.StreamEnded, other.call(PING, frame(b"")))
        assert b"hello" in b"".join(other.bodies.values())
    server.stop(grace_ms=500)
