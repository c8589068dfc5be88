"""Blocks of whole rows, cut from a text; newlines in quoted cells are no ends of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_files.csv.quotes import cut_rows
from sift_files.errors import UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_files.csv.source import TextSource

__all__ = ["BLOCK_BYTES", "Block", "blocks_of"]

BLOCK_BYTES = 8 * 1024 * 1024
ROW_BYTES_MAX = 64 * 1024 * 1024
"""A row that is longer is taken for a quote that is not closed."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a file.

    Attributes:
        data: Their text, in UTF-8.
        first_line: Line of the file that they begin with, counted from 1.
        end: Where they end, in bytes of the text.
        has_newlines: Whether a quoted cell has a newline in it.
    """

    data: bytes
    first_line: int
    end: int
    has_newlines: bool


def blocks_of(
    source: TextSource,
    delimiter: str,
    start: int = 0,
    first_line: int = 1,
    first_bytes: int | None = None,
) -> Iterator[Block]:
    """Cut a text into blocks.

    Args:
        source: The text, from `start` on.
        delimiter: Between cells.
        start: Where it begins, in bytes.
        first_line: Line that it begins with.
        first_bytes: About how long the first block is, if not as long as the others.

    Raises:
        UnreadableFileError: A row is too long, or the file is damaged.
    """
    rest, size, end, line = b"", first_bytes or BLOCK_BYTES, start, first_line
    newline = b""
    while True:
        data = source.read(size)
        at_end = len(data) < size
        data = rest + data
        if not data:
            return
        newline = newline or (b"\n" if b"\n" in data else b"\r" if b"\r" in data else b"")
        cut, has_newlines, unclosed = cut_rows(data, newline or b"\n", delimiter, at_end=at_end)
        if unclosed >= 0:
            line += data.count(newline or b"\n", 0, unclosed)
            raise UnreadableFileError(f"the quote that line {line:,} opens is not closed")
        if cut:
            rows = data[:cut]
            end += cut
            yield Block(rows, line, end, has_newlines)
            line += rows.count(newline or b"\n")
        elif len(data) > ROW_BYTES_MAX:
            raise UnreadableFileError(
                f"line {line:,} begins a row of more than {ROW_BYTES_MAX // 1024**2} MiB: is a"
                " quote not closed?"
            )
        rest = data[cut:]
        if at_end:
            return
        size = BLOCK_BYTES
