"""Configs of PX4 ULog files.

Channels have the names that published servers give them: `message_0.field`.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_files import UnreadableFileError, detect
from sift_server.api.import_configs.names import check_names
from sift_server.api.import_configs.properties import check_run, ulog_properties
from sift_server.api.import_configs.selection import Selected, select
from sift_server.api.services.convert import from_timestamp
from sift_server.errors import InvalidArgumentError, ResourceExhaustedError
from sift_server.imports import ImportPlan

if TYPE_CHECKING:
    from pathlib import Path

    from sift_files import ColumnPlan, FilePlan

LOG_BYTES_MAX = 512 * 1024 * 1024
"""Largest log: it is read as a whole, and takes a few times as much memory."""

_LOGGED = "logged_messages"
_PUBLISHED_LOGGED = "log_messages"
_DAMAGED = "parts of the file are damaged"
_HEADER = struct.Struct("<8xQ")
"""Magic bytes and a version, and when the log began, in microseconds of the autopilot's clock."""
_MESSAGE_HEADER_BYTES = 3
"""The length of the message, and its type."""
_NS_PER_US = 1_000


def check(config: pb.UlogConfig) -> None:
    """Check what can be known before there is a file.

    Raises:
        InvalidArgumentError: The config can't be right.
    """
    check_names(config)
    check_run(config, "info_keys", is_asked=bool(config.info_keys))
    check_run(config, "param_keys", is_asked=bool(config.param_keys))
    for one in config.data:
        if not one.message_name or one.instance < 0:
            raise InvalidArgumentError(
                "data of a log needs a message_name, and no instance below 0"
            )


def plan(config: pb.UlogConfig, path: Path) -> ImportPlan:
    """What an import of a file is to do.

    Raises:
        InvalidArgumentError: The config does not fit the file.
        FilesError: The file is damaged, or no ULog file.
    """
    check(config)
    if (size := path.stat().st_size) > LOG_BYTES_MAX:
        raise ResourceExhaustedError(
            f"the log has {size:,} bytes, and LOG_BYTES_MAX = {LOG_BYTES_MAX:,} are read, for logs"
            " are read as a whole; import it with 'sift import', which reads it where it is"
        )
    found = detect(path)
    damage = [note for note in found.notes if note.startswith(_DAMAGED)]
    if not damage and not _ends_whole(path):
        damage = ["the file is cut off in the middle of a message; what is whole is read"]
        found = replace(found, notes=(*found.notes, *damage))
    if damage and config.parse_error_policy != pb.ULOG_PARSE_ERROR_POLICY_IGNORE_ERROR:
        raise UnreadableFileError(
            f"{damage[0].partition(';')[0]}; import what is whole of it with"
            " ULOG_PARSE_ERROR_POLICY_IGNORE_ERROR"
        )
    if config.HasField("relative_start_time"):
        start_ns = from_timestamp(config.relative_start_time, "relative_start_time")
        found = _anchored(found, start_ns - _begun_us(path) * _NS_PER_US)
    elif any(table.time is None or table.time.start_ns is None for table in found.tables):
        raise InvalidArgumentError(
            "GPS told the log no time of day; give the config a relative_start_time, when the log"
            " began"
        )
    selected = [Selected(_path(one), _where(one), one.channel_config) for one in config.data]
    file, channels = select(found, selected, _default_name)
    return ImportPlan(
        config.asset_name,
        config.run_name,
        config.run_id,
        file,
        channels,
        warnings=tuple(note for note in found.notes if not note.startswith("GPS told")),
        run_metadata=(
            ulog_properties(path, config.info_keys, config.param_keys)
            if config.info_keys or config.param_keys
            else ()
        ),
    )


def _anchored(found: FilePlan, boot_ns: int) -> FilePlan:
    return found.with_tables(
        tuple(
            replace(
                table, time=None if table.time is None else replace(table.time, start_ns=boot_ns)
            )
            for table in found.tables
        )
    )


def _ends_whole(path: Path) -> bool:
    """Whether a file ends with the end of a message, which its library does not tell."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at, end = _HEADER.size, len(data)
        while at + _MESSAGE_HEADER_BYTES <= end:
            at += _MESSAGE_HEADER_BYTES + (data[at] | data[at + 1] << 8)
        return at == end


def _begun_us(path: Path) -> int:
    with path.open("rb") as file:
        (begun_us,) = _HEADER.unpack(file.read(_HEADER.size))
    return int(begun_us)


def _default_name(column: ColumnPlan) -> str:
    message, _, field = column.path.partition(".")
    if message == _LOGGED:
        return _PUBLISHED_LOGGED if field == "message" else f"{_PUBLISHED_LOGGED}.{field}"
    name, _, instance = message.rpartition("_")
    has_instance = bool(name) and instance.isdecimal()
    return f"{message}.{field}" if has_instance else f"{message}_0.{field}"


def _path(one: pb.UlogDataConfig) -> str:
    if one.message_name == _PUBLISHED_LOGGED and not one.field_name:
        return f"{_LOGGED}.message"
    message = one.message_name + (f"_{one.instance}" if one.instance else "")
    return f"{message}.{one.field_name}"


def _where(one: pb.UlogDataConfig) -> str:
    return f"field {one.field_name!r} of the message {one.message_name!r}, instance {one.instance}"
