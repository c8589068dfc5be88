"""The ingest call as the body of an HTTP/2 request: how it ends, and what the caller is told."""

from __future__ import annotations

import http.server
import itertools
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_py.errors import IngestionStreamError, ServiceClosedError, SiftError
from sift_py.grpc._http import STREAMS_MAX, HttpStreams
from sift_py.grpc._target import ChannelTarget
from sift_py.ingestion._internal.streams import CHUNK_BYTES, METHOD, chunks_of
from sift_py.ingestion.channel import string_value
from sift_py.ingestion.service import IngestionService
from sift_wire.messages import frame
from support.http2_server import Http2Server
from support.recording_server import API_KEY, RecordingServer
from support.serving import plain_channel
from support.telemetry_configs import log_row, named, telemetry_config

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 20
READ_AHEAD_BYTES_MAX = 32 * 1024 * 1024
"""More than all windows and buffers between two processes of one machine."""
KEY = (("authorization", f"Bearer {API_KEY}"),)


@pytest.fixture
def http2_server() -> Iterator[Http2Server]:
    """A server that answers what it is told."""
    with Http2Server() as running:
        yield running


@pytest.fixture
def streams(http2_server: Http2Server) -> Iterator[HttpStreams]:
    """The way to it."""
    opened = streams_to(http2_server.port)
    yield opened
    http2_server.may_read.set()
    opened.close()


def streams_to(
    port: int, metadata: Any = KEY, *, use_tls: bool = False, **options: float
) -> HttpStreams:
    return HttpStreams(ChannelTarget("127.0.0.1", port, use_tls), metadata, **options)


def port_of(server: RecordingServer) -> int:
    return int(server.address.rpartition(":")[2])


def failure_of(streams: HttpStreams, chunks: Any = (b"",)) -> IngestionStreamError:
    with pytest.raises(IngestionStreamError) as error:
        streams.send(METHOD, chunks)
    assert isinstance(error.value, grpc.RpcError)
    assert isinstance(error.value, SiftError)
    assert str(error.value) == f"{error.value.code().name}: {error.value.details()}"
    return error.value


