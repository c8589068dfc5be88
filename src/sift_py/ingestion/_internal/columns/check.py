"""Columns checked against their channels, by the rules for values of rows, once per column.

What is right is found out for all rows at once. What is wrong is found again by the encoder of
rows, value by value, and refused in its words, so that the rules are written in one place.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from sift_py.ingestion._internal.columns.given import Array, Categories, Strings
from sift_py.ingestion._internal.values import INTEGER_RANGES, row_value_encoder_of
from sift_py.ingestion.channel import ChannelDataType
from sift_wire.columns import DataType
from sift_wire.fields import BytesColumn, NumberColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sift_py.ingestion._internal.columns.given import Given
    from sift_py.ingestion._internal.layout import LayoutChannel
    from sift_wire.fields import Column

_FLOATING: dict[ChannelDataType, tuple[type[np.floating[Any]], int]] = {
    ChannelDataType.DOUBLE: (np.float64, 53),
    ChannelDataType.FLOAT: (np.float32, 24),
}
"""NumPy's type, and how many bits of an integer it keeps."""
_DTYPES: dict[type, Any] = {float: np.float64, bool: np.bool_}
_PLAIN_TYPES = {float, bool, int, str, bytes}
_STRING_TYPES = {ChannelDataType.STRING: str, ChannelDataType.BIT_FIELD: bytes}
_ENUM_KEY_MISSING = -1


def checked(flow_name: str, channel: LayoutChannel, given: Given) -> Column:
    """Return a column as the encoder takes it.

    Raises:
        IngestionValidationError: A value does not fit its channel; names flow, channel, row and
            value.
    """
    check = _Check(flow_name, channel)
    if isinstance(given, Array):
        return check.array(given)
    if isinstance(given, Strings):
        return check.strings(given)
    if isinstance(given, Categories):
        return check.categories(given)
    return check.objects(given.values)


