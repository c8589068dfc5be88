"""Points to the values of `sift.data.*.*Values`, byte for byte as protobuf serialises them.

All these messages, of v1 and of v2, have `repeated XValue values = 2`, and an XValue is a timestamp
and a value. So one loop writes them all, at a few nanoseconds a point; `google.protobuf` takes a
Python object or two for each. Zeros are left out, as proto3 has it: a timestamp without its seconds
or nanoseconds is shorter, but it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sift_wire.columns import DataType
from sift_wire.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

VALUES_TAG = 0x12
"""Of the field `values` of all these messages, and of those of bit fields and of their elements."""

_NS_PER_S = 1_000_000_000

_POINT_BYTES_MAX = 34
"""More than a point takes without the bytes of its string: two tags and lengths, a timestamp of 19
bytes, a number of 11 bytes or the tag and the length of a string."""

_TIMESTAMP_TAG, _SECONDS_TAG, _NANOS_TAG = 0x0A, 0x08, 0x10
_VARINT_TAG, _FIXED_64_TAG, _BYTES_TAG, _FIXED_32_TAG = 0x10, 0x11, 0x12, 0x15

_TAGS = {DataType.DOUBLE: _FIXED_64_TAG, DataType.FLOAT: _FIXED_32_TAG}


def number_values(
    data_type: DataType, timestamps_ns: NDArray[np.int64], words: NDArray[np.uint64]
) -> bytes:
    """Serialise points of numbers, enums or bools as `repeated XValue values = 2`.

    Args:
        data_type: Of the values; for the numbers of bit-field elements it is `UINT_32`.
        timestamps_ns: int64, shape (points,). Nanoseconds since 1970-01-01T00:00:00Z.
        words: uint64, shape (points,). As in `FlowRows.words`.
    """
    out = np.empty(len(words) * _POINT_BYTES_MAX, np.uint8)
    end = _write_numbers(timestamps_ns, words, _TAGS.get(data_type, _VARINT_TAG), out)
    return out[:end].tobytes()


def bytes_values(
    timestamps_ns: NDArray[np.int64], offsets: NDArray[np.int64], data: NDArray[np.uint8]
) -> bytes:
    """Serialise points of strings or byte values as `repeated XValue values = 2`.

    Args:
        timestamps_ns: int64, shape (points,). Nanoseconds since 1970-01-01T00:00:00Z.
        offsets: int64, shape (points + 1,). Where each value begins in `data`, and the last ends.
        data: The bytes of the values. Strings are UTF-8.
    """
    size = len(timestamps_ns) * _POINT_BYTES_MAX + int(offsets[-1] - offsets[0])
    out = np.empty(size, np.uint8)
    end = _write_bytes(timestamps_ns, offsets, data, out)
    return out[:end].tobytes()


def warm_up() -> None:
    """Have the loops compiled, or loaded, so that the first caller does not wait for it."""
    times = np.zeros(1, np.int64)
    number_values(DataType.DOUBLE, times, np.zeros(1, np.uint64))
    # What Arrow gives may not be written to, which is another type to Numba.
    words = np.frombuffer(bytes(8), np.uint64)
    number_values(DataType.DOUBLE, times, words)
    bytes_values(times, words.view(np.int64).repeat(2), np.frombuffer(b"\0", np.uint8))


@compiled
def _put_varint(out: Bytes, at: int, value: np.uint64) -> int:
    """Write a varint; return the place behind it."""
    while value >= np.uint64(0x80):
        out[at] = np.uint8(value & np.uint64(0x7F)) | np.uint8(0x80)
        value >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@compiled
def _put_timestamp(out: Bytes, at: int, timestamp_ns: int) -> int:
    """Write a timestamp with its tag; return the place behind it."""
    seconds = timestamp_ns // _NS_PER_S
    nanos = timestamp_ns - seconds * _NS_PER_S
    out[at] = _TIMESTAMP_TAG
    start = at + 2
    end = start
    if seconds != 0:
        out[end] = _SECONDS_TAG
        end = _put_varint(out, end + 1, np.uint64(seconds))
    if nanos != 0:
        out[end] = _NANOS_TAG
        end = _put_varint(out, end + 1, np.uint64(nanos))
    out[at + 1] = end - start
    return end


@compiled
def _write_numbers(
    timestamps_ns: NDArray[np.int64], words: NDArray[np.uint64], tag: int, out: Bytes
) -> int:
    """Write points; return the place behind them."""
    at = 0
    for row in range(len(words)):
        word = words[row]
        # No number takes so much that the length of a point has two bytes.
        end = _put_timestamp(out, at + 2, timestamps_ns[row])
        if word != np.uint64(0):
            out[end] = tag
            end += 1
            if tag == _VARINT_TAG:
                end = _put_varint(out, end, word)
            else:
                for _ in range(8 if tag == _FIXED_64_TAG else 4):
                    out[end] = np.uint8(word & np.uint64(0xFF))
                    word >>= np.uint64(8)
                    end += 1
        out[at] = VALUES_TAG
        out[at + 1] = end - at - 2
        at = end
    return at


@compiled
def _varint_bytes(value: int) -> int:
    """How many bytes the varint of a number takes that is not below 0."""
    size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


@compiled
def _write_bytes(
    timestamps_ns: NDArray[np.int64], offsets: NDArray[np.int64], data: Bytes, out: Bytes
) -> int:
    """Write points; return the place behind them."""
    at = 0
    timestamp = np.empty(_POINT_BYTES_MAX, np.uint8)
    for row in range(len(timestamps_ns)):
        start = offsets[row]
        length = offsets[row + 1] - start
        timestamp_bytes = _put_timestamp(timestamp, 0, timestamps_ns[row])
        size = timestamp_bytes
        if length != 0:
            size += 1 + _varint_bytes(length) + length
        out[at] = VALUES_TAG
        at = _put_varint(out, at + 1, np.uint64(size))
        out[at : at + timestamp_bytes] = timestamp[:timestamp_bytes]
        at += timestamp_bytes
        if length != 0:
            out[at] = _BYTES_TAG
            at = _put_varint(out, at + 1, np.uint64(length))
            out[at : at + length] = data[start : start + length]
            at += length
    return at
