"""The format of a spill file: pure functions over bytes.

All numbers are little-endian.

```text
file
    magic     8 bytes   b"SIFTSPL1"
    records   any number
record
    magic     4 bytes   b"SREC"
    length    uint32    bytes of the frames
    crc       uint32    CRC-32 of length, key and frames
    key       16 bytes  idempotency key of the batch
    frames    length bytes: messages as they are sent, each behind its prefix
```

What a reader may conclude. Records are appended and synced before the call that brought them
returns. Bytes that are no record, with nothing that is one behind them, are of a write that never
ended: its call did not return, and they are cut off. Bytes that are no record and have records
behind them were damaged later: they are set aside, and reading goes on at the next record.
"""

from __future__ import annotations

import hashlib
import struct
import uuid
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE_MAGIC = b"SIFTSPL1"
RECORD_MAGIC = b"SREC"

_RECORD = struct.Struct("<4sII16s")
_CHECKED = struct.Struct("<I16s")
RECORD_OVERHEAD_BYTES = _RECORD.size


class Record(NamedTuple):
    """A batch in a file: `end` is where the next one begins."""

    key: uuid.UUID
    frames: bytes
    end: int


def record_bytes(key: uuid.UUID, frames: bytes) -> bytes:
    """A batch as a record."""
    crc = zlib.crc32(frames, zlib.crc32(_CHECKED.pack(len(frames), key.bytes)))
    return _RECORD.pack(RECORD_MAGIC, len(frames), crc, key.bytes) + frames


def record_length(head: bytes) -> int:
    """Bytes that a record says it has, in its first `RECORD_OVERHEAD_BYTES`; 0 if cut off."""
    if len(head) < RECORD_OVERHEAD_BYTES:
        return 0
    length: int = _RECORD.unpack(head)[1]
    return RECORD_OVERHEAD_BYTES + length


def record_at(data: bytes, offset: int) -> Record | None:
    """The record that begins at an offset, or None if none does."""
    start = offset + RECORD_OVERHEAD_BYTES
    if start > len(data):
        return None
    magic, length, crc, key = _RECORD.unpack_from(data, offset)
    end = start + length
    if magic != RECORD_MAGIC or end > len(data):
        return None
    frames = data[start:end]
    if crc != zlib.crc32(frames, zlib.crc32(_CHECKED.pack(length, key))):
        return None
    return Record(uuid.UUID(bytes=key), frames, end)


def next_record(data: bytes, offset: int) -> int | None:
    """Where the first record at or behind an offset begins, or None if there is none."""
    while (offset := data.find(RECORD_MAGIC, offset)) >= 0:
        if record_at(data, offset) is not None:
            return offset
        offset += 1
    return None


def joined(records: Sequence[Record], end: int) -> Record:
    """Records that go in one call, as one that ends at `end`; always the same has the same key."""
    if len(records) == 1:
        return records[0]._replace(end=end)
    digest = hashlib.sha256(b"".join(record.key.bytes for record in records)).digest()
    key = uuid.UUID(bytes=digest[:16])
    return Record(key, b"".join(record.frames for record in records), end)
