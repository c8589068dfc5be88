"""The ingest call: sends frames, and waits until the server has answered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import grpc

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamResponse
from sift_py.grpc._channel import TargetChannel
from sift_py.grpc._http import Body, CertificateRefusedError
from sift_wire.messages import PREFIX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sift_py.grpc.transport import SiftChannel

METHOD = "/sift.ingest.v1.IngestService/IngestWithConfigDataStream"
_logger = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024
"""Frames are put together to chunks of about this size."""


class IngestStreams(Protocol):
    """Makes ingest calls. Safe from many threads."""

    def send(self, chunks: Iterable[bytes]) -> None:
        """Send frames in one stream, and wait until the server has answered.

        Args:
            chunks: Whole frames, any number in each.

        Raises:
            grpc.RpcError: The stream failed.
            Exception: What iterating over `chunks` raised; the stream is broken off.
        """


def streams_of(channel: SiftChannel) -> IngestStreams:
    """Return the fastest way to the server that a channel leads to.

    A channel of `use_sift_channel` tells its address: frames go there as bytes, unless only gRPC
    takes the server's certificate. Any other channel is used as it is, a message at a time.
    """
    if isinstance(channel, TargetChannel):
        return _ByteStreams(channel)
    return _MessageStreams(channel)


def chunks_of(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Put small frames together to chunks."""
    waiting: list[bytes] = []
    size = 0
    for frame in frames:
        waiting.append(frame)
        size += len(frame)
        if size >= CHUNK_BYTES:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    if waiting:
        yield b"".join(waiting)


class _ByteStreams:
    def __init__(self, channel: TargetChannel) -> None:
        self._channel = channel
        self._messages = _MessageStreams(channel)

    def send(self, chunks: Iterable[bytes]) -> None:
        streams = self._channel.streams()
        try:
            streams.send(METHOD, chunks)
        except CertificateRefusedError as error:
            refusal = error
        else:
            return
        # gRPC checks the certificate by itself, and says so if it is refused there, too.
        self._messages.send(chunks)
        if streams.give_up(refusal):
            _logger.warning(
                "gRPC's own transport is used from now on, a message at a time, which is slower:"
                " only it takes the server's certificate (%s). A certificate with"
                " basicConstraints=CA:FALSE helps.",
                refusal.details(),
            )


class _MessageStreams:
    def __init__(self, channel: grpc.Channel) -> None:
        self._call = channel.stream_unary(
            METHOD,
            # Messages are serialised already.
            request_serializer=bytes,
            response_deserializer=IngestWithConfigDataStreamResponse.FromString,
        )

    def send(self, chunks: Iterable[bytes]) -> None:
        body = Body(chunks)
        try:
            self._call(_messages(body))
        except grpc.RpcError:
            if body.error is not None:
                raise body.error from None
            raise


def _messages(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        at = 0
        while at < len(chunk):
            start = at + PREFIX_BYTES
            at = start + int.from_bytes(chunk[at + 1 : start], "big")
            yield chunk[start:at]
