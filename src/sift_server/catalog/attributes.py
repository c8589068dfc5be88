"""What people hang on assets and runs: tags, in their order, and metadata by key."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Table

TAGS_MAX = 1_000
"""How many tags an asset or run may have."""

METADATA_MAX = 1_000
"""How many metadata entries an asset or run may have."""

MetadataValue = str | float | bool


@dataclass(frozen=True, slots=True)
class Attributes:
    """Tags and metadata of one asset or run.

    Attributes:
        tags: Names, each once.
        metadata: Values by key, in the order in which they were given.
    """

    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, MetadataValue], ...] = ()


NO_ATTRIBUTES = Attributes()


class AttributeTables:
    """The tables that hold the attributes of one kind of resource."""

    def __init__(self, resource: str, tags: Table, metadata: Table) -> None:
        """Take the tables, and what messages call the resource."""
        self._resource = resource
        self._tags = tags
        self._metadata = metadata

    def write(self, connection: Connection, owner_id: str, attributes: Attributes) -> None:
        """Replace the attributes of a resource.

        Raises:
            InvalidArgumentError: A tag or key is empty, a key is there twice, a number is NaN, or
                there are too many.
        """
        self._check(attributes)
        for table in (self._tags, self._metadata):
            connection.execute(delete(table).where(table.c.owner_id == owner_id))
        tags = [
            {"owner_id": owner_id, "position": position, "name": name}
            for position, name in enumerate(dict.fromkeys(attributes.tags))
        ]
        if tags:
            connection.execute(insert(self._tags), tags)
        metadata = [
            {"owner_id": owner_id, "position": position, "key": key, **_columns(value)}
            for position, (key, value) in enumerate(attributes.metadata)
        ]
        if metadata:
            connection.execute(insert(self._metadata), metadata)

    def read(self, connection: Connection, owner_ids: Sequence[str]) -> dict[str, Attributes]:
        """Read the attributes of some resources, at most a page of them, by id."""
        tags: dict[str, list[str]] = {owner_id: [] for owner_id in owner_ids}
        metadata: dict[str, list[tuple[str, MetadataValue]]] = {
            owner_id: [] for owner_id in owner_ids
        }
        for row in self._rows(connection, self._tags, owner_ids):
            tags[row.owner_id].append(row.name)
        for row in self._rows(connection, self._metadata, owner_ids):
            metadata[row.owner_id].append((row.key, _value(row)))
        return {
            owner_id: Attributes(tuple(tags[owner_id]), tuple(metadata[owner_id]))
            for owner_id in owner_ids
        }

    @staticmethod
    def _rows(connection: Connection, table: Table, owner_ids: Sequence[str]) -> Sequence[Row[Any]]:
        query = select(table).where(table.c.owner_id.in_(owner_ids))
        return connection.execute(query.order_by(table.c.owner_id, table.c.position)).all()

    def _check(self, attributes: Attributes) -> None:
        if len(attributes.tags) > TAGS_MAX or len(attributes.metadata) > METADATA_MAX:
            raise InvalidArgumentError(
                f"{self._resource} has {len(attributes.tags):,} tags and"
                f" {len(attributes.metadata):,} metadata entries; the limits are {TAGS_MAX:,} and"
                f" {METADATA_MAX:,}"
            )
        if not all(attributes.tags):
            raise InvalidArgumentError(f"{self._resource} has an empty tag; give it a name")
        seen = set()
        for key, value in attributes.metadata:
            if not key:
                raise InvalidArgumentError(
                    f"{self._resource} has metadata {value!r} with an empty key; name the key"
                )
            if key in seen:
                raise InvalidArgumentError(
                    f"{self._resource} has the metadata key {key!r} twice; a key has one value"
                )
            if isinstance(value, float) and math.isnan(value):
                raise InvalidArgumentError(
                    f"{self._resource} has metadata {key!r} that is not a number; leave it out"
                )
            seen.add(key)


def _columns(value: MetadataValue) -> dict[str, MetadataValue | None]:
    columns: dict[str, MetadataValue | None] = {
        "string_value": None,
        "number_value": None,
        "boolean_value": None,
    }
    if isinstance(value, str):
        columns["string_value"] = value
    elif isinstance(value, bool):
        columns["boolean_value"] = value
    else:
        columns["number_value"] = value
    return columns


def _value(row: Row[Any]) -> MetadataValue:
    values: tuple[MetadataValue | None, ...] = (
        row.string_value,
        row.number_value,
        row.boolean_value,
    )
    return next(value for value in values if value is not None)
