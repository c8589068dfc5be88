"""Calculated channels and their versions, as they are read from the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from sift_server.catalog import tables
from sift_server.catalog.calculated_documents import from_document
from sift_server.catalog.chunks import chunks
from sift_server.catalog.identified import check_identified
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row, Select

    from sift_server.catalog.calculated_content import CalculatedContent

_channels = tables.calculated_channels.c
_versions = tables.calculated_channel_versions.c


@dataclass(frozen=True, slots=True)
class CalculatedChannel:
    """A calculated channel in one of its versions. Times are nanoseconds since 1970 in UTC.

    Attributes:
        version_id: The version that `content` is of; the newest, if not asked for another one.
        number: 1 of the first version, and so on.
        notes: What who made the version said of it.
        change_message: What is other than in the version before, made up by the server.
        client_key: Unique among calculated channels, and never changed; None for no key.
        created_ns: When the calculated channel was made.
        version_created_ns: When the version was made.
        archived_ns: When it was archived, or None.
    """

    calculated_channel_id: str
    version_id: str
    number: int
    content: CalculatedContent
    notes: str
    change_message: str
    client_key: str | None
    organization_id: str
    created_by_user_id: str
    modified_by_user_id: str
    created_ns: int
    modified_ns: int
    version_created_ns: int
    archived_ns: int | None = None


def query() -> Select[Any]:
    """What is read of a calculated channel in its newest version."""
    return select(tables.calculated_channels, *_of_version).join(
        tables.calculated_channel_versions, _versions.version_id == _channels.current_version_id
    )


def version_query() -> Select[Any]:
    """What is read of a calculated channel in any version."""
    return select(tables.calculated_channels, *_of_version).join(
        tables.calculated_channel_versions,
        _versions.calculated_channel_id == _channels.calculated_channel_id,
    )


_of_version = (
    _versions.version_id,
    _versions.number,
    _versions.notes,
    _versions.change_message,
    _versions.content_json,
    _versions.created_by_user_id.label("version_created_by_user_id"),
    _versions.created_ns.label("version_created_ns"),
)


def channel_of(row: Row[Any]) -> CalculatedChannel:
    """Read a row of `query` or `version_query`."""
    return CalculatedChannel(
        calculated_channel_id=row.calculated_channel_id,
        version_id=row.version_id,
        number=row.number,
        content=from_document(row.content_json),
        notes=row.notes,
        change_message=row.change_message,
        client_key=row.client_key,
        organization_id=row.organization_id,
        created_by_user_id=row.created_by_user_id,
        modified_by_user_id=row.version_created_by_user_id,
        created_ns=row.created_ns,
        modified_ns=row.modified_ns,
        version_created_ns=row.version_created_ns,
        archived_ns=row.archived_ns,
    )


def get(connection: Connection, calculated_channel_id: str, client_key: str) -> CalculatedChannel:
    """Read a calculated channel by its id, or, if that is empty, by its client key.

    Raises:
        NotFoundError: There is none.
        InvalidArgumentError: Both are empty.
    """
    check_identified("calculated channel", calculated_channel_id, client_key)
    condition = (
        _channels.calculated_channel_id == calculated_channel_id
        if calculated_channel_id
        else _channels.client_key == client_key
    )
    row = connection.execute(query().where(condition)).one_or_none()
    if row is None:
        named = (
            f"id {calculated_channel_id!r}"
            if calculated_channel_id
            else f"client key {client_key!r}"
        )
        raise NotFoundError(
            f"there is no calculated channel with the {named}; list the calculated channels to"
            " find it"
        )
    return channel_of(row)


def versions(connection: Connection, version_ids: Sequence[str]) -> list[CalculatedChannel]:
    """Read calculated channels as they were in some versions, in the order of the ids.

    Raises:
        NotFoundError: There is no version of one of the ids.
    """
    found = known_versions(connection, version_ids)
    for version_id in version_ids:
        if version_id not in found:
            raise NotFoundError(
                f"there is no version of a calculated channel with the id {version_id!r}; list the"
                " versions of the calculated channel to find it"
            )
    return [found[version_id] for version_id in version_ids]


def known_versions(
    connection: Connection, version_ids: Iterable[str]
) -> dict[str, CalculatedChannel]:
    """Read calculated channels as they were in those versions that there are, by version."""
    found: dict[str, CalculatedChannel] = {}
    for ids in chunks(sorted(set(version_ids))):
        for row in connection.execute(version_query().where(_versions.version_id.in_(ids))):
            found[row.version_id] = channel_of(row)
    return found


def named(connection: Connection, names: Iterable[str]) -> dict[str, CalculatedChannel]:
    """Read the calculated channels of some names that are not archived, by name."""
    found: dict[str, CalculatedChannel] = {}
    for some in chunks(sorted(set(names))):
        rows = connection.execute(
            query().where(_channels.name.in_(some), _channels.archived_ns.is_(None))
        )
        found.update((row.name, channel_of(row)) for row in rows)
    return found
