"""MCAP files: messages of ROS 2, Protocol Buffers and JSON."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory as ProtobufDecoders
from mcap_ros2.decoder import DecoderFactory as Ros2Decoders

from sift_files.batch import Batch, OnError
from sift_files.damage import told_as_damage
from sift_files.errors import UnreadableFileError
from sift_files.fields import fields_of
from sift_files.hints import NO_HINTS
from sift_files.judge import Judge
from sift_files.messages import Message, detect_messages, read_messages
from sift_files.plan import FileFormat, FilePlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sift_files.batch import OnBadCell
    from sift_files.hints import Hints

__all__ = ["detect_mcap", "read_mcap"]


def detect_mcap(path: Path, hints: Hints = NO_HINTS) -> FilePlan:
    """Find out what is in an MCAP file.

    Raises:
        UnreadableFileError: It is damaged, or has no messages of an encoding that is read.
        PlanError: No topic has the field that the hints name as the time.
        OSError: It can't be read.
    """
    notes: list[str] = []
    return detect_messages(path, FileFormat.MCAP, _messages(path, notes), hints, notes)


def read_mcap(
    path: Path,
    plan: FilePlan,
    start: int = 0,
    on_error: OnError = OnError.STOP,
    on_bad_cell: OnBadCell | None = None,
) -> Iterator[Batch]:
    """Read a file; its places are messages. Raises as `read`."""
    yield from read_messages(path, plan, _messages(path, []), start, Judge(on_error, on_bad_cell))


def _messages(path: Path, notes: list[str]) -> Iterator[Message]:
    """Messages in the order of the file, of encodings that are read; notes tell of others."""
    decoders: dict[int, Callable[[bytes], Any] | None] = {}
    factories: list[Any] = [Ros2Decoders(), ProtobufDecoders()]
    with path.open("rb") as file, told_as_damage(path, "MCAP"):
        reader = make_reader(file, validate_crcs=True)
        for schema, channel, message in reader.iter_messages(log_time_order=False):
            if channel.id not in decoders:
                decoders[channel.id] = _decoder(factories, schema, channel)
                if decoders[channel.id] is None:
                    notes.append(
                        f"{channel.topic} is left out: {channel.message_encoding or 'no encoding'}"
                        f" by {schema.encoding if schema else 'no schema'}"
                    )
            decode = decoders[channel.id]
            if decode is not None:
                fields = partial(_decoded, path, channel.topic, decode, message.data)
                yield Message(channel.topic, message.log_time, fields, channel.metadata)


def _decoder(factories: list[Any], schema: Any, channel: Any) -> Callable[[bytes], Any] | None:  # noqa: ANN401 (of mcap)
    if channel.message_encoding == "json":
        return json.loads
    for factory in factories:
        decoder: Callable[[bytes], Any] | None = factory.decoder_for(
            channel.message_encoding, schema
        )
        if decoder is not None:
            return decoder
    return None


def _decoded(path: Path, topic: str, decode: Callable[[bytes], Any], data: bytes) -> dict[str, Any]:
    try:
        return fields_of(decode(data))
    except Exception as error:
        raise UnreadableFileError(
            f"{path}: a message of {topic} can't be decoded: {error}"
        ) from error