class _Check:
    def __init__(self, flow_name: str, channel: LayoutChannel) -> None:
        self._flow_name = flow_name
        self._channel = channel
        self._data_type = channel.data_type
        self._wire_type = DataType(channel.data_type.value)

    def array(self, given: Array) -> Column:
        values, present = given.values, given.present
        if present is not None and not present.any():
            return None
        kind = values.dtype.kind
        if self._data_type in _FLOATING and kind in "iuf":
            return self._number(self._floating(values, present), present)
        if self._data_type in INTEGER_RANGES and kind in "iu":
            smallest, largest = INTEGER_RANGES[self._data_type]
            limits = np.iinfo(values.dtype)
            if limits.min < smallest or limits.max > largest:
                self._refuse_any((values < smallest) | (values > largest), values, present)
            return self._number(values, present)
        if self._data_type is ChannelDataType.BOOL and kind == "b":
            return self._number(values, present)
        if self._data_type is ChannelDataType.BIT_FIELD and values.dtype == np.uint8:
            offsets = np.arange(len(values) + 1, dtype=np.int64)
            return BytesColumn(self._wire_type, offsets, np.ascontiguousarray(values), present)
        self._refuse_any(np.ones(len(values), np.bool_), values, present)
        return None

    def strings(self, given: Strings) -> Column:
        wanted = _STRING_TYPES.get(self._data_type)
        if wanted is (str if given.is_text else bytes):
            return BytesColumn(self._wire_type, given.offsets, given.data, given.present)
        return self.objects(given.tolist())

    def categories(self, given: Categories) -> Column:
        keys = self._channel.enum_keys
        if self._data_type is not ChannelDataType.ENUM or {*map(type, given.values)} != {str}:
            return self.objects(given.tolist())
        key_of = np.array([keys.get(value, _ENUM_KEY_MISSING) for value in given.values], np.int64)
        codes = given.codes
        if given.present is not None:
            codes = np.where(given.present, codes, 0)
        numbers = key_of[codes]
        unknown = numbers == _ENUM_KEY_MISSING
        if given.present is not None:
            unknown &= given.present
        if unknown.any():
            row = int(np.argmax(unknown))
            self._refuse(row, given.values[codes[row]])
        return self._number(numbers, given.present)

    def objects(self, values: list[Any]) -> Column:
        types = {*map(type, values)}
        present = None
        if NoneType in types:
            types.discard(NoneType)
            present = np.array([value is not None for value in values], np.bool_)
        if not types:
            return None
        if len(types) == 1:
            column = self._of_one_type(types.pop(), values, present)
            if column is not None:
                return column
        encode = row_value_encoder_of(self._flow_name, self._channel)
        return _joined(None, [encode(row, value) for row, value in enumerate(values)], None)

    def _of_one_type(
        self, kind: type, values: list[Any], present: NDArray[np.bool_] | None
    ) -> Column:
        """Check the usual lists at once; None if they are no such, or do not fit."""
        keys = self._channel.enum_keys
        try:
            if kind is str and self._data_type is ChannelDataType.ENUM:
                numbers = [0 if value is None else keys[value] for value in values]
                return self._number(np.array(numbers, np.int64), present)
            if present is not None:
                missing = kind() if kind in _PLAIN_TYPES else None
                values = [missing if value is None else value for value in values]
            if kind in _DTYPES:
                return self.array(Array(np.array(values, _DTYPES[kind]), present))
            if kind is int:
                return self.array(Array(_integers(values), present))
            if kind is str and self._data_type is ChannelDataType.STRING:
                return _joined(self._wire_type, [value.encode() for value in values], present)
            if kind is bytes and self._data_type is ChannelDataType.BIT_FIELD:
                return _joined(self._wire_type, values, present)
        except (KeyError, OverflowError, UnicodeEncodeError):
            pass
        return None

    def _number(self, values: NDArray[Any], present: NDArray[np.bool_] | None) -> NumberColumn:
        return NumberColumn(self._wire_type, values, present)

    def _floating(
        self, values: NDArray[Any], present: NDArray[np.bool_] | None
    ) -> NDArray[np.floating[Any]]:
        dtype, bits = _FLOATING[self._data_type]
        if values.dtype.kind != "f" and np.iinfo(values.dtype).bits > bits:
            self._refuse_any(_significant(values) >= 2**bits, values, present)
        with np.errstate(over="ignore", invalid="ignore"):
            floats = values.astype(dtype, copy=False)
        if values.dtype.kind == "f" and floats.itemsize < values.itemsize:
            self._refuse_any(np.isinf(floats) & np.isfinite(values), values, present)
        return floats

    def _refuse_any(
        self,
        wrong: NDArray[np.bool_],
        values: NDArray[Any],
        present: NDArray[np.bool_] | None,
    ) -> None:
        if present is not None:
            wrong = wrong & present
        if wrong.any():
            row = int(np.argmax(wrong))
            value = values[row]
            self._refuse(row, value if values.dtype.kind in "mM" else value.item())

    def _refuse(self, row: int, value: object) -> NoReturn:
        row_value_encoder_of(self._flow_name, self._channel)(row, value)
        raise AssertionError(f"{value!r} fits '{self._channel.fqn}' in a row and not in a column")


def _integers(values: list[int]) -> NDArray[Any]:
    """Raises OverflowError if they fit neither int64 nor uint64."""
    try:
        return np.array(values, np.int64)
    except OverflowError:
        return np.array(values, np.uint64)


def _significant(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Integers without their sign and the zeros at their end: what floating point has to keep."""
    if values.dtype.kind == "i":
        numbers = values.astype(np.int64).view(np.uint64)
        # The smallest int64 stays as it is: 2**63.
        numbers = np.where(values < 0, ~numbers + np.uint64(1), numbers)
    else:
        numbers = values.astype(np.uint64)
    lowest = numbers & (~numbers + np.uint64(1))
    return numbers // np.maximum(lowest, np.uint64(1))


def _joined(
    data_type: DataType | None, parts: Sequence[bytes], present: NDArray[np.bool_] | None
) -> BytesColumn:
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), out=offsets[1:])
    return BytesColumn(data_type, offsets, np.frombuffer(b"".join(parts), np.uint8), present)
