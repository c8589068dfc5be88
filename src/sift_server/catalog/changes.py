"""A number that grows with whatever may change which rules are evaluated, or what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from sift_server.catalog import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sift_server.catalog.database import Database

_columns = tables.rule_changes.c


class RuleChanges:
    """Counts changes to rules, to tags of assets, and to what is said of channels.

    `number` is safe from many threads and costs nothing. It is read from the database when the
    catalog is opened, and from then on knows the changes that were made through this catalog.
    """

    def __init__(self, database: Database) -> None:
        """Take the database; reads what was counted so far."""
        self._database = database
        with database.read() as connection:
            self._number = _stored(connection)

    @property
    def number(self) -> int:
        """Larger than before, once a change is on disk."""
        return self._number

    def count(self, connection: Connection) -> None:
        """Count a change, within the transaction that makes it."""
        number = _stored(connection) + 1
        changed = connection.execute(update(tables.rule_changes).values(number=number))
        if changed.rowcount == 0:
            connection.execute(insert(tables.rule_changes).values(only_row=1, number=number))
        self._database.after_commit(lambda: self._set(number))

    def _set(self, number: int) -> None:
        self._number = number


def _stored(connection: Connection) -> int:
    return connection.execute(select(_columns.number)).scalar_one_or_none() or 0
