"""CSV files: a line a row, the names of columns with their units, times with nanoseconds.

Numbers have as many digits as it takes to read the same ones again. Texts are in quotes, so that an
empty one can be told from none; what has no value is empty. Bytes become hexadecimal digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv

from sift_files.writers.plain import plain_schema, plain_table

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CsvWriter"]


class CsvWriter:
    """Writes a CSV file."""

    def __init__(self, path: Path, schema: Any) -> None:  # noqa: ANN401 (pyarrow has no types)
        """Begin a file with the line of names."""
        self._schema = plain_schema(schema)
        fields = [
            pa.field(_header(field), pa.string() if pa.types.is_binary(field.type) else field.type)
            for field in self._schema
        ]
        self._headed = pa.schema(fields)
        self._writer: Any = csv.CSVWriter(path, self._headed)

    def write(self, table: Any) -> None:  # noqa: ANN401
        """Add rows."""
        columns = [
            _hexadecimal(column) if pa.types.is_binary(column.type) else column
            for column in plain_table(table, self._schema).columns
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._headed))

    def close(self) -> None:
        """Close it."""
        self._writer.close()


def _header(field: Any) -> str:  # noqa: ANN401
    unit = (field.metadata or {}).get(b"unit", b"").decode()
    return f"{field.name} ({unit})" if unit else field.name


def _hexadecimal(column: Any) -> Any:  # noqa: ANN401
    return pa.array([each and each.hex() for each in column.to_pylist()], pa.string())
