"""Rows of one flow as columns: what the decoder makes and everything behind it moves."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DataType(enum.IntEnum):
    """The data type of a channel, numbered as `sift.common.type.v1.ChannelDataType`."""

    DOUBLE = 1
    STRING = 2
    ENUM = 3
    BIT_FIELD = 4
    BOOL = 5
    FLOAT = 6
    INT_32 = 7
    UINT_32 = 8
    INT_64 = 9
    UINT_64 = 10
    BYTES = 11

    @property
    def value_field(self) -> int:
        """Number of the member of `IngestWithConfigDataChannelValue.type` that carries it."""
        return _VALUE_FIELDS[self]

    @property
    def is_variable_width(self) -> bool:
        """Whether a value is a string of bytes, not a number."""
        return self in _VARIABLE_WIDTH


_VALUE_FIELDS = {
    DataType.STRING: 1,
    DataType.DOUBLE: 2,
    DataType.FLOAT: 3,
    DataType.BOOL: 4,
    DataType.INT_32: 5,
    DataType.UINT_32: 6,
    DataType.INT_64: 7,
    DataType.UINT_64: 8,
    DataType.BIT_FIELD: 9,
    DataType.ENUM: 10,
    DataType.BYTES: 12,
}
_VARIABLE_WIDTH = frozenset({DataType.STRING, DataType.BIT_FIELD, DataType.BYTES})

EMPTY_VALUE_FIELD = 11
"""Number of the member of `IngestWithConfigDataChannelValue.type` that says 'no value'."""


@dataclass(frozen=True, slots=True, eq=False)
class FlowLayout:
    """What a decoder must know of a flow: its channels, in the order of their values on the wire.

    Attributes:
        flow_name: Name of the flow, for messages.
        channel_names: Fully qualified name of each channel.
        data_types: Declared type of each channel; as long as `channel_names`.
        value_fields: `DataType.value_field` of each channel, a byte each.
    """

    flow_name: str
    channel_names: tuple[str, ...]
    data_types: tuple[DataType, ...]
    value_fields: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        fields = bytes(map(_VALUE_FIELDS.__getitem__, self.data_types))
        object.__setattr__(self, "value_fields", fields)


@dataclass(frozen=True, slots=True, eq=False)
class FlowRows:
    """Rows of one flow and one run, channel by channel.

    Attributes:
        layout: The flow's channels; `C` is their number.
        run_id: The run that every row belongs to, or an empty string.
        timestamps_ns: int64, shape (rows,). Nanoseconds since 1970-01-01T00:00:00Z, in order of
            arrival.
        words: uint64, shape (C, rows). One word a value; 0 where no value is present. By data type:
            DOUBLE: its IEEE 754 bits. FLOAT: its 32 IEEE 754 bits in the low half. BOOL: 0 or 1.
            INT_32, INT_64: two's complement, sign-extended to 64 bits. UINT_32, UINT_64, ENUM: the
            number. STRING, BIT_FIELD, BYTES: `start << 32 | length` of its bytes in `heap`.
        present: bool, shape (C, rows). False where the channel has no value in that row.
        heap: The bytes of strings, bit fields and byte values, perhaps among others; less than
            4 GiB. Strings are valid UTF-8.
    """

    layout: FlowLayout
    run_id: str
    timestamps_ns: NDArray[np.int64]
    words: NDArray[np.uint64]
    present: NDArray[np.bool_]
    heap: bytes
