"""Rules and annotations of a catalog that can't be used as they are, and what is made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from sift_server.catalog import tables
from sift_server.catalog.rule_documents import from_document
from sift_server.doctor.findings import counted

if TYPE_CHECKING:
    from sqlalchemy import Connection

_rules = tables.rules.c
_versions = tables.rule_versions.c
_annotations = tables.annotations_table.c


def unreadable_versions(connection: Connection) -> list[str]:
    """Ids of versions of rules that nobody can read."""
    query = select(_versions.rule_version_id, _versions.content_json)
    return [
        version_id
        for version_id, document in connection.execute(query)
        if not _is_content(document)
    ]


def unreadable_annotations(connection: Connection) -> list[str]:
    """Ids of annotations whose channels nobody can read."""
    query = select(_annotations.annotation_id, _annotations.linked_channels_json)
    return [
        annotation_id
        for annotation_id, document in connection.execute(query)
        if not _is_channels(document)
    ]


def rules_without_version(connection: Connection) -> list[str]:
    """Ids of rules whose newest version is not there."""
    known = select(_versions.rule_version_id)
    query = select(_rules.rule_id).where(_rules.current_version_id.not_in(known))
    return list(connection.execute(query).scalars())


def mend_rules(connection: Connection) -> list[str]:
    """Leave no rule or annotation that can't be used; returns what is lost, in sentences.

    A rule is what its newest version says that can be read. Rows that belong to what is lost are
    for others to drop.
    """
    versions = unreadable_versions(connection)
    for version_id in versions:
        connection.execute(
            delete(tables.rule_versions).where(_versions.rule_version_id == version_id)
        )
    annotations = unreadable_annotations(connection)
    for annotation_id in annotations:
        connection.execute(
            update(tables.annotations_table)
            .where(_annotations.annotation_id == annotation_id)
            .values(linked_channels_json="[]")
        )
    rules = [one for one in rules_without_version(connection) if not _fall_back(connection, one)]
    for rule_id in rules:
        connection.execute(delete(tables.rules).where(_rules.rule_id == rule_id))
    return [
        f"catalog.sqlite: {counted(len(lost), what, plural)} that can't be read are lost."
        for lost, what, plural in (
            (versions, "version of a rule", "versions of rules"),
            (annotations, "annotation's channels", "annotations' channels"),
            (rules, "rule", "rules"),
        )
        if lost
    ]


def _fall_back(connection: Connection, rule_id: str) -> bool:
    """Make the newest version that is there the one that holds, if there is any."""
    newest = connection.execute(
        select(_versions.rule_version_id)
        .where(_versions.rule_id == rule_id)
        .order_by(_versions.number.desc())
        .limit(1)
    ).scalar_one_or_none()
    if newest is None:
        return False
    connection.execute(
        update(tables.rules).where(_rules.rule_id == rule_id).values(current_version_id=newest)
    )
    return True


def _is_content(document: str) -> bool:
    try:
        from_document(document)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return False
    return True


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
