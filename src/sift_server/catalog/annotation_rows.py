"""Annotations, as they are read from and written to the tables."""

from __future__ import annotations

import enum
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, bindparam, delete, insert, select

from sift_server.catalog import tables
from sift_server.catalog.attributes import NO_ATTRIBUTES, Attributes, AttributeTables
from sift_server.catalog.chunks import chunks
from sift_server.catalog.fields import has_row
from sift_server.catalog.rule_content import AnnotationType
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

_columns = tables.annotations_table.c
attribute_tables = AttributeTables(
    "an annotation", tables.annotation_tags, tables.annotation_metadata
)


class AnnotationState(enum.IntEnum):
    """What people think of an annotation to review; the numbers of `sift.annotations.v1`."""

    OPEN = 1
    FLAGGED = 2
    RESOLVED = 3


@dataclass(frozen=True, slots=True)
class LinkedChannel:
    """What an annotation is about: a channel, an element of a bit field, or a calculated channel.

    Attributes:
        channel_id: The channel; empty for a calculated one.
        element: The name of the element; empty for a whole channel.
        version_id: The version of a calculated channel; empty for a channel.
    """

    channel_id: str = ""
    element: str = ""
    version_id: str = ""

    @property
    def document(self) -> list[str]:
        """As it is stored: the third only if it is a calculated channel."""
        return [self.channel_id, self.element, *([self.version_id] if self.version_id else [])]


@dataclass(frozen=True, slots=True)
class AnnotationDraft:
    """What can be said of an annotation. Times are nanoseconds since 1970 in UTC.

    Attributes:
        asset_ids: Assets that it is about, each once.
        run_id: The run that it is about, or empty.
        state: None for a phase, which has none.
        assigned_to_user_id: Who is to look at it, or empty.
        legend_config: How clients draw it: their own text, or None.
        condition_version_id: The version of the condition that made it, or empty.
    """

    name: str
    start_ns: int
    end_ns: int
    description: str = ""
    annotation_type: AnnotationType = AnnotationType.REVIEW
    state: AnnotationState | None = None
    asset_ids: tuple[str, ...] = ()
    linked_channels: tuple[LinkedChannel, ...] = ()
    run_id: str = ""
    assigned_to_user_id: str = ""
    organization_id: str = ""
    legend_config: str | None = None
    condition_version_id: str = ""
    archived_ns: int | None = None
    attributes: Attributes = NO_ATTRIBUTES


@dataclass(frozen=True, slots=True)
class Annotation:
    """An annotation, as it is stored.

    Attributes:
        condition_id: The condition that made it, or empty.
        rule_id: The rule of that condition, or empty.
        report_rule_version_id: The rule of the report that it was made for, or empty.
        is_pending: Whether the condition is still true, so that the end is not known yet. Once its
            run has stopped, the end is where it was true last.
    """

    annotation_id: str
    draft: AnnotationDraft
    condition_id: str
    rule_id: str
    report_rule_version_id: str
    is_pending: bool
    created_by_user_id: str
    modified_by_user_id: str
    created_ns: int
    modified_ns: int


def get(connection: Connection, annotation_id: str) -> Annotation:
    """Read an annotation.

    Raises:
        NotFoundError: There is none of that id, or it was deleted.
    """
    rows = connection.execute(
        select(tables.annotations_table).where(
            _columns.annotation_id == annotation_id, _columns.deleted_ns.is_(None)
        )
    ).all()
    if not rows:
        raise NotFoundError(
            f"there is no annotation with the id {annotation_id!r}; list the annotations to find it"
        )
    (annotation,) = read(connection, rows)
    return annotation


def run_has_stopped() -> ColumnElement[bool]:
    """The condition that the run of an annotation has a stop time, which is over."""
    now_ns = bindparam("now_ns", type_=BigInteger(), callable_=time.time_ns)
    runs = tables.runs.c
    return has_row(runs.run_id == _columns.run_id, runs.stop_ns <= now_ns)


