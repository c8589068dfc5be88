"""What is written of data imports when jobs end or begin anew, within transactions of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from sift_server.catalog import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sift_server.catalog.context import Context

ERROR_MESSAGE_CHARS_MAX = 2_000
"""How much is kept of why an import failed."""

_columns = tables.data_imports.c


def fail(connection: Connection, context: Context, data_import_id: str, message: str) -> None:
    """Say why an import ends before all of it is done."""
    if len(message) > ERROR_MESSAGE_CHARS_MAX:
        message = f"{message[: ERROR_MESSAGE_CHARS_MAX - 1]}…"
    _set(connection, context, data_import_id, error_message=message)


def begin_anew(connection: Connection, context: Context, data_import_id: str) -> None:
    """Forget what went wrong; the points that are in stay, and are sent again."""
    _set(
        connection, context, data_import_id, error_message="", warnings_json="[]",
        points_processed=0, points_total=0,
    )  # fmt: skip


def _set(connection: Connection, context: Context, data_import_id: str, **values: object) -> None:
    connection.execute(
        update(tables.data_imports)
        .where(_columns.data_import_id == data_import_id)
        .values(modified_ns=context.now_ns(), **values)
    )
