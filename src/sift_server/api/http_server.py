"""Hypercorn, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvloop
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from sift_server.api.http2 import Connection, Http2Limits

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.api.asgi import ASGIApp

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a connection may hold.

    Attributes:
        http2: What HTTP/2 allows a client to have on the way.
        calls_per_connection_max: Calls of a connection at a time.
        idle_connection_ms: How long a connection without a call is kept.
        backlog: Connections that wait to be accepted.
    """

    http2: Http2Limits = field(default_factory=Http2Limits)
    calls_per_connection_max: int = 1_000
    idle_connection_ms: int = 24 * 60 * 60 * 1_000
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
        tls_cert: Path | None = None,
        tls_key: Path | None = None,
        limits: HttpLimits | None = None,
    ) -> None:
        self._app = app
        self._limits = limits or HttpLimits()
        self._tls = _tls_context(tls_cert, tls_key)
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
        config = _config(self._limits, tls=self._tls is not None)
        context = WorkerContext(None)
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 (a callback runs in a task)
            connections.add(task)
            task.add_done_callback(connections.discard)
            app = ASGIWrapper(self._app)  # type: ignore[arg-type]  # ASGI by other names
            await Connection(
                self._limits.http2, app, self._loop, config, context, {}, reader, writer
            ).run()

        server = await asyncio.start_server(connected, sock=self._socket, ssl=self._tls)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        await context.terminated.set()
        if connections:
            await asyncio.wait(connections, timeout=self._grace_s)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


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


def _tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None or key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:
        raise OSError(
            error.errno, f"the TLS certificate {cert} with the key {key} can't be used: {error}"
        ) from None
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def _config(limits: HttpLimits, *, tls: bool) -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = _logger
    config.include_server_header = False
    config.keep_alive_timeout = limits.idle_connection_ms / 1_000
    config.keep_alive_max_requests = 2**31
    config.h2_max_concurrent_streams = limits.calls_per_connection_max
    config.h2_max_inbound_frame_size = limits.http2.frame_bytes_max
    # HTTP/2 windows bound what waits for an app; a bound here would make a call whose app is slow
    # hold up all others of its connection, pings included.
    config.max_app_queue_size = 0
    if tls:
        config.insecure_bind = []
    return config
