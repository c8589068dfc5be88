"""Rules and annotations of a catalog that can't be used as they are, and what is made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from sift_server.catalog import tables
from sift_server.catalog.rule_documents import from_document
from sift_server.doctor.findings import counted
from sift_server.doctor.versions import Versioned

if TYPE_CHECKING:
    from sqlalchemy import Connection

RULES = Versioned(
    tables.rules,
    tables.rules.c.rule_id,
    tables.rule_versions,
    tables.rule_versions.c.rule_version_id,
    tables.rule_versions.c.rule_id,
    from_document,
)

_annotations = tables.annotations_table.c


def unreadable_annotations(connection: Connection) -> list[str]:
    """Ids of annotations whose channels nobody can read."""
    query = select(_annotations.annotation_id, _annotations.linked_channels_json)
    return [
        annotation_id
        for annotation_id, document in connection.execute(query)
        if not _is_channels(document)
    ]


def mend_rules(connection: Connection) -> list[str]:
    """Leave no rule or annotation that can't be used; returns what is lost, in sentences.

    Rows that belong to what is lost are for others to drop.
    """
    versions, rules = RULES.mend(connection)
    annotations = unreadable_annotations(connection)
    for annotation_id in annotations:
        connection.execute(
            update(tables.annotations_table)
            .where(_annotations.annotation_id == annotation_id)
            .values(linked_channels_json="[]")
        )
    return [
        f"catalog.sqlite: {counted(len(lost), what, plural)} that can't be read are lost."
        for lost, what, plural in (
            (versions, "version of a rule", "versions of rules"),
            (annotations, "annotation's channels", "annotations' channels"),
            (rules, "rule", "rules"),
        )
        if lost
    ]


def _is_channels(document: str) -> bool:
    try:
        channels = json.loads(document)
        return all(isinstance(each, list) and len(each) in (2, 3) for each in channels)
    except (ValueError, TypeError):
        return False


def drop_orphans(connection: Connection) -> list[str]:
    """Drop rows that belong to rows which are not there; returns what is lost, in sentences."""
    dropped: dict[str, int] = {}
    # Parents come first, so that what belongs to a row that is dropped here goes, too.
    for table in tables.metadata.sorted_tables:
        for key in table.foreign_keys:
            parents = select(key.column).where(key.column.is_not(None))
            orphans = key.parent.is_not(None) & key.parent.not_in(parents)
            count = connection.execute(delete(table).where(orphans)).rowcount
            if count:
                dropped[table.name] = dropped.get(table.name, 0) + count
    if not dropped:
        return []
    rows = ", ".join(
        counted(count, f"row of {name}", f"rows of {name}") for name, count in dropped.items()
    )
    return [f"catalog.sqlite: {rows} are lost, with what they belonged to."]
