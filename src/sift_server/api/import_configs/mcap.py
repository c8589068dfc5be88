"""Configs of MCAP files.

Channels have the names that published servers give them: `/topic.field`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_files import MissingLibraryError, UnreadableFileError, detect
from sift_files.damage import told_as_damage
from sift_server.api.import_configs.names import check_names
from sift_server.api.import_configs.properties import check_run, mcap_records
from sift_server.api.import_configs.selection import Selected, select
from sift_server.api.services.convert import from_timestamp
from sift_server.errors import InvalidArgumentError
from sift_server.imports import ImportPlan

if TYPE_CHECKING:
    from pathlib import Path

    from sift_files import ColumnPlan, FilePlan

_LEFT_OUT = " is left out: "


def check(config: pb.McapConfig) -> None:
    """Check what can be known before there is a file.

    Raises:
        InvalidArgumentError: The config can't be right.
    """
    check_names(config)
    check_run(config, "metadata_records", is_asked=bool(config.metadata_records))
    for one in config.data:
        if not one.topic or not one.HasField("ros2"):
            raise InvalidArgumentError("data of an MCAP file needs a topic, and a ros2.field_path")


def plan(config: pb.McapConfig, path: Path) -> ImportPlan:
    """What an import of a file is to do.

    Raises:
        InvalidArgumentError: The config does not fit the file.
        FilesError: The file is damaged, or no MCAP file.
    """
    check(config)
    found = detect(path)
    lost = [note for note in found.notes if _LEFT_OUT in note]
    if lost and config.parse_error_policy != pb.MCAP_PARSE_ERROR_POLICY_IGNORE_ERROR:
        raise UnreadableFileError(
            f"{lost[0].partition(_LEFT_OUT)[0]} can't be decoded; import the other topics with"
            " MCAP_PARSE_ERROR_POLICY_IGNORE_ERROR"
        )
    if config.HasField("relative_start_time"):
        start_ns = from_timestamp(config.relative_start_time, "relative_start_time")
        found = _anchored(found, start_ns + _first_ns(path))
    selected = [Selected(_path(one), _where(one), one.channel_config) for one in config.data]
    file, channels = select(found, selected, _default_name)
    return ImportPlan(
        config.asset_name,
        config.run_name,
        config.run_id,
        file,
        channels,
        warnings=found.notes,
        run_metadata=(
            mcap_records(path, config.metadata_records) if config.metadata_records else ()
        ),
    )


def _anchored(found: FilePlan, first_ns: int) -> FilePlan:
    return found.with_tables(
        tuple(
            replace(
                table, time=None if table.time is None else replace(table.time, start_ns=first_ns)
            )
            for table in found.tables
        )
    )


def _first_ns(path: Path) -> int:
    """When the first message was logged."""
    try:
        from mcap.reader import make_reader  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise MissingLibraryError("mcap files need mcap: pip install 'sift-py[mcap]'") from None
    with path.open("rb") as file, told_as_damage(path, "MCAP"):
        for _, _, message in make_reader(file).iter_messages(log_time_order=False):
            return int(message.log_time)
    return 0


def _default_name(column: ColumnPlan) -> str:
    topic, _, field = column.path.partition("#")
    return f"{topic}.{field}" if field else topic


def _path(one: pb.McapDataConfig) -> str:
    return f"{one.topic}#{one.ros2.field_path}"


def _where(one: pb.McapDataConfig) -> str:
    return f"field {one.ros2.field_path!r} of the topic {one.topic!r}"
