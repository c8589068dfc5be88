"""Configs that stand in a CSV file itself, in its first or second row.

The published client documents it: such a row has a JSON object in each of its cells. That of the
time column is a `CsvTimeColumn`, such as `{"format": "TIME_FORMAT_ABSOLUTE_RFC3339"}`; those of all
others are `ChannelConfig`, such as `{"name": "speed", "units": "m/s", "dataType":
"CHANNEL_DATA_TYPE_DOUBLE"}`.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from google.protobuf import json_format

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_files import UnreadableFileError
from sift_files.csv.source import head_of, open_text, text_encoding
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 1024 * 1024
"""How much of a file its first two rows may take."""

_ROWS_LOOKED_AT = 2


def embedded_config(path: Path) -> pb.CsvConfig | None:
    """The config in a CSV file: its columns, and the first row behind it; None if there is none.

    Raises:
        UnreadableFileError: The file is damaged, or no text.
        OSError: It can't be read.
    """
    encoding, _ = text_encoding(path, head_of(path))
    with open_text(path, encoding) as source:
        text = source.read(HEAD_BYTES).decode("utf-8", "replace")
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for _, cells in zip(range(_ROWS_LOOKED_AT), reader, strict=False):
            config = _config_of(cells)
            if config is not None:
                config.first_data_row = reader.line_num + 1
                return config
    except csv.Error as error:
        raise UnreadableFileError(f"{path} can't be cut into cells: {error}") from None
    return None


def with_embedded(config: pb.CsvConfig, path: Path) -> pb.CsvConfig:
    """A config with what stands in the file itself.

    Raises:
        InvalidArgumentError: Nothing does.
    """
    found = embedded_config(path)
    if found is None:
        raise InvalidArgumentError(
            "the config says use_embedded_config, and neither the first nor the second row of the"
            " file has a JSON object in each cell, one of them with the format of the times"
        )
    merged = pb.CsvConfig()
    merged.CopyFrom(config)
    merged.time_column.column_number = found.time_column.column_number
    merged.time_column.format = found.time_column.format
    if found.time_column.HasField("relative_start_time"):
        merged.time_column.relative_start_time.CopyFrom(found.time_column.relative_start_time)
    merged.ClearField("data_columns")
    for number, channel in found.data_columns.items():
        merged.data_columns[number].CopyFrom(channel)
    merged.first_data_row = max(config.first_data_row, found.first_data_row)
    return merged


def _config_of(cells: list[str]) -> pb.CsvConfig | None:
    config = pb.CsvConfig()
    for number, cell in enumerate(cells, 1):
        try:
            content = json.loads(cell)
        except (ValueError, RecursionError):
            return None
        if not isinstance(content, dict):
            return None
        try:
            if "format" in content:
                if config.HasField("time_column"):
                    return None
                json_format.ParseDict(content, config.time_column)
                config.time_column.column_number = number
            else:
                json_format.ParseDict(content, config.data_columns[number])
        except json_format.ParseError:
            return None
    return config if config.HasField("time_column") and config.data_columns else None
