"""CSV files: a line a row, the names of columns with their units, times with nanoseconds.

Numbers have as many digits as it takes to read the same ones again, and those that may have a point
have one. Texts are in quotes, so that an empty one can be told from none; what has no value is
empty. Bytes become hexadecimal digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from sift_files.writers.plain import plain_schema, plain_table

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CsvWriter"]

ROWS_AT_ONCE = 16_384
_WHOLE = "^-?[0-9]+$"


class CsvWriter:
    """Writes a CSV file."""

    def __init__(self, path: Path, schema: Any) -> None:  # noqa: ANN401 (pyarrow has no types)
        """Begin a file with the line of names."""
        self._schema = plain_schema(schema)
        self._file = path.open("wb")
        names = pa.array([_header(field) for field in self._schema], pa.string())
        self._file.write(",".join(_quoted(names).to_pylist()).encode() + b"\n")

    def write(self, table: Any) -> None:  # noqa: ANN401
        """Add rows."""
        for batch in plain_table(table, self._schema).to_batches(max_chunksize=ROWS_AT_ONCE):
            self._file.write(_lines(batch))

    def close(self) -> None:
        """Close it."""
        self._file.close()


def _header(field: Any) -> str:  # noqa: ANN401
    unit = (field.metadata or {}).get(b"unit", b"").decode()
    return f"{field.name} ({unit})" if unit else field.name


def _lines(batch: Any) -> bytes:  # noqa: ANN401
    """The rows of a batch."""
    cells = [_cells(column) for column in batch.columns]
    joined = cells[0]
    if len(cells) > 1:
        joined = pc.binary_join_element_wise(
            *cells, ",", null_handling="replace", null_replacement=""
        )
    lines = pc.binary_join_element_wise(joined, "\n", "", null_handling="replace")
    return "".join(lines.to_pylist()).encode()


def _cells(column: Any) -> Any:  # noqa: ANN401
    """Values as they are written."""
    if pa.types.is_binary(column.type):
        texts = [None if each is None else each.hex() for each in column.to_pylist()]
        return _quoted(pa.array(texts, pa.string()))
    if pa.types.is_string(column.type):
        return _quoted(column)
    texts = column.cast(pa.string())
    if pa.types.is_floating(column.type):
        pointed = pc.binary_join_element_wise(texts, ".0", "")
        texts = pc.if_else(pc.match_substring_regex(texts, _WHOLE), pointed, texts)
    return texts


def _quoted(texts: Any) -> Any:  # noqa: ANN401
    doubled = pc.replace_substring(texts, '"', '""')
    return pc.binary_join_element_wise('"', doubled, '"', "")
