"""Points that rules have still to be evaluated on, by their times: durable, and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, insert, select

from sift_server.catalog import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.catalog.context import Context

_columns = tables.rule_backlog.c


class Waiting(NamedTuple):
    """When a channel has points in a run that rules were not evaluated on."""

    run_id: str
    channel_id: str
    first_ns: int
    last_ns: int


class RuleBacklog:
    """The times of such points. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def read(self) -> list[Waiting]:
        """Return what `replace` was called with last."""
        with self._context.database.read() as connection:
            rows = connection.execute(
                select(_columns.run_id, _columns.channel_id, _columns.first_ns, _columns.last_ns)
            )
            return [Waiting(*row) for row in rows]

    def replace(self, waiting: Sequence[Waiting]) -> None:
        """Store these, instead of those that were there; each run and channel once."""
        with self._context.database.write() as connection:
            connection.execute(delete(tables.rule_backlog))
            if waiting:
                connection.execute(insert(tables.rule_backlog), [one._asdict() for one in waiting])
