"""Values of JSON as those of a channel: exactly, or not at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue
from sift_server.ingest.json_rows import shown
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from sift_server.catalog import ChannelConfig
    from sift_server.ingest.json_rows import JsonValue

_INTEGERS = {
    DataType.INT_32: ("int32", -(2**31), 2**31 - 1),
    DataType.UINT_32: ("uint32", 0, 2**32 - 1),
    DataType.INT_64: ("int64", -(2**63), 2**63 - 1),
    DataType.UINT_64: ("uint64", 0, 2**64 - 1),
}


class MisfitError(Exception):
    """A value is none of its channel; the message goes on behind "the value of ... is ...,"."""


def data_type_of(value: JsonValue) -> DataType:
    """The type of a channel that is made for a value."""
    if isinstance(value, bool):
        return DataType.BOOL
    return DataType.STRING if isinstance(value, str) else DataType.DOUBLE


def channel_value(value: JsonValue, channel: ChannelConfig) -> IngestWithConfigDataChannelValue:
    """Make the message of a value.

    Raises:
        MisfitError: The channel is of another type, or would not keep the value as it is.
    """
    data_type = channel.data_type
    if isinstance(value, bool):
        if data_type is not DataType.BOOL:
            raise _other_type(channel)
        return IngestWithConfigDataChannelValue(bool=value)
    if isinstance(value, str):
        if data_type is DataType.ENUM:
            return IngestWithConfigDataChannelValue(enum=_key_of(value, channel))
        if data_type is not DataType.STRING:
            raise _other_type(channel)
        return IngestWithConfigDataChannelValue(string=value)
    match data_type:
        case DataType.DOUBLE:
            return IngestWithConfigDataChannelValue(double=_double(value))
        case DataType.FLOAT:
            return IngestWithConfigDataChannelValue(float=_float(value))
        case DataType.ENUM:
            return IngestWithConfigDataChannelValue(enum=_enum(value, channel))
        case _ if data_type in _INTEGERS:
            member, least, most = _INTEGERS[data_type]
            message = IngestWithConfigDataChannelValue()
            setattr(message, member, _integer(value, least, most))
            return message
        case _:
            raise _other_type(channel)


def _double(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise MisfitError("more than a double holds")
    if number != value:
        raise MisfitError(
            f"a whole number that a double does not hold exactly; it would become {number:.0f}."
            " Declare the channel as INT_64 or UINT_64 by an ingestion config"
        )
    return number


def _float(value: float) -> float:
    number = float(_double(value))
    with np.errstate(over="ignore"):
        rounded = float(np.float32(number))
    if math.isinf(rounded):
        raise MisfitError("more than a float holds")
    if isinstance(value, int) and rounded != value:
        raise MisfitError("a whole number that a float does not hold exactly")
    return rounded


def _integer(value: float, least: int, most: int) -> int:
    if value != value // 1:
        raise MisfitError("and the channel takes whole numbers")
    if not least <= value <= most:
        raise MisfitError(f"and the channel takes {least} to {most}")
    return int(value)


def _enum(value: float, channel: ChannelConfig) -> int:
    key = _integer(value, 0, 2**32 - 1)
    if channel.enum_types and key not in {one.key for one in channel.enum_types}:
        raise MisfitError(f"and the states of the channel are {_states(channel)}")
    return key


def _key_of(name: str, channel: ChannelConfig) -> int:
    for one in channel.enum_types:
        if one.name == name:
            return one.key
    raise MisfitError(f"and the states of the channel are {_states(channel)}")


def _states(channel: ChannelConfig) -> str:
    return ", ".join(f"{shown(one.name)} ({one.key})" for one in channel.enum_types) or "not named"


def _other_type(channel: ChannelConfig) -> MisfitError:
    return MisfitError(f"and the channel is of the type {channel.data_type.name}")
