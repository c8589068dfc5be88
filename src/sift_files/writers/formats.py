"""Which writer makes a file."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from sift_files.errors import FilesError, MissingLibraryError
from sift_files.writers.atomic import whole_or_nothing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TableWriter", "WrittenFormat", "table_format", "writing"]


class WrittenFormat(StrEnum):
    """The formats that are written."""

    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"
    HDF5 = "hdf5"
    MCAP = "mcap"

    @property
    def has_rows(self) -> bool:
        """Whether it takes any table. The others take wide ones only: they have no rows."""
        return self not in {WrittenFormat.HDF5, WrittenFormat.MCAP}


class TableWriter(Protocol):
    """Writes tables to a file."""

    def __init__(self, path: Path, schema: Any) -> None:  # noqa: ANN401 (pyarrow has no types)
        """Begin a file."""

    def write(self, table: Any) -> None:  # noqa: ANN401
        """Add a table of the schema."""

    def close(self) -> None:
        """Write the end of the file, and close it."""


_SUFFIXES = {
    ".csv": WrittenFormat.CSV,
    ".parquet": WrittenFormat.PARQUET,
    ".pq": WrittenFormat.PARQUET,
    ".arrow": WrittenFormat.ARROW,
    ".feather": WrittenFormat.ARROW,
    ".ipc": WrittenFormat.ARROW,
    ".h5": WrittenFormat.HDF5,
    ".hdf5": WrittenFormat.HDF5,
    ".mcap": WrittenFormat.MCAP,
}
_WRITERS = {
    WrittenFormat.CSV: ("csv", "CsvWriter", "csv"),
    WrittenFormat.PARQUET: ("parquet", "ParquetWriter", "parquet"),
    WrittenFormat.ARROW: ("arrow", "ArrowWriter", "parquet"),
    WrittenFormat.HDF5: ("hdf5", "Hdf5Writer", "hdf5"),
    WrittenFormat.MCAP: ("mcap", "McapWriter", "mcap"),
}
_LIBRARIES = frozenset({"h5py", "mcap", "numpy", "pyarrow"})


def table_format(path: Path) -> WrittenFormat:
    """The format that the name of a file stands for.

    Raises:
        FilesError: It stands for none that is written.
    """
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None:
        known = ", ".join(_SUFFIXES)
        raise FilesError(
            f"the name of {path} does not say in which format to write it: one that ends with"
            f" {known} does, or name the format"
        )
    return found


@contextmanager
def writing(
    path: Path,
    file_format: WrittenFormat,
    schema: Any,  # noqa: ANN401 (pyarrow has no types)
) -> Iterator[TableWriter]:
    """Write a file; gives what takes its tables. It is there when the with-block ended well.

    Args:
        path: The file; what is there is replaced.
        file_format: Its format.
        schema: Arrow schema of all tables. Whether it is a wide one, see `WrittenFormat.has_rows`.

    Raises:
        FilesError: The format has no room for something; says what.
        MissingLibraryError: The library of the format is not installed.
        OSError: It can't be written.
    """
    writer_class = _writer(file_format)
    with whole_or_nothing(path) as beside:
        writer: TableWriter = writer_class(beside, schema)
        try:
            yield writer
        finally:
            writer.close()


def _writer(file_format: WrittenFormat) -> Any:  # noqa: ANN401 (a class)
    module, name, extra = _WRITERS[file_format]
    try:
        return getattr(importlib.import_module(f"sift_files.writers.{module}"), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _LIBRARIES:
            raise
        raise MissingLibraryError(
            f"{file_format.value} files need {error.name}: pip install 'sift-py[{extra}]'"
        ) from None
