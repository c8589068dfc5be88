"""The ingest call: sends batches of frames, and waits until the server has answered."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import TYPE_CHECKING, Protocol

import grpc

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamResponse
from sift_py.grpc._channel import TargetChannel
from sift_py.grpc._http import Body, CertificateRefusedError
from sift_py.grpc._retrying import retried
from sift_wire.messages import PREFIX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sift_py.grpc._interceptors import Metadata
    from sift_py.grpc.retry import RetryPolicy
    from sift_py.grpc.transport import SiftChannel

METHOD = "/sift.ingest.v1.IngestService/IngestWithConfigDataStream"
KEY_NAME = "sift-idempotency-key"
"""Metadata of an ingest call: a server that acknowledged this key does not take it again."""

_logger = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024
"""Frames are put together to chunks of about this size."""


class Batch:
    """What one call sends, as often as it takes.

    Attributes:
        chunks: Whole frames, any number in each. The same bytes each time it is iterated over.
        key: Made once; tells the server that a call is a retry of another.
    """

    def __init__(self, chunks: Iterable[bytes], key: uuid.UUID | None = None) -> None:
        self.chunks = chunks
        self.key = key or uuid.uuid4()

    @property
    def metadata(self) -> Metadata:
        """What the call carries."""
        return ((KEY_NAME, str(self.key)),)


class Remembered:
    """Iterates over chunks that are made on the way, as often as wanted.

    They are made once, and kept: of many rows they are a fraction of what the rows take. Safe from
    many threads, for a call that was given up may still ask for more.
    """

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._kept: list[bytes] = []
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        while True:
            with self._lock:
                if at == len(self._kept):
                    chunk = next(self._source, None)
                    if chunk is None:
                        return
                    self._kept.append(chunk)
                chunk = self._kept[at]
            yield chunk
            at += 1


class IngestStreams(Protocol):
    """Makes ingest calls. Safe from many threads."""

    def send(self, batch: Batch) -> None:
        """Send frames in one stream, and wait until the server has answered.

        Raises:
            grpc.RpcError: The stream failed.
            Exception: What iterating over the chunks raised; the stream is broken off.
        """


def streams_of(channel: SiftChannel) -> IngestStreams:
    """Return the fastest way to the server that a channel leads to.

    A channel of `use_sift_channel` tells its address: frames go there as bytes, unless only gRPC
    takes the server's certificate. Any other channel is used as it is, a message at a time.
    """
    if isinstance(channel, TargetChannel):
        return _ByteStreams(channel)
    return _MessageStreams(channel)


class RetryingStreams:
    """Sends each batch as often as a policy allows."""

    def __init__(self, streams: IngestStreams, policy: RetryPolicy) -> None:
        self._streams = streams
        self._policy = policy

    def send(self, batch: Batch) -> None:
        """As `IngestStreams.send`."""
        retried(lambda: self._streams.send(batch), self._policy)


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

    def send(self, batch: Batch) -> None:
        streams = self._channel.streams()
        try:
            streams.send(METHOD, batch.chunks, batch.metadata)
        except CertificateRefusedError as error:
            refusal = error
        else:
            return
        # gRPC checks the certificate by itself, and says so if it is refused there, too.
        self._messages.send(batch)
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

    def send(self, batch: Batch) -> None:
        body = Body(batch.chunks)
        try:
            self._call(messages_of(body), metadata=batch.metadata)
        except grpc.RpcError:
            if body.error is not None:
                raise body.error from None
            raise


def messages_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Take chunks apart into messages."""
    for chunk in chunks:
        at = 0
        while at < len(chunk):
            start = at + PREFIX_BYTES
            at = start + int.from_bytes(chunk[at + 1 : start], "big")
            yield chunk[start:at]
