"""What an export is to read, and into which files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sift.data.v2.data_pb2 import Query
    from sift_files.writers import WrittenFormat


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """A column, or one for each element of a bit field.

    Attributes:
        name: Of the column.
        queries: What its points are of: one, or several whose points are sorted into each other.
        unit: Its unit, where the points do not say one.
    """

    name: str
    queries: tuple[Query, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file.

    Attributes:
        name: Of the file, without its suffix.
        columns: Its columns; those without points are left out.
    """

    name: str
    columns: tuple[PlannedColumn, ...]


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What an export is to do. Times are nanoseconds since 1970, the end excluded.

    Attributes:
        file_format: Of its files.
        files: The files; several are given as one ZIP archive.
        start_ns: Earliest time.
        end_ns: Time that is no longer included.
    """

    file_format: WrittenFormat
    files: tuple[PlannedFile, ...]
    start_ns: int
    end_ns: int
