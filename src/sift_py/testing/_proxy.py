"""A proxy that breaks what passes through it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Self

from sift_py.testing._relay import Answer, Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

_READ_BYTES = 64 * 1024
_JOIN_TIMEOUT_S = 10
_SETTLE_S = 0.1
"""So long a client may take to see that its idle connection is gone."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket that is closed without a goodbye."""


class FaultProxy:
    """Stands between a client and a server on this machine, and breaks what passes.

    What is done to connections is done below HTTP, so that it works with TLS too; statuses are
    answered in plaintext only. Faults stay until `heal`, if they are not for a number of times.
    Safe from many threads.

    Attributes:
        address: `HOST:PORT` to connect to.
        delay_ms: How long each piece of a connection is held, in both directions.

    Example:
        ```python
        with LocalServer() as server, FaultProxy(server.address) as proxy:
            channel = use_sift_channel({"uri": proxy.uri, "apikey": server.apikey})
            proxy.refuse()
            ...  # what does the program do while the server is away?
            proxy.heal()
        ```
    """

    def __init__(self, target: str) -> None:
        """Listen on a free port of the loopback interface.

        Args:
            target: `HOST:PORT` of the server; it need not be there yet.
        """
        self._target = _parsed(target)
        self.delay_ms = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        # Guards what follows.
        self._state = threading.Condition()
        self._relay: Relay | None = None
        self._route = self._target
        self._is_refusing = False
        self._is_black_hole = False
        self._bytes_left: int | None = None
        self._is_closed = False
        self._connections: set[_Connection] = set()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def uri(self) -> str:
        """What a channel's config takes as its URI: plaintext."""
        return f"http://{self.address}"

    def cut(self) -> None:
        """Break all connections off, now. New ones are taken."""
        self._cut()
        time.sleep(_SETTLE_S)

    def _cut(self) -> None:
        with self._state:
            connections = list(self._connections)
        for connection in connections:
            connection.close()

    def cut_after(self, client_bytes: int) -> None:
        """Break off all connections once, when clients have sent so many more bytes."""
        with self._state:
            self._bytes_left = client_bytes

    def refuse(self) -> None:
        """Break all connections off, and new ones at once: as if no server were there."""
        with self._state:
            self._is_refusing = True
        self.cut()

    def black_hole(self) -> None:
        """Let nothing pass, in both directions, and tell nobody: as if a cable were pulled."""
        with self._state:
            self._is_black_hole = True

    def answer(
        self,
        code: grpc.StatusCode,
        details: str = "scripted",
        *,
        times: int = 1,
        method: str | None = None,
        retry_after_ms: int | None = None,
        is_taken: bool = False,
    ) -> None:
        """Answer the next calls with a status in the server's place.

        Connections that are open are broken off, so that the next call comes to be answered.

        Args:
            code: The status; not OK.
            details: The status message.
            times: How many calls. Others go on to the server.
            method: Name of the method, such as `IngestWithConfigDataStream`; None for any.
            retry_after_ms: How long the client is asked to wait (`google.rpc.RetryInfo`).
            is_taken: Whether the server gets the call, and only its answer is lost.
        """
        with self._state:
            if self._relay is None:
                self._relay = Relay(":".join(map(str, self._target)))
            self._relay.script(Answer(code, details, times, method, retry_after_ms, is_taken))
            self._route = ("127.0.0.1", self._relay.port)
        self.cut()

    def heal(self) -> None:
        """End all faults. What a black hole held goes on."""
        with self._state:
            self.delay_ms = 0.0
            self._is_refusing = self._is_black_hole = False
            self._bytes_left = None
            if self._relay is not None:
                self._relay.clear()
            self._route = self._target
            self._state.notify_all()

    def close(self) -> None:
        """Break all connections off and stop listening."""
        with self._state:
            self._is_closed = True
            self._state.notify_all()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()
        for thread in self._threads:
            thread.join(_JOIN_TIMEOUT_S)
        if self._relay is not None:
            self._relay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(
            target=target, args=arguments, name="sift-fault-proxy", daemon=True
        )
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._state:
                if self._is_closed or self._is_refusing:
                    _reset(client)
                    continue
                route = self._route
            try:
                server = socket.create_connection(route)
            except OSError:
                _reset(client)
                continue
            for end in (client, server):
                # Else small pieces wait for the acknowledgement of those before, 40 ms.
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(client, server)
            with self._state:
                self._connections.add(connection)
            self._start(self._pump, connection, client, server)
            self._start(self._pump, connection, server, client)

    def _pump(self, connection: _Connection, source: socket.socket, sink: socket.socket) -> None:
        is_from_client = source is connection.client
        with contextlib.suppress(OSError):
            while data := source.recv(_READ_BYTES):
                if self.delay_ms:
                    time.sleep(self.delay_ms / 1e3)
                with self._state:
                    self._state.wait_for(
                        lambda: not self._is_black_hole or self._is_closed or connection.is_closed
                    )
                    passing, is_cut = self._passing(data, is_from_client)
                sink.sendall(passing)
                if is_cut:
                    self._cut()
            # The other direction may have more to say.
            sink.shutdown(socket.SHUT_WR)
            return
        connection.close()
        with self._state:
            self._connections.discard(connection)

    def _passing(self, data: bytes, is_from_client: bool) -> tuple[bytes, bool]:
        """What of a piece passes, and whether connections are cut behind it."""
        if self._bytes_left is None or not is_from_client:
            return data, False
        passing = data[: self._bytes_left]
        self._bytes_left -= len(passing)
        if self._bytes_left:
            return passing, False
        self._bytes_left = None
        return passing, True


class _Connection:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self._server = server
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        for end in (self.client, self._server):
            _reset(end)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    # Wakes who waits in a call of it, which closing alone does not.
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
