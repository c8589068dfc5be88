"""What is in files: configs, as published releases have them.

Each is made of a dict, and checked when it is made.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sift_py.data_import._documents import (
    Fields,
    channel_document,
    common_document,
    split_channel,
    time_document,
)
from sift_py.data_import.parquet_complex_types import ParquetComplexTypesImportModeType
from sift_py.errors import DataImportConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CsvConfig", "Hdf5Config", "ParquetConfig"]


class _Config:
    def __init__(
        self, config_info: dict[str, Any], checked: Callable[[Fields], dict[str, Any]]
    ) -> None:
        fields = Fields(config_info, "the config")
        self._document = checked(fields)
        fields.end()

    def to_json(self) -> str:
        """The config as JSON of the protocol."""
        return json.dumps(self._document)

    def to_dict(self) -> dict[str, Any]:
        """The config as a dict of plain values."""
        document: dict[str, Any] = json.loads(self.to_json())
        return document


class CsvConfig(_Config):
    """What is in a CSV file.

    Args:
        config_info: `asset_name`; `run_name` or `run_id`; `first_data_row`; `time_column` with
            `column_number`, `format` and `relative_start_time`; `data_columns`, by their numbers:
            the `name`, `data_type`, `units`, `description`, `enum_types` and `bit_field_elements`
            of the channel. Rows and columns count from 1.

    Raises:
        DataImportConfigError: It can't be right; says where.
    """

    def __init__(self, config_info: dict[str, Any]) -> None:
        super().__init__(config_info, _csv)


class ParquetConfig(_Config):
    """What is in a Parquet file.

    Args:
        config_info: `asset_name`; `run_name` or `run_id`; `flat_dataset` with `time_column`
            (`path`, `format`, `relative_start_time`) and `data_columns` (a list of `path` and
            `channel_config`); `footer_offset` and `footer_length`, which this project's server does
            not need; `complex_types_import_mode`.

    Raises:
        DataImportConfigError: It can't be right; says where.
    """

    def __init__(self, config_info: dict[str, Any]) -> None:
        super().__init__(config_info, _parquet)


class Hdf5Config(_Config):
    """What is in an HDF5 file.

    Args:
        config_info: `asset_name`; `run_name` or `run_id`; `time` with `format` and
            `relative_start_time`; `data`, a list: the `name`, `data_type` and so on of the channel,
            `time_dataset` and `value_dataset`, and in datasets of two dimensions `time_column` and
            `value_column`, which count from 1.

    Raises:
        DataImportConfigError: It can't be right; says where.
    """

    def __init__(self, config_info: dict[str, Any]) -> None:
        super().__init__(config_info, _hdf5)


def _csv(fields: Fields) -> dict[str, Any]:
    time, rest = time_document(fields.take("time_column", dict, is_needed=True), "'time_column'")
    time["column_number"] = rest.count("column_number")
    rest.end()
    columns = {}
    for number, content in fields.take("data_columns", dict, is_needed=True).items():
        if not str(number).isdecimal() or not int(number):
            raise DataImportConfigError(
                f"'data_columns' are by their numbers, which count from 1, and one is {number!r}"
            )
        columns[str(int(number))] = channel_document(content, f"column {number}")
    return {
        **common_document(fields),
        "first_data_row": fields.count("first_data_row"),
        "time_column": time,
        "data_columns": columns,
    }


def _parquet(fields: Fields) -> dict[str, Any]:
    document = common_document(fields)
    flat = fields.take("flat_dataset", dict)
    if flat is not None:
        inner = Fields(flat, "'flat_dataset'")
        time, rest = time_document(inner.take("time_column", dict, is_needed=True), "'time_column'")
        time["path"] = rest.take("path", str, is_needed=True)
        rest.end()
        columns = []
        for at, content in enumerate(inner.take("data_columns", list, is_needed=True)):
            column = Fields(content, f"data_columns[{at}]")
            path = column.take("path", str, is_needed=True)
            channel = channel_document(column.take("channel_config", dict, is_needed=True), path)
            column.end()
            columns.append({"path": path, "channel_config": channel})
        inner.end()
        document["flat_dataset"] = {"time_column": time, "data_columns": columns}
    mode = fields.take("complex_types_import_mode", str, "")
    if mode and ParquetComplexTypesImportModeType.from_str(mode) is None:
        raise DataImportConfigError(
            f"'complex_types_import_mode' is {mode!r}; it must be one of"
            f" {', '.join(one.value for one in ParquetComplexTypesImportModeType)}"
        )
    return {
        **document,
        "footer_offset": fields.take("footer_offset", int, 0),
        "footer_length": fields.take("footer_length", int, 0),
        **({"complex_types_import_mode": mode} if mode else {}),
    }


def _hdf5(fields: Fields) -> dict[str, Any]:
    time, rest = time_document(fields.take("time", dict, is_needed=True), "'time'")
    rest.end()
    data = []
    for at, content in enumerate(fields.take("data", list, is_needed=True)):
        channel, others = split_channel(content, f"data[{at}]")
        places = Fields(others, f"data[{at}]")
        data.append(
            {
                "time_dataset": places.take("time_dataset", str, is_needed=True),
                "time_index": places.count("time_column", 1) - 1,
                "value_dataset": places.take("value_dataset", str, is_needed=True),
                "value_index": places.count("value_column", 1) - 1,
                "channel_config": channel_document(channel, f"data[{at}]"),
            }
        )
        places.end()
    return {
        **common_document(fields),
        "data": data,
        "time_format": time["format"],
        "relative_start_time": time["relative_start_time"],
    }
