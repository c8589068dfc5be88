"""Columns to framed ingest messages, chunk by chunk, byte for byte as protobuf serialises them.

A frame is its prefix, the head of the flow and run, the timestamp, the values, the tail. For the
rows of a chunk

1. the size of every varying field is worked out, and with it where each frame begins;
2. timestamps are written;
3. fields are written in the order of the wire: neighbouring fixed fields, and the tail, as one
   block for all rows; varying fields in words that may reach over their end by up to seven bytes;
4. prefixes and heads are written last, over what reached into them. Together they have eight bytes
   or more: a head names at least a config or a flow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sift_wire.fields import FixedField, VaryingField, field_of
from sift_wire.messages import NS_PER_S, PREFIX_BYTES
from sift_wire.page import Page, varints

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sift_wire.fields import Column, Writer
    from sift_wire.messages import MessageEnds

CHUNK_BYTES = 512 * 1024
"""About the size of a chunk."""
FIXED_ROWS_MIN, VARYING_ROWS_MIN = 256, 1024
"""Rows that are encoded at once even if they take more than a chunk, so that the cost of a value
does not grow with the width of a flow. A varying field costs more calls of NumPy; fixed ones are
fastest when they stay in the processor's cache."""
PAGE_BYTES_MAX = 32 * 1024 * 1024
"""But no more than this at once, unless one row takes more; strings of bytes count on their own.
While varying fields are encoded they take up to five times as much."""

_TIMESTAMP_BYTES_MAX = 19
_TIMESTAMP_TAG, _SECONDS_TAG, _NANOS_TAG = 0x1A, 0x08, 0x10


class Chunk(NamedTuple):
    """Whole frames.

    Attributes:
        data: The frames.
        rows: How many.
    """

    data: bytes
    rows: int


def encode(
    ends: MessageEnds, timestamps_ns: NDArray[np.int64], columns: Sequence[Column]
) -> Iterator[Chunk]:
    """Encode rows, a chunk each time that one is asked for.

    Args:
        ends: What is around the timestamps and values; the head is not empty.
        timestamps_ns: int64, shape (rows,). Nanoseconds since 1970-01-01T00:00:00Z.
        columns: One for each channel, in the order of the wire, as long as `timestamps_ns`. They
            are read while chunks are asked for, and must not change.
    """
    fields = [field_of(column) for column in columns]
    rows_max, limits = _chunk_limits(ends, fields, len(timestamps_ns))
    parts = _parts([*fields, FixedField(ends.tail)], rows_max)
    head = np.frombuffer(bytes(PREFIX_BYTES) + ends.head, np.uint8)
    heads = np.tile(head, (rows_max, 1))
    start = 0
    while start < len(timestamps_ns):
        stop = min(start + rows_max, len(timestamps_ns))
        if limits is not None:
            least = min(start + VARYING_ROWS_MIN, _fitting(limits, start, PAGE_BYTES_MAX))
            stop = min(stop, max(least, _fitting(limits, start, CHUNK_BYTES)))
        yield from _chunks(heads, timestamps_ns[start:stop], parts, slice(start, stop))
        start = stop


def _fitting(limits: NDArray[np.int64], start: int, size: int) -> int:
    """Where rows end that begin at `start` and take no more than `size`; at least one row."""
    return max(int(np.searchsorted(limits, limits[start] + size, "right")) - 1, start + 1)


