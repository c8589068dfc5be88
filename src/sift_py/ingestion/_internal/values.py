"""One value of a row, typed or plain, as its bytes on the wire.

A typed value is an `IngestWithConfigDataChannelValue`, as `double_value` and its like make it. A
plain one is an ordinary Python object: it is checked against the channel's data type and range.
"""

from __future__ import annotations

import math
import struct
from numbers import Real
from operator import index
from typing import TYPE_CHECKING

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue
from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.shown import VALUE_CHARS_MAX, shown_plain
from sift_py.ingestion.channel import ChannelDataType
from sift_wire.messages import EMPTY_VALUE, bytes_field, signed_varint, varint

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_py.ingestion._internal.layout import LayoutChannel

    Encoder = Callable[[object], bytes]
    RowValueEncoder = Callable[[int, object], bytes]

EMPTY_FIELD = "empty"
ENUM_NAMES_SHOWN_MAX = 20
"""How many names of an enum a message lists."""

_DOUBLE_TAG, _FLOAT_TAG, _BOOL_TAG, _STRING_TAG = 0x11, 0x1D, 0x20, 0x0A
_BIT_FIELD_TAG, _ENUM_TAG = 0x4A, 0x50

# Tag, smallest and largest.
_INTEGERS = {
    ChannelDataType.INT_32: (0x28, -(2**31), 2**31 - 1),
    ChannelDataType.UINT_32: (0x30, 0, 2**32 - 1),
    ChannelDataType.INT_64: (0x38, -(2**63), 2**63 - 1),
    ChannelDataType.UINT_64: (0x40, 0, 2**64 - 1),
    ChannelDataType.ENUM: (_ENUM_TAG, 0, 2**32 - 1),
}
INTEGER_RANGES = {
    data_type: (smallest, largest) for data_type, (_, smallest, largest) in _INTEGERS.items()
}
"""Smallest and largest value of each data type of integers."""
TAGS = {
    ChannelDataType.DOUBLE: _DOUBLE_TAG,
    ChannelDataType.FLOAT: _FLOAT_TAG,
    ChannelDataType.BOOL: _BOOL_TAG,
    ChannelDataType.STRING: _STRING_TAG,
    ChannelDataType.BIT_FIELD: _BIT_FIELD_TAG,
    **{data_type: tag for data_type, (tag, _, _) in _INTEGERS.items()},
}
"""First byte of a serialised value of each data type."""

_PLAIN = {
    ChannelDataType.DOUBLE: "a number",
    ChannelDataType.FLOAT: "a number",
    ChannelDataType.STRING: "a str",
    ChannelDataType.BOOL: "True or False",
    ChannelDataType.INT_32: "an int from -2**31 to 2**31 - 1",
    ChannelDataType.UINT_32: "an int from 0 to 2**32 - 1",
    ChannelDataType.INT_64: "an int from -2**63 to 2**63 - 1",
    ChannelDataType.UINT_64: "an int from 0 to 2**64 - 1",
    ChannelDataType.BIT_FIELD: "bytes",
}

_double = struct.Struct("<Bd")
_float = struct.Struct("<Bf")
_TRUE, _FALSE = b"\x20\x01", b"\x20\x00"


class _UnfitError(Exception):
    """A plain value does not fit; the argument says why where the type alone does not."""


def encoder_of(flow_name: str, channel: LayoutChannel) -> Encoder:
    """Return the function that encodes a channel's values.

    It takes a typed value, a plain value, or None, and returns the serialised
    `IngestWithConfigDataChannelValue`. It raises `IngestionValidationError` for what does not fit.
    """
    plain = _plain_encoder(channel)

    def encode(value: object) -> bytes:
        if value is None:
            return EMPTY_VALUE
        try:
            if isinstance(value, IngestWithConfigDataChannelValue):
                return _typed(channel, value)
            return plain(value)
        except _UnfitError as unfit:
            raise _misfit(flow_name, channel, value, *unfit.args) from None

    if channel.data_type is ChannelDataType.DOUBLE:

        def encode_double(value: object) -> bytes:
            if type(value) is float:
                return _double.pack(_DOUBLE_TAG, value)
            return encode(value)

        return encode_double
    return encode


def row_value_encoder_of(flow_name: str, channel: LayoutChannel) -> RowValueEncoder:
    """Return the function that encodes a channel's values in a column.

    It takes the row as well, which its errors name; otherwise as `encoder_of`.
    """
    plain = _plain_encoder(channel)

    def encode(row: int, value: object) -> bytes:
        if value is None:
            return EMPTY_VALUE
        try:
            if isinstance(value, IngestWithConfigDataChannelValue):
                return _typed(channel, value)
            return plain(value)
        except _UnfitError as unfit:
            raise _misfit(flow_name, channel, value, "".join(unfit.args), row) from None

    return encode


