"""Configs of CSV files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_files import FileFormat, FilePlan, TablePlan
from sift_files.csv.layout import layout_of
from sift_files.csv.source import head_of, open_text, text_encoding
from sift_server.api.import_configs.channels import channel_of, column_of, message_of
from sift_server.api.import_configs.embedded import with_embedded
from sift_server.api.import_configs.names import check_names
from sift_server.api.import_configs.times import number_of, time_plan
from sift_server.errors import InvalidArgumentError
from sift_server.imports.plan import ImportPlan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sift_server.catalog import ChannelConfig

HEAD_BYTES = 1024 * 1024
"""How much is looked at to find out how a file is written."""

TABLE = "csv"


def check(config: pb.CsvConfig) -> None:
    """Check what can be known before there is a file.

    Raises:
        InvalidArgumentError: The config can't be right.
    """
    check_names(config)
    if config.use_embedded_config:
        return
    if not config.time_column.column_number:
        raise InvalidArgumentError(
            "the config has no time_column with a column_number; columns count from 1"
        )
    if not config.data_columns:
        raise InvalidArgumentError("the config has no data_columns, so that there is no channel")
    _table(config)


def plan(config: pb.CsvConfig, path: Path) -> ImportPlan:
    """What an import of a file is to do.

    Raises:
        InvalidArgumentError: The config does not fit the file.
        UnreadableFileError: The file is damaged, or no text.
        OSError: It can't be read.
    """
    check(config)
    if config.use_embedded_config:
        config = with_embedded(config, path)
    encoding, note = text_encoding(path, head_of(path))
    with open_text(path, encoding) as source:
        head = source.read(HEAD_BYTES)
    if len(head) == HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1] or head
    headed = layout_of(path, head.decode("utf-8", "replace"), encoding)
    layout = headed.layout
    layout = replace(layout, first_row=config.first_data_row or layout.first_row)
    last = max([config.time_column.column_number, *config.data_columns])
    if last > layout.columns:
        raise InvalidArgumentError(
            f"the config names column {last}, and the rows of the file have {layout.columns} cells"
        )
    return ImportPlan(
        config.asset_name,
        config.run_name,
        config.run_id,
        FilePlan(FileFormat.CSV, (_table(config, headed.headers),), csv=layout),
        {channel.fqn: channel for channel in _channels(config).values()},
        warnings=(note,) if note else (),
        rows_expected=config.num_rows if config.HasField("num_rows") else None,
    )


def detected(file: FilePlan, first_row: int) -> pb.CsvConfig:
    """The config of a file as it was found."""
    (table,) = file.tables
    config = pb.CsvConfig(first_data_row=first_row)
    if table.time is not None and len(table.time.columns) == 1:
        config.time_column.column_number = int(table.time.columns[0])
        config.time_column.format = number_of(table.time.format)
    for column in table.wanted:
        config.data_columns[int(column.path)].CopyFrom(message_of(column))
    return config


def _channels(config: pb.CsvConfig) -> dict[int, ChannelConfig]:
    return {
        number: channel_of(message, f"column {number}")
        for number, message in sorted(config.data_columns.items())
    }


def _table(config: pb.CsvConfig, headers: Sequence[str] = ()) -> TablePlan:
    names = dict(enumerate(headers, 1))
    channels = _channels(config)
    if 0 in channels:
        raise InvalidArgumentError("columns of a CSV file count from 1, and the config has a 0")
    time_column = config.time_column
    if time_column.column_number in channels:
        raise InvalidArgumentError(
            f"column {time_column.column_number} is the time_column and one of the data_columns;"
            " it can be one of them"
        )
    return TablePlan(
        TABLE,
        time_plan(time_column, str(time_column.column_number)),
        tuple(
            column_of(channel, str(number), names.get(number, ""))
            for number, channel in channels.items()
        ),
    )
