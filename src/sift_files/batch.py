"""What readers give: columns of a table, some rows at a time, and the cells that don't fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BadCell", "Batch", "KeptText", "OnBadCell", "OnError"]

VALUE_CHARACTERS_SHOWN_MAX = 80


class OnError(StrEnum):
    """What to do with a cell that does not fit its column."""

    STOP = "stop"
    """Raise `BadCellError`."""
    SKIP = "skip"
    """Leave the cell out; the whole row if its time is bad, or it has more or fewer cells."""
    TEXT = "text"
    """Keep the cell's text, as `KeptText`; rows are left out as with `SKIP`."""


@dataclass(frozen=True, slots=True)
class BadCell:
    """A cell, or a row, that does not fit.

    Attributes:
        file: Name of the file.
        line: Its line in the file, counted from 1; in files without lines, its row in the table.
        column: Name of the column, as in the file; empty for a whole row.
        value: What is there.
        reason: What is wrong with it.
        is_row: Whether the row can't be taken, not the cell alone.
        path: Of the column, as in the plan.
    """

    file: str
    line: int
    column: str
    value: str
    reason: str
    is_row: bool = False
    path: str = ""

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line:,}"
        if self.column:
            where += f", column {self.column}"
        value = self.value
        if len(value) > VALUE_CHARACTERS_SHOWN_MAX:
            value = value[:VALUE_CHARACTERS_SHOWN_MAX] + "…"
        return f"{where}: {value!r} {self.reason}"


OnBadCell = Callable[[BadCell], object]
"""Is told of each cell that is left out or kept as text."""


@dataclass(frozen=True, slots=True)
class KeptText:
    """The text of a cell that did not fit the channel of its column."""

    channel: str
    time_ns: int
    text: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a table.

    Attributes:
        table: Name of the table in the plan.
        times_ns: A time for each row, in nanoseconds since 1970-01-01T00:00:00Z.
        columns: By channel: an array of NumPy or Arrow, a value for each row, null or masked where
            there is none.
        rows_read: How many rows of the file it took, with those that were left out.
        place: Where to go on behind it: `start` of a `read` of the same file and plan.
        kept: Texts of cells that did not fit.
    """

    table: str
    times_ns: NDArray[np.int64]
    columns: Mapping[str, Any]
    rows_read: int
    place: int
    kept: tuple[KeptText, ...] = field(default=())
