"""SIGTERM takes nothing new, answers what is open, and loses nothing that it took."""

from __future__ import annotations

import http.client
import queue
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import grpc
import pytest
from deltalake import DeltaTable

from sift.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from sift.ping.v1 import ping_pb2, ping_pb2_grpc
from sift_py.errors import IngestionStreamError
from sift_py.grpc.transport import use_sift_channel
from sift_py.testing import LocalServer
from sift_server.api.connections import ANSWERS_MS
from sift_server.server import STOP_MS_MAX
from sift_wire.messages import frame
from support.serving import ServeProcess, plain_channel, serving
from support.telemetry import Type, create_config, read_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
    from support.telemetry import Config

T0 = 1_700_000_000_000_000_000
FLOWS = {"readings": {"x": Type.CHANNEL_DATA_TYPE_DOUBLE}}
INGEST = "/sift.ingest.v1.IngestService/IngestWithConfigDataStream"
ENDS_S = 30
"""More than any stop takes here."""


class OpenStream:
    """An ingest stream of the gRPC library that is open, and sends what it is told to."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._requests: queue.SimpleQueue[IngestWithConfigDataStreamRequest | None] = (
            queue.SimpleQueue()
        )
        stub = IngestServiceStub(channel)
        self._thread = ThreadPoolExecutor(1)
        self._answer = self._thread.submit(
            stub.IngestWithConfigDataStream, iter(self._requests.get, None), timeout=ENDS_S
        )

    def send(self, request: IngestWithConfigDataStreamRequest) -> None:
        self._requests.put(request)

    def end(self) -> None:
        """Say that nothing more comes."""
        self._requests.put(None)

    def code(self) -> tuple[grpc.StatusCode, str]:
        """How it was answered."""
        try:
            self._answer.result(ENDS_S)
        except grpc.RpcError as error:
            return error.code(), error.details()
        finally:
            self.end()
            self._thread.shutdown()
        return grpc.StatusCode.OK, ""


def send_rows(config: Config, stream: OpenStream, count: int = 10) -> list[tuple[int, float]]:
    """Send some rows, and wait until they can be read."""
    for i in range(count):
        stream.send(config.row("readings", T0 + i, [float(i)]))
    points = [(T0 + i, float(i)) for i in range(count)]
    until(lambda: read_points(config.channel, config.asset_id, "x") == points)
    return points


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + ENDS_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def tell(server: ServeProcess, number: int = signal.SIGTERM) -> None:
    """Send a signal, and wait until the server takes no connection any more."""
    server.process.send_signal(number)
    host, _, port = server.address.rpartition(":")

    def refuses() -> bool:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return True
        return False

    until(refuses)


def in_the_table(data_dir: Path) -> list[tuple[int, float]]:
    """What is in the table of a server that ended, whose log nobody has to replay."""
    table = DeltaTable(str(data_dir / "lake")).to_pyarrow_table()
    columns = (table["timestamp_ns"].to_pylist(), table["value_double"].to_pylist())
    return sorted(zip(*columns, strict=True))


def is_away(channel: grpc.Channel) -> bool:
    with pytest.raises(grpc.RpcError) as caught:
        ping_pb2_grpc.PingServiceStub(channel).Ping(ping_pb2.PingRequest(), timeout=5)
    return caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.proves("stop-answers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_that_ends_in_time_is_answered_as_always(tmp_path: Path, number: int):
    """Its connection takes no new call meanwhile, and others can't be made."""
    with serving(tmp_path) as server, plain_channel(server.address, server.api_key) as channel:
        config = create_config(channel, FLOWS)
        stream = OpenStream(channel)
        points = send_rows(config, stream)
        tell(server, number)
        assert is_away(channel)
        points.append((T0 + 100, 1.0))
        stream.send(config.row("readings", T0 + 100, [1.0]))
        stream.end()
        assert stream.code() == (grpc.StatusCode.OK, "")
        assert server.ended() == 0
        assert in_the_table(tmp_path) == points


