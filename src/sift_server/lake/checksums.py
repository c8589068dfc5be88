"""Checksums of a data file, part by part, of a commit and a checkpoint: what tells a flipped bit.

Parquet's own pages can be read, with other values, after some bits of them changed. So the commit
that names a file says what its bytes are, in the tag `sift.parts` of its `add` action:
`END:CRC32,END:CRC32,...`. A part ends where a row group does, the last one with the file, so that
row groups that are whole can be told from damaged ones. `END` is a number of bytes, the CRC is
hexadecimal.

A commit is one action a line. Its first line, `commitInfo`, has the CRC-32 of all lines behind it
as `siftCrc32`. Under the same name `_last_checkpoint` has that of the checkpoint that it names.
Other programs ignore all three.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PARTS_TAG = "sift.parts"
CHECKSUM = "siftCrc32"

_READ_BYTES = 1024 * 1024


class FilePart(NamedTuple):
    """Where a part ends, in bytes of the file, and the CRC-32 of its bytes."""

    end: int
    crc32: int


class ChecksummedFile:
    """A file that is written from its beginning to its end, with checksums of its parts.

    Takes the place of the file for whoever writes to it.
    """

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = 0
        self._crc32 = 0
        self._parts: list[FilePart] = []

    def write(self, data: bytes) -> int:
        """Write bytes."""
        self._crc32 = zlib.crc32(data, self._crc32)
        self._end += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Hand all bytes to the system."""
        self._file.flush()

    def tell(self) -> int:
        """Bytes written."""
        return self._end

    def end_part(self) -> None:
        """Note that a part ends here, if it has a byte."""
        if self._end > (self._parts[-1].end if self._parts else 0):
            self._parts.append(FilePart(self._end, self._crc32))
        self._crc32 = 0

    def parts(self) -> tuple[FilePart, ...]:
        """All parts, the one that is not ended included."""
        self.end_part()
        return tuple(self._parts)


def parts_text(parts: Sequence[FilePart]) -> str:
    """Parts as a commit has them."""
    return ",".join(f"{part.end}:{part.crc32:x}" for part in parts)


def parts_of(text: str) -> tuple[FilePart, ...]:
    """What `parts_text` gave.

    Raises:
        ValueError: It is something else.
    """
    ends_and_crcs = (part.partition(":") for part in text.split(",")) if text else ()
    return tuple(FilePart(int(end), int(crc, 16)) for end, _, crc in ends_and_crcs)


def damaged_parts(path: Path, parts: Sequence[FilePart]) -> Iterator[int | None]:
    """Read a file, part by part; yields the number of each that is not what it was, else None.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        start = 0
        for number, part in enumerate(parts):
            crc32 = 0
            left = part.end - start
            while left:
                data = file.read(min(left, _READ_BYTES))
                if not data:
                    break
                crc32 = zlib.crc32(data, crc32)
                left -= len(data)
            yield number if left or crc32 != part.crc32 else None
            start = part.end


def measured_parts(path: Path, ends: Sequence[int]) -> tuple[FilePart, ...]:
    """The parts of a file that has none yet, which end where it is said.

    Raises:
        OSError: The file can't be read.
    """
    parts = []
    with path.open("rb") as file:
        start = 0
        for end in ends:
            parts.append(FilePart(end, zlib.crc32(file.read(end - start))))
            start = end
    return tuple(parts)


def commit_lines(actions: Sequence[dict[str, Any]]) -> list[str]:
    """The lines of a commit whose first action is `commitInfo`."""
    info, *others = actions
    lines = [json.dumps(action, separators=(",", ":")) + "\n" for action in others]
    checksum = zlib.crc32("".join(lines).encode())
    first = {"commitInfo": {**info["commitInfo"], CHECKSUM: checksum}}
    return [json.dumps(first, separators=(",", ":")) + "\n", *lines]


def is_commit_damaged(data: bytes, actions: Sequence[dict[str, Any]]) -> bool:
    """Whether a commit has a checksum that its bytes do not agree with."""
    checksum = actions[0].get("commitInfo", {}).get(CHECKSUM) if actions else None
    return checksum is not None and checksum != zlib.crc32(data.partition(b"\n")[2])


def hint_text(version: int, checkpoint: bytes, hint: dict[str, Any]) -> str:
    """What `_last_checkpoint` says of a checkpoint; `hint` is what the library wrote there."""
    return json.dumps({**hint, "version": version, CHECKSUM: zlib.crc32(checkpoint)})


def is_checkpoint_damaged(version: int, checkpoint: bytes, hint: bytes) -> bool:
    """Whether a checkpoint is not what `_last_checkpoint` says, if that has its checksum."""
    try:
        said = json.loads(hint)
        checksum = said.get(CHECKSUM) if said["version"] == version else None
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return checksum is not None and checksum != zlib.crc32(checkpoint)