def read(connection: Connection, rows: Sequence[Row[Any]]) -> list[Annotation]:
    """Read the annotations of rows, with what other tables have of them."""
    pending = [row.annotation_id for row in rows if row.is_pending]
    over: set[str] = set()
    for ids in chunks(pending):
        query = select(_columns.annotation_id).where(
            _columns.annotation_id.in_(ids), run_has_stopped()
        )
        over.update(connection.execute(query).scalars())
    attributes: dict[str, Attributes] = {}
    asset_ids: dict[str, list[str]] = {}
    assets = tables.annotation_assets
    for ids in chunks([row.annotation_id for row in rows]):
        attributes.update(attribute_tables.read(connection, ids))
        query = select(assets).where(assets.c.annotation_id.in_(ids)).order_by(assets.c.position)
        for row in connection.execute(query):
            asset_ids.setdefault(row.annotation_id, []).append(row.asset_id)
    return [
        _annotation(
            row,
            attributes[row.annotation_id],
            asset_ids.get(row.annotation_id, ()),
            is_pending=row.is_pending and row.annotation_id not in over,
        )
        for row in rows
    ]


def _annotation(
    row: Row[Any], attributes: Attributes, asset_ids: Iterable[str], *, is_pending: bool
) -> Annotation:
    draft = AnnotationDraft(
        name=row.name,
        start_ns=row.start_ns,
        end_ns=row.end_ns,
        description=row.description,
        annotation_type=AnnotationType(row.annotation_type),
        state=None if row.state is None else AnnotationState(row.state),
        asset_ids=tuple(asset_ids),
        linked_channels=tuple(LinkedChannel(*one) for one in json.loads(row.linked_channels_json)),
        run_id=row.run_id or "",
        assigned_to_user_id=row.assigned_to_user_id,
        organization_id=row.organization_id,
        legend_config=row.legend_config,
        condition_version_id=row.condition_version_id or "",
        archived_ns=row.archived_ns,
        attributes=attributes,
    )
    return Annotation(
        row.annotation_id,
        draft,
        row.condition_id or "",
        row.rule_id or "",
        row.report_rule_version_id or "",
        is_pending,
        row.created_by_user_id,
        row.modified_by_user_id,
        row.created_ns,
        row.modified_ns,
    )


def values_of(draft: AnnotationDraft) -> dict[str, Any]:
    """What the row of an annotation has of a draft."""
    return {
        "name": draft.name,
        "description": draft.description,
        "start_ns": draft.start_ns,
        "end_ns": draft.end_ns,
        "organization_id": draft.organization_id,
        "run_id": draft.run_id or None,
        "state": draft.state,
        "annotation_type": draft.annotation_type,
        "assigned_to_user_id": draft.assigned_to_user_id,
        "legend_config": draft.legend_config,
        "linked_channels_json": json.dumps(
            [one.document for one in draft.linked_channels],
            separators=(",", ":"),
        ),
        "archived_ns": draft.archived_ns,
    }


def write_assets(connection: Connection, annotation_id: str, asset_ids: Iterable[str]) -> None:
    """Replace the assets that an annotation is about."""
    assets = tables.annotation_assets
    connection.execute(delete(assets).where(assets.c.annotation_id == annotation_id))
    rows = [
        {"annotation_id": annotation_id, "position": position, "asset_id": asset_id}
        for position, asset_id in enumerate(dict.fromkeys(asset_ids))
    ]
    if rows:
        connection.execute(insert(assets), rows)


def remove(connection: Connection, annotation_ids: Sequence[str]) -> None:
    """Remove annotations, and whatever belongs to them."""
    owned = (
        tables.annotation_tags.c.owner_id,
        tables.annotation_metadata.c.owner_id,
        tables.annotation_assets.c.annotation_id,
        tables.annotation_logs.c.annotation_id,
        tables.report_annotations.c.annotation_id,
        _columns.annotation_id,
    )
    for ids in chunks(annotation_ids):
        for column in owned:
            connection.execute(delete(column.table).where(column.in_(ids)))
