"""The place in a text where reading begins: behind the header, or where it was left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_files.errors import UnreadableFileError

if TYPE_CHECKING:
    from sift_files.csv.source import TextSource
    from sift_files.plan import CsvLayout

__all__ = ["Begun", "begin"]

_READ_BYTES = 1024 * 1024


class Begun:
    """A text from some place on.

    Attributes:
        start: The place, in bytes.
        first_line: The line there, counted from 1.
    """

    def __init__(self, source: TextSource, start: int, first_line: int, rest: bytes) -> None:
        self.start = start
        self.first_line = first_line
        self._source = source
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        """As `TextSource`."""
        rest, self._rest = self._rest[:size], self._rest[size:]
        return rest + self._source.read(size - len(rest))


def begin(source: TextSource, layout: CsvLayout, place: int = 0) -> Begun:
    """Go to a place in a text; to the first row of data if it is 0.

    Raises:
        UnreadableFileError: The text ends before.
    """
    first = source.read(_READ_BYTES)
    newline = b"\n" if b"\n" in first else b"\r"
    if not place:
        return _behind_lines(source, layout.first_row - 1, newline, first)
    line, start, data = 1, 0, first
    while start + len(data) < place:
        if not data:
            raise UnreadableFileError(f"the file ends before byte {place:,}, from where to go on")
        line += data.count(newline)
        start += len(data)
        data = source.read(_READ_BYTES)
    cut = place - start
    return Begun(source, place, line + data.count(newline, 0, cut), data[cut:])


def _behind_lines(source: TextSource, lines: int, newline: bytes, data: bytes) -> Begun:
    start, left = 0, lines
    while True:
        at = 0
        while left:
            found = data.find(newline, at)
            if found < 0:
                break
            at, left = found + 1, left - 1
        if not left:
            return Begun(source, start + at, lines + 1, data[at:])
        start += len(data)
        data = source.read(_READ_BYTES)
        if not data:
            return Begun(source, start, lines + 1, b"")
