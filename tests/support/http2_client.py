"""A client of HTTP/2 that does what it is told, and no more."""

from __future__ import annotations

import socket
from collections import deque
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings


class Client:
    """h2 on a socket: a client that does what it is told."""

    def __init__(self, address: str, api_key: str, window_bytes: int = 65_535) -> None:
        self._api_key = api_key
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
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
            "authorization": f"Bearer {self._api_key}", **more,
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
