"""Configs of HDF5 files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_files import FileFormat, FilePlan, MissingLibraryError, TablePlan, detect
from sift_files.damage import told_as_damage
from sift_server.api.import_configs.channels import channel_of, column_of, message_of
from sift_server.api.import_configs.names import check_names
from sift_server.api.import_configs.selection import check_unique
from sift_server.api.import_configs.times import plan_of_format
from sift_server.errors import InvalidArgumentError, ResourceExhaustedError
from sift_server.imports import ImportPlan

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from sift_files import ColumnPlan, TimePlan
    from sift_server.catalog import ChannelConfig


CHUNK_BYTES_MAX = 256 * 1024 * 1024
"""Largest chunk of a dataset, inflated: it is read as a whole, and some bytes may be gigabytes."""


def check(config: pb.Hdf5Config) -> None:
    """Check what can be known before there is a file.

    Raises:
        InvalidArgumentError: The config can't be right.
    """
    check_names(config)
    _time(config, "")
    if not config.data:
        raise InvalidArgumentError("the config has no data, so that there is no channel")
    names = []
    for one in config.data:
        names.append(channel_of(one.channel_config, _where(one)).fqn)
        if not one.time_dataset or not one.value_dataset:
            raise InvalidArgumentError(f"{_where(one)} needs a time_dataset and a value_dataset")
    check_unique(names)


def plan(config: pb.Hdf5Config, path: Path) -> ImportPlan:
    """What an import of a file is to do.

    Raises:
        InvalidArgumentError: The config does not fit the file.
        FilesError: The file is damaged, or no HDF5 file.
    """
    check(config)
    channels: dict[str, ChannelConfig] = {}
    columns: dict[str, list[ColumnPlan]] = {}
    rows: dict[str, int] = {}
    file: Any
    with _opened(path) as file:
        for one in config.data:
            channel = channel_of(one.channel_config, _where(one))
            channels[channel.fqn] = channel
            time = _path(file, one.time_dataset, one.time_field, one.time_index)
            value = _path(file, one.value_dataset, one.value_field, one.value_index)
            columns.setdefault(time, []).append(column_of(channel, value))
            rows[time] = file[one.time_dataset].shape[0]
    tables = tuple(
        TablePlan(time, _time(config, time), tuple(some), rows[time])
        for time, some in columns.items()
    )
    return ImportPlan(
        config.asset_name,
        config.run_name,
        config.run_id,
        FilePlan(FileFormat.HDF5, tables),
        channels,
    )


def detected(path: Path) -> pb.Hdf5Config:
    """The config of a file as it was found, but for the format of its times; raises as `detect`."""
    config = pb.Hdf5Config()
    for table in detect(path).tables:
        for column in table.wanted:
            if table.time is not None:
                one = config.data.add(channel_config=message_of(column))
                one.time_dataset, time_field, one.time_index = _split(table.time.columns[0])
                one.value_dataset, value_field, one.value_index = _split(column.path)
                if time_field:
                    one.time_field = time_field
                if value_field:
                    one.value_field = value_field
    return config


def _time(config: pb.Hdf5Config, path: str) -> TimePlan:
    start = config.relative_start_time if config.HasField("relative_start_time") else None
    return plan_of_format(config.time_format, start, path)


def _opened(path: Path) -> Any:  # noqa: ANN401 (of h5py)
    try:
        import h5py  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise MissingLibraryError("hdf5 files need h5py: pip install 'sift-py[hdf5]'") from None
    with told_as_damage(path, "HDF5"):
        try:
            return h5py.File(path, "r")
        except OSError as error:
            # What is wrong with its bytes has a number of the system, too.
            raise ValueError(str(error)) from None


def _path(file: Any, dataset: str, field: str, index: int) -> str:  # noqa: ANN401 (of h5py)
    """The path of a column as `sift_files` has it: `dataset#field[index]`."""
    found = file.get(dataset)
    if found is None or not getattr(found, "shape", None):
        raise InvalidArgumentError(f"the file has no dataset {dataset!r}")
    dtype, shape = found.dtype, found.shape[1:]
    if found.chunks and math.prod(found.chunks) * dtype.itemsize > CHUNK_BYTES_MAX:
        raise ResourceExhaustedError(
            f"the dataset {dataset!r} is stored in chunks of more than CHUNK_BYTES_MAX ="
            f" {CHUNK_BYTES_MAX:,} bytes; write it in smaller ones"
        )
    path = str(found.name)
    if field:
        if dtype.names is None or field not in dtype.names:
            raise InvalidArgumentError(f"the dataset {dataset!r} has no field {field!r}")
        path, shape = f"{path}#{field}", dtype[field].shape
    if not shape and index == 0:
        return path
    if len(shape) != 1 or index >= shape[0]:
        raise InvalidArgumentError(
            f"the dataset {dataset!r} is of the shape {found.shape}, and has no column {index};"
            " columns count from 0"
        )
    return f"{path}[{index}]"


def _split(path: str) -> tuple[str, str, int]:
    index = 0
    if path.endswith("]"):
        path, _, text = path.removesuffix("]").rpartition("[")
        index = int(text)
    dataset, _, field = path.partition("#")
    return dataset, field, index


def _where(one: pb.Hdf5DataConfig) -> str:
    return f"dataset {one.value_dataset!r}"
