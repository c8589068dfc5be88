"""Configs of Parquet files: a column a channel, or a point a row.

Published clients write the path of a field of a struct as `struct|field`; `sift_files` writes
`struct.field`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from sift.common.type.v1 import channel_data_type_pb2
from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_files import FileFormat, FilePlan, LongLayout, TablePlan, UnreadableFileError, detect
from sift_files.arrays import data_type_of
from sift_server.api.import_configs.channels import (
    channel_of,
    channels_of,
    column_of,
    message_of,
)
from sift_server.api.import_configs.names import check_names
from sift_server.api.import_configs.times import number_of, time_plan
from sift_server.errors import InvalidArgumentError
from sift_server.imports import ImportPlan

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from sift_files import ColumnPlan, TimePlan
    from sift_server.catalog import ChannelConfig

TABLE = "parquet"

NAMES_SHOWN_MAX = 10


def check(config: pb.ParquetConfig) -> None:
    """Check what can be known before there is a file.

    Raises:
        InvalidArgumentError: The config can't be right.
    """
    check_names(config)
    kind = config.WhichOneof("config")
    if kind == "flat_dataset":
        flat = config.flat_dataset
        if flat.use_embedded_config:
            raise InvalidArgumentError(
                "this server knows of no config inside of Parquet files; leave use_embedded_config"
                " out, and say time_column and data_columns"
            )
        _time(flat.time_column)
        _flat_columns(flat)
    elif kind == "single_channel_per_row":
        _time(config.single_channel_per_row.time_column)
        _check_rows(config.single_channel_per_row)
    else:
        raise InvalidArgumentError(
            "the config says nothing of the file; give it a flat_dataset, for a column a channel,"
            " or single_channel_per_row"
        )


def plan(config: pb.ParquetConfig, path: Path) -> ImportPlan:
    """What an import of a file is to do.

    Raises:
        InvalidArgumentError: The config does not fit the file.
        UnreadableFileError: The file is damaged, or no Parquet file.
        OSError: It can't be read.
    """
    check(config)
    file = _opened(path)
    if config.WhichOneof("config") == "flat_dataset":
        return _flat_plan(config, path, file)
    rows = config.single_channel_per_row
    time = _time(rows.time_column)
    if rows.WhichOneof("config") == "single_channel":
        channel = channel_of(rows.single_channel.channel, f"column {rows.single_channel.data_path}")
        column = column_of(channel, rows.single_channel.data_path)
        table = TablePlan(TABLE, time, (column,), file.metadata.num_rows)
        plan = FilePlan(FileFormat.PARQUET, (table,))
        return _import_plan(config, plan, {channel.fqn: channel})
    return _named_plan(config, file, time)


def detected(path: Path, *, is_flat: bool) -> pb.ParquetConfig:
    """The config of a file as it was found.

    Raises:
        InvalidArgumentError: Its rows are not of the kind that is asked for.
        FilesError: It is damaged, or no Parquet file.
    """
    found = detect(path)
    config = pb.ParquetConfig(complex_types_import_mode=pb.PARQUET_COMPLEX_TYPES_IMPORT_MODE_BOTH)
    if is_flat:
        _write_flat(config.flat_dataset, found, path)
        return config
    rows = config.single_channel_per_row
    if found.long is None:
        raise InvalidArgumentError(
            "no column has the names of channels, and another their values; ask for"
            " DATA_TYPE_KEY_PARQUET_FLATDATASET, or write the config by hand"
        )
    rows.multi_channel.name_path = found.long.name
    rows.multi_channel.data_path = found.long.value
    for table in found.tables:
        _write_time(rows.time_column, table.time)
        (column,) = table.columns
        rows.multi_channel.channels[column.path].CopyFrom(message_of(column))
    return config


def _write_flat(flat: pb.ParquetFlatDatasetConfig, found: FilePlan, path: Path) -> None:
    if found.long is not None:
        # A row has a point, but a column a channel is what is asked for.
        schema = _opened(path).schema_arrow
        for field in schema:
            if data_type_of(field.type) is not None:
                flat.data_columns.add(path=field.name)
        return
    (table,) = found.tables
    _write_time(flat.time_column, table.time)
    names = _opened(path).schema_arrow.names
    for column in table.columns:
        wire_path = column.path if column.path in names else column.path.replace(".", "|")
        flat.data_columns.add(path=wire_path, channel_config=message_of(column))


def _write_time(message: pb.ParquetTimeColumn, time: TimePlan | None) -> None:
    if time is not None:
        message.path = time.columns[0]
        message.format = number_of(time.format)


def _flat_plan(config: pb.ParquetConfig, path: Path, file: Any) -> ImportPlan:  # noqa: ANN401
    flat = config.flat_dataset
    time = _time(flat.time_column)
    columns, channels = _flat_columns(flat)
    warnings = [
        f"column {one.path!r} is to be CHANNEL_DATA_TYPE_BYTES, which this server does not import;"
        " it is left out"
        for one in flat.data_columns
        if one not in _values(flat) and _is_said(config)
    ]
    if not flat.data_columns:
        (table,) = _as_flat(detect(path)).tables
        columns = [one for one in table.columns if one.path != flat.time_column.path]
        channels = channels_of(columns)
    columns = _without_complex(config, columns, file, warnings)
    table = TablePlan(TABLE, time, tuple(columns), file.metadata.num_rows)
    return _import_plan(config, FilePlan(FileFormat.PARQUET, (table,)), channels, warnings)


def _as_flat(found: FilePlan) -> FilePlan:
    if found.long is not None:
        raise InvalidArgumentError(
            f"the file has a point a row, with the names of channels in {found.long.name!r}; say"
            " its data_columns, or use single_channel_per_row"
        )
    return found


def _flat_columns(
    flat: pb.ParquetFlatDatasetConfig,
) -> tuple[list[ColumnPlan], dict[str, ChannelConfig]]:
    columns, channels = [], {}
    for message in _values(flat):
        channel = channel_of(message.channel_config, f"column {message.path!r}")
        if channel.fqn in channels:
            raise InvalidArgumentError(
                f"two data_columns are the channel {channel.fqn!r}; give them names of their own"
            )
        channels[channel.fqn] = channel
        columns.append(column_of(channel, message.path))
    return columns, channels


def _values(flat: pb.ParquetFlatDatasetConfig) -> list[pb.ParquetDataColumn]:
    """The columns that are no bytes: published clients declare lists and maps as such."""
    kind = channel_data_type_pb2.CHANNEL_DATA_TYPE_BYTES
    return [one for one in flat.data_columns if one.channel_config.data_type != kind]


def _without_complex(
    config: pb.ParquetConfig,
    columns: list[ColumnPlan],
    file: Any,  # noqa: ANN401 (of Arrow)
    warnings: list[str],
) -> list[ColumnPlan]:
    """The columns that are values, and no lists or maps; those are left out, and that is said."""
    kept = []
    for given in columns:
        column = given
        if column.path not in file.schema_arrow.names:
            column = replace(column, path=column.path.replace("|", "."))
        index = file.schema_arrow.get_field_index(column.path)
        kind = file.schema_arrow.field(index).type if index >= 0 else None
        if kind is not None and pa.types.is_nested(kind) and not pa.types.is_struct(kind):
            if _is_said(config):
                warnings.append(
                    f"column {column.path!r} is of {kind}, which this server does not import; it is"
                    " left out"
                )
        else:
            kept.append(column)
    return kept


def _is_said(config: pb.ParquetConfig) -> bool:
    """Whether the client wants to know of columns that are left out."""
    return config.complex_types_import_mode != pb.PARQUET_COMPLEX_TYPES_IMPORT_MODE_IGNORE


def _check_rows(rows: pb.ParquetSingleChannelPerRowConfig) -> None:
    kind = rows.WhichOneof("config")
    if kind == "single_channel":
        where = f"column {rows.single_channel.data_path!r}"
        channel_of(rows.single_channel.channel, where)
    elif kind == "multi_channel":
        multi = rows.multi_channel
        if not multi.name_path or not multi.data_path:
            raise InvalidArgumentError(
                "multi_channel needs a name_path, the column with the names of channels, and a"
                " data_path, the one with their values"
            )
        for name, message in multi.channels.items():
            channel_of(message, f"rows of {name!r}")
    else:
        raise InvalidArgumentError(
            "single_channel_per_row says nothing of its channels; give it a single_channel or a"
            " multi_channel"
        )


def _named_plan(config: pb.ParquetConfig, file: Any, time: TimePlan) -> ImportPlan:  # noqa: ANN401
    multi = config.single_channel_per_row.multi_channel
    counts = _counts(file, multi.name_path)
    channels, tables = {}, []
    for name, message in sorted(multi.channels.items()):
        channel = channel_of(message, f"rows of {name!r}")
        channels[channel.fqn] = channel
        tables.append(
            TablePlan(channel.fqn, time, (column_of(channel, name),), counts.pop(name, 0))
        )
    if not tables:
        raise InvalidArgumentError("multi_channel has no channels; say those that are to be read")
    warnings = []
    if counts:
        shown = ", ".join(map(repr, sorted(counts)[:NAMES_SHOWN_MAX]))
        warnings.append(
            f"{sum(counts.values()):,} rows are of channels that the config does not name, and are"
            f" left out: {shown}{', ...' if len(counts) > NAMES_SHOWN_MAX else ''}"
        )
    long = LongLayout(multi.name_path, multi.data_path)
    plan = FilePlan(FileFormat.PARQUET, tuple(tables), long=long)
    return _import_plan(config, plan, channels, warnings)


def _counts(file: Any, path: str) -> dict[str, int]:  # noqa: ANN401 (of Arrow)
    """How many rows there are of each name."""
    if file.schema_arrow.get_field_index(path) < 0:
        raise InvalidArgumentError(f"the file has no column {path!r}")
    counts: dict[str, int] = {}
    for batch in file.iter_batches(columns=[path]):
        for one in pc.value_counts(batch.column(0).cast(pa.string()).drop_null()).to_pylist():
            counts[one["values"]] = counts.get(one["values"], 0) + one["counts"]
    return counts


def _time(message: pb.ParquetTimeColumn) -> TimePlan:
    if not message.path:
        raise InvalidArgumentError("the config has no time_column with a path")
    return time_plan(message, message.path)


def _import_plan(
    config: pb.ParquetConfig,
    plan: FilePlan,
    channels: dict[str, ChannelConfig],
    warnings: list[str] | None = None,
) -> ImportPlan:
    return ImportPlan(
        config.asset_name,
        config.run_name,
        config.run_id,
        plan,
        channels,
        warnings=tuple(warnings or ()),
    )


def _opened(path: Path) -> Any:  # noqa: ANN401 (of Arrow)
    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UnreadableFileError(f"{path} is damaged, or no Parquet file: {error}") from None