class TestSending:
    """What is given arrives, whole and once."""

    def test_messages_and_metadata_arrive(self, server):
        """However frames are cut into chunks, and without any."""
        messages = [Request(flow="one"), Request(), Request(flow="x" * 100_000)]
        frames = [frame(message.SerializeToString()) for message in messages]
        streams = streams_to(port_of(server), (*KEY, ("x-team", "propulsion")))
        streams.send(METHOD, [frames[0] + frames[1], frames[2]])
        streams.send(METHOD, iter(frames))
        streams.send(METHOD, [])
        streams.close()
        assert server.streams == [messages, messages, []]
        assert {call.metadata["x-team"] for call in server.calls} == {"propulsion"}

    @pytest.mark.parametrize("size", [1, 1000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
    def test_frames_are_put_together(self, size):
        """Chunks are about a quarter of a megabyte, in order, and nothing is missing."""
        frames = [bytes([number]) * size for number in range(5)]
        chunks = list(chunks_of(iter(frames)))
        assert b"".join(chunks) == b"".join(frames)
        assert all(len(chunk) < CHUNK_BYTES + size for chunk in chunks)
        assert all(len(chunk) >= CHUNK_BYTES for chunk in chunks[:-1])

    def test_more_threads_than_streams_share_a_channel(self, server):
        """Each call has its own stream; those that are too many wait."""
        streams = streams_to(port_of(server))

        def send(number: int) -> None:
            message = Request(flow=str(number)).SerializeToString()
            streams.send(METHOD, [frame(message)] * 3)

        with ThreadPoolExecutor(STREAMS_MAX + 20) as pool:
            list(pool.map(send, range(300)))
        streams.close()
        assert sorted(int(stream[0].flow) for stream in server.streams) == list(range(300))
        assert all(len(stream) == 3 for stream in server.streams)

    def test_a_server_that_does_not_read_slows_the_caller(self, http2_server, streams):
        """What the caller gives is taken as fast as the server reads, not into memory."""
        http2_server.may_read.clear()
        given = []

        def chunks() -> Iterator[bytes]:
            for number in range(400):
                given.append(number)
                yield bytes(CHUNK_BYTES)

        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(streams.send, METHOD, chunks())
            http2_server.wait_for(lambda: given)
            taken = 0
            while taken != len(given):
                taken = len(given)
                time.sleep(0.5)
            assert taken * CHUNK_BYTES < READ_AHEAD_BYTES_MAX
            http2_server.may_read.set()
            call.result(WAIT_S)
        assert http2_server.n_bytes == 400 * CHUNK_BYTES
        assert http2_server.endings == ["complete"]

    def test_a_connection_that_the_server_closed_is_made_anew(self, http2_server, streams):
        """A server may close connections that are idle; the next call does not fail for it."""
        streams.send(METHOD, [frame(b"x")])
        http2_server.hang_up()
        time.sleep(0.2)
        streams.send(METHOD, [frame(b"x")])
        assert http2_server.endings == ["complete", "complete"]

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
    def test_plaintext_uses_no_proxy(self, server, monkeypatch, variable):
        """A proxy of the environment would not take HTTP/2, nor should it see the key."""
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
            streams = streams_to(port_of(server))
            streams.send(METHOD, [])
            streams.close()
            proxy.setblocking(False)
            with pytest.raises(BlockingIOError):
                proxy.accept()
        assert len(server.streams) == 1

    def test_tls_trusts_the_roots_that_grpc_trusts(self, certificate, monkeypatch):
        """The variable that gRPC reads names the certificates; without it those of the system."""
        key, chain = certificate
        credentials = grpc.ssl_server_credentials([(key.read_bytes(), chain.read_bytes())])
        with RecordingServer(credentials) as server:
            monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
            stranger = streams_to(port_of(server), use_tls=True)
            error = failure_of(stranger)
            stranger.close()
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert "certificate" in error.details()
            monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(chain))
            streams = streams_to(port_of(server), use_tls=True)
            streams.send(METHOD, [frame(Request(flow="a").SerializeToString())])
            streams.close()
            assert server.streams == [[Request(flow="a")]]

    def test_a_channel_made_elsewhere_sends_the_same(self, server, channel):
        """Rows over gRPC's own channel, a message at a time, are the rows over HTTP/2."""
        rows = [log_row("a"), named("logs", log="b"), log_row("c" * 1000)]
        with plain_channel(server.address, API_KEY) as plain:
            for each in (channel, plain):
                IngestionService(each, telemetry_config()).try_ingest_flows(*rows)
        over_http2, over_grpc = server.streams
        assert over_http2 == over_grpc
        assert over_grpc[1].channel_values[0] == string_value("b")


class TestEndings:
    """How a call ends is what the server said, or why it could not say it."""

    @pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.value[0]])
    def test_a_status_of_grpc_is_an_error(self, server, code):
        """Every code, with the server's words, whatever the alphabet."""
        words = "flow 'größe': 100 % of\n値 are wrong"
        server.fail("IngestWithConfigDataStream", code, words)
        streams = streams_to(port_of(server))
        error = failure_of(streams)
        streams.close()
        assert error.code() is code
        assert error.details() == words

    @pytest.mark.parametrize("in_trailers", [True, False])
    @pytest.mark.parametrize(
        ("status", "message", "code", "details"),
        [
            ("3", "no%20flow%20%27a%27", "INVALID_ARGUMENT", "no flow 'a'"),
            ("16", "", "UNAUTHENTICATED", ""),
            ("2", "100 % and %zz and %E5%80%BC", "UNKNOWN", "100 % and %zz and 值"),
            ("17", "new", "UNKNOWN", "new"),
            ("many", "odd", "UNKNOWN", "odd"),
        ],
    )
    def test_a_status_is_read_where_it_stands(
        self, http2_server, streams, in_trailers, status, message, code, details
    ):
        """In trailers, or in headers with nothing behind; what can't be decoded stays."""
        said = [("grpc-status", status), ("grpc-message", message)]
        if in_trailers:
            http2_server.trailers = said
        else:
            http2_server.headers = [*http2_server.headers, *said]
            http2_server.trailers = None
        error = failure_of(streams)
        assert (error.code().name, error.details()) == (code, details)

    @pytest.mark.parametrize(
        ("http_status", "code"),
        [
            ("200", "UNKNOWN"),
            ("302", "UNKNOWN"),
            ("401", "UNAUTHENTICATED"),
            ("404", "UNIMPLEMENTED"),
            ("503", "UNAVAILABLE"),
        ],
    )
    def test_an_answer_without_a_status_is_an_error(self, http2_server, streams, http_status, code):
        """What is in between may answer in the server's place; OK is never assumed."""
        http2_server.headers = [(":status", http_status), ("location", "/elsewhere")]
        http2_server.trailers = None
        error = failure_of(streams)
        assert error.code().name == code
        assert f"answered HTTP status {http_status} and no gRPC status" in error.details()

    def test_a_wrong_key_is_unauthenticated(self, server):
        """As the server says."""
        streams = streams_to(port_of(server), (("authorization", "Bearer other"),))
        error = failure_of(streams)
        streams.close()
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert error.details() == "wrong API key"

    def test_an_early_refusal_ends_an_endless_call(self, tmp_path):
        """The server need not hear the rest to refuse it."""
        pool = ThreadPoolExecutor(1)
        refusing = grpc.server(pool)
        port = refusing.add_insecure_port("127.0.0.1:0")
        refusing.start()
        streams = streams_to(port)
        error = failure_of(streams, itertools.repeat(frame(bytes(1000))))
        streams.close()
        refusing.stop(None).wait(WAIT_S)
        pool.shutdown()
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED

    def test_a_server_that_is_not_there_is_unavailable(self):
        """The message has the address."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            streams = streams_to(port)
            error = failure_of(streams)
            streams.close()
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert error.details().startswith(f"http://127.0.0.1:{port} can't be reached: ")

    def test_a_server_of_another_protocol_is_named(self):
        """An ordinary web server behind the port does not leave the caller guessing."""
        handler = type("Quiet", (http.server.BaseHTTPRequestHandler,), {"log_message": print})
        with http.server.HTTPServer(("127.0.0.1", 0), handler) as web_server:
            thread = threading.Thread(target=web_server.serve_forever)
            thread.start()
            streams = streams_to(web_server.server_address[1])
            error = failure_of(streams)
            streams.close()
            web_server.shutdown()
            thread.join(WAIT_S)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "which must speak HTTP/2, broke off" in error.details()

    def test_a_server_that_dies_is_unavailable(self, http2_server, streams):
        """In the middle of a call, too."""

        def chunks() -> Iterator[bytes]:
            yield frame(b"x")
            http2_server.wait_for(lambda: http2_server.n_bytes)
            http2_server.hang_up()
            yield from itertools.repeat(frame(bytes(1000)))

        error = failure_of(streams, chunks())
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "broke off" in error.details()
        http2_server.wait_for(lambda: http2_server.endings)
        assert http2_server.endings == ["cut off"]


class TestStalling:
    """A server that stops answering ends the call; one that is slow does not."""

    @pytest.mark.parametrize(
        "n_chunks",
        [
            pytest.param(0, id="it does not answer"),
            pytest.param(400, id="it does not read"),
        ],
    )
    def test_a_server_that_stops_is_unavailable(self, http2_server, n_chunks):
        """After the limit, in a body or behind it; when it is back, so is the channel."""
        streams = streams_to(http2_server.port, stalled_timeout_s=2.0)
        http2_server.may_read.clear()
        error = failure_of(streams, itertools.repeat(bytes(CHUNK_BYTES), n_chunks))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "has not answered for 2 s" in error.details()
        assert "Some rows may have been taken" in error.details()
        http2_server.may_read.set()
        streams.send(METHOD, [frame(b"x")])
        streams.close()

    def test_calls_that_hang_leave_room_for_others(self, http2_server):
        """As many as may run at a time hang on a dead connection: the next go out on another."""
        streams = streams_to(http2_server.port, stalled_timeout_s=1)
        http2_server.may_read.clear()
        with ThreadPoolExecutor(STREAMS_MAX) as pool:
            hanging = [pool.submit(failure_of, streams) for _ in range(STREAMS_MAX)]
            errors = [call.result(WAIT_S) for call in hanging]
        assert {error.code() for error in errors} == {grpc.StatusCode.UNAVAILABLE}
        http2_server.may_read.set()
        streams.send(METHOD, [])
        streams.close()

    def test_a_server_that_is_slow_is_waited_for(self, http2_server):
        """What it takes now and then, together longer than the limit, arrives whole."""
        streams = streams_to(http2_server.port, stalled_timeout_s=1)
        stopped = threading.Event()

        def chunks() -> Iterator[bytes]:
            yield from itertools.repeat(bytes(CHUNK_BYTES), 60)
            stopped.set()

        def read_now_and_then() -> None:
            while not stopped.wait(0.2):
                http2_server.may_read.set()
                time.sleep(0.005)
                http2_server.may_read.clear()
            http2_server.may_read.set()

        http2_server.may_read.clear()
        reader = threading.Thread(target=read_now_and_then)
        reader.start()
        began_s = time.monotonic()
        try:
            streams.send(METHOD, chunks())
        finally:
            stopped.set()
            reader.join()
        assert time.monotonic() - began_s > 1
        streams.close()
        assert http2_server.n_bytes == 60 * CHUNK_BYTES

    def test_a_caller_may_take_its_time(self, http2_server):
        """Only the server's turn is limited."""
        streams = streams_to(http2_server.port, stalled_timeout_s=0.3)

        def chunks() -> Iterator[bytes]:
            time.sleep(1)
            yield frame(b"x")
            time.sleep(1)

        streams.send(METHOD, chunks())
        streams.close()
        assert http2_server.endings == ["complete"]


