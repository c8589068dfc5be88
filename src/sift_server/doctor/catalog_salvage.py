"""Every row of a damaged SQLite file that can be read, in a new catalog."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Double, Integer, LargeBinary

from sift_server.catalog import tables
from sift_server.catalog.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Table
    from sqlalchemy.types import TypeEngine

_SKIPPED_ROWS_MAX = 1 << 40

_HEADER_BYTES = 100
_SAME_IN_ALL = (
    (0, b"SQLite format 3\0"),
    # Pages of 4 KiB, a write-ahead log, nothing reserved, and three numbers that never differ.
    (16, b"\x10\x00\x02\x02\x00\x40\x20\x20"),
    # Schema format 4, and texts in UTF-8.
    (44, b"\x00\x00\x00\x04"),
    (56, b"\x00\x00\x00\x01"),
)
"""Offsets and bytes: https://www.sqlite.org/fileformat.html#the_database_header"""

_Row = tuple[Any, ...]


def salvage(damaged: Path, target: Path) -> dict[str, int]:
    """Make a new catalog of what can be read of a damaged one.

    A row is taken if all of its values are of the kind that its columns have. Rows may refer to
    others that are lost.

    Args:
        damaged: A copy of the damaged file; there may be none, or one that is no database.
        target: Where the new one goes.

    Returns:
        How many rows each table has.
    """
    Database.open(target).close()
    _mend_header(damaged)
    counts: dict[str, int] = {}
    with closing(sqlite3.connect(target)) as connection:
        for table in tables.metadata.sorted_tables:
            if table is tables.schema_version:
                continue
            counts[table.name] = 0
            try:
                with closing(sqlite3.connect(damaged)) as source:
                    source.text_factory = bytes
                    # Else a file that was cut off is not read at all.
                    source.execute("PRAGMA writable_schema=ON")
                    for names, row in _rows(source, table):
                        counts[table.name] += _insert(connection, table, names, row)
            except sqlite3.DatabaseError:
                continue
        # Versions before the second did not say how large a message is.
        connection.execute(
            "UPDATE error_queue SET size_bytes = 500 + length(message) + length(reason)"
            " + length(flow_name) + length(ingestion_config_id) WHERE size_bytes = 0"
        )
        connection.commit()
    return counts


def _mend_header(path: Path) -> None:
    """Write again what is the same in the first bytes of every catalog; sizes are found anew."""
    if path.exists() and path.stat().st_size >= _HEADER_BYTES:
        with path.open("r+b") as file:
            for offset, same in _SAME_IN_ALL:
                file.seek(offset)
                file.write(same)


def _insert(connection: sqlite3.Connection, table: Table, names: list[str], row: _Row) -> int:
    values = ", ".join("?" * len(names))
    # Names of our own tables.
    statement = f"INSERT OR IGNORE INTO {table.name} ({', '.join(names)}) VALUES ({values})"  # noqa: S608
    return connection.execute(statement, row).rowcount


def _rows(source: sqlite3.Connection, table: Table) -> Iterator[tuple[list[str], _Row]]:
    present = {row[1].decode() for row in source.execute(f"PRAGMA table_info({table.name})")}
    names = [column.name for column in table.columns if column.name in present]
    if not names:
        return
    seen: set[int] = set()
    for order, compare in (("ASC", ">"), ("DESC", "<")):
        query = (
            f"SELECT rowid, {', '.join(names)} FROM {table.name} NOT INDEXED"  # noqa: S608 (ours)
            f" WHERE rowid {compare} ? ORDER BY rowid {order}"
        )
        for number, *values in _read_on(source, query, 1 if order == "ASC" else -1):
            if number not in seen:
                seen.add(number)
                row = _checked(table, names, values)
                if row is not None:
                    yield names, row


def _read_on(source: sqlite3.Connection, query: str, step: int) -> Iterator[_Row]:
    """Rows from one end to the other; behind what can't be read, further and further away."""
    last = -step << 62
    skip = 0
    while True:
        try:
            for row in source.execute(query, (last,)):
                yield row
                last, skip = row[0], 0
        except (sqlite3.DatabaseError, OverflowError):
            if abs(last) >= 1 << 62 or skip > _SKIPPED_ROWS_MAX:
                return
            skip = max(1, 2 * skip)
            last += step * skip
        else:
            return


def _checked(table: Table, names: list[str], values: list[Any]) -> _Row | None:
    """A row with values as they are to be, or None if one is of another kind."""
    row = []
    for name, value in zip(names, values, strict=True):
        column = table.columns[name]
        if value is None and not column.nullable:
            return None
        try:
            row.append(None if value is None else _value(column.type, value))
        except (AttributeError, TypeError, ValueError):
            return None
    return tuple(row)


def _value(kind: TypeEngine[Any], value: Any) -> Any:  # noqa: ANN401 (as the database has it)
    if isinstance(kind, LargeBinary):
        wanted: type | tuple[type, ...] = bytes
    elif isinstance(kind, Integer | Boolean):
        wanted = int
    elif isinstance(kind, Double):
        wanted = (int, float)
    else:
        return value.decode("utf-8")
    if not isinstance(value, wanted):
        raise TypeError(kind)
    return value
