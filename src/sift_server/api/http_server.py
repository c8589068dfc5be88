"""The HTTP server: a port, and the thread of its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvloop

from sift_server.api.connections import Connections
from sift_server.api.http2 import Http2Limits
from sift_server.api.tls import HANDSHAKE_MS_MAX, SHUTDOWN_MS_MAX, tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from sift_server.api.asgi import ASGIApp
    from sift_server.api.tls import TlsFiles


FILES_RESERVED = 256
"""Files that a server needs besides connections: its log, its table, its catalog."""

_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds, seconds, times."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What connections may hold.

    Attributes:
        http2: What HTTP/2 allows a client to have on the way.
        connections_max: Connections at a time; fewer where the process may not have as many files
            open. One more takes the place of one that was idle, or is told to try again.
        backlog: Connections that wait to be accepted.
    """

    http2: Http2Limits = field(default_factory=Http2Limits)
    connections_max: int = 2_000
    backlog: int = 1_000


class HttpServer:
    """Serves an ASGI app over HTTP/1.1 and HTTP/2, plaintext or TLS, on one port.

    Runs beside whatever else the process does: it installs no signal handler and prints nothing.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        tls: TlsFiles | None = None,
        limits: HttpLimits | None = None,
        end_streams: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the port.

        Args:
            app: What answers.
            host: Address to listen on.
            port: Port to listen on; 0 takes a free one.
            tls: What to serve TLS with, or None for plaintext.
            limits: How much connections may hold.
            end_streams: Ends calls of the app that might go on for ever, with an answer. Called on
                the event loop, when the server stops.

        Raises:
            OSError: The address is taken, or a file of TLS can't be used.
        """
        self._app = app
        self._end_streams = end_streams
        self._limits = limits or HttpLimits()
        self._tls: ssl.SSLContext | None = None if tls is None else tls_context(tls)
        self._socket = _bound(host, port, self._limits.backlog)
        self.port: int = self._socket.getsockname()[1]
        self._loop = uvloop.new_event_loop()
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self._grace_s = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sift-http", daemon=True)

    def start(self) -> None:
        """Begin to accept connections; returns when it does."""
        self._thread.start()
        self._ready.wait()

    def stop(self, grace_ms: int = 3_000) -> None:
        """Take no new connections and calls, let calls that run end, and close all connections.

        Streams that did not end by themselves are ended `ANSWERS_MS` before the time is over.
        What is not answered in time is broken off.
        """
        self._grace_s = grace_ms / 1_000
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def hurry(self) -> None:
        """End streams at once when the server stops, or stops already. Safe from any thread."""
        with contextlib.suppress(RuntimeError):  # The loop is closed: it has stopped.
            self._loop.call_soon_threadsafe(self._hurried.set)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        connections = Connections.of_server(
            self._app,
            self._limits.http2,
            _fitting(self._limits.connections_max),
            tls=self._tls is not None,
        )
        server = await self._loop.create_server(
            connections.accept,
            sock=self._socket,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_MS_MAX / 1_000 if self._tls else None,
            ssl_shutdown_timeout=SHUTDOWN_MS_MAX / 1_000 if self._tls else None,
        )
        self._ready.set()
        await self._stopping.wait()
        server.close()
        await connections.end(self._grace_s, self._hurried, self._end_streams)


def allow_more_files() -> None:
    """Let this process have as many files open as the system allows it, not only as many as usual.

    For processes of our own only: what they start has the same limit, and might count up to it.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):  # Some systems allow less than they say.
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _fitting(connections_max: int) -> int:
    """As many connections as there may be files for."""
    files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files_max == resource.RLIM_INFINITY or connections_max + FILES_RESERVED <= files_max:
        return connections_max
    fitting = max(1, files_max - FILES_RESERVED)
    _logger.warning(
        "connections_max is %d, and not %d: the process may have %d files open (ulimit -n), of"
        " which %d are for other things",
        fitting, connections_max, files_max, FILES_RESERVED,
    )  # fmt: skip
    return fitting


def _bound(host: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off, but only where the protocol is named; with it, each
    # answer would wait 40 ms for the client's delayed acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections have these from the port. A client whose machine or network went away without
        # a word is noticed after two minutes.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            if hasattr(socket, option):
                bound.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        bound.bind((host, port))
        bound.listen(backlog)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise OSError(
            error.errno, f"can't listen on {host}:{port}: {error.strerror or error}"
        ) from None
    return bound
