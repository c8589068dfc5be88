"""A reader of ingest logs of its own, for the fuzzer to compare with, and what makes whole ones.

It knows the format by the docstring of `sift_server.log.segment`, is written to be understood, and
takes its time.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_BYTES = 24
FRAME_BYTES = 16
POSITION_END = 2**63
CLOSED = "closed"

Files = dict[str, bytes]
"""What is in the files of a folder, by their names."""


class DamageError(Exception):
    """What may have been acknowledged is not all there."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Where a log begins and ends, and the positions and payloads of its records."""

    begin: int
    end: int
    records: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class _Record:
    end_offset: int
    position: int
    durable: int
    payload: bytes


def segment_name(base: int) -> str:
    """Name of the segment that begins at a position."""
    return f"{base:020d}.log"


def header(base: int) -> bytes:
    """What a segment begins with."""
    body = b"SIFTLOG1" + struct.pack("<Q", base)
    return body + struct.pack("<II", zlib.crc32(body), 0)


def base_in(content: bytes) -> int:
    """The position that a header says, whether it checks or not."""
    return int.from_bytes(content[8:16], "little")


def record(payload: bytes, start: int, durable: int) -> bytes:
    """A record that begins at a position."""
    padding = -len(payload) % 8
    crc = _crc(payload, start + FRAME_BYTES + len(payload) + padding, durable)
    return struct.pack("<IIQ", len(payload), crc, durable) + payload + bytes(padding)


def checked(content: bytes, offset: int) -> bytes:
    """A segment in which what stands at an offset has the checksum of a record there."""
    if len(content) - offset < FRAME_BYTES:
        return content
    length, _, durable = struct.unpack_from("<IIQ", content, offset)
    payload = content[offset + FRAME_BYTES : offset + FRAME_BYTES + length]
    crc = _crc(payload, _position(content, offset, length) % 2**64, durable, length)
    return content[: offset + 4] + struct.pack("<I", crc) + content[offset + 8 :]


def contents(files: Files, covered: int) -> Contents:
    """What a folder has that a table covers up to a position.

    Raises:
        DamageError: It must not open.
    """
    closed = _closed(files.get(CLOSED, b""))
    names = sorted(name for name in files if name.endswith(".log"))
    gone = {one for one, following in pairwise(names) if following <= segment_name(covered)}
    begin, end = None, 0
    records: list[tuple[int, bytes]] = []
    for name in names[len(gone) :]:
        is_last = name == names[-1]
        base = base_in(files[name])
        if files[name][:HEADER_BYTES] != header(base) or base >= POSITION_END:
            if is_last and len(files[name]) <= HEADER_BYTES and end >= closed:
                continue
            raise DamageError(f"{name} has no header")
        if segment_name(base) != name or (begin is not None and base != end):
            raise DamageError(f"{name} does not follow")
        begin, end = base if begin is None else begin, base
        offset = HEADER_BYTES
        for each in _records(files[name]):
            records.append((each.position, each.payload))
            end, offset = each.position, each.end_offset
        if offset < len(files[name]) and not (
            is_last and end >= closed and end >= _durable_behind(files[name], offset)
        ):
            raise DamageError(f"{name} is damaged at {offset}")
    if end < closed:
        raise DamageError("the end is missing")
    return Contents(covered, covered, ()) if begin is None else Contents(begin, end, (*records,))


def _closed(text: bytes) -> int:
    """Where a log was closed; a note that can't be read says nothing."""
    digits = text.strip()
    return int(digits) if digits.isdigit() and len(digits) <= 20 else 0


def _records(content: bytes) -> Iterator[_Record]:
    """The records of a segment up to the first that does not check."""
    offset = HEADER_BYTES
    while (found := _record_at(content, offset)) is not None:
        yield found
        offset = found.end_offset


def _durable_behind(content: bytes, offset: int) -> int:
    """How far the log was durable, as any record says that begins at an offset or behind it.

    None says so of what comes behind itself: it would not have been written yet.
    """
    durable = 0
    for place in range(offset, len(content), 8):
        found = _record_at(content, place)
        if found is not None and found.durable <= base_in(content) + place - HEADER_BYTES:
            durable = max(durable, found.durable)
    return durable


def _record_at(content: bytes, offset: int) -> _Record | None:
    if len(content) - offset < FRAME_BYTES:
        return None
    length, crc, durable = struct.unpack_from("<IIQ", content, offset)
    position = _position(content, offset, length)
    end_offset = position - base_in(content) + HEADER_BYTES
    payload = content[offset + FRAME_BYTES : offset + FRAME_BYTES + length]
    if not length or end_offset > len(content) or crc != _crc(payload, position, durable):
        return None
    return _Record(end_offset, position, durable, payload)


def _position(content: bytes, offset: int, length: int) -> int:
    return base_in(content) + offset - HEADER_BYTES + FRAME_BYTES + length + -length % 8


def _crc(payload: bytes, position: int, durable: int, length: int | None = None) -> int:
    length = len(payload) if length is None else length
    return zlib.crc32(payload + struct.pack("<QQI", position, durable, length))
