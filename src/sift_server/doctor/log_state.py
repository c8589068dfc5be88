"""What is left of an ingest log: its segments, the whole records in them, and what is not whole.

The log is only read. Where a record does not check, the next place is looked for at which one does:
a record's checksum covers its position, so that what is found there is what was written there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.log import LogRecord
from sift_server.log.files import CLOSED_NAME
from sift_server.log.mapped import mapped
from sift_server.log.segment import (
    HEADER_BYTES,
    POSITION_DIGITS,
    POSITION_END,
    may_be_durable_beyond,
    next_record_offset,
    read_closed,
    read_header,
    record_at,
    segment_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CLOSED_AHEAD_BYTES_MAX = 1 << 40
"""How far the end of the log can be missing before the note of its end is not believed."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of a segment that are no whole record, the end excluded."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it was found.

    Attributes:
        path: The file.
        base: Position at which it begins; what its name says if its header is damaged.
        end: Position of the last whole record, or `base`.
        size_bytes: Size of the file.
        records: How many records are whole.
        damaged: Stretches that may have been acknowledged.
        torn_bytes: Bytes at the end that a crash left unfinished: nobody was told of them.
        is_covered: Whether nobody needs it, for the table has all of it.
    """

    path: Path
    base: int
    end: int
    size_bytes: int
    records: int
    damaged: tuple[Stretch, ...]
    torn_bytes: int
    is_covered: bool


@dataclass(frozen=True, slots=True)
class LogState:
    """A log as it was found.

    Attributes:
        segments: In the order of their positions.
        odd: Files that are named like a segment and are none.
        closed: Position at which the log was closed in order, by the note beside it; 0 if it was
            not.
    """

    segments: tuple[Segment, ...]
    odd: tuple[Path, ...]
    closed: int

    @property
    def needed(self) -> tuple[Segment, ...]:
        """The segments that the table does not have all of."""
        return tuple(each for each in self.segments if not each.is_covered)

    @property
    def end(self) -> int:
        """Position of the last whole record; 0 if there is none."""
        return max((each.end for each in self.segments), default=0)

    @property
    def beyond(self) -> int:
        """A position behind all that this log ever gave to a record, as far as can be seen."""
        ends = [each.base + max(0, each.size_bytes - HEADER_BYTES) for each in self.segments]
        end = max(ends, default=0)
        return max(end, self.closed) if self.closed - end <= _CLOSED_AHEAD_BYTES_MAX else end


def read_log(folder: Path, covered: int, advance: Callable[[int], None]) -> LogState:
    """Read all segments of a folder.

    Args:
        folder: Folder of the segments.
        covered: Position up to which the table has everything.
        advance: Told how many bytes were read.

    Raises:
        OSError: A file can't be read.
    """
    closed = _closed(folder)
    based: list[tuple[int, Path]] = []
    odd: list[Path] = []
    for path in sorted(folder.glob("*.log")):
        base = _base(path)
        if base is None:
            odd.append(path)
        else:
            based.append((base, path))
    based.sort()
    segments = []
    for number, (base, path) in enumerate(based):
        following = based[number + 1][0] if number + 1 < len(based) else None
        is_covered = following is not None and following <= covered
        segments.append(
            _read_segment(path, base, closed, is_last=following is None, is_covered=is_covered)
        )
        advance(segments[-1].size_bytes)
    return LogState(tuple(segments), tuple(odd), closed)


def whole_records(state: LogState) -> Iterator[LogRecord]:
    """Every record that is whole, in the order of positions."""
    for segment in state.segments:
        with mapped(segment.path) as data:
            end = len(data) - segment.torn_bytes
            offset = min(HEADER_BYTES, end)
            while offset < end:
                record = record_at(data, offset, segment.base)
                if record is None:
                    offset = next_record_offset(data, offset, segment.base)
                    continue
                yield LogRecord(record.position, bytes(data[record.start : record.end]))
                offset = HEADER_BYTES + record.position - segment.base


def _base(path: Path) -> int | None:
    with mapped(path) as data:
        base = read_header(data)
    if base is not None:
        return base
    digits = path.stem.encode(errors="replace")
    named = int(digits) if digits.isdigit() and len(digits) <= POSITION_DIGITS else POSITION_END
    return named if named < POSITION_END and segment_name(named) == path.name else None


def _read_segment(
    path: Path, base: int, closed: int, *, is_last: bool, is_covered: bool
) -> Segment:
    damaged: list[Stretch] = []
    torn_bytes = records = 0
    end = base
    with mapped(path) as data:
        size_bytes = len(data)
        if read_header(data) is None:
            if is_last and size_bytes <= HEADER_BYTES and base >= closed:
                # A crash between creating the newest segment and its first fsync.
                return Segment(path, base, base, size_bytes, 0, (), size_bytes, is_covered)
            damaged.append(Stretch(0, min(HEADER_BYTES, size_bytes)))
        offset = min(HEADER_BYTES, size_bytes)
        while offset < size_bytes:
            record = record_at(data, offset, base)
            if record is not None:
                records += 1
                end = record.position
                offset = HEADER_BYTES + end - base
                continue
            if (
                is_last
                and not damaged
                and end >= closed
                and not may_be_durable_beyond(data, offset, base, end)
            ):
                torn_bytes = size_bytes - offset
                break
            following = next_record_offset(data, offset, base)
            damaged.append(Stretch(offset, following))
            offset = following
    return Segment(path, base, end, size_bytes, records, tuple(damaged), torn_bytes, is_covered)


def _closed(folder: Path) -> int:
    try:
        return read_closed((folder / CLOSED_NAME).read_bytes())
    except FileNotFoundError:
        return 0
