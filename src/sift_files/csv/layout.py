"""How a CSV file is written: its delimiter, its header, where the data begins."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_files.errors import UnreadableFileError
from sift_files.names import name_and_unit
from sift_files.plan import CsvLayout
from sift_files.times.date_text import ns_of_iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["CELL_CHARACTERS_MAX", "Headed", "layout_of"]

ROWS_LOOKED_AT = 200
CELL_CHARACTERS_MAX = 64 * 1024 * 1024

_DELIMITERS = (",", ";", "\t", "|")
_NUMBER = re.compile(
    r"\s*[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?\s*|\s*[+-]?(?:nan|inf|infinity)\s*",
    re.IGNORECASE,
)
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*")
_DECIMAL_POINT = re.compile(r"\s*[+-]?\d*\.\d+(?:[eE][+-]?\d+)?\s*")


@dataclass(frozen=True, slots=True)
class Headed:
    """How a file is written, and what its head says.

    Attributes:
        layout: How it is written.
        headers: Names of the columns, as they are there.
        units: Units of the columns, from a line of their own; empty if there is none.
        rows: The first rows of data.
        notes: What is not sure, or may surprise.
    """

    layout: CsvLayout
    headers: tuple[str, ...]
    units: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def layout_of(path: Path, text: str, encoding: str, delimiter: str = "") -> Headed:
    """Find out how a file is written.

    Args:
        path: For messages.
        text: Its first lines.
        encoding: Of the file.
        delimiter: If it is known.

    Raises:
        UnreadableFileError: There is nothing in it, or it can't be cut into rows.
    """
    if not text.strip():
        raise UnreadableFileError(f"{path} is empty")
    delimiter = delimiter or max(_DELIMITERS, key=lambda each: _evenness(text, each))
    lined = _rows(path, text, delimiter)
    counts = Counter(len(cells) for _, cells in lined[1:] or lined)
    # Where two are as frequent, the longer: comments have fewer cells than data.
    width = max(counts, key=lambda count: (counts[count], count))
    at = _head_at(lined, width)
    notes = []
    line, first = lined[at]
    rest = lined[at + 1 :]
    units: tuple[str, ...] = ()
    if at and any(map(_is_data, first)) and _could_head(lined[at - 1][1], first):
        # Rows of data end with a delimiter, and the header does not.
        at -= 1
        line, first = lined[at][0], lined[at][1] + [""] * (width - len(lined[at][1]))
        rest = lined[at + 1 :]
    if at:
        notes.append(f"the first {line - 1} lines are no table and are left out")
    if any(_is_data(cell) for cell in first):
        headers = tuple(f"column_{number}" for number in range(1, width + 1))
        notes.append("there is no header: the columns are called column_1, column_2 and so on")
        rest = lined[at:]
        first_row = line
    else:
        headers = _headers(first)
        if len(rest) > 1 and _is_units(rest[0][1], rest[1][1]):
            below = rest[0][1]
            rest = rest[1:]
            if _are_names(first, below):
                headers = _headers(_joined(first, below))
                notes.append("the header has two lines, which are put together")
            else:
                units = tuple(map(_unit, below))
                notes.append("the line behind the header is taken for units")
        first_row = rest[0][0] if rest else line + 1
        if rest:
            # Blank lines before it are no data; the line of a row is where it begins.
            first_row = min(first_row, rest[0][0])
    cells = [cell for _, row in rest for cell in row]
    numbers = [cell for cell in cells if _NUMBER.fullmatch(cell)]
    has_comma = any(map(_DECIMAL_COMMA.fullmatch, cells))
    decimal = "," if has_comma and not any(map(_DECIMAL_POINT.fullmatch, cells)) else "."
    layout = CsvLayout(
        delimiter=delimiter,
        encoding=encoding,
        columns=width,
        first_row=first_row,
        decimal=decimal,
        is_padded=any(cell != cell.strip() for cell in numbers),
    )
    return Headed(layout, headers, units, tuple(tuple(row) for _, row in rest), tuple(notes))


def _evenness(text: str, delimiter: str) -> tuple[float, int]:
    """How many rows have as many cells as most, of a delimiter that is there at all."""
    rows = list(_lined(text, delimiter))
    counts = Counter(len(cells) for _, cells in rows)
    width, count = max(counts.items(), key=lambda item: (item[1], item[0]))
    return (count / len(rows) if width > 1 else 0.0), width


def _rows(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    try:
        rows = list(_lined(text, delimiter))
    except csv.Error as error:
        raise UnreadableFileError(f"{path} is no CSV file: {error}") from None
    if not rows:
        raise UnreadableFileError(f"{path} is empty")
    return rows


def _lined(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Rows that are not blank, with the line that each begins with."""
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows, line = [], 1
    for cells in reader:
        if cells:
            rows.append((line, cells))
        line = reader.line_num + 1
        if len(rows) == ROWS_LOOKED_AT:
            break
    return rows


def _head_at(lined: Sequence[tuple[int, Sequence[str]]], width: int) -> int:
    """Where the table begins: spreadsheets fill up lines above it with empty cells."""
    first = next(at for at, (_, cells) in enumerate(lined) if len(cells) == width)
    for at, (_, cells) in enumerate(lined[first:], first):
        if len(cells) == width and 2 * sum(map(bool, map(str.strip, cells))) > width:
            return first if any(map(_is_data, cells)) else at
    return first


def _are_names(cells: Sequence[str], below: Sequence[str]) -> bool:
    """Whether a row goes on with the names of the one above, which has the names of groups."""
    groups = [cell.strip() for cell in cells]
    return len(set(filter(None, groups))) < len(groups) and any(
        name_and_unit(cell)[1] for cell in below
    )


def _joined(cells: Sequence[str], below: Sequence[str]) -> list[str]:
    """Names of columns behind those of their groups, of which a spreadsheet has the first alone."""
    joined, group = [], ""
    for cell, name in zip(cells, below, strict=True):
        group = cell.strip() or group
        joined.append(f"{group} {name.strip()}".strip())
    return joined


def _unit(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1].strip() if cell[:1] + cell[-1:] in {"()", "[]"} else cell


def _headers(cells: Sequence[str]) -> tuple[str, ...]:
    names = [cell.strip() for cell in cells]
    # A mark of a comment in front of the header, as loggers write it.
    names[0] = names[0].removeprefix("#").strip()
    return tuple(name or f"column_{number}" for number, name in enumerate(names, 1))


def _is_data(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell)) or (bool(cell.strip()) and ns_of_iso(cell) is not None)


def _could_head(cells: Sequence[str], below: Sequence[str]) -> bool:
    return 1 < len(cells) < len(below) and not any(map(_is_data, cells))


def _is_units(cells: Sequence[str], below: Sequence[str]) -> bool:
    """Whether a row has units: no numbers, above numbers."""
    return (
        len(cells) == len(below)
        and not any(_is_data(cell) for cell in cells)
        and any(_is_data(cell) for cell in below)
        and any(cell.strip() and _is_data(one) for cell, one in zip(cells, below, strict=True))
    )
