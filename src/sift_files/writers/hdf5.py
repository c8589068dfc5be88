"""HDF5 files: a group for each channel, with the datasets `time` and `value`.

HDF5 has no value for "none", so channels have times of their own. `time` is nanoseconds since
1970-01-01T00:00:00Z as int64. `value` has the type of its channel: an enum's is an enum of HDF5, a
bool's is that of h5py, texts are UTF-8. Where there are several runs, the dataset `run` says which.
`value` has attributes: `channel`, `data_type`, `unit`, `enum_types` (JSON); the group `channel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_files.errors import FilesError
from sift_files.states import key_of
from sift_files.writers.channels import RUN, TIME, channels_of, is_run

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sift_files.writers.channels import WrittenChannel

__all__ = ["Hdf5Writer"]

CHUNK_ROWS = 16_384
_TEXT = h5py.string_dtype("utf-8")
_VALUE = "value"


class Hdf5Writer:
    """Writes an HDF5 file from wide tables."""

    def __init__(self, path: Path, schema: Any) -> None:  # noqa: ANN401 (pyarrow has no types)
        """Begin a file, with an empty group for each channel."""
        self._channels = channels_of(schema)
        self._has_runs = any(is_run(number, field) for number, field in enumerate(schema))
        self._file: Any = h5py.File(path, "w")
        self._keys = {each.column: dict(each.states) for each in self._channels}
        try:
            self._groups = [self._group(each) for each in self._channels]
        except (ValueError, FilesError):
            self._file.close()
            raise

    def write(self, table: Any) -> None:  # noqa: ANN401
        """Add the points of a table.

        Raises:
            FilesError: HDF5 can't hold a value, such as a text with a zero byte.
        """
        times = table.column(0).cast(pa.int64())
        for channel, group in zip(self._channels, self._groups, strict=True):
            column = table.column(channel.column)
            there = pc.is_valid(column)
            values = column.filter(there)
            if len(values):
                _append(group[TIME], times.filter(there).to_numpy())
                try:
                    _append(group[_VALUE], self._values(channel, values))
                except ValueError as error:
                    raise FilesError(
                        f"HDF5 can't hold a value of the channel {channel.name!r}: {error}"
                    ) from None
                if self._has_runs:
                    _append(group[RUN], _objects(table.column(1).filter(there)))

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def _group(self, channel: WrittenChannel) -> Any:  # noqa: ANN401 (h5py has no types)
        path = channel.name.strip("/")
        if not path or "\0" in path or {"", ".", ".."} & set(path.split("/")):
            raise FilesError(f"HDF5 has no place for a channel of the name {channel.name!r}")
        try:
            group = self._file.require_group(path)
            self._dataset(group, TIME, np.dtype(np.int64))
            self._dataset(group, _VALUE, self._dtype(channel))
            if self._has_runs:
                self._dataset(group, RUN, _TEXT)
        except (TypeError, ValueError) as error:
            raise FilesError(
                f"HDF5 has no place for the channel {channel.name!r} beside the others: {error}"
            ) from None
        group[TIME].attrs["units"] = "nanoseconds since 1970-01-01T00:00:00Z"
        group.attrs["channel"] = channel.name
        for key, text in channel.attributes.items():
            group[_VALUE].attrs[key] = text
        return group

    def _dtype(self, channel: WrittenChannel) -> Any:  # noqa: ANN401
        if channel.data_type == "ENUM" and channel.states:
            return h5py.enum_dtype(channel.states, basetype=np.uint32)
        if pa.types.is_dictionary(channel.kind) or pa.types.is_string(channel.kind):
            return _TEXT
        if pa.types.is_binary(channel.kind):
            return h5py.vlen_dtype(np.uint8)
        return np.dtype(channel.kind.to_pandas_dtype())

    def _dataset(self, group: Any, name: str, dtype: Any) -> None:  # noqa: ANN401
        # Compression that every program has which reads HDF5.
        group.create_dataset(
            name, (0,), dtype, maxshape=(None,), chunks=(CHUNK_ROWS,), compression="gzip",
            compression_opts=1, shuffle=True,
        )  # fmt: skip

    def _values(self, channel: WrittenChannel, values: Any) -> NDArray[Any]:  # noqa: ANN401
        if channel.data_type == "ENUM" and channel.states:
            keys = self._keys[channel.column]
            return np.array([key_of(name, keys) for name in values.to_pylist()], np.uint32)
        if pa.types.is_binary(channel.kind):
            found = np.empty(len(values), object)
            found[:] = [np.frombuffer(each, np.uint8) for each in values.to_pylist()]
            return found
        if pa.types.is_dictionary(channel.kind) or pa.types.is_string(channel.kind):
            return _objects(values)
        array: NDArray[Any] = values.to_numpy()
        return array


def _objects(values: Any) -> NDArray[Any]:  # noqa: ANN401
    return np.array(values.to_pylist(), object)


def _append(dataset: Any, values: NDArray[Any]) -> None:  # noqa: ANN401
    first = len(dataset)
    dataset.resize(first + len(values), axis=0)
    if dataset.dtype != object or h5py.check_string_dtype(dataset.dtype) is not None:
        dataset[first:] = values
        return
    # One by one: an array of arrays of one length would be taken for two dimensions.
    for number, value in enumerate(values, first):
        dataset[number] = value