def _chunk_limits(
    ends: MessageEnds, fields: Sequence[FixedField | VaryingField], rows: int
) -> tuple[int, NDArray[np.int64] | None]:
    """How many rows fit a chunk but for strings of bytes, and how many of those bytes come before.

    The second is an array of rows + 1, or None if there are no strings of bytes.
    """
    row_bytes = PREFIX_BYTES + len(ends.head) + len(ends.tail) + _TIMESTAMP_BYTES_MAX
    limits: NDArray[np.int64] | None = None
    rows_min = FIXED_ROWS_MIN
    for field in fields:
        if isinstance(field, FixedField):
            row_bytes += len(field.template)
            continue
        rows_min = VARYING_ROWS_MIN
        row_bytes += field.row_bytes
        if field.offsets is not None:
            limits = np.zeros(rows + 1, np.int64) if limits is None else limits
            limits += field.offsets
    least = min(rows_min, max(PAGE_BYTES_MAX // row_bytes, 1))
    return min(max(CHUNK_BYTES // row_bytes, least), max(rows, 1)), limits


class _Block:
    """Neighbouring fixed fields of the rows of a chunk: one beside the other, row by row."""

    def __init__(self, fields: Sequence[FixedField], rows_max: int) -> None:
        template = np.frombuffer(b"".join(field.template for field in fields), np.uint8)
        self.width = len(template)
        self._rows = np.tile(template, (rows_max, 1))
        self._gaps = []
        start = 0
        for field in fields:
            if field.dtype is not None and field.words is not None:
                gap: NDArray[np.generic] = np.ndarray(
                    (rows_max,),
                    field.dtype,
                    self._rows.data,
                    start + field.gap,
                    strides=(self.width,),
                )
                self._gaps.append((gap, field.words))
            start += len(field.template)

    def fill(self, rows: slice) -> NDArray[np.generic]:
        """Fill the gaps; returns the block, an item for each row."""
        count = rows.stop - rows.start
        for gap, words in self._gaps:
            gap[:count] = words(rows)
        return _items(self._rows[:count])


def _items(block: NDArray[np.uint8]) -> NDArray[np.generic]:
    return block.view(f"V{block.shape[1]}")[:, 0]


def _parts(
    fields: Sequence[FixedField | VaryingField], rows_max: int
) -> list[_Block | VaryingField]:
    parts: list[_Block | VaryingField] = []
    fixed: list[FixedField] = []

    def end_block() -> None:
        if any(field.template for field in fixed):
            parts.append(_Block(fixed, rows_max))
        fixed.clear()

    for field in fields:
        if isinstance(field, FixedField):
            fixed.append(field)
        else:
            end_block()
            parts.append(field)
    end_block()
    return parts


def _chunks(
    heads: NDArray[np.uint8],
    timestamps_ns: NDArray[np.int64],
    parts: Sequence[_Block | VaryingField],
    rows: slice,
) -> Iterator[Chunk]:
    count = rows.stop - rows.start
    head_bytes = heads.shape[1]
    timestamp_sizes, write_timestamps = _timestamps(timestamps_ns)
    prepared = [part.prepare(rows) for part in parts if isinstance(part, VaryingField)]
    row_sizes = timestamp_sizes + (
        head_bytes + sum(part.width for part in parts if isinstance(part, _Block))
    )
    for sizes, _ in prepared:
        row_sizes += sizes
    limits = np.zeros(count + 1, np.int64)
    np.cumsum(row_sizes, out=limits[1:])
    starts = limits[:-1]

    page = Page(int(limits[-1]))
    at = starts + head_bytes
    write_timestamps(page, at)
    at += timestamp_sizes
    varying = iter(prepared)
    for part in parts:
        if isinstance(part, _Block):
            block = part.fill(rows)
            page.view(block.dtype)[at] = block
            at += part.width
        else:
            sizes, write = next(varying)
            write(page, at)
            at += sizes
    heads[:count, 1:PREFIX_BYTES] = (
        (row_sizes - PREFIX_BYTES).astype(">u4").view(np.uint8).reshape(count, 4)
    )
    head_items = _items(heads[:count])
    page.view(head_items.dtype)[starts] = head_items
    yield from _cut(page, limits)


def _cut(page: Page, limits: NDArray[np.int64]) -> Iterator[Chunk]:
    """Cut a page between rows, so that wide flows make no large chunks."""
    first, last = 0, len(limits) - 1
    while first < last:
        stop = _fitting(limits, first, 2 * CHUNK_BYTES)
        yield Chunk(page.bytes[limits[first] : limits[stop]].tobytes(), stop - first)
        first = stop


def _timestamps(timestamps_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], Writer]:
    seconds = timestamps_ns // NS_PER_S
    nanos = timestamps_ns - seconds * NS_PER_S
    second_varints = varints(seconds.view(np.uint64))
    nano_varints = varints(nanos.view(np.uint64))
    # Zeros are left out.
    second_sizes = (second_varints.lengths + 1) * (seconds != 0)
    content = second_sizes + (nano_varints.lengths + 1) * (nanos != 0)
    first = second_varints.low << np.uint64(24)
    first |= content.astype(np.uint64) << np.uint64(8)
    first |= np.uint64(_SECONDS_TAG << 16 | _TIMESTAMP_TAG)
    last = nano_varints.low << np.uint64(8) | np.uint64(_NANOS_TAG)

    def write(page: Page, positions: NDArray[np.int64]) -> None:
        page.put(positions, first)
        if second_varints.wide is not None and second_varints.high is not None:
            page.put(positions[second_varints.wide] + 8, second_varints.high)
        page.put(positions + 2 + second_sizes, last)

    return content + 2, write
