"""Channels: their configs, their data types, and typed values for them.

Example:
    ```python
    from sift_py.ingestion.channel import (
        ChannelConfig,
        ChannelDataType,
        ChannelEnumType,
        double_value,
    )

    velocity = ChannelConfig(
        name="velocity",
        component="mainmotor",
        data_type=ChannelDataType.DOUBLE,
        unit="km/hr",
    )
    state = ChannelConfig(
        name="vehicle_state",
        data_type=ChannelDataType.ENUM,
        enum_types=[ChannelEnumType(name="Idle", key=0), ChannelEnumType(name="Moving", key=1)],
    )
    velocity.fqn()  # "mainmotor.velocity"
    value = {"channel_name": "velocity", "component": "mainmotor", "value": double_value(10)}
    ```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import (
    TYPE_CHECKING,
    NotRequired,
    Self,
    SupportsFloat,
    SupportsIndex,
    TypeAlias,
    TypedDict,
    TypeVar,
)

from google.protobuf.empty_pb2 import Empty

import sift.common.type.v1.channel_data_type_pb2 as channel_pb
from sift.common.type.v1.channel_bit_field_element_pb2 import (
    ChannelBitFieldElement as ChannelBitFieldElementPb,
)
from sift.common.type.v1.channel_enum_type_pb2 import ChannelEnumType as ChannelEnumTypePb
from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue
from sift_py.ingestion._internal.shown import shown_plain

if TYPE_CHECKING:
    from sift.channels.v2.channels_pb2 import Channel as ChannelPb
    from sift.ingestion_configs.v1.ingestion_configs_pb2 import ChannelConfig as ChannelConfigPb
    from sift.ingestion_configs.v2.ingestion_configs_pb2 import ChannelConfig as ChannelConfigV2Pb

    ChannelConfigMessage = TypeVar("ChannelConfigMessage", ChannelConfigPb, ChannelConfigV2Pb)

__all__ = [
    "ChannelBitFieldElement",
    "ChannelConfig",
    "ChannelDataType",
    "ChannelDataTypeStrRep",
    "ChannelEnumType",
    "ChannelValue",
    "TypedOrPlainValue",
    "bit_field_value",
    "bool_value",
    "channel_fqn",
    "double_value",
    "empty_value",
    "enum_value",
    "float_value",
    "int32_value",
    "int64_value",
    "is_data_type",
    "string_value",
    "uint32_value",
    "uint64_value",
]


TypedOrPlainValue: TypeAlias = (
    IngestWithConfigDataChannelValue
    | SupportsFloat
    | SupportsIndex
    | str
    | bytes
    | bytearray
    | memoryview
    | None
)
"""A value of a channel; numbers and bools of Python and of NumPy are plain values."""


class ChannelValue(TypedDict):
    """One value, and the channel that it is for.

    Attributes:
        channel_name: Name of the channel, without its component.
        component: Needed exactly when the channel's config has one.
        value: Made by one of the `*_value` functions of this module; or a plain Python value, which
            is checked against the channel's data type and range: a number, a string, a bool,
            bytes for a bit field, the name or the key of an enum type. None is no value.
    """

    channel_name: str
    component: NotRequired[str]
    value: TypedOrPlainValue


class ChannelDataTypeStrRep(Enum):
    """How data types are spelled in YAML."""

    DOUBLE = "double"
    STRING = "string"
    ENUM = "enum"
    BIT_FIELD = "bit_field"
    BOOL = "bool"
    FLOAT = "float"
    INT_32 = "int32"
    INT_64 = "int64"
    UINT_32 = "uint32"
    UINT_64 = "uint64"


class ChannelDataType(Enum):
    """The data type of a channel; `.value` is its number in `sift.common.type.v1`."""

    DOUBLE = channel_pb.CHANNEL_DATA_TYPE_DOUBLE
    STRING = channel_pb.CHANNEL_DATA_TYPE_STRING
    ENUM = channel_pb.CHANNEL_DATA_TYPE_ENUM
    BIT_FIELD = channel_pb.CHANNEL_DATA_TYPE_BIT_FIELD
    BOOL = channel_pb.CHANNEL_DATA_TYPE_BOOL
    FLOAT = channel_pb.CHANNEL_DATA_TYPE_FLOAT
    INT_32 = channel_pb.CHANNEL_DATA_TYPE_INT_32
    INT_64 = channel_pb.CHANNEL_DATA_TYPE_INT_64
    UINT_32 = channel_pb.CHANNEL_DATA_TYPE_UINT_32
    UINT_64 = channel_pb.CHANNEL_DATA_TYPE_UINT_64

    @classmethod
    def from_pb(cls, val: channel_pb.ChannelDataType.ValueType) -> ChannelDataType:
        """Return the data type of a number.

        Raises:
            ValueError: No data type has that number; 0 and what newer servers add among them.
        """
        try:
            return cls(val)
        except ValueError:
            raise ValueError(f"Unknown channel data type '{val}'.") from None

    @staticmethod
    def from_str(val: str) -> ChannelDataType | None:
        """Return the data type of a spelling such as `int32` or `CHANNEL_DATA_TYPE_INT_32`.

        Blanks around it don't matter; an unknown spelling gives None.
        """
        return _DATA_TYPES_BY_SPELLING.get(val.strip())

    def as_human_str(self) -> str:
        """Return the spelling that YAML and error messages use, such as `int32`."""
        return ChannelDataTypeStrRep[self.name].value

    @property
    def value_field(self) -> str:
        """Name of the member of `IngestWithConfigDataChannelValue.type` that carries a value."""
        return self.as_human_str()


_DATA_TYPES_BY_SPELLING = {
    spelling: data_type
    for data_type in ChannelDataType
    for spelling in (data_type.as_human_str(), f"CHANNEL_DATA_TYPE_{data_type.name}")
}


@dataclass(unsafe_hash=True)
class ChannelBitFieldElement:
    """A named run of bits inside the bytes of a bit field channel.

    Attributes:
        name: Name of the element.
        index: First bit of the element, counted from 0.
        bit_count: How many bits it takes.
    """

    name: str
    index: int
    bit_count: int

    def as_pb(self, klass: type[ChannelBitFieldElementPb]) -> ChannelBitFieldElementPb:
        """Return the element as a message."""
        return klass(name=self.name, index=self.index, bit_count=self.bit_count)

    @classmethod
    def from_pb(cls, message: ChannelBitFieldElementPb) -> Self:
        """Return the element of a message."""
        return cls(name=message.name, index=message.index, bit_count=message.bit_count)


@dataclass(unsafe_hash=True)
class ChannelEnumType:
    """One of the names that the numbers of an enum channel stand for.

    Attributes:
        name: What people and rules read.
        key: What is sent, see `enum_value`.
    """

    name: str
    key: int

    def as_pb(self, klass: type[ChannelEnumTypePb]) -> ChannelEnumTypePb:
        """Return the enum type as a message."""
        return klass(name=self.name, key=self.key)

    @classmethod
    def from_pb(cls, message: ChannelEnumTypePb) -> Self:
        """Return the enum type of a message."""
        return cls(name=message.name, key=message.key)


@dataclass(unsafe_hash=True)
class ChannelConfig:
    """A channel of an asset: one signal that is telemetered.

    Equal by value. Lists that are left out are new ones for each channel; in the published client
    all channels shared them. Hashed by name alone, so that it may still be changed.

    Attributes:
        name: Name of the channel; unique within a flow together with its component.
        data_type: Type of its values.
        description: For people.
        unit: Such as `m/s`.
        component: Part of the asset that the channel belongs to. See `fqn`.
        bit_field_elements: What the bits mean, for `ChannelDataType.BIT_FIELD`.
        enum_types: What the numbers mean, for `ChannelDataType.ENUM`.
    """

    name: str
    data_type: ChannelDataType = field(hash=False)
    description: str | None = field(default=None, hash=False)
    unit: str | None = field(default=None, hash=False)
    component: str | None = field(default=None, hash=False)
    bit_field_elements: list[ChannelBitFieldElement] = field(default_factory=list, hash=False)
    enum_types: list[ChannelEnumType] = field(default_factory=list, hash=False)

    def fqn(self) -> str:
        """Return the fully qualified name: `component.name`, or the name where none is set."""
        return _channel_fqn(self.name, self.component)

    def as_pb(self, klass: type[ChannelConfigMessage]) -> ChannelConfigMessage:
        """Return the channel as a message of `sift.ingestion_configs.v1` or `.v2`.

        What is None becomes "". Messages of v2 have no component: there the name is the `fqn`.
        """
        message = klass(
            name=self.name,
            data_type=self.data_type.value,
            description=self.description or "",
            unit=self.unit or "",
            bit_field_elements=[
                element.as_pb(ChannelBitFieldElementPb) for element in self.bit_field_elements
            ],
            enum_types=[enum_type.as_pb(ChannelEnumTypePb) for enum_type in self.enum_types],
        )
        if hasattr(message, "component"):
            message.component = self.component or ""
        else:
            message.name = self.fqn()
        return message

    @classmethod
    def from_pb(cls, message: ChannelConfigPb | ChannelConfigV2Pb) -> Self:
        """Return the channel of a message; what is "" there becomes None.

        Raises:
            ValueError: The data type is not one of `ChannelDataType`.
        """
        return cls(
            name=message.name,
            data_type=ChannelDataType.from_pb(message.data_type),
            description=message.description or None,
            unit=message.unit or None,
            component=getattr(message, "component", None) or None,
            bit_field_elements=[
                ChannelBitFieldElement.from_pb(element) for element in message.bit_field_elements
            ],
            enum_types=[ChannelEnumType.from_pb(enum_type) for enum_type in message.enum_types],
        )


def channel_fqn(channel: ChannelConfig | ChannelConfigPb | ChannelValue | ChannelPb) -> str:
    """Return the fully qualified name of a channel: `component.name`, or the name alone.

    Takes the channel itself, its messages in `sift.ingestion_configs.v1` and `sift.channels.v2`,
    or a `ChannelValue`.
    """
    if isinstance(channel, dict):
        return _channel_fqn(channel["channel_name"], channel.get("component"))
    return _channel_fqn(channel.name, channel.component)


def _channel_fqn(name: str, component: str | None) -> str:
    return f"{component}.{name}" if component else name


def string_value(val: str) -> IngestWithConfigDataChannelValue:
    """Return a value for a channel of type `ChannelDataType.STRING`.

    Raises:
        TypeError: Not a string.
        ValueError: A string that is not Unicode: it has surrogates.
    """
    message = IngestWithConfigDataChannelValue()
    try:
        message.string = val
    except (TypeError, ValueError) as error:
        raise _refused(error, "a string", val) from error
    return message


def double_value(val: float) -> IngestWithConfigDataChannelValue:
    """Return a value for a channel of type `ChannelDataType.DOUBLE`; NaN is a value too.

    Raises:
        TypeError: Not a number.
        ValueError: An integer too large for a double.
    """
    message = IngestWithConfigDataChannelValue()
    try:
        message.double = val
    except (TypeError, OverflowError) as error:
        raise _refused(error, "a double", val) from error
    return message


def float_value(val: float) -> IngestWithConfigDataChannelValue:
    """Return a value for a channel of type `ChannelDataType.FLOAT`.

    The nearest number of 32 bits is sent; beyond their range, that is an infinity.

    Raises:
        TypeError: Not a number.
        ValueError: An integer too large for a double.
    """
    message = IngestWithConfigDataChannelValue()
    try:
        message.float = val
    except (TypeError, OverflowError) as error:
        raise _refused(error, "a float", val) from error
    return message


def bool_value(val: bool) -> IngestWithConfigDataChannelValue:
    """Return a value for a channel of type `ChannelDataType.BOOL`.

    Raises:
        TypeError: Neither a bool nor an integer.
        ValueError: An integer of more than 64 bits.
    """
    message = IngestWithConfigDataChannelValue()
    try:
        message.bool = val
    except (TypeError, ValueError, OverflowError) as error:
        raise _refused(error, "a bool", val) from error
    return message


def int32_value(val: int) -> IngestWithConfigDataChannelValue:
    """Return a value for a channel of type `ChannelDataType.INT_32`.

    Raises:
        TypeError: Not an integer.
        ValueError: Not from -2**31 to 2**31 - 1.
    """
    message = IngestWithConfigDataChannelValue()
    try:
        message.int32 = val
    except (TypeError, ValueError) as error:
        raise _refused(error, "an integer from -2**31 to 2**31 - 1", val) from error
    return message


def uint32_value(val: int) -> IngestWithConfigDataChannelValue:
    """Return a value for a channel of type `ChannelDataType.UINT_32`.

    Raises:
        TypeError: Not an integer.
        ValueError: Not from 0 to 2**32 - 1.
    """
    message = IngestWithConfigDataChannelValue()
    try:
        message.uint32 = val
    except (TypeError, ValueError) as error:
        raise _refused(error, "an integer from 0 to 2**32 - 1", val) from error
    return message


def int64_value(val: int) -> IngestWithConfigDataChannelValue:
    """Return a value for a channel of type `ChannelDataType.INT_64`.

    Raises:
        TypeError: Not an integer.
        ValueError: Not from -2**63 to 2**63 - 1.
    """
    message = IngestWithConfigDataChannelValue()
    try:
        message.int64 = val
    except (TypeError, ValueError) as error:
        raise _refused(error, "an integer from -2**63 to 2**63 - 1", val) from error
    return message


def uint64_value(val: int) -> IngestWithConfigDataChannelValue:
    """Return a value for a channel of type `ChannelDataType.UINT_64`.

    Raises:
        TypeError: Not an integer.
        ValueError: Not from 0 to 2**64 - 1.
    """
    message = IngestWithConfigDataChannelValue()
    try:
        message.uint64 = val
    except (TypeError, ValueError) as error:
        raise _refused(error, "an integer from 0 to 2**64 - 1", val) from error
    return message


def bit_field_value(val: bytes) -> IngestWithConfigDataChannelValue:
    """Return a value for a channel of type `ChannelDataType.BIT_FIELD`.

    Raises:
        TypeError: Not `bytes`.
    """
    message = IngestWithConfigDataChannelValue()
    try:
        message.bit_field = val
    except TypeError as error:
        raise _refused(error, "bytes", val) from error
    return message


def enum_value(val: int) -> IngestWithConfigDataChannelValue:
    """Return a value for a channel of type `ChannelDataType.ENUM`: the `key` of an enum type.

    Raises:
        TypeError: Not an integer.
        ValueError: Not from 0 to 2**32 - 1.
    """
    message = IngestWithConfigDataChannelValue()
    try:
        message.enum = val
    except (TypeError, ValueError) as error:
        raise _refused(error, "the key of an enum type, from 0 to 2**32 - 1", val) from error
    return message


def empty_value() -> IngestWithConfigDataChannelValue:
    """Return 'no value': the channel has none at that time."""
    return IngestWithConfigDataChannelValue(empty=Empty())


def is_data_type(
    val: IngestWithConfigDataChannelValue, target_type: ChannelDataType | None
) -> bool:
    """Whether a value is one of that data type.

    False for what is no `ChannelDataType`; the published client returned None there.
    """
    if not isinstance(target_type, ChannelDataType):
        return False
    return val.WhichOneof("type") == target_type.value_field


def _refused(error: Exception, expected: str, val: object) -> TypeError | ValueError:
    """Word why protobuf refused a value."""
    hint = "; `empty_value()` is for no value" if val is None else ""
    if isinstance(error, UnicodeEncodeError):
        hint = ": it has half of a surrogate pair"
    error_class = TypeError if isinstance(error, TypeError) else ValueError
    return error_class(
        f"Expected {expected} but got {shown_plain(val)}, a {type(val).__name__}{hint}."
    )
