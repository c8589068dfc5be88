"""The format of a log segment: pure functions over bytes.

A segment is a file named after the position at which it begins, `00000000000000000000.log`. All
numbers are little-endian.

```text
segment header, 24 bytes
    magic       8 bytes   b"SIFTLOG1"
    base        uint64    position at which the segment begins
    crc         uint32    CRC-32 of magic and base
    zero        uint32
record, a multiple of 8 bytes
    length      uint32    bytes of the payload, at least 1
    crc         uint32    CRC-32 of payload, then of position, durable and length
    durable     uint64    position up to which the log was durable when this was written
    payload     length bytes
    padding     0 to 7 zero bytes
```

The *position* of a record is the base of its segment plus the offset of the record's end behind
the segment header: it grows with every byte that is ever appended. A segment begins where the one
before it ends.

What recovery may conclude. Records are written in groups, one fsync a group, and acknowledged after
it. A power cut in the middle of a group may leave any of the group's bytes on disk and not others.
So a record that does not check, in the last segment, may be such a group's: it was never
acknowledged, and is cut off with all that follows. It can't be, when any record carries a
`durable` behind it: that one was written after the damaged place had been synced. Then the damage
came later, and is an error, never repaired silently. The same holds for damage in any segment but
the last, for gaps between segments, and for damage before `closed`, the position that a log notes
beside its segments when it is closed in order.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"SIFTLOG1"
ALIGNMENT = 8

POSITION_END = 1 << 63
"""Positions are smaller: so many bytes are never appended."""

POSITION_DIGITS = 20
"""Digits of a position in the name of a segment."""

LOOKED_AT_BYTES_MAX = 1024 * 1024 * 1024
"""Bytes that are checked, places counted twice if two records might have them, before the search
for a record behind a damaged one is given up."""

_HEADER = struct.Struct("<8sQII")
_RECORD = struct.Struct("<IIQ")
_CHECKED = struct.Struct("<QQI")

HEADER_BYTES = _HEADER.size
RECORD_OVERHEAD_BYTES = _RECORD.size


def segment_name(base: int) -> str:
    """Name of the segment that begins at a position."""
    return f"{base:0{POSITION_DIGITS}d}.log"


def segment_header(base: int) -> bytes:
    """Header of the segment that begins at a position."""
    crc = zlib.crc32(MAGIC + struct.pack("<Q", base))
    return _HEADER.pack(MAGIC, base, crc, 0)


def read_header(data: bytes | memoryview) -> int | None:
    """Base position of a segment, or None if its header is cut off or damaged."""
    if len(data) < HEADER_BYTES:
        return None
    base: int
    _, base, _, _ = _HEADER.unpack_from(data)
    is_whole = bytes(data[:HEADER_BYTES]) == segment_header(base)
    return base if is_whole and base < POSITION_END else None


def read_closed(note: bytes) -> int:
    """Position that the note of an orderly end says, or 0 if it can't be read.

    It is written in one piece but not checked by anything: an unreadable one says nothing, which is
    what a crash says as well.
    """
    digits = note.strip()
    return int(digits) if digits.isdigit() and len(digits) <= POSITION_DIGITS else 0


def record_bytes(payload_bytes: int) -> int:
    """Bytes that a record takes in its segment."""
    return RECORD_OVERHEAD_BYTES + payload_bytes + -payload_bytes % ALIGNMENT


def record_frame(
    payload_bytes: int, payload_crc: int, position: int, durable: int
) -> tuple[bytes, bytes]:
    """What goes before and behind a payload.

    Args:
        payload_bytes: Length of the payload.
        payload_crc: CRC-32 of the payload.
        position: Position of the record's end.
        durable: Position up to which the log is durable.
    """
    crc = zlib.crc32(_CHECKED.pack(position, durable, payload_bytes), payload_crc)
    return _RECORD.pack(payload_bytes, crc, durable), b"\0" * (-payload_bytes % ALIGNMENT)


@dataclass(frozen=True, slots=True)
class ScannedRecord:
    """Where a record's payload lies in its segment, and what its frame says."""

    start: int
    end: int
    position: int
    durable: int


def record_at(data: memoryview, offset: int, base: int) -> ScannedRecord | None:
    """The record that begins at an offset of a segment, or None if none checks there."""
    if offset + RECORD_OVERHEAD_BYTES > len(data):
        return None
    length, crc, durable = _RECORD.unpack_from(data, offset)
    start = offset + RECORD_OVERHEAD_BYTES
    end = start + length
    padded_end = offset + record_bytes(length)
    if length == 0 or padded_end > len(data):
        return None
    position = base + padded_end - HEADER_BYTES
    payload_crc = zlib.crc32(data[start:end])
    if crc != zlib.crc32(_CHECKED.pack(position, durable, length), payload_crc):
        return None
    return ScannedRecord(start, end, position, durable)


def may_be_durable_beyond(data: memoryview, offset: int, base: int, position: int) -> bool:
    """Whether a record from an offset on says that the log was durable beyond a position.

    Looks at every place where a record could begin, since the damage at `offset` may have hit the
    length that would lead to the next one. There may be very many places that look like one, if
    somebody sent such bytes: if that is too much to be found out, it may be so.
    """
    place, is_all = _find_record(data, offset, base, position + 1)
    return place is not None or not is_all


def next_record_offset(data: memoryview, offset: int, base: int) -> int:
    """Where the first record begins that checks, from an offset on; the end if none is found."""
    # The log was durable up to a segment's base when the segment began.
    place, _ = _find_record(data, offset, base, base)
    return len(data) if place is None else place


def _find_record(
    data: memoryview, offset: int, base: int, durable_min: int
) -> tuple[int | None, bool]:
    """Where the first record begins that says so much, if one does; whether all were looked at."""
    looked_at_bytes = 0
    for place, durable in _plausible_records(data, offset, base):
        if durable < durable_min:
            continue
        if record_at(data, place, base) is not None:
            return place, True
        looked_at_bytes += min(int.from_bytes(data[place : place + 4], "little"), len(data))
        if looked_at_bytes > LOOKED_AT_BYTES_MAX:
            return None, False
    return None, True


def _plausible_records(data: memoryview, offset: int, base: int) -> Iterator[tuple[int, int]]:
    """Places that may be a record's by its first words, and the `durable` that it would carry."""
    first = offset + -offset % ALIGNMENT
    words = np.frombuffer(data[first : len(data) - len(data) % ALIGNMENT], "<u8")
    if len(words) < RECORD_OVERHEAD_BYTES // ALIGNMENT:
        return
    # The second word of a record is a position between this segment's start and the place itself.
    places = np.arange(len(words) - 1, dtype=np.uint64) * ALIGNMENT + np.uint64(first)
    durables = words[1:]
    lengths = words[:-1] & np.uint64(0xFFFF_FFFF)
    plausible = (
        (durables <= places - np.uint64(HEADER_BYTES) + np.uint64(base))
        & (lengths > 0)
        & (lengths <= np.uint64(len(data)) - places)
    )
    for place in np.flatnonzero(plausible):
        yield first + int(place) * ALIGNMENT, int(durables[place])
