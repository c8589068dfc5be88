"""What people hang on assets, runs and so on: tags, in their order, and metadata by key."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from sift_server.catalog.tags import find_or_create
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Table

    from sift_server.catalog.context import Context

TAGS_MAX = 1_000
"""How many tags a resource may have."""

METADATA_MAX = 1_000
"""How many metadata entries a resource may have."""

MetadataValue = str | float | bool


@dataclass(frozen=True, slots=True)
class Attributes:
    """Tags and metadata of one resource.

    Attributes:
        tags: Names, each once.
        metadata: Values by key, in the order in which they were given.
    """

    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, MetadataValue], ...] = ()


NO_ATTRIBUTES = Attributes()


class AttributeTables:
    """The tables that hold the attributes of one kind of resource."""

    def __init__(self, resource: str, tags: Table | None, metadata: Table) -> None:
        """Take the tables, None for no tags, and what messages call the resource."""
        self._resource = resource
        self._tags = tags
        self._metadata = metadata

    def write(
        self, connection: Connection, context: Context, owner_id: str, attributes: Attributes
    ) -> None:
        """Replace the attributes of a resource.

        Raises:
            InvalidArgumentError: A tag or key is empty, a key is there twice, a number is NaN, or
                there are too many.
        """
        self._check(attributes)
        self._write_tags(connection, context, owner_id, attributes.tags)
        of_owner = self._metadata.c.owner_id == owner_id
        connection.execute(delete(self._metadata).where(of_owner))
        metadata = [
            {"owner_id": owner_id, "position": position, "key": key, **metadata_columns(value)}
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
        if self._tags is not None:
            for row in self._rows(connection, self._tags, owner_ids):
                tags[row.owner_id].append(row.name)
        for row in self._rows(connection, self._metadata, owner_ids):
            metadata[row.owner_id].append((row.key, _value(row)))
        return {
            owner_id: Attributes(tuple(tags[owner_id]), tuple(metadata[owner_id]))
            for owner_id in owner_ids
        }

    def _write_tags(
        self, connection: Connection, context: Context, owner_id: str, names: Sequence[str]
    ) -> None:
        if self._tags is None:
            return
        connection.execute(delete(self._tags).where(self._tags.c.owner_id == owner_id))
        if names:
            find_or_create(connection, context, names)
            rows = [
                {"owner_id": owner_id, "position": position, "name": name}
                for position, name in enumerate(dict.fromkeys(names))
            ]
            connection.execute(insert(self._tags), rows)

    @staticmethod
    def _rows(connection: Connection, table: Table, owner_ids: Sequence[str]) -> Sequence[Row[Any]]:
        query = select(table).where(table.c.owner_id.in_(owner_ids))
        return connection.execute(query.order_by(table.c.owner_id, table.c.position)).all()

    def _check(self, attributes: Attributes) -> None:
        if len(attributes.tags) > TAGS_MAX:
            raise InvalidArgumentError(
                f"{self._resource} has {len(attributes.tags):,} tags; the limit is {TAGS_MAX:,}"
            )
        if not all(attributes.tags):
            raise InvalidArgumentError(f"{self._resource} has an empty tag; give it a name")
        check_metadata(self._resource, attributes.metadata)


def check_metadata(resource: str, metadata: Sequence[tuple[str, MetadataValue]]) -> None:
    """Check that metadata can be stored.

    Raises:
        InvalidArgumentError: A key is empty, or there twice, a number is NaN, or there are too
            many; `resource` says of what.
    """
    if len(metadata) > METADATA_MAX:
        raise InvalidArgumentError(
            f"{resource} has {len(metadata):,} metadata entries; the limit is {METADATA_MAX:,}"
        )
    seen = set()
    for key, value in metadata:
        if not key:
            raise InvalidArgumentError(
                f"{resource} has metadata {value!r} with an empty key; name the key"
            )
        if key in seen:
            raise InvalidArgumentError(
                f"{resource} has the metadata key {key!r} twice; a key has one value"
            )
        if isinstance(value, float) and math.isnan(value):
            raise InvalidArgumentError(
                f"{resource} has metadata {key!r} that is not a number; leave it out"
            )
        seen.add(key)


def metadata_columns(value: MetadataValue) -> dict[str, MetadataValue | None]:
    """A value as the columns of its row."""
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
