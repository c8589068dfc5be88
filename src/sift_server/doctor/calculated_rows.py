"""Calculated channels of a catalog that can't be used as they are, and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from sift_server.catalog import tables
from sift_server.catalog.calculated_documents import from_document
from sift_server.doctor.findings import counted

if TYPE_CHECKING:
    from sqlalchemy import Connection

_channels = tables.calculated_channels.c
_versions = tables.calculated_channel_versions.c


def unreadable_versions(connection: Connection) -> list[str]:
    """Ids of versions of calculated channels that nobody can read."""
    query = select(_versions.version_id, _versions.content_json)
    return [
        version_id
        for version_id, document in connection.execute(query)
        if not _is_content(document)
    ]


def channels_without_version(connection: Connection) -> list[str]:
    """Ids of calculated channels whose newest version is not there."""
    known = select(_versions.version_id)
    query = select(_channels.calculated_channel_id).where(
        _channels.current_version_id.not_in(known)
    )
    return list(connection.execute(query).scalars())


def mend_calculated_channels(connection: Connection) -> list[str]:
    """Leave no calculated channel that can't be used; returns what is lost, in sentences.

    A calculated channel is what its newest version says that can be read. Rows that belong to what
    is lost are for others to drop.
    """
    versions = unreadable_versions(connection)
    for version_id in versions:
        connection.execute(
            delete(tables.calculated_channel_versions).where(_versions.version_id == version_id)
        )
    lost = [one for one in channels_without_version(connection) if not _fall_back(connection, one)]
    for channel_id in lost:
        connection.execute(
            delete(tables.calculated_channels).where(_channels.calculated_channel_id == channel_id)
        )
    return [
        f"catalog.sqlite: {counted(len(ids), what, plural)} that can't be read are lost."
        for ids, what, plural in (
            (versions, "version of a calculated channel", "versions of calculated channels"),
            (lost, "calculated channel", "calculated channels"),
        )
        if ids
    ]


def _fall_back(connection: Connection, channel_id: str) -> bool:
    """Make the newest version that is there the one that holds, if there is any."""
    newest = connection.execute(
        select(_versions.version_id)
        .where(_versions.calculated_channel_id == channel_id)
        .order_by(_versions.number.desc())
        .limit(1)
    ).scalar_one_or_none()
    if newest is None:
        return False
    connection.execute(
        update(tables.calculated_channels)
        .where(_channels.calculated_channel_id == channel_id)
        .values(current_version_id=newest)
    )
    return True


def _is_content(document: str) -> bool:
    try:
        from_document(document)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return False
    return True
