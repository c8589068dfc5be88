"""Where rows end in a text with quotes: a newline in a quoted cell is a part of the cell.

Where each quote opens a cell, closes it, or is one of two, a newline is in a cell if the quotes
before it are odd in number, which is found for all at once. Where one stands in the middle of a
cell, as in `5" pipe`, cells are gone through one by one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["cut_rows"]

_QUOTE = ord('"')


def cut_rows(data: bytes, newline: bytes, delimiter: str, *, at_end: bool) -> tuple[int, bool, int]:
    """Where the last row ends, and whether quoted cells before have newlines in them.

    Last, at the end, where a quote begins that is not closed; -1 if none does.
    """
    if b'"' not in data:
        return (len(data) if at_end else data.rfind(newline) + 1), False, -1
    bounds = _bounds(data, delimiter)
    is_open = len(bounds) % 2 == 1
    if at_end:
        return len(data), _has_newlines(data, newline, bounds), int(bounds[-1]) if is_open else -1
    limit = len(data)
    while (at := data.rfind(newline, 0, limit)) >= 0:
        before = int(np.searchsorted(bounds, at))
        if before % 2 == 0:
            return at + 1, _has_newlines(data[: at + 1], newline, bounds[:before]), -1
        limit = int(bounds[before - 1])
    return 0, False, -1


def _bounds(data: bytes, delimiter: str) -> NDArray[np.int64]:
    """Places where quoted cells begin and end, in turn; the end of a doubled quote is one, too."""
    letters = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(letters == _QUOTE)
    opening = quotes[::2]
    before = letters[np.maximum(opening, 1) - 1]
    may_open = np.isin(before, [delimiter.encode()[-1], ord("\n"), ord("\r"), _QUOTE])
    if (may_open | (opening == 0)).all():
        return quotes
    found: list[int] = []
    for cell in _quoted(delimiter).finditer(data):
        found.append(cell.start())
        if cell[1]:
            found.append(cell.end() - 1)
    return np.array(found, np.int64)


def _has_newlines(data: bytes, newline: bytes, bounds: NDArray[np.int64]) -> bool:
    places = np.flatnonzero(np.frombuffer(data, np.uint8) == newline[0])
    return bool((np.searchsorted(bounds, places) % 2 == 1).any())


@lru_cache(maxsize=8)
def _quoted(delimiter: str) -> re.Pattern[bytes]:
    before = re.escape(delimiter.encode())
    return re.compile(rb"(?:\A|(?<=[\r\n])|(?<=" + before + rb'))"[^"]*(?:""[^"]*)*("|\Z)')
