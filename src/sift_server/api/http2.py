"""Hypercorn's HTTP/2, with flow control that follows the app.

Hypercorn acknowledges body bytes when they arrive, and stops reading from the whole connection when
an app is slow; it breaks the connection when body bytes arrive for a call that was answered early.
Here bytes are acknowledged when the app takes them, so that a slow call slows its own sender only,
and a call that is answered early is reset, so that its sender stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h2.events
import h2.exceptions
import h2.settings
from h2.errors import ErrorCodes
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import RawData
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import Body, StreamClosed
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H2CProtocolRequiredError, H2ProtocolAssumedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_DEFAULT_WINDOW_BYTES = 65_535


@dataclass(frozen=True, slots=True)
class Http2Limits:
    """What a client may have on the way.

    Attributes:
        stream_window_bytes: Body bytes of one call that the app has not taken yet.
        connection_window_bytes: The same for all calls of a connection together.
        frame_bytes_max: Largest frame.
    """

    stream_window_bytes: int = 512 * 1024
    connection_window_bytes: int = 16 * 1024 * 1024
    frame_bytes_max: int = 256 * 1024


class Connection(TCPServer):
    """A connection of Hypercorn that speaks `Http2`. Takes `TCPServer`'s arguments behind its own.

    The protocol is chosen in `run`, from a name in Hypercorn's module, so `protocol` is a property
    that exchanges what was chosen.
    """

    def __init__(self, limits: Http2Limits, *arguments: Any) -> None:  # noqa: ANN401 (Hypercorn's)
        self._limits = limits
        super().__init__(*arguments)

    @property
    def protocol(self) -> ProtocolWrapper:
        """What turns bytes into calls."""
        return self._protocol

    @protocol.setter
    def protocol(self, chosen: ProtocolWrapper) -> None:
        self._protocol = _Wrapper(chosen, self._limits)


class _Wrapper(ProtocolWrapper):
    """Chooses between HTTP/1.1 and our HTTP/2."""

    def __init__(self, chosen: ProtocolWrapper, limits: Http2Limits) -> None:
        vars(self).update(vars(chosen))
        self._limits = limits
        if isinstance(chosen.protocol, H2Protocol):
            self.protocol = self._http2()

    def _http2(self) -> Http2:
        return Http2(
            self._limits,
            self.app, self.config, self.context, self.task_group, self.state,
            self.ssl, self.client, self.server, self.send,
        )  # fmt: skip

    async def handle(self, event: Any) -> None:  # noqa: ANN401 (Hypercorn's)
        try:
            await self.protocol.handle(event)
        except H2ProtocolAssumedError as error:
            await self._switch(error.data)
        except H2CProtocolRequiredError as error:
            await self._switch(error.data, error.headers, error.settings)

    async def _switch(self, data: bytes, *upgrade: Any) -> None:  # noqa: ANN401 (Hypercorn's)
        self.protocol = self._http2()
        await self.protocol.initiate(*upgrade)
        if data:
            await self.protocol.handle(RawData(data=data))


class Http2(H2Protocol):
    """HTTP/2 whose windows open when the app takes bytes."""

    def __init__(self, limits: Http2Limits, *arguments: Any) -> None:  # noqa: ANN401 (Hypercorn's)
        super().__init__(*arguments)
        self._limits = limits
        self._any_app: Any = self.app
        # A client without a key sends "Bearer " with a blank at the end, which validation takes
        # for an attack: it is to be told that it has no key.
        self.connection.config.validate_inbound_headers = False
        codes = h2.settings.SettingCodes
        self.connection.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                codes.MAX_CONCURRENT_STREAMS: self.config.h2_max_concurrent_streams,
                codes.MAX_HEADER_LIST_SIZE: self.config.h2_max_header_list_size,
                codes.INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
                codes.MAX_FRAME_SIZE: limits.frame_bytes_max,
            },
        )
        self.connection.max_inbound_frame_size = limits.frame_bytes_max

    async def initiate(self, *upgrade: Any) -> None:  # noqa: ANN401 (Hypercorn's)
        """Greet the client, and open the window of the connection."""
        await super().initiate(*upgrade)
        self.connection.increment_flow_control_window(
            self._limits.connection_window_bytes - _DEFAULT_WINDOW_BYTES
        )
        await self._flush()

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        if not {b":method", b":path"} <= {name for name, _ in request.headers}:
            self.connection.reset_stream(request.stream_id, ErrorCodes.PROTOCOL_ERROR)
            return
        # The stream is made from `self.app` before anything else can run.
        self.app = self._taking(request.stream_id)
        await super()._create_stream(request)

    def _taking(self, stream_id: int) -> Any:  # noqa: ANN401 (Hypercorn's)
        """The app, with a `receive` that acknowledges what it takes."""

        async def app(
            scope: Any,  # noqa: ANN401 (ASGI's)
            receive: Callable[[], Awaitable[Any]],
            *others: Any,  # noqa: ANN401 (Hypercorn's)
        ) -> None:
            async def take() -> Any:  # noqa: ANN401 (ASGI's)
                event = await receive()
                taken = len(event.get("body", b""))
                if taken:
                    self.connection.acknowledge_received_data(taken, stream_id)
                    await self._flush()
                return event

            await self._any_app(scope, take, *others)

        return app

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                await self._data_received(event)
            else:
                await super()._handle_events([event])
        await self._flush()

    async def _data_received(self, event: h2.events.DataReceived) -> None:
        stream = self.streams.get(event.stream_id)
        length = event.flow_controlled_length or 0
        if stream is None:
            # The call was answered before its sender was done.
            self.connection.acknowledge_received_data(length, event.stream_id)
            return
        padding = length - len(event.data)
        if padding:
            self.connection.acknowledge_received_data(padding, event.stream_id)
        await stream.handle(Body(stream_id=event.stream_id, data=event.data))

    async def stream_send(self, event: Any) -> None:  # noqa: ANN401 (Hypercorn's)
        """Send what a call's app has to say."""
        await super().stream_send(event)
        if isinstance(event, StreamClosed):
            try:
                stream = self.connection.streams.get(event.stream_id)
                if stream is not None and not stream.closed:
                    self.connection.reset_stream(event.stream_id, ErrorCodes.NO_ERROR)
                    await self._flush()
            except h2.exceptions.ProtocolError:
                # The client closed it, or the connection, in the same moment.
                return