def _typed(channel: LayoutChannel, value: IngestWithConfigDataChannelValue) -> bytes:
    if value.WhichOneof("type") not in {channel.value_field, EMPTY_FIELD}:
        raise _UnfitError
    return value.SerializeToString()


def _plain_encoder(channel: LayoutChannel) -> Encoder:
    data_type = channel.data_type
    if data_type is ChannelDataType.DOUBLE:
        return _real_encoder(_DOUBLE_TAG, _double)
    if data_type is ChannelDataType.FLOAT:
        return _real_encoder(_FLOAT_TAG, _float)
    if data_type is ChannelDataType.BOOL:
        return _bool
    if data_type is ChannelDataType.STRING:
        return _string
    if data_type is ChannelDataType.BIT_FIELD:
        return _bit_field
    keys = channel.enum_keys
    tag, smallest, largest = _INTEGERS[data_type]
    tag_byte = bytes((tag,))
    to_varint = signed_varint if smallest < 0 else varint

    def encode_integer(value: object) -> bytes:
        if type(value) is not int:
            value = _as_key(value, keys) if data_type is ChannelDataType.ENUM else _as_int(value)
        if not smallest <= value <= largest:
            raise _UnfitError
        return tag_byte + to_varint(value)

    return encode_integer


def _real_encoder(tag: int, layout: struct.Struct) -> Encoder:
    pack, unpack = layout.pack, layout.unpack

    def encode_real(value: object) -> bytes:
        kind = type(value)
        # To ask for the protocol of a value is slow; most values are floats.
        if kind is not float and (kind is bool or not isinstance(value, Real)):
            raise _UnfitError
        try:
            number = float(value)  # type: ignore[arg-type]
            if kind is not float and math.isinf(number) and number != value:
                # NumPy's floats of more than 64 bits do not say so themselves.
                raise _UnfitError("it is too large")
            data: bytes = pack(tag, number)
        except OverflowError:
            raise _UnfitError("it is too large") from None
        except TypeError:
            # NumPy's spans of time say that they are numbers.
            raise _UnfitError from None
        if kind is not float and hasattr(value, "__index__") and index(value) != unpack(data)[1]:
            raise _UnfitError(
                "it has more digits than that type keeps; make it a float to round it"
            )
        return data

    return encode_real


def _as_int(value: object) -> int:
    if isinstance(value, bool):
        raise _UnfitError
    try:
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        raise _UnfitError from None


def _as_key(value: object, keys: dict[str, int]) -> int:
    if not isinstance(value, str):
        return _as_int(value)
    try:
        return keys[value]
    except KeyError:
        raise _UnfitError("there is no such name") from None


def _bool(value: object) -> bytes:
    # NumPy's bool is none of Python's, and NumPy is no dependency.
    if value is True or value is False or type(value).__name__ in {"bool_", "bool"}:
        return _TRUE if value else _FALSE
    raise _UnfitError


def _string(value: object) -> bytes:
    if not isinstance(value, str):
        raise _UnfitError
    try:
        return bytes_field(_STRING_TAG, value.encode())
    except UnicodeEncodeError:
        raise _UnfitError("it has half of a surrogate pair") from None


def _bit_field(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _UnfitError
    return bytes_field(_BIT_FIELD_TAG, bytes(value))


def _misfit(
    flow_name: str,
    channel: LayoutChannel,
    value: object,
    reason: str = "",
    row: int | None = None,
) -> IngestionValidationError:
    type_name = channel.data_type.as_human_str()
    plain = _PLAIN.get(channel.data_type)
    if plain is None:
        names = [f"'{name}'" for name in channel.enum_keys]
        more = ", ..." if len(names) > ENUM_NAMES_SHOWN_MAX else ""
        listed = ", ".join(names[:ENUM_NAMES_SHOWN_MAX]) + more
        plain = f"one of {listed}, or a key" if names else "a key, an int from 0 to 2**32 - 1"
    why = f": {reason}" if reason else ""
    where = "" if row is None else f" in row {row}"
    return IngestionValidationError(
        f"flow '{flow_name}': value for '{channel.fqn}'{where} expected to be a '{type_name}',"
        f" got {shown(value)}{why}. Use {type_name}_value(...), or {plain}; None or empty_value()"
        " is no value."
    )


def shown(value: object) -> str:
    """Return a value as messages show it, on one line and not too long."""
    if not isinstance(value, IngestWithConfigDataChannelValue):
        return shown_plain(value)
    field = value.WhichOneof("type")
    if field is None:
        return "no value"
    if field == EMPTY_FIELD:
        return EMPTY_FIELD
    return f"{field} {shown_plain(getattr(value, field), VALUE_CHARS_MAX - len(field) - 1)}"
