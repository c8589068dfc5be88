"""Arrow files (IPC, also known as Feather): columns as they are in memory, compressed by zstd.

States and runs are texts: in a file, a dictionary could not grow by what comes later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sift_files.writers.plain import plain_schema, plain_table

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ArrowWriter"]

BATCH_ROWS = 65_536


class ArrowWriter:
    """Writes an Arrow file."""

    def __init__(self, path: Path, schema: Any) -> None:  # noqa: ANN401 (pyarrow has no types)
        """Begin a file."""
        self._schema = plain_schema(schema)
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writer: Any = pa.ipc.new_file(str(path), self._schema, options=options)

    def write(self, table: Any) -> None:  # noqa: ANN401
        """Add rows."""
        self._writer.write_table(plain_table(table, self._schema), max_chunksize=BATCH_ROWS)

    def close(self) -> None:
        """Write the end."""
        self._writer.close()
