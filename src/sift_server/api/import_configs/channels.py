"""Channels as configs of imports declare them, and the types that their columns are read as."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sift_files
from sift.common.type.v1 import channel_config_pb2, channel_data_type_pb2
from sift_files import ColumnPlan
from sift_server.api.services.convert import (
    from_bit_field_elements,
    from_enum_types,
    to_bit_field_elements,
    to_enum_types,
)
from sift_server.catalog import ChannelConfig, EnumType
from sift_server.errors import InvalidArgumentError
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable

_OF_FILES = {
    sift_files.DataType.DOUBLE: DataType.DOUBLE,
    sift_files.DataType.FLOAT: DataType.FLOAT,
    sift_files.DataType.INT_32: DataType.INT_32,
    sift_files.DataType.INT_64: DataType.INT_64,
    sift_files.DataType.UINT_32: DataType.UINT_32,
    sift_files.DataType.UINT_64: DataType.UINT_64,
    sift_files.DataType.BOOL: DataType.BOOL,
    sift_files.DataType.STRING: DataType.STRING,
    sift_files.DataType.ENUM: DataType.ENUM,
    sift_files.DataType.BIT_FIELD: DataType.BIT_FIELD,
}
_TO_FILES = {ours: theirs for theirs, ours in _OF_FILES.items()}


def channel_of(message: channel_config_pb2.ChannelConfig, where: str) -> ChannelConfig:
    """Read the channel of a column.

    Raises:
        InvalidArgumentError: It has no name, no data type, or something that imports can't do;
            `where` says of what.
    """
    if not message.name.strip():
        raise InvalidArgumentError(f"{where} has no channel name; name its channel_config")
    try:
        data_type = DataType(message.data_type)
    except ValueError:
        raise InvalidArgumentError(
            f"{where}, the channel {message.name!r}, has the data type {message.data_type}; give it"
            f" one of {', '.join(f'CHANNEL_DATA_TYPE_{known.name}' for known in DataType)}"
        ) from None
    if data_type is DataType.BYTES:
        raise InvalidArgumentError(
            f"{where}, the channel {message.name!r}, is CHANNEL_DATA_TYPE_BYTES, which imports"
            " don't read; import it as CHANNEL_DATA_TYPE_STRING, or leave it out"
        )
    if message.metadata:
        raise InvalidArgumentError(
            f"{where}, the channel {message.name!r}, has metadata, which imports don't set; set it"
            " on the asset or the run instead"
        )
    return ChannelConfig(
        name=message.name,
        data_type=data_type,
        unit=message.units,
        description=message.description,
        enum_types=from_enum_types(message.enum_types),
        bit_field_elements=from_bit_field_elements(message.bit_field_elements),
    )


def column_of(channel: ChannelConfig, path: str, name: str = "") -> ColumnPlan:
    """How the column at a path of a file is read, to become a channel."""
    data_type = _TO_FILES[channel.data_type]
    if channel.data_type is DataType.BIT_FIELD:
        # In files a bit field is a number.
        data_type = sift_files.DataType.UINT_64
    if channel.data_type is DataType.ENUM and not channel.enum_types:
        data_type = sift_files.DataType.UINT_32
    return ColumnPlan(
        path=path,
        name=name or path,
        channel=channel.fqn,
        data_type=data_type,
        unit=channel.unit,
        description=channel.description,
        enum={one.name: one.key for one in channel.enum_types},
    )


def channels_of(columns: Iterable[ColumnPlan]) -> dict[str, ChannelConfig]:
    """The channels of columns as they were found, by their names."""
    return {
        column.channel: ChannelConfig(
            name=column.channel,
            data_type=_OF_FILES[column.data_type],
            unit=column.unit,
            description=column.description,
            enum_types=tuple(EnumType(name, key) for name, key in column.enum.items()),
        )
        for column in columns
    }


def message_of(column: ColumnPlan) -> channel_config_pb2.ChannelConfig:
    """Write the channel that a column would become."""
    (channel,) = channels_of([column]).values()
    return channel_config_pb2.ChannelConfig(
        name=channel.name,
        units=channel.unit,
        description=channel.description,
        data_type=channel_data_type_pb2.ChannelDataType.ValueType(channel.data_type),
        enum_types=to_enum_types(channel.enum_types),
        bit_field_elements=to_bit_field_elements(channel.bit_field_elements),
    )
