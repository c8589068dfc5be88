"""Columns of files as columns of ingest messages: exactly, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_server.errors import InvalidArgumentError
from sift_wire.columns import DataType
from sift_wire.fields import BytesColumn, NumberColumn

if TYPE_CHECKING:
    from sift_server.catalog import ChannelConfig
    from sift_wire.fields import Column

_ARROW_TYPES = {
    DataType.DOUBLE: pa.float64(),
    DataType.FLOAT: pa.float32(),
    DataType.BOOL: pa.bool_(),
    DataType.INT_32: pa.int32(),
    DataType.INT_64: pa.int64(),
    DataType.UINT_32: pa.uint32(),
    DataType.UINT_64: pa.uint64(),
    DataType.ENUM: pa.uint32(),
    DataType.STRING: pa.large_string(),
    DataType.BIT_FIELD: pa.large_binary(),
    DataType.BYTES: pa.large_binary(),
}


def column_of(channel: ChannelConfig, values: Any) -> Column:  # noqa: ANN401 (of NumPy or Arrow)
    """Return a column as the encoder takes it.

    Args:
        channel: What it is a column of.
        values: An array of NumPy or Arrow; null, or masked, where there is no value.

    Raises:
        InvalidArgumentError: A value does not fit the data type of the channel.
    """
    array = _arrow(values)
    if array.null_count == len(array):
        return None
    try:
        if channel.data_type is DataType.ENUM and not pa.types.is_integer(array.type):
            array = _keys(channel, array)
        if channel.data_type is DataType.BIT_FIELD and pa.types.is_integer(array.type):
            return _bits(channel, array.cast(pa.uint64()))
        array = array.cast(_ARROW_TYPES[channel.data_type])
    except pa.ArrowInvalid as error:
        raise InvalidArgumentError(
            f"the channel {channel.fqn!r} is {channel.data_type.name}, and has a value that does"
            f" not fit: {error}"
        ) from None
    except pa.ArrowNotImplementedError:
        raise InvalidArgumentError(
            f"the channel {channel.fqn!r} is {channel.data_type.name}, which values of the type"
            f" {array.type} can't become"
        ) from None
    present = array.is_valid().to_numpy(zero_copy_only=False) if array.null_count else None
    if channel.data_type.is_variable_width:
        return _bytes_column(channel.data_type, array, present)
    if array.null_count:
        array = array.fill_null(False if channel.data_type is DataType.BOOL else 0)
    return NumberColumn(channel.data_type, array.to_numpy(zero_copy_only=False), present)


def points_of(column: Column, rows: int) -> int:
    """How many values a column of so many rows has."""
    if column is None:
        return 0
    return rows if column.present is None else int(np.count_nonzero(column.present))


def _arrow(values: Any) -> Any:  # noqa: ANN401
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, mask=np.ma.getmaskarray(values))
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def _keys(channel: ChannelConfig, names: Any) -> Any:  # noqa: ANN401
    keys = {one.name: one.key for one in channel.enum_types}
    unknown = sorted({name for name in names.unique().to_pylist() if name is not None} - {*keys})
    if unknown:
        raise InvalidArgumentError(
            f"{unknown[0]!r} is no name of the enum channel {channel.fqn!r}; it knows"
            f" {', '.join(map(repr, keys)) or 'none'}"
        )
    at = names.cast(pa.string()).dictionary_encode()
    known = [keys[name] for name in at.dictionary.to_pylist()]
    return pa.array(known, pa.int64()).take(at.indices)


def _bits(channel: ChannelConfig, numbers: Any) -> BytesColumn:  # noqa: ANN401
    """Bit fields that are numbers: as many bytes as the elements need, the lowest first.

    All eight of a number that has bits behind them.
    """
    words = numbers.fill_null(0).to_numpy(zero_copy_only=False).astype("<u8")
    bits = max([one.index + one.bit_count for one in channel.bit_field_elements], default=64)
    width = min(max(-(-bits // 8), 1), 8)
    lengths = np.full(len(words), width, np.int64)
    if width < 8:  # noqa: PLR2004 (bytes of a word)
        lengths[words >> np.uint64(8 * width) != 0] = 8
    offsets = np.zeros(len(words) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    data = words.view(np.uint8).reshape(-1, 8)[np.arange(8) < lengths[:, None]]
    present = numbers.is_valid().to_numpy(zero_copy_only=False) if numbers.null_count else None
    return BytesColumn(DataType.BIT_FIELD, offsets, data, present)


def _bytes_column(
    data_type: DataType,
    array: Any,  # noqa: ANN401
    present: Any,  # noqa: ANN401
) -> BytesColumn:
    _, offsets, data = array.buffers()
    first, last = array.offset, array.offset + len(array) + 1
    return BytesColumn(
        data_type,
        np.frombuffer(offsets, np.int64)[first:last],
        np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8),
        present,
    )
