"""Folders of segments that are almost right, made of bytes that a fuzzer chooses.

Either the bytes are a segment, or they say what happens to a log that is whole, five bytes a time:
bytes are changed, cut off, doubled or left out, segments vanish, and headers and records get the
checksum of what is in them then, so that what is behind a checksum is damaged too.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from fuzz.log_format import (
    CLOSED,
    HEADER_BYTES,
    POSITION_END,
    base_in,
    checked,
    header,
    record,
    segment_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from fuzz.log_format import Files

RAW = 0
"""First byte of an input whose others are a segment."""

CHANGED = 1
"""First byte of an input that says what happens to a log."""

STEP_BYTES = 5
"""What happens, to which file, where as two bytes, and how much."""

_PAYLOADS = (b"a", b"longer than one word", b"eight by", bytes(40), b"\xff" * 33, b"the end")
_NOTE_BYTES_MAX = 5_000


def folder_of(data: bytes) -> tuple[Files, int]:
    """The files that an input stands for, and the position up to which the table has them."""
    if data[:1] == bytes((RAW,)):
        base = base_in(data[1:])
        is_covered = len(data) % 2 and base < POSITION_END
        return {segment_name(base): data[1:]}, base if is_covered else 0
    files = whole_log()
    covered = 0
    for at in range(1, len(data), STEP_BYTES):
        kind, which, place, value = struct.unpack("<BBHB", data[at : at + 5].ljust(5, b"\0"))
        kind %= KINDS
        if kind < len(_ON_BYTES):
            _change_bytes(files, kind, which, place, value)
        elif kind < len(_ON_BYTES) + len(_ON_FILES):
            _ON_FILES[kind - len(_ON_BYTES)](files, which, place, value)
        else:
            covered = place
    return files, covered


def whole_log() -> Files:
    """A log of three segments."""
    files: Files = {}
    position = 0
    for first in range(0, len(_PAYLOADS), 2):
        base = position
        content = header(base)
        for payload in _PAYLOADS[first : first + 2]:
            appended = record(payload, position, durable=position)
            position += len(appended)
            content += appended
        files[segment_name(base)] = content
    return files


def _change_bytes(files: Files, kind: int, which: int, place: int, value: int) -> None:
    names = _segments(files)
    if names:
        name = names[which % len(names)]
        content = files[name]
        files[name] = _ON_BYTES[kind](content, place % (len(content) + 1), value)


def _set(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + bytes((value,)) + content[at + 1 :]


def _flip(content: bytes, at: int, value: int) -> bytes:
    return (
        content[:at]
        + bytes(each ^ 1 << value % 8 for each in content[at : at + 1])
        + content[at + 1 :]
    )


def _cut(content: bytes, at: int, _: int) -> bytes:
    return content[:at]


def _insert(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + bytes(value) + content[at:]


def _double(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + content[at : at + value] + content[at:]


def _leave_out(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + content[at + value :]


def _add_zeros(content: bytes, _: int, value: int) -> bytes:
    return content + bytes(value)


def _add_record(content: bytes, at: int, value: int) -> bytes:
    """A whole one, which says that the log was durable up to any place."""
    start = base_in(content) + len(content) - HEADER_BYTES
    if not 0 <= start < POSITION_END:
        return content
    return content + record(_PAYLOADS[value % len(_PAYLOADS)], start, durable=at)


def _check_record(content: bytes, at: int, _: int) -> bytes:
    return checked(content, at - at % 8)


def _check_header(content: bytes, _at: int, _value: int) -> bytes:
    return content[:16] + struct.pack("<II", zlib.crc32(content[:16]), 0) + content[24:]


def _set_base(content: bytes, at: int, value: int) -> bytes:
    return content[:8] + struct.pack("<Q", at << value % 64 & 2**64 - 1) + content[16:]


_ON_BYTES: tuple[Callable[[bytes, int, int], bytes], ...] = (
    _set,
    _flip,
    _cut,
    _insert,
    _double,
    _leave_out,
    _add_zeros,
    _add_record,
    _check_record,
    _check_header,
    _set_base,
)


def _remove(files: Files, which: int, _place: int, _value: int) -> None:
    for name in _segments(files)[which : which + 1]:
        del files[name]


def _copy(files: Files, which: int, place: int, _value: int) -> None:
    for name in _segments(files)[which : which + 1]:
        files[segment_name(place)] = files[name]


def _rename(files: Files, which: int, _place: int, _value: int) -> None:
    """Give a segment the name that its header says."""
    for name in _segments(files)[which : which + 1]:
        content = files.pop(name)
        files[segment_name(base_in(content))] = content


def _note_closed(files: Files, _which: int, place: int, _value: int) -> None:
    files[CLOSED] = f"{place}\n".encode()


def _spoil_note(files: Files, _which: int, place: int, value: int) -> None:
    files[CLOSED] = bytes((value,)) * (place % _NOTE_BYTES_MAX)


_ON_FILES: tuple[Callable[[Files, int, int, int], None], ...] = (
    _remove,
    _copy,
    _rename,
    _note_closed,
    _spoil_note,
)

KINDS = len(_ON_BYTES) + len(_ON_FILES) + 1
"""How many things can happen; the last is that the table has more."""


def _segments(files: Files) -> list[str]:
    return sorted(name for name in files if name != CLOSED)