@pytest.mark.proves("stop-limit", "stop-commits")
@pytest.mark.parametrize("is_silent", [True, False])
def test_a_stream_that_goes_on_is_ended(tmp_path: Path, is_silent: bool):
    """What came until then is in the table; the client is told that it is not acknowledged."""
    stop_s = 3
    with (
        serving(tmp_path, "--stop-s", str(stop_s)) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        config = create_config(channel, FLOWS)
        stream, empty = OpenStream(channel), OpenStream(channel)
        points = send_rows(config, stream)
        start = time.monotonic()
        tell(server)
        sent = list(points)
        while not is_silent and server.process.poll() is None:
            sent.append((T0 + len(sent), 1.0))
            stream.send(config.row("readings", sent[-1][0], [1.0]))
            time.sleep(0.001)
        for each in (stream, empty):
            code, words = each.code()
            assert code is grpc.StatusCode.UNAVAILABLE
            assert "the server stops" in words
        assert server.ended() == 0
        assert stop_s - ANSWERS_MS / 1_000 <= time.monotonic() - start < stop_s + 3
        kept = in_the_table(tmp_path)
        assert kept == sent[: len(kept)]
        assert len(kept) == len(points) if is_silent else len(kept) > len(points)


@pytest.mark.proves("stop-limit")
def test_a_message_in_part_is_not_taken(tmp_path: Path):
    """It is nobody's mistake: the client is told to send it again."""
    with (
        serving(tmp_path, "--stop-s", "2") as server,
        plain_channel(server.address, server.api_key) as channel,
        use_sift_channel({"uri": f"http://{server.address}", "apikey": server.api_key}) as ours,
    ):
        config = create_config(channel, FLOWS)
        body = b"".join(
            frame(config.row("readings", T0 + i, [float(i)]).SerializeToString()) for i in range(5)
        )
        sent = threading.Event()
        ended = threading.Event()

        def chunks() -> Iterator[bytes]:
            yield body + body[: len(body) // 5 - 3]
            sent.set()
            ended.wait(ENDS_S)

        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(ours.streams().send, INGEST, chunks())
            assert sent.wait(ENDS_S)
            until(lambda: len(read_points(channel, config.asset_id, "x")) == 5)
            tell(server)
            with pytest.raises(IngestionStreamError, match="the server stops") as caught:
                answer.result(ENDS_S)
            ended.set()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert server.ended() == 0
        assert in_the_table(tmp_path) == [(T0 + i, float(i)) for i in range(5)]


@pytest.mark.proves("stop-again")
def test_a_second_signal_waits_for_no_client(tmp_path: Path):
    """It is as orderly as the first, however many more there are."""
    with (
        serving(tmp_path, "--stop-s", "600") as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        config = create_config(channel, FLOWS)
        stream = OpenStream(channel)
        points = send_rows(config, stream)
        tell(server)
        while server.process.poll() is None:
            server.process.send_signal(signal.SIGINT)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.005)
        assert stream.code()[0] is grpc.StatusCode.UNAVAILABLE
        assert server.ended() == 0
        assert in_the_table(tmp_path) == points


@pytest.mark.proves("stop-limit")
def test_a_server_inside_of_a_program_is_less_patient(tmp_path: Path):
    """It ends open streams as well as a process does, and sooner."""
    with LocalServer(tmp_path) as server, plain_channel(server.address, server.apikey) as channel:
        config = create_config(channel, FLOWS)
        stream = OpenStream(channel)
        points = send_rows(config, stream)
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < STOP_MS_MAX / 1_000 + 1
        assert stream.code()[0] is grpc.StatusCode.UNAVAILABLE
        assert in_the_table(tmp_path) == points


@pytest.mark.proves("stop-answers")
def test_calls_over_HTTP_1_are_answered(tmp_path: Path):  # noqa: N802
    """One whose body was on its way is; then its connection is closed, as idle ones are at once."""
    with serving(tmp_path) as server:
        headers = {
            "authorization": f"Bearer {server.api_key}",
            "content-type": "application/json",
            "content-length": "2",
        }
        host = server.address
        with (
            closing(http.client.HTTPConnection(host, timeout=ENDS_S)) as idle,
            closing(http.client.HTTPConnection(host, timeout=ENDS_S)) as busy,
        ):
            idle.request("GET", "/healthz")
            idle.getresponse().read()
            busy.putrequest("POST", "/sift.ping.v1.PingService/Ping")
            for name, value in headers.items():
                busy.putheader(name, value)
            busy.endheaders()
            busy.send(b"{")
            time.sleep(0.2)
            tell(server)
            assert idle.sock.recv(1) == b""
            busy.send(b"}")
            assert b"response" in busy.getresponse().read()
            assert busy.sock is None or busy.sock.recv(1) == b""
        assert server.ended() == 0
