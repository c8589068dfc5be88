"""Bags of ROS 1 (`.bag`) and ROS 2 (a folder with `metadata.yaml`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from sift_files.batch import Batch, OnError
from sift_files.damage import told_as_damage
from sift_files.errors import UnreadableFileError
from sift_files.fields import fields_of
from sift_files.hints import NO_HINTS
from sift_files.judge import Judge
from sift_files.messages import Message, detect_messages, read_messages
from sift_files.plan import FileFormat, FilePlan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_files.batch import OnBadCell
    from sift_files.hints import Hints

__all__ = ["detect_rosbag", "read_rosbag"]


def detect_rosbag(path: Path, hints: Hints = NO_HINTS) -> FilePlan:
    """Find out what is in a bag.

    Raises:
        UnreadableFileError: It is damaged, or has no messages of types that are known.
        PlanError: No topic has the field that the hints name as the time.
        OSError: It can't be read.
    """
    notes: list[str] = []
    return detect_messages(path, FileFormat.ROSBAG, _messages(path, notes), hints, notes)


def read_rosbag(
    path: Path,
    plan: FilePlan,
    start: int = 0,
    on_error: OnError = OnError.STOP,
    on_bad_cell: OnBadCell | None = None,
) -> Iterator[Batch]:
    """Read a bag; its places are messages. Raises as `read`."""
    yield from read_messages(path, plan, _messages(path, []), start, Judge(on_error, on_bad_cell))


def _messages(path: Path, notes: list[str]) -> Iterator[Message]:
    """Messages by time, of types that are known; notes tell of others."""
    if path.suffix == ".db3":
        raise UnreadableFileError(f"{path} is a part of a bag: name the folder that it is in")
    # Bags of early releases of ROS 2 do not carry the types of their messages.
    store = get_typestore(Stores.ROS2_HUMBLE)
    with told_as_damage(path, "bag"), AnyReader([path], default_typestore=store) as reader:
        known = []
        for connection in reader.connections:
            if connection.msgtype in reader.typestore.fielddefs:
                known.append(connection)
            else:
                notes.append(
                    f"{connection.topic} is left out: its type {connection.msgtype} is not known"
                )
        for connection, time_ns, data in reader.messages(connections=known) if known else ():
            fields = partial(_decoded, path, reader, connection, data)
            yield Message(connection.topic, time_ns, fields)


def _decoded(path: Path, reader: Any, connection: Any, data: bytes) -> dict[str, Any]:  # noqa: ANN401 (of rosbags)
    try:
        return fields_of(reader.deserialize(data, connection.msgtype))
    except Exception as error:
        raise UnreadableFileError(
            f"{path}: a message of {connection.topic} can't be decoded: {error}"
        ) from error
