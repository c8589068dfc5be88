"""HTTP/2 for the ASGI app: calls in, answers out, over one connection.

`h2` judges the protocol; `BodySieve` takes bodies, and requests like those before, past it. A body
byte is acknowledged when the app takes it, so that a slow call slows its own sender only. A call
that is answered before its sender was done is reset, so that the sender stops.

Everything here runs on the event loop of the connection. What a connection receives is dealt with
in one go, without a task; each call is a task.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

import h2.config
import h2.events
import h2.exceptions
import h2.settings
from h2.errors import ErrorCodes

from sift_server.api.http2_bytes import BodyConnection, BodySieve
from sift_server.api.unread_answers import AnswerDroppedError, UnreadAnswers

if TYPE_CHECKING:
    from sift_server.api.asgi import ASGIApp, Event, Scope

LINGER_MS = 500
"""How long a connection that ends takes, and drops, what is on its way, if a call was answered
before its sender was done. A system that closes with bytes unread may take the answer back."""

_DEFAULT_WINDOW_BYTES = 65_535
_GONE: Event = {"type": "http.disconnect"}

_logger = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Http2Limits:
    """What a client may have on the way.

    Attributes:
        stream_window_bytes: Body bytes of one call that the app has not taken yet.
        connection_window_bytes: The same for all calls of a connection together.
        frame_bytes_max: Largest frame.
        header_bytes_max: Largest list of headers.
        calls_max: Calls of a connection at a time.
        idle_ms: How long a connection without a call is kept.
        untaken_bytes_max: Body bytes that apps have not taken yet, of all connections together. As
            long as there are more, no connection that has some is read from.
        unread_bytes_max: Bytes of answers that clients have not read yet, of all connections
            together, those of HTTP/1.1 too. If there are more, the connection that has most loses
            its oldest answers.
    """

    stream_window_bytes: int = 512 * 1024
    connection_window_bytes: int = 16 * 1024 * 1024
    frame_bytes_max: int = 256 * 1024
    header_bytes_max: int = 64 * 1024
    calls_max: int = 1_000
    idle_ms: int = 24 * 60 * 60 * 1_000
    untaken_bytes_max: int = 64 * 1024 * 1024
    unread_bytes_max: int = 64 * 1024 * 1024


class OpenConnections:
    """The connections of a server, and what waits in them. For its event loop only."""

    def __init__(self, limits: Http2Limits) -> None:
        self._untaken_bytes_max = limits.untaken_bytes_max
        self._untaken_bytes = 0
        self._held: set[Http2Protocol] = set()
        self.all: set[Http2Protocol] = set()
        self.unread = UnreadAnswers(limits.unread_bytes_max)

    def add_untaken(self, connection: Http2Protocol, body_bytes: int) -> None:
        """Count body bytes that came in; too many hold their connection."""
        self._untaken_bytes += body_bytes
        if self._untaken_bytes > self._untaken_bytes_max and connection not in self._held:
            self._held.add(connection)
            connection.choose_reading()

    def remove_untaken(self, body_bytes: int) -> None:
        """Count body bytes that were taken, or thrown away."""
        self._untaken_bytes -= body_bytes
        if self._held and self._untaken_bytes <= self._untaken_bytes_max // 2:
            held, self._held = self._held, set()
            for connection in held:
                connection.choose_reading()

    def holds(self, connection: Http2Protocol) -> bool:
        """Whether a connection must not be read from."""
        return connection in self._held

    def close_idlest(self, idle_ms_min: int) -> bool:
        """Close the connection that had no call for longest; False if all had one lately."""
        idlest = max(self.all, key=Http2Protocol.idle_s, default=None)
        if idlest is None or idlest.idle_s() * 1_000 < idle_ms_min:
            return False
        idlest.end()
        self.forget(idlest)
        return True

    def forget(self, connection: Http2Protocol) -> None:
        """Forget a connection that is gone."""
        self.all.discard(connection)
        self._held.discard(connection)


class Http2Protocol(asyncio.Protocol):
    """A connection that speaks HTTP/2 from its first byte on."""

    def __init__(self, app: ASGIApp, limits: Http2Limits, connections: OpenConnections) -> None:
        """Take what this connection is to be among while it is open."""
        self.app = app
        self._connections = connections
        self.scope: Scope = {}
        """What the scopes of all calls have in common."""
        self._limits = limits
        self.loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.h2 = BodyConnection(
            h2.config.H2Configuration(
                client_side=False,
                header_encoding=None,
                # A client without a key sends "Bearer " with a blank at the end, which validation
                # takes for an attack: it is to be told that it has no key.
                validate_inbound_headers=False,
            )
        )
        codes = h2.settings.SettingCodes
        self.h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                codes.MAX_CONCURRENT_STREAMS: limits.calls_max,
                codes.MAX_HEADER_LIST_SIZE: limits.header_bytes_max,
                codes.INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
                codes.MAX_FRAME_SIZE: limits.frame_bytes_max,
            },
        )
        self.h2.max_inbound_frame_size = limits.frame_bytes_max
        self._sieve = BodySieve(self.h2)
        self._calls: dict[int, _Call] = {}
        """Calls that the client waits for."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        self._is_sender_cut_off = False
        self._lost = asyncio.Event()
        self._idle_since_s = self.loop.time()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._is_blocked = False
        """Whether the client does not read."""

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client, and open the window of the connection."""
        self._connections.all.add(self)
        self._transport = cast("asyncio.Transport", transport)
        is_tls = transport.get_extra_info("ssl_object") is not None
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.1"},
            "http_version": "2",
            "scheme": "https" if is_tls else "http",
            "root_path": "",
            "client": _host_and_port(transport.get_extra_info("peername")),
            "server": _host_and_port(transport.get_extra_info("sockname")),
        }
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(
            self._limits.connection_window_bytes - _DEFAULT_WINDOW_BYTES
        )
        self.flush()
        self._look_for_idleness()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        try:
            for stream_id, part in self._sieve.feed(data):
                if isinstance(part, bytes):
                    if stream_id:
                        self._body_received(stream_id, part, len(part))
                    else:
                        for event in self.h2.receive_data(part):
                            self._handle(event)
                elif part is None:
                    self._body_ended(stream_id)
                else:
                    self._begin(stream_id, part)
        except h2.exceptions.ProtocolError:
            # h2 has prepared the frame that says what was wrong.
            self.flush()
            self._transport.close()
        else:
            self.flush()

    def connection_lost(self, _: Exception | None) -> None:
        """Tell the calls that nobody waits for them any more."""
        self._connections.forget(self)
        self._lost.set()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for call in list(self._calls.values()):
            self._leave(call)

    def pause_writing(self) -> None:
        """Make a client that does not read its answers wait with its calls."""
        self._is_blocked = True
        self.choose_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._is_blocked = False
        self._wake_senders()
        self.choose_reading()

    def choose_reading(self) -> None:
        """Read from the client, or not."""
        if self.is_closing:
            return
        if self._is_blocked or self._connections.holds(self):
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # What calls need

    @property
    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport.is_closing()

    def idle_s(self) -> float:
        """For how long there was no call."""
        return 0 if self._tasks else self.loop.time() - self._idle_since_s

    def flush(self) -> None:
        """Send what h2 has prepared."""
        if self.h2.has_data_to_send:
            data = self.h2.data_to_send()
            if not self._transport.is_closing():
                self._transport.write(data)

    def room(self, stream_id: int) -> int:
        """How many bytes of an answer the client takes now."""
        if self._is_blocked:
            return 0
        return min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size)

    @property
    def unread(self) -> UnreadAnswers:
        """Where answers that have to wait are counted."""
        return self._connections.unread

    def acknowledge(self, stream_id: int, length: int) -> None:
        """Say that body bytes of a call were taken or dropped: the client may send as many more."""
        self._connections.remove_untaken(length)
        if not self.is_closing:
            self.h2.acknowledge(length, stream_id)
            self.flush()

    # The end of a connection

    def end(self) -> None:
        """Take no new call, and close when there is none left."""
        self._ending = True
        if not self._tasks:
            self._close()
        elif not self.is_closing:
            self.h2.go_away()
            self.flush()

    async def ended(self) -> None:
        """Wait until the calls that run are answered, and the client has the answers."""
        await self._lost.wait()

    def abort(self) -> None:
        """Close, and cancel the calls that run."""
        self._transport.abort()
        for task in self._tasks:
            task.cancel()

    def _close(self) -> None:
        if self._transport.is_closing():
            return
        if self._is_sender_cut_off:
            # The client was told to go away, and closes when it has its answers.
            self.loop.call_later(LINGER_MS / 1_000, self._transport.close)
        else:
            self.h2.close_connection()
            self.flush()
            self._transport.close()

    def _look_for_idleness(self) -> None:
        idle_s = self._limits.idle_ms / 1_000
        left_s = idle_s
        if not self._tasks:
            left_s = self._idle_since_s + idle_s - self.loop.time()
            if left_s <= 0:
                self._close()
                return
        self._idle_timer = self.loop.call_later(left_s, self._look_for_idleness)

    # What the client sends

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(stream_id)):
                self._begin(stream_id, tuple(event.headers or ()))
            case h2.events.DataReceived(stream_id=int(stream_id)):
                length = event.flow_controlled_length or 0
                self._body_received(stream_id, event.data or b"", length)
            case h2.events.StreamEnded(stream_id=int(stream_id)):
                self._body_ended(stream_id)
            case h2.events.StreamReset(stream_id=int(stream_id)) if stream_id in self._calls:
                self._leave(self._calls[stream_id])
            case h2.events.WindowUpdated(stream_id=int(stream_id)) if stream_id in self._calls:
                self._calls[stream_id].wake_sender()
            case h2.events.WindowUpdated(stream_id=0) | h2.events.RemoteSettingsChanged():
                self._wake_senders()
            case h2.events.ConnectionTerminated():
                self._transport.close()

    def _begin(self, stream_id: int, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        request = _request_of(headers)
        if request is None:
            self.h2.reset_stream(stream_id, ErrorCodes.PROTOCOL_ERROR)
            return
        # Calls that were reset still run until they notice: they count as well.
        if self._ending or len(self._tasks) >= self._limits.calls_max:
            self.h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        scope = {
            **self.scope,
            "method": request.method,
            "path": request.path,
            "raw_path": request.raw_path,
            "query_string": request.query,
            "headers": list(request.headers),
            "extensions": {"http.response.trailers": {}},
        }
        call = self._calls[stream_id] = _Call(self, stream_id, scope)
        task = self.loop.create_task(call.run())
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _body_received(self, stream_id: int, data: bytes, length: int) -> None:
        call = self._calls.get(stream_id)
        if call is None:
            self.h2.acknowledge(length, stream_id)
            return
        if length > len(data):
            # Padding is nothing that an app could take.
            self.h2.acknowledge(length - len(data), stream_id)
        if data:
            self._connections.add_untaken(self, len(data))
            call.received(data)

    def _body_ended(self, stream_id: int) -> None:
        call = self._calls.get(stream_id)
        if call is not None:
            call.ended()

    # The end of a call

    def answered(self, call: _Call) -> None:
        """Forget a call that sent its answer, or never will."""
        self._leave(call)
        untaken = call.drop()
        if untaken:
            self.acknowledge(call.stream_id, untaken)
        stream = self.h2.streams.get(call.stream_id)
        if stream is not None and not stream.closed and not self.is_closing:
            self.h2.reset_stream(call.stream_id, call.reset_code)
            self._is_sender_cut_off = self._ending
            self.flush()

    def _wake_senders(self) -> None:
        for call in self._calls.values():
            call.wake_sender()

    def _leave(self, call: _Call) -> None:
        self._calls.pop(call.stream_id, None)
        call.leave()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._idle_since_s = self.loop.time()
            if self._ending:
                self._close()


class _Call:
    """A call: the `receive` and `send` of the app, and what waits between it and the client."""

    def __init__(self, connection: Http2Protocol, stream_id: int, scope: Scope) -> None:
        self.stream_id = stream_id
        self._connection = connection
        self._scope = scope
        self._chunks: deque[bytes] = deque()
        self._chunk_bytes = 0
        self._is_body_complete = False
        self._is_end_told = False
        self._is_gone = False
        self._receiver: asyncio.Future[None] | None = None
        self._sender: asyncio.Future[None] | None = None
        self._start: Event | None = None
        self._is_started = False
        self._has_trailers = False
        self._is_answered = False
        self._dropped: str | None = None
        """Why its answer was dropped, if it was."""

    async def run(self) -> None:
        """Call the app, and see to it that there is an answer."""
        try:
            try:
                await self._connection.app(self._scope, self.receive, self.send)
            except AnswerDroppedError as error:
                _logger.warning("the answer of %s was dropped: %s", self._scope["path"], error)
            except Exception:
                _logger.exception("a call of %s failed", self._scope["path"])
            if not self._is_started:
                await self.send({"type": "http.response.start", "status": 500})
                await self.send({"type": "http.response.body"})
        finally:
            self._connection.answered(self)

    @property
    def reset_code(self) -> ErrorCodes:
        """Why its stream is reset, if it is not at its end by itself."""
        if self._is_answered:
            return ErrorCodes.NO_ERROR
        return ErrorCodes.INTERNAL_ERROR if self._dropped is None else ErrorCodes.ENHANCE_YOUR_CALM

    # From the client

    def received(self, data: bytes) -> None:
        """Keep body bytes for the app."""
        self._chunks.append(data)
        self._chunk_bytes += len(data)
        _wake(self._receiver)

    def ended(self) -> None:
        """Note that the body is complete."""
        self._is_body_complete = True
        _wake(self._receiver)

    def leave(self) -> None:
        """Note that the client waits no more."""
        self._is_gone = True
        _wake(self._receiver)
        _wake(self._sender)

    def drop(self) -> int:
        """Throw away what the app did not take; returns how many bytes."""
        untaken, self._chunk_bytes = self._chunk_bytes, 0
        self._chunks.clear()
        return untaken

    async def receive(self) -> Event:
        """ASGI's `receive`. What a client sent is there to be taken even if it is gone."""
        while not self._chunks:
            if self._is_body_complete and not self._is_end_told:
                self._is_end_told = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._is_gone:
                return _GONE
            self._receiver = self._connection.loop.create_future()
            await self._receiver
        body = self._chunks.popleft()
        self._chunk_bytes -= len(body)
        self._connection.acknowledge(self.stream_id, len(body))
        self._is_end_told = self._is_body_complete and not self._chunks
        return {"type": "http.request", "body": body, "more_body": not self._is_end_told}

    # To the client

    def wake_sender(self) -> None:
        """Look again whether the client takes more."""
        _wake(self._sender)

    async def send(self, event: Event) -> None:
        """ASGI's `send`. What is sent to a client that is gone is thrown away.

        Raises:
            AnswerDroppedError: The client does not read. It can still be sent trailers.
        """
        if self._is_gone or self._is_answered:
            return
        try:
            match event["type"]:
                case "http.response.start":
                    # Sent with the first bytes of the body, in one packet.
                    self._start = event
                case "http.response.body":
                    await self._send_body(event)
                case "http.response.trailers":
                    self._end(event["headers"])
                case other:
                    raise NotImplementedError(f"this server does not send {other}")
        except h2.exceptions.ProtocolError:
            # The client ended the connection in the same moment; else the app is wrong.
            if not self._connection.is_closing:
                raise

    async def _send_body(self, event: Event) -> None:
        connection = self._connection
        if self._start is not None:
            self._send_start(self._start)
            self._start = None
        body = b"" if self._scope["method"] == "HEAD" else event.get("body", b"")
        at = self._send_what_fits(body, 0)
        if at < len(body):
            # Sent to the end of what is read, or not at all any more.
            with connection.unread.waiting(connection, len(body) - at, self._drop):
                while at < len(body) and not self._is_gone:
                    if self._dropped is not None:
                        raise AnswerDroppedError(self._dropped)
                    connection.flush()
                    self._sender = connection.loop.create_future()
                    await self._sender
                    at = self._send_what_fits(body, at)
            if self._is_gone:
                return
        if event.get("more_body", False):
            connection.flush()
        elif not self._has_trailers:
            self._end()

    def _send_what_fits(self, body: bytes, at: int) -> int:
        """Send of a body what the client takes now, and return up to where that is."""
        connection = self._connection
        while (
            at < len(body) and not self._is_gone and (room := connection.room(self.stream_id)) > 0
        ):
            connection.h2.send_body(self.stream_id, body[at : at + room])
            at += room
            if at < len(body):
                # Which may say that the client reads no more.
                connection.flush()
        return at

    def _drop(self, why: str) -> None:
        self._dropped = why
        self.wake_sender()

    def _send_start(self, start: Event) -> None:
        headers = [
            (b":status", b"%d" % start["status"]),
            *start.get("headers", ()),
            (b"date", _date(int(time.time()))),
        ]
        self._has_trailers = start.get("trailers", False)
        self._connection.h2.send_head(self.stream_id, headers)
        self._is_started = True

    def _end(self, trailers: Headers | None = None) -> None:
        if trailers is None:
            self._connection.h2.end_stream(self.stream_id)
        else:
            self._connection.h2.send_head(self.stream_id, trailers, ends=True)
        self._is_answered = True
        self._connection.flush()


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]


@lru_cache(maxsize=64)
def _request_of(headers: tuple[tuple[bytes, bytes], ...]) -> _Request | None:
    """What headers ask for, or None if that can't be said. Those of a client's calls are alike."""
    pseudo: dict[bytes, bytes] = {}
    others: Headers = [(b"host", b"")]
    for name, value in headers:
        if name.startswith(b":"):
            pseudo[name] = value
        elif name == b"host":
            others[0] = (name, value)
        else:
            others.append((name, value))
    if b":authority" in pseudo:
        others[0] = (b"host", pseudo[b":authority"])
    method, target = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if not method.isalpha() or not target.isascii() or not target:
        return None
    path, _, query = target.partition(b"?")
    return _Request(
        method.decode("ascii").upper(), unquote(path.decode("ascii")), path, query, tuple(others)
    )


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def _host_and_port(address: object) -> tuple[str, int] | None:
    match address:
        case (str(host), int(port), *_):
            return host, port
        case _:
            return None


@lru_cache(maxsize=1)
def _date(now_s: int) -> bytes:
    return formatdate(now_s, usegmt=True).encode("ascii")
