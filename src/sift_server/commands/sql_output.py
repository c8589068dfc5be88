"""Answers of SQL as a table, CSV, JSON, Parquet and Arrow."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sift_server.commands.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from sift_py.data.statements import StatementBatches

CELL_CHARACTERS_MAX = 60


def first_rows(batches: StatementBatches, rows: int) -> tuple[Any, bool]:
    """The first rows as a table, and whether there are more."""
    taken = []
    missing = rows + 1
    for batch in batches:
        taken.append(batch.slice(0, missing))
        missing -= len(taken[-1])
        if not missing:
            break
    table = pa.Table.from_batches(taken, batches.schema)
    return table.slice(0, rows), not missing


def table_lines(table: Any) -> Iterator[str]:  # noqa: ANN401 (pyarrow has no types)
    """Lines of a table: names, types, and a line a row."""
    cells = [
        [shown(field.name), _type_name(field.type), *(_cell(value) for value in column)]
        for field, column in zip(table.schema, map(_values, table.columns), strict=True)
    ]
    widths = [max(map(len, column)) for column in cells]
    right = [_is_number(field.type) for field in table.schema]
    for number, row in enumerate(zip(*cells, strict=True)):
        aligned = [
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ]
        yield "  ".join(aligned).rstrip()
        if number == 1:
            yield "  ".join("-" * width for width in widths)


def write_csv(batches: StatementBatches, file: BinaryIO) -> None:
    """Write CSV with a head. Bytes are hexadecimal, lists and the like JSON."""
    schema = pa.schema([(field.name, _csv_type(field.type)) for field in batches.schema])
    with pa_csv.CSVWriter(file, schema) as writer:
        for batch in batches:
            columns = [
                _as_text(column) if wanted.type == pa.string() else column.cast(wanted.type)
                for column, wanted in zip(batch.columns, schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def write_json(batches: StatementBatches, file: BinaryIO) -> None:
    """Write an array of objects, one a line. What JSON has no number for is text."""
    names = [json.dumps(name) + ": " for name in batches.schema.names]
    between = b"[\n"
    for batch in batches:
        columns = [map(_json_text, _values(column)) for column in batch.columns]
        for row in zip(*columns, strict=True):
            fields = ", ".join(map("".join, zip(names, row, strict=True)))
            file.write(between + b"{" + fields.encode() + b"}")
            between = b",\n"
    file.write(b"[]\n" if between == b"[\n" else b"\n]\n")


def write_parquet(batches: StatementBatches, file: BinaryIO) -> None:
    """Write one Parquet file, under zstd."""
    with pq.ParquetWriter(file, _stored(batches.schema), compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_batches([batch]).cast(_stored(batches.schema)))


def write_arrow(batches: StatementBatches, file: BinaryIO) -> None:
    """Write a stream of Arrow, as `pyarrow.ipc.open_stream` reads it."""
    with pa.ipc.new_stream(file, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _stored(schema: Any) -> Any:  # noqa: ANN401
    """A schema of types that Parquet has."""
    return pa.schema(
        [
            field.with_type(pa.string()) if pa.types.is_interval(field.type) else field
            for field in schema
        ]
    )


def _csv_type(kind: Any) -> Any:  # noqa: ANN401
    types = pa.types
    plain = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    plain = plain or types.is_timestamp(kind) or types.is_date(kind) or types.is_decimal(kind)
    return kind if plain else pa.string()


def _as_text(column: Any) -> Any:  # noqa: ANN401
    if pa.types.is_string(column.type):
        return column
    texts = [None if value is None else _text(value) for value in _values(column)]
    return pa.array(texts, pa.string())


def _values(column: Any) -> Iterable[Any]:  # noqa: ANN401
    """Values as Python has them; moments as text, for Python has no nanoseconds."""
    if pa.types.is_timestamp(column.type):
        text: Iterable[Any] = column.cast(pa.string()).to_pylist()
        return text
    values: Iterable[Any] = column.to_pylist()
    return values


def _cell(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return ""
    text = _text(value)
    return shown(text, CELL_CHARACTERS_MAX) if text else ""


def _text(value: Any) -> str:  # noqa: ANN401
    match value:
        case str():
            return value
        case bytes():
            return value.hex()
        case bool():
            return "true" if value else "false"
        case list() | dict() | tuple():
            return json.dumps(value, default=_plain, ensure_ascii=False)
        case _:
            return str(value)


def _json_text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(str(value))
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value.hex() if isinstance(value, bytes) else str(value)


def _is_number(kind: Any) -> bool:  # noqa: ANN401
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _type_name(kind: Any) -> str:  # noqa: ANN401
    return str(kind).replace("timestamp[ns]", "time (UTC)")
