"""Every error of `sift_files`, in one tree.

```text
FilesError
├── UnreadableFileError                 the file is not what it was taken for, or is damaged
├── PlanError (ValueError)              a plan does not fit the file, or lacks something
├── BadCellError (ValueError)           a cell has a value that does not fit its column
└── MissingLibraryError (ImportError)   the library of a format is not installed
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sift_files.batch import BadCell

__all__ = [
    "BadCellError",
    "FilesError",
    "MissingLibraryError",
    "PlanError",
    "UnreadableFileError",
]


class FilesError(Exception):
    """Base of all errors that `sift_files` raises itself."""


class UnreadableFileError(FilesError):
    """A file is not what it was taken for, or is damaged; says where."""


class PlanError(FilesError, ValueError):
    """A plan does not fit the file, or lacks what can't be guessed."""


class BadCellError(FilesError, ValueError):
    """A cell has a value that does not fit its column.

    Attributes:
        cell: Where it is, and what it has.
    """

    def __init__(self, cell: BadCell) -> None:
        super().__init__(str(cell))
        self.cell = cell


class MissingLibraryError(FilesError, ImportError):
    """The library of a format is not installed; says what to install."""
