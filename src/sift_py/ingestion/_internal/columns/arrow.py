"""Columns and tables of Arrow, in the forms that the checks know.

The layout of the buffers: https://arrow.apache.org/docs/format/Columnar.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sift_py.ingestion._internal.columns.arrow_interface import read_batches
from sift_py.ingestion._internal.columns.given import (
    Array,
    Categories,
    Given,
    Strings,
    UnreadableError,
    joined,
)
from sift_wire.page import WORD_BYTES, Page, copy_strings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sift_py.ingestion._internal.columns.arrow_interface import ArrowArray, Batch, Schema

_NUMBERS = {
    "c": np.int8, "C": np.uint8, "s": np.int16, "S": np.uint16, "i": np.int32, "I": np.uint32,
    "l": np.int64, "L": np.uint64, "e": np.float16, "f": np.float32, "g": np.float64,
}  # fmt: skip
_OFFSETS = {"u": np.int32, "z": np.int32, "U": np.int64, "Z": np.int64}
_VIEWS = {"vu", "vz"}
_TEXT = {"u", "U", "vu"}
_TIMES = {
    "tss": (np.int64, "s"), "tsm": (np.int64, "ms"), "tsu": (np.int64, "us"),
    "tsn": (np.int64, "ns"), "tdD": (np.int32, "D"), "tdm": (np.int64, "ms"),
}  # fmt: skip
"""Timestamps, whose zone is behind a colon, and dates."""
_STRUCT = "+s"

_VIEW_BYTES = 16
_INLINE_BYTES_MAX = 12


def read_column(source: object) -> Given:
    """Read an array of Arrow, or one in chunks.

    Raises:
        UnreadableError: Its type is none that can be read.
    """
    schema, batches = read_batches(source)
    return joined(
        [
            _given(schema, batch.array, batch.array.offset, batch.array.length, batch)
            for batch in batches
        ]
    )


def read_table(source: object) -> list[tuple[str, Given]]:
    """Read a table, or a batch of records: the names and the columns.

    Raises:
        UnreadableError: It is no table, or the type of a column is none that can be read; says
            which.
    """
    schema, batches = read_batches(source)
    if schema.format != _STRUCT.encode():
        raise UnreadableError("is an array, not a table")
    columns = []
    for at in range(schema.n_children):
        child = schema.children[at].contents
        name = (child.name or b"").decode()
        try:
            parts = [_child(child, batch, at) for batch in batches]
        except UnreadableError as error:
            raise UnreadableError(f"has a column '{name}' that {error}") from None
        columns.append((name, joined(parts)))
    return columns


def _child(schema: Schema, batch: Batch, at: int) -> Given:
    parent = batch.array
    array = parent.children[at].contents
    return _given(schema, array, parent.offset + array.offset, parent.length, batch)


def _given(schema: Schema, array: ArrowArray, start: int, length: int, batch: Batch) -> Given:
    """Read `length` values from `start`, both counted in the buffers."""
    kind = schema.format.decode()
    stop = start + length
    if kind == "n":
        return Array(np.zeros(length, np.bool_), np.zeros(length, np.bool_))
    present = None
    if array.null_count and array.buffers[0]:
        present = _bits(batch, array.buffers[0], start, stop)
    if schema.dictionary:
        codes = _fixed(batch, array, np.dtype(_NUMBERS[kind]), start, stop)
        return _categories(schema, array, codes, present, batch)
    if kind in _NUMBERS:
        return Array(_fixed(batch, array, np.dtype(_NUMBERS[kind]), start, stop), present)
    if kind == "b":
        return Array(_bits(batch, array.buffers[1], start, stop), present)
    if kind in _OFFSETS or kind in _VIEWS or kind.startswith("w:"):
        return _strings(kind, batch, array, slice(start, stop), present)
    # Whatever the zone: what is stored are instants.
    dtype, unit = _TIMES.get(kind.partition(":")[0], (None, None))
    if dtype is None:
        raise UnreadableError(f"has Arrow's type '{kind}', which no channel takes")
    numbers = _fixed(batch, array, np.dtype(dtype), start, stop)
    return Array(numbers.astype(np.int64, copy=False).view(f"M8[{unit}]"), present)


def _strings(
    kind: str,
    batch: Batch,
    array: ArrowArray,
    rows: slice,
    present: NDArray[np.bool_] | None,
) -> Strings:
    start, stop = rows.start, rows.stop
    if kind in _VIEWS:
        return _views(batch, array, start, stop, is_text=kind in _TEXT, present=present)
    if kind in _OFFSETS:
        offsets = np.zeros(1, np.int64)
        if start < stop:
            stored = _fixed(batch, array, np.dtype(_OFFSETS[kind]), start, stop + 1)
            offsets = stored.astype(np.int64)
        data = batch.bytes(array.buffers[2], int(offsets[-1]))
        return Strings(offsets, data, is_text=kind in _TEXT, present=present)
    size = int(kind[2:])
    offsets = np.arange(start, stop + 1, dtype=np.int64) * size
    data = batch.bytes(array.buffers[1], stop * size)
    return Strings(offsets, data, is_text=False, present=present)


def _fixed(
    batch: Batch, array: ArrowArray, dtype: np.dtype[Any], start: int, stop: int
) -> NDArray[Any]:
    return batch.bytes(array.buffers[1], stop * dtype.itemsize).view(dtype)[start:stop]


def _bits(batch: Batch, address: int | None, start: int, stop: int) -> NDArray[np.bool_]:
    first = start // 8
    packed = batch.bytes(address, -(-stop // 8))[first:]
    bits = np.unpackbits(packed, count=stop - first * 8, bitorder="little")
    return bits[start - first * 8 :].view(np.bool_)


def _categories(
    schema: Schema,
    array: ArrowArray,
    codes: NDArray[Any],
    present: NDArray[np.bool_] | None,
    batch: Batch,
) -> Categories:
    dictionary = array.dictionary.contents
    given = _given(
        schema.dictionary.contents, dictionary, dictionary.offset, dictionary.length, batch
    )
    return Categories(codes, given.tolist(), present)


def _views(
    batch: Batch,
    array: ArrowArray,
    start: int,
    stop: int,
    *,
    is_text: bool,
    present: NDArray[np.bool_] | None,
) -> Strings:
    """Put strings one behind the other that are spread over buffers.

    A view has 16 bytes: the length, and either up to 12 bytes of the string itself, or its first
    four, the number of a buffer, and where it begins there.
    """
    views = batch.bytes(array.buffers[1], stop * _VIEW_BYTES)[start * _VIEW_BYTES :]
    words = views.view(np.int32).reshape(-1, 4)
    lengths = words[:, 0].astype(np.int64)
    if present is not None:
        lengths *= present
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    sources = [views]
    starts = np.arange(len(lengths)) * _VIEW_BYTES + 4
    buffers = array.n_buffers - 3
    if buffers > 0:
        sizes = batch.bytes(array.buffers[array.n_buffers - 1], buffers * 8).view(np.int64)
        sources += [batch.bytes(array.buffers[2 + at], int(sizes[at])) for at in range(buffers)]
        begins = len(views) + np.cumsum(sizes) - sizes
        is_outside = lengths > _INLINE_BYTES_MAX
        outside = words[is_outside]
        starts[is_outside] = begins[outside[:, 2]] + outside[:, 3]
    text = np.concatenate([*sources, np.empty(WORD_BYTES, np.uint8)])
    page = Page(int(offsets[-1]))
    copy_strings(text, starts, lengths, page, offsets[:-1])
    return Strings(offsets, page.bytes, is_text, present)
