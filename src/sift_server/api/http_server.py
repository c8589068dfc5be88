"""The HTTP server: a port, and the thread of its event loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvloop

from sift_server.api.connections import Connections
from sift_server.api.http2 import Http2Limits
from sift_server.api.tls import HANDSHAKE_MS_MAX, tls_context

if TYPE_CHECKING:
    import ssl

    from sift_server.api.asgi import ASGIApp
    from sift_server.api.tls import TlsFiles


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What connections may hold.

    Attributes:
        http2: What HTTP/2 allows a client to have on the way.
        backlog: Connections that wait to be accepted.
    """

    http2: Http2Limits = field(default_factory=Http2Limits)
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
    ) -> None:
        self._app = app
        self._limits = limits or HttpLimits()
        self._tls: ssl.SSLContext | None = None if tls is None else tls_context(tls)
        self._socket = _bound(host, port, self._limits.backlog)
        self.port: int = self._socket.getsockname()[1]
        self._loop = uvloop.new_event_loop()
        self._stopping = asyncio.Event()
        self._grace_s = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sift-http", daemon=True)

    def start(self) -> None:
        """Begin to accept connections; returns when it does."""
        self._thread.start()
        self._ready.wait()

    def stop(self, grace_ms: int = 3_000) -> None:
        """Stop accepting, let calls that run end for a while, and close all connections."""
        self._grace_s = grace_ms / 1_000
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        connections = Connections(self._app, self._limits.http2, tls=self._tls is not None)
        server = await self._loop.create_server(
            connections.accept,
            sock=self._socket,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_MS_MAX / 1_000 if self._tls else None,
        )
        self._ready.set()
        await self._stopping.wait()
        server.close()
        await connections.end(self._grace_s)


def _bound(host: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off, but only where the protocol is named; with it, each
    # answer would wait 40 ms for the client's delayed acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(backlog)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise OSError(
            error.errno, f"can't listen on {host}:{port}: {error.strerror or error}"
        ) from None
    return bound
