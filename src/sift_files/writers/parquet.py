"""Parquet files: a column a channel, with unit, data type and states as metadata of the column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyarrow import parquet

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ParquetWriter"]


class ParquetWriter:
    """Writes a Parquet file; a row group for each table."""

    def __init__(self, path: Path, schema: Any) -> None:  # noqa: ANN401 (pyarrow has no types)
        """Begin a file."""
        # Nanoseconds as they are: older versions of the format had only microseconds.
        self._writer: Any = parquet.ParquetWriter(path, schema, version="2.6", compression="zstd")

    def write(self, table: Any) -> None:  # noqa: ANN401
        """Add rows."""
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the end."""
        self._writer.close()
