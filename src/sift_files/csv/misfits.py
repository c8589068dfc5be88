"""What is done with cells and rows that do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_files.batch import BadCell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sift_files.csv.parse import Misfit

__all__ = ["bad_cell"]


def bad_cell(path: Path, misfit: Misfit, names: Sequence[str]) -> BadCell:
    """A misfit in the words of the file: `names` are those of its columns, from the first on."""
    if not misfit.column:
        return BadCell(path.name, misfit.line, "", misfit.text, misfit.reason, is_row=True)
    return BadCell(
        path.name,
        misfit.line,
        names[misfit.column - 1],
        misfit.text,
        misfit.reason,
        path=str(misfit.column),
    )
