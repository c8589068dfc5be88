"""Columns as formats take them that know no dictionaries."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

__all__ = ["plain_schema", "plain_table"]


def plain_schema(schema: Any) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """A schema with texts instead of dictionaries of texts."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in schema
    ]
    return pa.schema(fields, metadata=schema.metadata)


def plain_table(table: Any, schema: Any) -> Any:  # noqa: ANN401
    """A table as one of `plain_schema`."""
    columns = [
        column.cast(field.type) if column.type != field.type else column
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)
