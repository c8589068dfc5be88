"""Configs of TDMS files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_files import FilePlan, TablePlan, TimeFormat, TimePlan, detect
from sift_server.api.import_configs.channels import message_of
from sift_server.api.import_configs.names import check_names
from sift_server.api.import_configs.properties import check_run, tdms_properties
from sift_server.api.import_configs.selection import Selected, select, untimed
from sift_server.api.import_configs.times import plan_of_format
from sift_server.api.services.convert import from_timestamp
from sift_server.errors import InvalidArgumentError
from sift_server.imports import ImportPlan

if TYPE_CHECKING:
    from pathlib import Path

    from sift_files import ColumnPlan

NAMES_SHOWN_MAX = 10


def check(config: pb.TDMSConfig) -> None:
    """Check what can be known before there is a file.

    Raises:
        InvalidArgumentError: The config can't be right, or asks for what is not done.
    """
    check_names(config)
    check_run(config, "import_file_properties", is_asked=config.import_file_properties)
    if config.time_format:
        _time_of_channels(config, "")
    for one in config.data:
        where = _where(one)
        if one.HasField("scaled") and not one.scaled:
            raise InvalidArgumentError(
                f"{where} is to be read unscaled; this server reads scaled values only"
            )
        if one.complex_component == pb.TDMS_COMPLEX_COMPONENT_IMAGINARY:
            raise InvalidArgumentError(
                f"{where} is to be read as the imaginary part of complex numbers, which this server"
                " does not read"
            )


def plan(config: pb.TDMSConfig, path: Path) -> ImportPlan:
    """What an import of a file is to do.

    Raises:
        InvalidArgumentError: The config does not fit the file.
        FilesError: The file is damaged, or no TDMS file.
    """
    check(config)
    found = detect(path)
    warnings = [note for note in found.notes if "no times were found" not in note]
    times = {_path(one): one.time_channel_name for one in config.data if one.time_channel_name}
    selected = [Selected(_path(one), _where(one), one.channel_config) for one in config.data]
    file, channels = select(_with_times(config, found, times), selected, _default_name)
    if lost := untimed(file.tables):
        shown = ", ".join(lost[:NAMES_SHOWN_MAX]) + (", ..." if len(lost) > NAMES_SHOWN_MAX else "")
        if config.fallback_method != pb.TDMS_FALLBACK_METHOD_IGNORE_ERROR:
            raise InvalidArgumentError(
                f"no times were found for {shown}; say their time_channel_name, or import them with"
                " TDMS_FALLBACK_METHOD_IGNORE_ERROR, which leaves them out"
            )
        warnings.append(f"no times were found for {shown}: left out")
        file = file.with_tables(tuple(one for one in file.tables if one.time is not None))
    if config.HasField("file_size") and config.file_size != (size := path.stat().st_size):
        warnings.append(f"the config says file_size = {config.file_size:,}, and it is {size:,}")
    return ImportPlan(
        config.asset_name,
        config.run_name,
        config.run_id,
        file,
        channels,
        warnings=tuple(warnings),
        run_metadata=tdms_properties(path) if config.import_file_properties else (),
    )


def detected(path: Path) -> pb.TDMSConfig:
    """The config of a file as it was found; raises as `detect`."""
    config = pb.TDMSConfig()
    for table in detect(path).tables:
        for column in table.wanted:
            group, _, channel = column.path.partition("/")
            one = config.data.add(
                group_name=group, channel_name=channel, channel_config=message_of(column)
            )
            if table.time is not None and table.time.columns:
                one.time_channel_name = table.time.columns[0].partition("/")[2]
    return config


def _with_times(config: pb.TDMSConfig, found: FilePlan, times: dict[str, str]) -> FilePlan:
    """The plan with the times that the config says: of channels, of columns, of waveforms."""
    tables: dict[tuple[str, TimePlan | None], TablePlan] = {}
    for table in found.tables:
        for column in table.columns:
            time = table.time
            if column.path in times:
                group = column.path.partition("/")[0]
                time = _time_of_channels(config, f"{group}/{times[column.path]}")
            elif time is not None and time.columns and config.time_format:
                time = _time_of_channels(config, time.columns[0])
            elif time is not None and not time.columns and config.HasField("start_time_override"):
                start_ns = from_timestamp(config.start_time_override, "start_time_override")
                time = replace(time, start_ns=start_ns)
            key = (table.name, time)
            known = tables.get(key, replace(table, time=time, columns=()))
            tables[key] = replace(known, columns=(*known.columns, column))
    named = {}
    for table in tables.values():
        name = table.name
        while name in named:
            name += "_"
        named[name] = replace(table, name=name)
    return found.with_tables(tuple(named.values()))


def _time_of_channels(config: pb.TDMSConfig, path: str) -> TimePlan:
    start = config.relative_start_time if config.HasField("relative_start_time") else None
    if not config.time_format:
        # Of channels that are times by their type.
        return TimePlan((path,), TimeFormat.ABSOLUTE_UNIX_NANOSECONDS)
    return plan_of_format(config.time_format, start, path)


def _default_name(column: ColumnPlan) -> str:
    return column.channel


def _path(one: pb.TdmsDataConfig) -> str:
    return f"{one.group_name}/{one.channel_name}"


def _where(one: pb.TdmsDataConfig) -> str:
    return f"channel {one.channel_name!r} of the group {one.group_name!r}"
