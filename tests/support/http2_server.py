"""A server of HTTP/2 and nothing more: answers what a test says, and sees how streams end."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded, StreamReset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from h2.events import Event

    Headers = Sequence[tuple[str, str]]

WAIT_S = 20
_READ_BYTES = 64 * 1024


class Http2Server:
    """Answers each request when it is complete.

    Attributes:
        port: Where it listens, on 127.0.0.1, in plaintext.
        headers: What it answers with.
        trailers: What it puts behind them; None for no trailers.
        requests: Headers of every request.
        n_bytes: How much of bodies has come.
        endings: "complete", "reset" or "cut off" for every body that ended, in that order.
        may_read: While this is not set, nothing is read.
    """

    def __init__(self) -> None:
        self.headers: Headers = [(":status", "200"), ("content-type", "application/grpc")]
        self.trailers: Headers | None = [("grpc-status", "0")]
        self.requests: list[dict[str, str]] = []
        self.n_bytes = 0
        self.endings: list[str] = []
        self.may_read = threading.Event()
        self.may_read.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something is true."""
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end, "it did not come true"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.may_read.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(WAIT_S)

    def hang_up(self) -> None:
        """Close all connections, without a word."""
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        h2.initiate_connection()
        open_streams: set[int] = set()
        with connection:
            try:
                while True:
                    connection.sendall(h2.data_to_send())
                    self.may_read.wait(WAIT_S)
                    data = connection.recv(_READ_BYTES)
                    if not data:
                        break
                    for event in h2.receive_data(data):
                        self._take(h2, event, open_streams)
            except OSError:
                pass
        self.endings.extend("cut off" for _ in open_streams)

    def _take(self, h2: H2Connection, event: Event, open_streams: set[int]) -> None:
        if isinstance(event, RequestReceived):
            open_streams.add(event.stream_id)
            self.requests.append(dict(event.headers))
        elif isinstance(event, DataReceived):
            self.n_bytes += len(event.data)
            h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            open_streams.remove(event.stream_id)
            self.endings.append("complete")
            h2.send_headers(event.stream_id, self.headers, end_stream=self.trailers is None)
            if self.trailers is not None:
                h2.send_headers(event.stream_id, self.trailers, end_stream=True)
        elif isinstance(event, StreamReset):
            open_streams.discard(event.stream_id)
            self.endings.append("reset")
        elif isinstance(event, ConnectionTerminated):
            self.endings.extend("cut off" for _ in open_streams)
            open_streams.clear()
