"""The connections of the port: HTTP/2 is ours, for ingest streams' sake, HTTP/1.1 Hypercorn's.

Which of the two a client speaks is agreed on in TLS; without TLS, its first bytes tell.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from sift_server.api.http2 import Http2Limits, Http2Protocol, OpenConnections
from sift_server.api.http2_bytes import PREFACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.api.asgi import ASGIApp

ANSWERS_MS = 2_000
"""How much of the time that calls have when a server stops is for the answers of streams that did
not end by themselves: what they sent has to be on disk."""

FIRST_BYTES_MS_MAX = 10_000
"""How long a client may take to say what it speaks."""

_logger = logging.getLogger(__name__)


class Connections:
    """All connections of a server. For its event loop only."""

    def __init__(self, app: ASGIApp, limits: Http2Limits, *, tls: bool) -> None:
        self._app = app
        self._limits = limits
        self._ending = False
        self._undecided: set[_Undecided] = set()
        self._http2 = OpenConnections(limits.untaken_bytes_max)
        self._http1: set[asyncio.Task[None]] = set()
        self._http1_config = _http1_config(limits, tls=tls)
        self._http1_context = WorkerContext(None)

    def accept(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""
        return _Undecided(self)

    async def end(
        self, grace_s: float, hurried: asyncio.Event, end_streams: Callable[[], None]
    ) -> None:
        """Take no new call, let those that run end, and close all connections.

        Args:
            grace_s: How long calls that run have, all in all.
            hurried: Set to have streams ended at once.
            end_streams: Ends what might go on for ever, `ANSWERS_MS` before the end or sooner.
        """
        self._ending = True
        await self._http1_context.terminated.set()
        for undecided in list(self._undecided):
            undecided.transport.abort()
        http2 = list(self._http2.all)
        for connection in http2:
            connection.end()
        ends = [asyncio.create_task(connection.ended()) for connection in http2]
        tasks = [*self._http1, *ends]
        if tasks:
            answers_s = min(grace_s, ANSWERS_MS / 1_000)
            hurry = asyncio.create_task(hurried.wait())
            all_ended = asyncio.create_task(asyncio.wait(tasks))
            await asyncio.wait(
                [all_ended, hurry],
                timeout=grace_s - answers_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            hurry.cancel()
            if not all_ended.done():
                end_streams()
                await asyncio.wait([all_ended], timeout=answers_s)
            all_ended.cancel()
        for connection in http2:
            connection.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # What an undecided connection does

    @property
    def is_ending(self) -> bool:
        """Whether no connection is taken any more."""
        return self._ending

    def wait(self, undecided: _Undecided) -> None:
        """Remember a connection whose client said nothing yet."""
        self._undecided.add(undecided)

    def forget(self, undecided: _Undecided) -> None:
        """Forget it: it is decided, or gone."""
        self._undecided.discard(undecided)

    def speak_http2(self, transport: asyncio.Transport, data: bytes) -> None:
        """Go on with HTTP/2."""
        _hand_over(transport, Http2Protocol(self._app, self._limits, self._http2), data)

    def speak_http1(self, transport: asyncio.Transport, data: bytes) -> None:
        """Go on with HTTP/1.1."""
        reader = asyncio.StreamReader()
        _hand_over(transport, asyncio.StreamReaderProtocol(reader, self._serve_http1), data)

    async def _serve_http1(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._http1.add(task)
        task.add_done_callback(self._http1.discard)
        app = ASGIWrapper(self._app)  # type: ignore[arg-type]  # ASGI by other names
        loop = asyncio.get_running_loop()
        await TCPServer(
            app, loop, self._http1_config, self._http1_context, {}, reader, writer
        ).run()


class _Undecided(asyncio.Protocol):
    """A connection until it is known what its client speaks."""

    def __init__(self, connections: Connections) -> None:
        self.transport = cast("asyncio.Transport", None)
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._connections.is_ending:
            # It was accepted before; TLS took a while.
            self.transport.abort()
            return
        tls = transport.get_extra_info("ssl_object")
        if tls is None:
            self._connections.wait(self)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(FIRST_BYTES_MS_MAX / 1_000, self.transport.abort)
        elif tls.selected_alpn_protocol() == "h2":
            self._connections.speak_http2(self.transport, b"")
        else:
            self._connections.speak_http1(self.transport, b"")

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._data.startswith(PREFACE):
            speak = self._connections.speak_http2
        elif PREFACE.startswith(self._data):
            return
        else:
            speak = self._connections.speak_http1
        self._decided()
        speak(self.transport, self._data)

    def connection_lost(self, _: Exception | None) -> None:
        self._decided()

    def _decided(self) -> None:
        self._connections.forget(self)
        if self._timer is not None:
            self._timer.cancel()


def _hand_over(transport: asyncio.Transport, protocol: asyncio.Protocol, data: bytes) -> None:
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if data:
        protocol.data_received(data)


def _http1_config(limits: Http2Limits, *, tls: bool) -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = _logger
    config.include_server_header = False
    config.keep_alive_timeout = limits.idle_ms / 1_000
    config.keep_alive_max_requests = 2**31
    if tls:
        config.insecure_bind = []
    return config
