"""What is written of data exports when jobs end or begin anew, within transactions of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from sift_server.catalog import tables
from sift_server.catalog.import_ends import ERROR_MESSAGE_CHARS_MAX

if TYPE_CHECKING:
    from sqlalchemy import Connection

_columns = tables.data_exports.c


def say(connection: Connection, job_id: str, message: str) -> None:
    """Say why an export ended before it was done; nothing if it begins anew."""
    if len(message) > ERROR_MESSAGE_CHARS_MAX:
        message = f"{message[: ERROR_MESSAGE_CHARS_MAX - 1]}…"
    connection.execute(
        update(tables.data_exports).where(_columns.job_id == job_id).values(error_message=message)
    )
