"""Columns of values, and how each is written into the messages of a chunk of rows.

A value on the wire is a field of its message: `0x22`, its length, and the serialised
`IngestWithConfigDataChannelValue`, which is a tag and what it says. Two kinds of columns are told
apart once, before anything is written: in a *fixed* field every row takes as many bytes, so that it
is a template with a gap; in a *varying* field each row has a size of its own.

Varying fields are written in words that may reach over their end, see `page`: so in the order of
the wire, and whatever is behind them in the message later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sift_wire.columns import DataType
from sift_wire.messages import EMPTY_VALUE, VALUE_TAG, value_fields
from sift_wire.page import WORD_BYTES, copy_strings, varints

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sift_wire.page import Page

_EMPTY_FIELD = value_fields([EMPTY_VALUE])
_EMPTY_WORD = int.from_bytes(_EMPTY_FIELD, "little")
_EMPTY_TAG = EMPTY_VALUE[0]
_SHORT_HEADER_BYTES = 4
_SHORT_LENGTH_MAX = 0x7F - 2
"""Longest string of bytes whose two lengths take a byte each."""
_ONE_BYTE_MAX = 0x7F

_SIGNED = frozenset({DataType.INT_32, DataType.INT_64})
_FLOATING: dict[DataType, tuple[np.dtype[np.floating], int]] = {
    DataType.DOUBLE: (np.dtype("<f8"), 1),
    DataType.FLOAT: (np.dtype("<f4"), 5),
}
_VARINT, _LENGTH_DELIMITED = 0, 2


@dataclass(frozen=True, slots=True, eq=False)
class NumberColumn:
    """Numbers, or bools.

    Attributes:
        data_type: Neither STRING nor BIT_FIELD nor BYTES.
        values: Shape (rows,). float64 for DOUBLE, float32 for FLOAT, bool for BOOL; for the others
            any type of integer, within the range of `data_type`. Where `present` is False,
            anything.
        present: bool, shape (rows,). False where there is no value; None if there is none missing.
    """

    data_type: DataType
    values: NDArray[np.generic]
    present: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BytesColumn:
    """Strings of bytes, one behind the other.

    Attributes:
        data_type: STRING (then they are UTF-8), BIT_FIELD or BYTES; None if each is a serialised
            `IngestWithConfigDataChannelValue`, which is written as it is.
        offsets: int64, shape (rows + 1,). Where each begins in `data`, and the last one ends.
        data: uint8.
        present: As in `NumberColumn`. None if they are serialised values.
    """

    data_type: DataType | None
    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]
    present: NDArray[np.bool_] | None = None


Column = NumberColumn | BytesColumn | None
"""None is a column without any value."""


class FixedField(NamedTuple):
    """A field that takes as many bytes in every row.

    Attributes:
        template: Its bytes, with a gap for what rows differ in.
        gap: Where the gap begins.
        dtype: What fills the gap; None if there is no gap.
        words: What fills it in a slice of rows.
    """

    template: bytes
    gap: int = 0
    dtype: np.dtype[np.generic] | None = None
    words: Callable[[slice], NDArray[np.generic]] | None = None


Writer = Callable[["Page", "NDArray[np.int64]"], None]
"""Writes a field of each row to a page, at the position of each row."""


class VaryingField(NamedTuple):
    """A field that takes a number of bytes in each row.

    Attributes:
        row_bytes: What a row takes at most, strings of bytes not counted.
        prepare: Gives, for a slice of rows, their sizes and the writer.
        offsets: Those of strings of bytes.
    """

    row_bytes: int
    prepare: Callable[[slice], tuple[NDArray[np.int64], Writer]]
    offsets: NDArray[np.int64] | None = None


def field_of(column: Column) -> FixedField | VaryingField:
    """Return how a column is written."""
    if column is None or (column.present is not None and not column.present.any()):
        return FixedField(_EMPTY_FIELD)
    present = None if column.present is None or column.present.all() else column.present
    if isinstance(column, BytesColumn):
        return _bytes_field(column, present)
    if column.data_type in _FLOATING:
        return _floating_field(column, present)
    if column.data_type is DataType.BOOL or _fits_one_byte(column, present):
        return _one_byte_field(column, present)
    return _integer_field(column, present)


def _tag(data_type: DataType, wire_type: int) -> int:
    return data_type.value_field << 3 | wire_type


def _fits_one_byte(column: NumberColumn, present: NDArray[np.bool_] | None) -> bool:
    values = column.values if present is None else column.values[present]
    return not len(values) or bool(values.min() >= 0 and values.max() <= _ONE_BYTE_MAX)


def _one_byte_field(column: NumberColumn, present: NDArray[np.bool_] | None) -> FixedField:
    """Bools and small integers are as long as no value."""
    values = column.values
    template = bytes((VALUE_TAG, 2, _tag(column.data_type, _VARINT), 0))
    if present is None:
        return FixedField(template, 3, np.dtype("u1"), values.__getitem__)
    start = np.uint32(int.from_bytes(template, "little"))

    def words(rows: slice) -> NDArray[np.generic]:
        number = values[rows].astype(np.uint32) << np.uint32(24)
        return np.where(present[rows], number | start, np.uint32(_EMPTY_WORD))

    return FixedField(template, 0, np.dtype("<u4"), words)


def _floating_field(
    column: NumberColumn, present: NDArray[np.bool_] | None
) -> FixedField | VaryingField:
    dtype, wire_type = _FLOATING[column.data_type]
    values = column.values
    header = bytes((VALUE_TAG, 1 + dtype.itemsize, _tag(column.data_type, wire_type)))
    if present is None:
        return FixedField(header + bytes(dtype.itemsize), 3, dtype, values.__getitem__)
    header_word = int.from_bytes(header, "little")
    size = len(header) + dtype.itemsize

    def prepare(rows: slice) -> tuple[NDArray[np.int64], Writer]:
        there = present[rows]
        sizes = np.where(there, size, len(_EMPTY_FIELD))
        bits = values[rows].astype(dtype, copy=False).view(f"<u{dtype.itemsize}")
        bits = np.where(there, bits.astype(np.uint64), np.uint64(_EMPTY_WORD))

        def write(page: Page, positions: NDArray[np.int64]) -> None:
            # The second word of a row without a value is over the first one: it says so.
            page.put(positions, header_word)
            page.put(positions + len(header) * there, bits)

        return sizes, write

    return VaryingField(size, prepare)


def _integer_field(column: NumberColumn, present: NDArray[np.bool_] | None) -> VaryingField:
    values = column.values
    header = bytes((VALUE_TAG, 1, _tag(column.data_type, _VARINT)))
    header_word = np.uint64(int.from_bytes(header, "little"))
    is_signed = column.data_type in _SIGNED

    def prepare(rows: slice) -> tuple[NDArray[np.int64], Writer]:
        numbers = values[rows].astype(np.int64 if is_signed else np.uint64).view(np.uint64)
        if present is not None:
            # As long as no value is the number zero.
            numbers *= present[rows]
        lengths, low, wide, high = varints(numbers)
        low <<= np.uint64(24)
        low += header_word
        low += lengths.astype(np.uint64) << np.uint64(8)
        if present is not None:
            np.copyto(low, np.uint64(_EMPTY_WORD), where=~present[rows])

        def write(page: Page, positions: NDArray[np.int64]) -> None:
            page.put(positions, low)
            if wide is not None and high is not None:
                page.put(positions[wide] + WORD_BYTES, high)

        return lengths + len(header), write

    return VaryingField(13, prepare)


def _bytes_field(
    column: BytesColumn, present: NDArray[np.bool_] | None
) -> FixedField | VaryingField:
    offsets, data = column.offsets, column.data
    lengths = np.diff(offsets)
    shortest = 0
    longest = int(lengths.max(initial=0))
    if present is None:
        shortest = int(lengths.min(initial=longest))
        if shortest == longest and 0 < longest <= _SHORT_LENGTH_MAX:
            return _same_length_field(column, longest)
    tag = None if column.data_type is None else _tag(column.data_type, _LENGTH_DELIMITED)
    header_bytes = _SHORT_HEADER_BYTES if longest <= _SHORT_LENGTH_MAX else 12

    def prepare(rows: slice) -> tuple[NDArray[np.int64], Writer]:
        limits = offsets[rows.start : rows.stop + 1]
        starts, lengths = limits[:-1] - limits[0], np.diff(limits)
        if present is not None:
            lengths *= present[rows]
        headers = _headers(lengths, tag, None if present is None else present[rows])
        text = np.empty(limits[-1] - limits[0] + WORD_BYTES, np.uint8)
        text[:-WORD_BYTES] = data[limits[0] : limits[-1]]

        def write(page: Page, positions: NDArray[np.int64]) -> None:
            at = positions
            for words, sizes in headers:
                page.put(at, words)
                at = at + sizes
            copy_strings(text, starts, lengths, page, at)

        sizes = lengths.copy()
        for _, each in headers:
            sizes += each
        return sizes, write

    return VaryingField(header_bytes, prepare, offsets)


def _same_length_field(column: BytesColumn, length: int) -> FixedField:
    first = int(column.offsets[0])
    dtype = np.dtype(f"V{length}")
    if column.data_type is None:
        header = bytes((VALUE_TAG, length))
    else:
        tag = _tag(column.data_type, _LENGTH_DELIMITED)
        header = bytes((VALUE_TAG, length + 2, tag, length))

    def words(rows: slice) -> NDArray[np.generic]:
        text = column.data[first + rows.start * length : first + rows.stop * length]
        return np.ascontiguousarray(text).view(dtype)

    return FixedField(header + bytes(length), len(header), dtype, words)


def _headers(
    lengths: NDArray[np.int64], tag: int | None, present: NDArray[np.bool_] | None
) -> list[tuple[NDArray[np.uint64], NDArray[np.int64] | int]]:
    """What is before strings of bytes: words, and how many bytes of each count."""
    content = lengths.astype(np.uint64)
    if tag is None:
        inner_sizes: NDArray[np.int64] | int = 0
        outer = content
    else:
        tags: NDArray[np.uint64] | np.uint64 = np.uint64(tag)
        if present is not None:
            # No value is an empty string of bytes with another tag.
            tags = np.where(present, tags, np.uint64(_EMPTY_TAG))
        if int(lengths.max(initial=0)) <= _SHORT_LENGTH_MAX:
            words = content << np.uint64(24) | tags << np.uint64(16)
            words |= (content + np.uint64(2)) << np.uint64(8) | np.uint64(VALUE_TAG)
            return [(words, _SHORT_HEADER_BYTES)]
        inner = varints(content)
        inner_sizes = inner.lengths + 1
        outer = content + inner_sizes.astype(np.uint64)
    field = varints(outer)
    headers: list[tuple[NDArray[np.uint64], NDArray[np.int64] | int]] = [
        (field.low << np.uint64(8) | np.uint64(VALUE_TAG), field.lengths + 1)
    ]
    if tag is not None:
        headers.append((inner.low << np.uint64(8) | tags, inner_sizes))
    return headers
