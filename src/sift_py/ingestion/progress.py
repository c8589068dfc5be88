"""How far a long call has come."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IngestProgress"]


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How much of a call has been handed to the connection.

    That is not yet acknowledged: the call returns when everything is.

    Attributes:
        rows_sent: Rows so far.
        rows_total: Rows of the whole call.
        bytes_sent: Bytes of their messages so far.
    """

    rows_sent: int
    rows_total: int
    bytes_sent: int
