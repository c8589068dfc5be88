"""Parts of ingest messages, serialised as protobuf serialises them, without NumPy.

The wire format: https://protobuf.dev/programming-guides/encoding/. A message has its fields in the
order of their numbers: config and flow come before the timestamp and the values, run, flag and
organization behind them. So two rows of one flow and run differ in timestamp and values only, and
what is around them is made once.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import NamedTuple

NS_PER_S = 1_000_000_000
_SECONDS_KEPT = 4096

VALUE_TAG = 0x22
EMPTY_VALUE = b"\x5a\x00"
"""A serialised value that says 'no value'."""

PREFIX_BYTES = 5
"""What a frame has before its message."""

_frame_prefix = Struct(">BI").pack
_five_bytes = Struct("5B").pack
_ONE_BYTE_END = 0x80
"""Smallest number whose varint has two bytes."""

DOUBLE_BYTES = 9
"""Length of a serialised value that is a double."""

_DOUBLE_PREFIX = bytes((VALUE_TAG, DOUBLE_BYTES, 0x11))
"""What is before the eight bytes of a double in a row: the field, its length, and the member."""

_DOUBLE_FIELD_BYTES = 2 + DOUBLE_BYTES
_DOUBLE_COUNTS_KEPT = 64

_FIVE_BYTES_FIRST, _FIVE_BYTES_END = 1 << 28, 1 << 35
_TIMESTAMP_TAG = 0x1A
_NANOS_BYTES_MAX = 5

_one_byte = tuple(bytes((number,)) for number in range(_ONE_BYTE_END))
_short_prefixes = tuple(bytes((VALUE_TAG, length)) for length in range(_ONE_BYTE_END))


class MessageEnds(NamedTuple):
    """What is before the timestamp of a message, and what is behind its values."""

    head: bytes
    tail: bytes


def varint(number: int) -> bytes:
    """Serialise an integer from 0 to 2**64 - 1."""
    if number < _ONE_BYTE_END:
        return _one_byte[number]
    if _FIVE_BYTES_FIRST <= number < _FIVE_BYTES_END:
        # Unrolled: the nanoseconds of most timestamps are such a number.
        return _five_bytes(
            number & 0x7F | 0x80,
            number >> 7 & 0x7F | 0x80,
            number >> 14 & 0x7F | 0x80,
            number >> 21 & 0x7F | 0x80,
            number >> 28,
        )
    out = bytearray()
    while number >= _ONE_BYTE_END:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def signed_varint(number: int) -> bytes:
    """Serialise an integer from -2**63 to 2**63 - 1; negative ones take ten bytes."""
    return varint(number & 0xFFFF_FFFF_FFFF_FFFF)


def bytes_field(tag: int, data: bytes) -> bytes:
    """Serialise a field that holds bytes."""
    return bytes((tag,)) + varint(len(data)) + data


def timestamp_field(timestamp_ns: int) -> bytes:
    """Serialise the timestamp of a message.

    Args:
        timestamp_ns: Nanoseconds since 1970-01-01T00:00:00Z, in the years 1 to 9999.
    """
    seconds, nanos = divmod(timestamp_ns, NS_PER_S)
    digits = varint(nanos) if nanos else b""
    return _timestamp_heads(seconds)[len(digits)] + digits


@lru_cache(_SECONDS_KEPT)
def _timestamp_heads(seconds: int) -> tuple[bytes, ...]:
    """What is before the varint of the nanoseconds, by the length of that varint."""
    content = b"\x08" + signed_varint(seconds) if seconds else b""
    return (
        bytes_field(_TIMESTAMP_TAG, content),
        *(
            bytes((_TIMESTAMP_TAG, len(content) + 1 + digits)) + content + b"\x10"
            for digits in range(1, _NANOS_BYTES_MAX + 1)
        ),
    )


def message_ends(
    ingestion_config_id: str,
    flow_name: str,
    run_id: str,
    organization_id: str,
    *,
    end_stream_on_error: bool,
) -> MessageEnds:
    """Serialise what rows of one flow and run have in common.

    Raises:
        UnicodeEncodeError: A name has half of a surrogate pair.
    """
    head = b"".join(
        bytes_field(tag, text.encode())
        for tag, text in ((0x0A, ingestion_config_id), (0x12, flow_name))
        if text
    )
    tail = bytes_field(0x2A, run_id.encode()) if run_id else b""
    tail += b"\x30\x01" if end_stream_on_error else b""
    tail += bytes_field(0x3A, organization_id.encode()) if organization_id else b""
    return MessageEnds(head, tail)


def value_fields(values: list[bytes]) -> bytes:
    """Serialise the values of a row.

    Args:
        values: Each a serialised `IngestWithConfigDataChannelValue`.
    """
    return value_fields_of_rows(values, 1)[0]


def value_fields_of_rows(values: list[bytes], rows: int) -> list[bytes]:
    """Serialise the values of rows, as `value_fields` does for one.

    Args:
        values: Those of the first row, of the second and so on; each row has as many.
        rows: How many rows there are; at least one.
    """
    width = len(values) // rows
    if not width:
        return [b""] * rows
    length = len(values[0])
    # Whether all are as long takes a while to tell if they are not: the last one tells as a rule.
    if length == len(values[-1]) < _ONE_BYTE_END and set(map(len, values)) == {length}:
        prefix = _short_prefixes[length]
        return cut(prefix + prefix.join(values), rows)
    try:
        prefixes = [_short_prefixes[len(value)] for value in values]
    except IndexError:
        fields = [bytes_field(VALUE_TAG, value) for value in values]
    else:
        width *= 2
        fields = values * 2
        fields[::2] = prefixes
        fields[1::2] = values
    return [b"".join(fields[at : at + width]) for at in range(0, len(fields), width)]


def double_fields_of_rows(values: list[float], rows: int) -> list[bytes]:
    """Serialise the values of rows, all of which are doubles, as `value_fields_of_rows` does.

    Args:
        values: Of the type float and none other; those of the first row, of the second and so on.
        rows: How many rows there are; at least one.
    """
    count = len(values)
    fields = bytearray(_doubles_apart(count).pack(*values))
    for at, byte in enumerate(_DOUBLE_PREFIX):
        fields[at::_DOUBLE_FIELD_BYTES] = bytes((byte,)) * count
    return cut(bytes(fields), rows)


@lru_cache(_DOUBLE_COUNTS_KEPT)
def _doubles_apart(count: int) -> Struct:
    """Doubles with room for a prefix before each."""
    return Struct("<" + f"{len(_DOUBLE_PREFIX)}xd" * count)


def cut(fields: bytes, rows: int) -> list[bytes]:
    """Cut the fields of rows all of which take as many bytes."""
    step = len(fields) // rows
    return [fields[at : at + step] for at in range(0, len(fields), step)]


def frame(message: bytes) -> bytes:
    """Put the prefix of a gRPC message before it: not compressed, and its length."""
    return _frame_prefix(0, len(message)) + message


def row_frame(ends: MessageEnds, timestamp_ns: int, values: bytes) -> bytes:
    """Serialise a row with the prefix of a gRPC message; `values` is what `value_fields` gave."""
    return row_frames(ends, [timestamp_ns], [values])[0]


def row_frames(ends: MessageEnds, timestamps_ns: list[int], values: list[bytes]) -> list[bytes]:
    """Serialise rows as `row_frame` does."""
    head, tail = ends
    around = len(head) + len(tail)
    return [
        b"".join((_frame_prefix(0, around + len(time) + len(fields)), head, time, fields, tail))
        for time, fields in zip(map(timestamp_field, timestamps_ns), values, strict=True)
    ]
