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

from sift_server.api.grpc_status import GrpcCode
from sift_server.api.http2 import Http2Limits, Http2Protocol, OpenConnections
from sift_server.api.http2_bytes import PREFACE
from sift_server.api.refusal import send_refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.api.asgi import ASGIApp, Event, Receive, Scope, Send

ANSWERS_MS = 2_000
"""How much of the time that calls have when a server stops is for the answers of streams that did
not end by themselves: what they sent has to be on disk."""

REFUSALS_MAX = 100
"""Connections beyond the limit that are told so; more are closed without a word."""

REFUSAL_MS = 1_000
"""How long one of them is kept."""

ROOM_IDLE_MS = 10_000
"""How long a connection of HTTP/2 must have had no call to be closed where another needs room."""

FIRST_BYTES_MS_MAX = 10_000
"""How long a client may take to say what it speaks."""

_logger = logging.getLogger(__name__)


class Connections:
    """All connections of a server. For its event loop only."""

    def __init__(
        self, app: ASGIApp, limits: Http2Limits, connections_max: int, *, tls: bool
    ) -> None:
        self._app = app
        self._limits = limits
        self._connections_max = connections_max
        self._surplus: Connections | None = None
        """Where those go that are too many; None here if those are closed without a word."""
        self._ending = False
        self._undecided: set[_Undecided] = set()
        self._http2 = OpenConnections(limits)
        self._http1: set[asyncio.Task[None]] = set()
        self._http1_config = _http1_config(limits, tls=tls)
        self._http1_context = WorkerContext(None)

    @classmethod
    def of_server(
        cls, app: ASGIApp, limits: Http2Limits, connections_max: int, *, tls: bool
    ) -> Connections:
        """Make those of a server, which tells a connection that is one too many why it is refused.

        Calls on it are answered, because clients that are only told to go away would come back
        at once: those of gRPC do so hundreds of times a second.
        """
        connections = cls(app, limits, connections_max, tls=tls)
        message = (
            f"the server has connections_max = {connections_max} connections, which is the limit"
            " (--connections). Try again later"
        )
        connections._surplus = cls(_refusing(message), limits, REFUSALS_MAX, tls=tls)
        return connections

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
        if self._surplus is not None:
            await self._surplus.end(0, hurried, lambda: None)
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

    def place(self, transport: asyncio.Transport) -> Connections | None:
        """Where a new connection belongs: here, or to those whose calls are refused, or nowhere."""
        n_open = len(self._undecided) + len(self._http2.all) + len(self._http1)
        if n_open < self._connections_max or self._http2.close_idlest(ROOM_IDLE_MS):
            return self
        if self._surplus is None:
            return None
        loop = asyncio.get_running_loop()
        loop.call_later(REFUSAL_MS / 1_000, _end, transport)
        return self._surplus.place(transport)

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
        app = ASGIWrapper(self._counted(writer.transport))  # type: ignore[arg-type]  # ASGI by other names
        loop = asyncio.get_running_loop()
        await TCPServer(
            app, loop, self._http1_config, self._http1_context, {}, reader, writer
        ).run()

    def _counted(self, transport: asyncio.WriteTransport) -> ASGIApp:
        """The app, for a connection whose answers are counted as those of HTTP/2 are."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            async def counting(event: Event) -> None:
                body = event.get("body", b"")
                with self._http2.unread.waiting(transport, len(body), lambda _: transport.abort()):
                    await send(event)

            await self._app(scope, receive, counting)

        return counted


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
        place = self._connections.place(self.transport)
        if place is None:
            self.transport.abort()
            return
        self._connections = place
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


def _refusing(message: str) -> ASGIApp:
    """An app that answers every call in the same way, and closes connections of HTTP/1.1."""

    async def refuse(scope: Scope, _: Receive, send: Send) -> None:
        async def closing(event: Event) -> None:
            if event["type"] == "http.response.start" and scope["http_version"] != "2":
                event["headers"].append((b"connection", b"close"))
            await send(event)

        await send_refusal(scope, closing, GrpcCode.RESOURCE_EXHAUSTED, message)

    return refuse


def _end(transport: asyncio.Transport) -> None:
    protocol = transport.get_protocol()
    if isinstance(protocol, Http2Protocol):
        protocol.end()
    else:
        transport.abort()


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
