"""A gRPC channel that knows where it leads."""
# ruff: noqa: ANN401 - arguments of calls are passed on, whatever they are

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

import grpc

from sift_py.errors import ServiceClosedError
from sift_py.grpc._answers import HttpAnswers
from sift_py.grpc._http import HttpStreams

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_py.grpc._interceptors import Metadata
    from sift_py.grpc._target import ChannelTarget


class TargetChannel(grpc.Channel):
    """Passes every call to another channel, and remembers what that one was made from.

    A `grpc.Channel` does not tell its address. Who wants to reach the same server in another way
    than through gRPC's own stack finds it here.

    Attributes:
        target: Host, port and TLS.
        metadata: What every call carries, the API key among it.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        target: ChannelTarget,
        metadata: Metadata,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._channel = channel
        self.target = target
        self.metadata = metadata
        self._on_close = on_close
        self._lock = threading.Lock()
        self._streams: HttpStreams | None = None
        self._answers: HttpAnswers | None = None
        self._closed = False

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False
    ) -> None:
        self._channel.subscribe(callback, try_to_connect=try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        self._channel.unsubscribe(callback)

    # `_registered_method` is what generated stubs pass; gRPC's types do not know it.
    def unary_unary(self, *args: Any, **options: Any) -> Any:
        return self._channel.unary_unary(*args, **options)

    def unary_stream(self, *args: Any, **options: Any) -> Any:
        return self._channel.unary_stream(*args, **options)

    def stream_unary(self, *args: Any, **options: Any) -> Any:
        return self._channel.stream_unary(*args, **options)

    def stream_stream(self, *args: Any, **options: Any) -> Any:
        return self._channel.stream_stream(*args, **options)

    def streams(self) -> HttpStreams:
        """The way for streams of bytes; made at the first use, closed with the channel.

        Raises:
            ServiceClosedError: The channel is closed.
        """
        streams = self._streams
        if streams is None:
            with self._lock:
                if self._closed:
                    raise ServiceClosedError("the channel is closed; open a new one.")
                if self._streams is None:
                    self._streams = HttpStreams(self.target, self.metadata)
                streams = self._streams
        return streams

    def answers(self) -> HttpAnswers:
        """The way for long answers; made at the first use, closed with the channel.

        Raises:
            ServiceClosedError: The channel is closed.
        """
        with self._lock:
            if self._closed:
                raise ServiceClosedError("the channel is closed; open a new one.")
            if self._answers is None:
                self._answers = HttpAnswers(self.target, self.metadata)
            return self._answers

    def close(self) -> None:
        """Close the channel, and the server behind it if that is embedded. Once is enough."""
        with self._lock:
            self._closed = True
            on_close, self._on_close = self._on_close, None
        if self._streams is not None:
            self._streams.close()
        if self._answers is not None:
            self._answers.close()
        self._channel.close()
        if on_close is not None:
            on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
