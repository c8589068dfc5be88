"""What several services translate between messages and the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from sift.common.type.v1.channel_bit_field_element_pb2 import ChannelBitFieldElement
from sift.common.type.v1.channel_enum_type_pb2 import ChannelEnumType
from sift.metadata.v1 import metadata_pb2
from sift_server.catalog import BitFieldElement, EnumType, ListRequest
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType
    from sift_server.catalog import MetadataValue
    from sift_wire.columns import DataType

_NS_PER_S = 1_000_000_000
INT_64_MIN = -(2**63)
INT_64_MAX = 2**63 - 1


class _ListMessage(Protocol):
    """What all requests for a list have."""

    filter: str
    page_size: int
    page_token: str


def list_request(message: _ListMessage) -> ListRequest:
    """Read a request for a list; not all of them have an order."""
    return ListRequest(
        filter=message.filter,
        order_by=getattr(message, "order_by", ""),
        page_size=message.page_size,
        page_token=message.page_token,
    )


def to_timestamp(nanoseconds: int | None) -> Timestamp | None:
    """Nanoseconds since 1970 as a message; None stays None, which leaves a field unset."""
    if nanoseconds is None:
        return None
    seconds, nanos = divmod(nanoseconds, _NS_PER_S)
    return Timestamp(seconds=seconds, nanos=nanos)


def to_duration(nanoseconds: int) -> Duration:
    """Nanoseconds, not negative, as a message."""
    seconds, nanos = divmod(nanoseconds, _NS_PER_S)
    return Duration(seconds=seconds, nanos=nanos)


def from_timestamp(timestamp: Timestamp, name: str) -> int:
    """Nanoseconds since 1970 of a message.

    Raises:
        InvalidArgumentError: It is no timestamp, or outside of 1677 to 2262; `name` says which.
    """
    nanoseconds = _nanoseconds(timestamp, name)
    if not INT_64_MIN <= nanoseconds <= INT_64_MAX:
        raise InvalidArgumentError(
            f"{name} has {timestamp.seconds} seconds since 1970; times can be stored of the years"
            " from 1677 to 2262"
        )
    return nanoseconds


def clamped_timestamp(timestamp: Timestamp, name: str) -> int:
    """Nanoseconds since 1970 of a message, or the nearest that can be stored.

    Raises:
        InvalidArgumentError: It is no timestamp; `name` says which.
    """
    return min(max(_nanoseconds(timestamp, name), INT_64_MIN), INT_64_MAX)


def _nanoseconds(timestamp: Timestamp, name: str) -> int:
    if not 0 <= timestamp.nanos < _NS_PER_S:
        raise InvalidArgumentError(
            f"{name} has {timestamp.seconds} seconds and {timestamp.nanos} nanos since 1970; nanos"
            " go from 0 to 999999999"
        )
    return timestamp.seconds * _NS_PER_S + timestamp.nanos


def from_metadata(
    values: Iterable[metadata_pb2.MetadataValue],
) -> tuple[tuple[str, MetadataValue], ...]:
    """Read metadata.

    Raises:
        InvalidArgumentError: An entry has no value, or is a relation.
    """
    metadata = []
    for entry in values:
        kind = entry.WhichOneof("value")
        value: MetadataValue
        if kind == "string_value":
            value = entry.string_value
        elif kind == "number_value":
            value = entry.number_value
        elif kind == "boolean_value":
            value = entry.boolean_value
        else:
            raise InvalidArgumentError(
                f"the metadata {entry.key.name!r} has {kind or 'no value'}; give it a string, a"
                " number or a boolean"
            )
        metadata.append((entry.key.name, value))
    return tuple(metadata)


def to_metadata(
    metadata: Iterable[tuple[str, MetadataValue]],
) -> list[metadata_pb2.MetadataValue]:
    """Write metadata."""
    return [_metadata_value(key, value) for key, value in metadata]


def _metadata_value(name: str, value: MetadataValue) -> metadata_pb2.MetadataValue:
    if isinstance(value, str):
        key = metadata_pb2.MetadataKey(name=name, type=metadata_pb2.METADATA_KEY_TYPE_STRING)
        return metadata_pb2.MetadataValue(key=key, string_value=value)
    if isinstance(value, bool):
        key = metadata_pb2.MetadataKey(name=name, type=metadata_pb2.METADATA_KEY_TYPE_BOOLEAN)
        return metadata_pb2.MetadataValue(key=key, boolean_value=value)
    key = metadata_pb2.MetadataKey(name=name, type=metadata_pb2.METADATA_KEY_TYPE_NUMBER)
    return metadata_pb2.MetadataValue(key=key, number_value=value)


def to_data_type(data_type: DataType) -> ChannelDataType.ValueType:
    """Write a data type: the numbers are the same."""
    return cast("ChannelDataType.ValueType", data_type.value)


def from_enum_types(messages: Iterable[ChannelEnumType]) -> tuple[EnumType, ...]:
    """Read the enum types of a channel."""
    return tuple(EnumType(one.name, one.key, one.is_signed) for one in messages)


def to_enum_types(enum_types: Iterable[EnumType]) -> list[ChannelEnumType]:
    """Write the enum types of a channel."""
    return [
        ChannelEnumType(name=one.name, key=one.key, is_signed=one.is_signed) for one in enum_types
    ]


def from_bit_field_elements(
    messages: Iterable[ChannelBitFieldElement],
) -> tuple[BitFieldElement, ...]:
    """Read the elements of a bit field channel."""
    return tuple(BitFieldElement(one.name, one.index, one.bit_count) for one in messages)


def to_bit_field_elements(elements: Iterable[BitFieldElement]) -> list[ChannelBitFieldElement]:
    """Write the elements of a bit field channel."""
    return [
        ChannelBitFieldElement(name=one.name, index=one.index, bit_count=one.bit_count)
        for one in elements
    ]