class TestBreakingOff:
    """A call that the client gives up never looks complete to the server."""

    @pytest.mark.parametrize("n_chunks", [0, 1, 100])
    def test_an_error_of_the_callers_iterator_breaks_it_off(self, http2_server, streams, n_chunks):
        """The error is the caller's own; the server sees a reset, not an end."""

        def chunks() -> Iterator[bytes]:
            for _ in range(n_chunks):
                yield frame(bytes(1000))
            raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine"):
            streams.send(METHOD, chunks())
        # Another call on the same connection: what came before it has been seen.
        streams.send(METHOD, [])
        assert "complete" not in http2_server.endings[:-1]
        assert http2_server.endings[-1] == "complete"

    def test_closing_waits_for_a_call_that_runs(self, http2_server, streams):
        """Nothing that was begun is lost; nothing new is begun."""
        http2_server.may_read.clear()
        with ThreadPoolExecutor(1) as pool:
            began = threading.Event()

            def chunks() -> Iterator[bytes]:
                began.set()
                yield frame(b"x")

            call = pool.submit(streams.send, METHOD, chunks())
            began.wait(WAIT_S)
            threading.Timer(0.3, http2_server.may_read.set).start()
            streams.close()
            call.result(WAIT_S)
        assert http2_server.endings == ["complete"]
        with pytest.raises(ServiceClosedError, match="the channel is closed"):
            streams.send(METHOD, [])
        streams.close()

    def test_a_closed_channel_says_so(self, server, channel):
        """To a service that has it, too, whether it sent before or not."""
        services = [IngestionService(channel, telemetry_config()) for _ in range(2)]
        services[0].try_ingest_flows(log_row())
        channel.close()
        for service in services:
            with pytest.raises(ServiceClosedError, match="the channel is closed"):
                service.try_ingest_flows(log_row())
        assert len(server.streams) == 1


