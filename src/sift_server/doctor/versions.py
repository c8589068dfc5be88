"""Rows of a catalog that have versions: which can be read, and what is made of those that lost one.

Rules and calculated channels are kept alike: a table of things, each with the id of its newest
version, and a table of versions, each with a number and a document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column, Connection, Table


@dataclass(frozen=True, slots=True)
class Versioned:
    """Two tables.

    Attributes:
        things: The table of things; its `current_version_id` is the newest version.
        thing_id: The id there.
        versions: The table of versions, with `number` and `content_json`.
        version_id: The id there.
        version_of: The id of the thing there.
        read: Reads a document; raises what tells that it can't be read.
    """

    things: Table
    thing_id: Column[Any]
    versions: Table
    version_id: Column[Any]
    version_of: Column[Any]
    read: Callable[[str], object]

    def unreadable(self, connection: Connection) -> list[str]:
        """Ids of versions that nobody can read."""
        query = select(self.version_id, self.versions.c.content_json)
        return [
            version_id
            for version_id, document in connection.execute(query)
            if not self._is_content(document)
        ]

    def without_version(self, connection: Connection) -> list[str]:
        """Ids of things whose newest version is not there."""
        known = select(self.version_id)
        query = select(self.thing_id).where(self.things.c.current_version_id.not_in(known))
        return list(connection.execute(query).scalars())

    def mend(self, connection: Connection) -> tuple[list[str], list[str]]:
        """Drop versions that can't be read, and things that have none; returns the ids of both.

        A thing is what its newest version says that can be read.
        """
        versions = self.unreadable(connection)
        for version_id in versions:
            connection.execute(delete(self.versions).where(self.version_id == version_id))
        lost = [
            one for one in self.without_version(connection) if not self._fall_back(connection, one)
        ]
        for thing_id in lost:
            connection.execute(delete(self.things).where(self.thing_id == thing_id))
        return versions, lost

    def _fall_back(self, connection: Connection, thing_id: str) -> bool:
        """Make the newest version that is there the one that holds, if there is any."""
        newest = connection.execute(
            select(self.version_id)
            .where(self.version_of == thing_id)
            .order_by(self.versions.c.number.desc())
            .limit(1)
        ).scalar_one_or_none()
        if newest is None:
            return False
        connection.execute(
            update(self.things).where(self.thing_id == thing_id).values(current_version_id=newest)
        )
        return True

    def _is_content(self, document: str) -> bool:
        try:
            self.read(document)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return False
        return True
