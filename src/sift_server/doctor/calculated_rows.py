"""Calculated channels of a catalog that can't be used as they are, and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.catalog import tables
from sift_server.catalog.calculated_documents import from_document
from sift_server.doctor.findings import counted
from sift_server.doctor.versions import Versioned

if TYPE_CHECKING:
    from sqlalchemy import Connection

CALCULATED_CHANNELS = Versioned(
    tables.calculated_channels,
    tables.calculated_channels.c.calculated_channel_id,
    tables.calculated_channel_versions,
    tables.calculated_channel_versions.c.version_id,
    tables.calculated_channel_versions.c.calculated_channel_id,
    from_document,
)


def mend_calculated_channels(connection: Connection) -> list[str]:
    """Leave no calculated channel that can't be used; returns what is lost, in sentences.

    Rows that belong to what is lost are for others to drop.
    """
    versions, lost = CALCULATED_CHANNELS.mend(connection)
    return [
        f"catalog.sqlite: {counted(len(ids), what, plural)} that can't be read are lost."
        for ids, what, plural in (
            (versions, "version of a calculated channel", "versions of calculated channels"),
            (lost, "calculated channel", "calculated channels"),
        )
        if ids
    ]