PROGRAM = """
import os, sys, time
from sift_py.errors import ServiceClosedError
from sift_py.grpc._http import HttpStreams
from sift_py.grpc._target import ChannelTarget
streams = HttpStreams(ChannelTarget("127.0.0.1", int(sys.argv[1]), use_tls=False), ())
"""
INTERRUPTED = """
def chunks():
    yield bytes(100_000)
    print("began", flush=True)
    for _ in range(int(sys.argv[2])):
        yield bytes(100_000)
    time.sleep(float(sys.argv[3]))
try:
    streams.send("/a/b", chunks())
finally:
    streams.close()
"""
FORKED = """
streams.send("/a/b", [])
if os.fork() == 0:
    try:
        streams.send("/a/b", [])
    except ServiceClosedError as error:
        print(error, flush=True)
        streams.close()
else:
    os.wait()
    streams.send("/a/b", [])
    streams.close()
"""


@pytest.mark.parametrize(
    ("n_chunks", "sleep_s"),
    [
        pytest.param(0, 0, id="the server does not answer"),
        pytest.param(1000, 0, id="the server does not read"),
        pytest.param(0, WAIT_S, id="the caller has no more to give"),
    ],
)
def test_ctrl_c_ends_the_program(http2_server, n_chunks, sleep_s):
    """At once, whatever the call waits for."""
    http2_server.may_read.clear()
    program = [sys.executable, "-c", PROGRAM + INTERRUPTED, str(http2_server.port)]
    with subprocess.Popen(
        [*program, str(n_chunks), str(sleep_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "began\n"
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=WAIT_S / 2)
        finally:
            process.kill()
    assert errors.endswith("\nKeyboardInterrupt\n")


def test_a_fork_is_told_to_open_a_channel_of_its_own(http2_server):
    """A fork has none of the threads that move the bytes: it is told, and does not hang."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + FORKED, str(http2_server.port)],
        capture_output=True,
        text=True,
        check=True,
        timeout=WAIT_S,
    )
    assert "was opened before this process was forked" in done.stdout
    assert http2_server.endings == ["complete", "complete"]
