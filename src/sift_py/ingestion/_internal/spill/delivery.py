"""How a record of a spill file gets to the server, and what becomes of one that is refused."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, NamedTuple

import grpc
from google.protobuf.message import DecodeError

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
from sift_py.grpc._retrying import asked_wait_ms, code_of
from sift_py.ingestion._internal.streams import Batch, messages_of
from sift_wire.messages import frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_py.ingestion._internal.spill.lane import Lane
    from sift_py.ingestion._internal.spill.records import Record
    from sift_py.ingestion._internal.streams import IngestStreams

RECORD_BYTES = 1024 * 1024
"""Larger batches are spilled in parts of about this size, and smaller ones are sent together."""

REFUSED_CODES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
    }
)
"""The data is to blame. Other failures, a wrong key for example, may be mended, so they wait."""

_logger = logging.getLogger(__name__)


def is_exhausted(error: grpc.RpcError) -> bool:
    """Whether a quota is exceeded, or a size, and the server says not that it will pass."""
    return code_of(error) is grpc.StatusCode.RESOURCE_EXHAUSTED and asked_wait_ms(error) is None


class Refused(NamedTuple):
    """A message that the server refuses, with its prefix."""

    frame: bytes
    error: grpc.RpcError


class Delivery:
    """Sends records of one server's configs. For one thread."""

    def __init__(
        self, streams: IngestStreams, config_id: str, knows_config: Callable[[str], bool]
    ) -> None:
        """Take the way to the server.

        Args:
            streams: Tries nothing again.
            config_id: An ingestion config that the server has.
            knows_config: Whether it has another one; may raise `grpc.RpcError`.
        """
        self.streams = streams
        self._knows_config = knows_config
        self._known = {config_id}

    def is_for_this_server(self, lane: Lane, record: Record) -> bool:
        """Whether the server has the ingestion config of a record.

        Raises:
            grpc.RpcError: It can't be asked now.
        """
        message = next(messages_of([record.frames]), b"")
        try:
            request = IngestWithConfigDataStreamRequest.FromString(message)
        except DecodeError:
            # The server says what is wrong with it.
            return True
        config_id = request.ingestion_config_id
        if config_id in self._known or self._knows_config(config_id):
            self._known.add(config_id)
            return True
        _logger.warning(
            "The spilled data in %s is of an ingestion config that this server does not have; it"
            " is left there.",
            lane.path,
        )
        return False

    def deliver(self, record: Record, *, is_tried_enough: bool) -> list[Refused]:
        """Send a record; of one that is refused, all but the messages that are to blame.

        Args:
            record: What to send.
            is_tried_enough: Whether it failed so often that its size may be to blame.

        Returns:
            The messages that are to blame. Everything else is acknowledged.

        Raises:
            grpc.RpcError: It failed for a reason that may pass.
        """
        try:
            self.streams.send(Batch([record.frames], record.key))
        except grpc.RpcError as error:
            # Of messages that are smaller than this, a quota is exceeded and not a size.
            is_large = is_tried_enough and len(record.frames) > RECORD_BYTES
            if not (is_large if is_exhausted(error) else code_of(error) in REFUSED_CODES):
                raise
            messages = list(messages_of([record.frames]))
            if len(messages) == 1:
                return [Refused(record.frames, error)]
            refused: list[Refused] = []
            for part in (messages[: len(messages) // 2], messages[len(messages) // 2 :]):
                frames = b"".join(map(frame, part))
                half = record._replace(key=uuid.uuid4(), frames=frames)
                refused += self.deliver(half, is_tried_enough=is_tried_enough)
            return refused
        return []
