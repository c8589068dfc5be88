"""What people said and did about an annotation: comments, states, assignees."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from sift_server.catalog import tables
from sift_server.catalog.annotation_rows import AnnotationState
from sift_server.catalog.fields import Field, Filterable, Kind, named_numbers_field
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from sift_server.catalog.context import Context

COMMENT_CHARS_MAX = 100_000
"""Longest comment, all its parts together."""

_columns = tables.annotation_logs.c

ANNOTATION_LOG_FIELDS = Filterable(
    "logs of an annotation",
    {
        "annotation_log_id": Field(Kind.TEXT, _columns.annotation_log_id),
        "annotation_id": Field(Kind.TEXT, _columns.annotation_id),
        "created_by_user_id": Field(Kind.TEXT, _columns.created_by_user_id),
        "created_date": Field(Kind.TIME, _columns.created_ns),
        # An entry never changes.
        "modified_date": Field(Kind.TIME, _columns.created_ns),
        "kind": named_numbers_field(_columns.kind, "", ("COMMENT", "STATE_UPDATE", "ASSIGNED")),
    },
)
_listing = Listing(ANNOTATION_LOG_FIELDS, "created_date", (_columns.sequence,))


class LogKind(enum.IntEnum):
    """What an entry is; the numbers of `sift.annotation_logs.v1`."""

    COMMENT = 1
    STATE_UPDATE = 2
    ASSIGNED = 3


@dataclass(frozen=True, slots=True)
class CommentPart:
    """A part of a comment: a text, or a user who is mentioned, by id."""

    text: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class LogDraft:
    """An entry. What does not belong to its kind is empty.

    Attributes:
        body: Of a comment.
        state: The new state; None for that of a phase, which has none.
        assigned_to_user_id: The new assignee, or empty for none.
    """

    kind: LogKind
    body: tuple[CommentPart, ...] = ()
    state: AnnotationState | None = None
    assigned_to_user_id: str = ""


@dataclass(frozen=True, slots=True)
class AnnotationLog:
    """An entry, as it is stored. `created_ns` is nanoseconds since 1970 in UTC."""

    annotation_log_id: str
    annotation_id: str
    draft: LogDraft
    created_by_user_id: str
    created_ns: int


def add(
    connection: Connection, context: Context, annotation_id: str, user_id: str, draft: LogDraft
) -> AnnotationLog:
    """Add an entry, within a transaction.

    Raises:
        InvalidArgumentError: It is a comment that says nothing, or too much.
    """
    size = sum(len(part.text) + len(part.user_id) for part in draft.body)
    if draft.kind is LogKind.COMMENT and not 0 < size <= COMMENT_CHARS_MAX:
        raise InvalidArgumentError(
            f"a comment of {size:,} characters can't be kept; it has 1 to {COMMENT_CHARS_MAX:,}"
        )
    log_id, now_ns = context.new_id(), context.now_ns()
    connection.execute(
        insert(tables.annotation_logs).values(
            annotation_log_id=log_id,
            annotation_id=annotation_id,
            kind=draft.kind,
            body_json=json.dumps([[part.text, part.user_id] for part in draft.body]),
            state=draft.state,
            assigned_to_user_id=draft.assigned_to_user_id,
            created_by_user_id=user_id,
            created_ns=now_ns,
        )
    )
    return AnnotationLog(log_id, annotation_id, draft, user_id, now_ns)


def list_of(
    connection: Connection, annotation_id: str, request: ListRequest, now_ns: int
) -> Page[AnnotationLog]:
    """Read a page of the entries of an annotation; in the order in which they were made.

    Raises:
        InvalidArgumentError: Filter or page token are wrong.
    """
    query = select(tables.annotation_logs).where(_columns.annotation_id == annotation_id)
    page = _listing.page(connection, query, request, now_ns, scope=annotation_id)
    return Page([_log(row) for row in page.items], page.next_token)


def remove(connection: Connection, annotation_id: str, annotation_log_id: str) -> None:
    """Remove an entry, within a transaction.

    Raises:
        NotFoundError: The annotation has none of that id.
    """
    removed = connection.execute(
        delete(tables.annotation_logs).where(
            _columns.annotation_id == annotation_id,
            _columns.annotation_log_id == annotation_log_id,
        )
    )
    if removed.rowcount == 0:
        raise NotFoundError(
            f"the annotation {annotation_id!r} has no log with the id {annotation_log_id!r}"
        )


def _log(row: Row[Any]) -> AnnotationLog:
    draft = LogDraft(
        LogKind(row.kind),
        tuple(CommentPart(*part) for part in json.loads(row.body_json or "[]")),
        None if row.state is None else AnnotationState(row.state),
        row.assigned_to_user_id or "",
    )
    return AnnotationLog(
        row.annotation_log_id, row.annotation_id, draft, row.created_by_user_id, row.created_ns
    )
