"""Cells that do not fit: stopped at, left out, or kept as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_files.batch import KeptText, OnError
from sift_files.errors import BadCellError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sift_files.batch import BadCell, OnBadCell

__all__ = ["Judge"]


class Judge:
    """Does with cells that do not fit what the user chose."""

    def __init__(self, on_error: OnError, on_bad_cell: OnBadCell | None) -> None:
        self._on_error = on_error
        self._on_bad_cell = on_bad_cell

    def take(self, cells: Iterable[tuple[BadCell, str, int | None]]) -> tuple[KeptText, ...]:
        """Judge cells: each with the channel that it would be for, and its time if it has one.

        Raises:
            BadCellError: It is to stop; of the first.
        """
        kept = []
        for cell, channel, time_ns in cells:
            if self._on_error is OnError.STOP:
                raise BadCellError(cell)
            if self._on_bad_cell is not None:
                self._on_bad_cell(cell)
            if self._on_error is OnError.TEXT and channel and time_ns is not None:
                kept.append(KeptText(channel, time_ns, cell.value))
        return tuple(kept)
