"""Runs: named stretches of time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from sift_server.catalog import tables
from sift_server.catalog.annotation_logs import LogKind
from sift_server.catalog.annotation_rows import AnnotationState
from sift_server.catalog.attributes import NO_ATTRIBUTES, Attributes, AttributeTables
from sift_server.catalog.chunks import chunks
from sift_server.catalog.fields import (
    Field,
    Filterable,
    Kind,
    MetadataField,
    has_row,
    named_numbers_field,
    tag_ids_field,
    tags_field,
    without_users,
)
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection, Row

    from sift_server.catalog.context import Context

_columns = tables.runs.c
_attributes = AttributeTables("a run", tables.run_tags, tables.run_metadata)
_duration = Field(Kind.DURATION, _columns.stop_ns - _columns.start_ns, is_nullable=True)
_annotations, _logs = tables.annotations_table.c, tables.annotation_logs.c
_is_of_run = (
    _annotations.run_id == _columns.run_id,
    _annotations.archived_ns.is_(None),
    _annotations.deleted_ns.is_(None),
)
_comments_count = (
    select(func.count())
    .where(*_is_of_run, _logs.annotation_id == _annotations.annotation_id)
    .where(_logs.kind == LogKind.COMMENT)
    .correlate(tables.runs)
    .scalar_subquery()
)
_NO_ASSETS = (
    "the catalog does not say which runs have data of an asset; filter by name, client_key,"
    " tag_name, metadata or times instead"
)

RUN_FIELDS = Filterable(
    "runs",
    {
        "run_id": Field(Kind.TEXT, _columns.run_id),
        "name": Field(Kind.TEXT, _columns.name),
        "description": Field(Kind.TEXT, _columns.description),
        "organization_id": Field(Kind.TEXT, _columns.organization_id),
        "client_key": Field(Kind.TEXT, _columns.client_key, is_nullable=True),
        "start_time": Field(Kind.TIME, _columns.start_ns, is_nullable=True),
        "stop_time": Field(Kind.TIME, _columns.stop_ns, is_nullable=True),
        "duration": _duration,
        "duration_string": _duration,
        "created_date": Field(Kind.TIME, _columns.created_ns),
        "modified_date": Field(Kind.TIME, _columns.modified_ns),
        "archived_date": Field(Kind.TIME, _columns.archived_ns, is_nullable=True),
        "is_archived": Field(Kind.BOOL, _columns.archived_ns.is_not(None)),
        "is_pinned": Field(Kind.BOOL, _columns.is_pinned),
        "is_stopped": Field(Kind.BOOL, _columns.stop_ns.is_not(None)),
        "annotation_comments_count": Field(Kind.NUMBER, _comments_count),
        "annotation_state": named_numbers_field(
            tables.annotations_table.c.state,
            "ANNOTATION_STATE_",
            [one.name for one in AnnotationState],
            within=lambda that: has_row(*_is_of_run, that),
        ),
        "tag_id": tag_ids_field(tables.run_tags, _columns.run_id),
        "tag_name": tags_field(tables.run_tags, _columns.run_id),
        "metadata": MetadataField(tables.run_metadata, _columns.run_id),
    },
    missing={
        **dict.fromkeys(("asset_id", "asset_name", "asset_tag_id"), _NO_ASSETS),
        **without_users("runs"),
    },
)
_listing = Listing(RUN_FIELDS, "created_date desc", (_columns.sequence,))


@dataclass(frozen=True, slots=True)
class RunDraft:
    """What a client says of a run. Times are nanoseconds since 1970 in UTC.

    Attributes:
        name: Not empty; other runs may have the same.
        client_key: Unique among runs; None for no key.
    """

    name: str
    description: str = ""
    organization_id: str = ""
    client_key: str | None = None
    start_ns: int | None = None
    stop_ns: int | None = None
    is_pinned: bool = False
    archived_ns: int | None = None
    attributes: Attributes = NO_ATTRIBUTES


@dataclass(frozen=True, slots=True)
class Run:
    """A run, as it is stored."""

    run_id: str
    draft: RunDraft
    created_ns: int
    modified_ns: int


class Runs:
    """The runs of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, draft: RunDraft) -> Run:
        """Create a run.

        Raises:
            AlreadyExistsError: Another run has the client key.
            InvalidArgumentError: The name is empty, it stops before it starts, or its attributes
                can't be stored.
        """
        with self._context.database.write() as connection:
            return create(connection, self._context, draft)

    def get(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            NotFoundError: There is none of that id.
        """
        with self._context.database.read() as connection:
            return _get(connection, run_id)

    def id_of_client_key(self, client_key: str) -> str:
        """Return the id of the run that has a client key.

        Raises:
            NotFoundError: There is none.
        """
        query = select(_columns.run_id).where(_columns.client_key == client_key)
        with self._context.database.read() as connection:
            run_id = connection.execute(query).scalar_one_or_none()
        if run_id is None:
            raise NotFoundError(f"there is no run with the client key {client_key!r}")
        return str(run_id)

    def names(self, run_ids: Iterable[str]) -> dict[str, str]:
        """Return the names of those runs that are known, by id."""
        wanted = sorted(set(run_ids))
        names: dict[str, str] = {}
        with self._context.database.read() as connection:
            for some in chunks(wanted):
                rows = connection.execute(
                    select(_columns.run_id, _columns.name).where(_columns.run_id.in_(some))
                )
                names.update((row.run_id, row.name) for row in rows)
        return names

    def list(self, request: ListRequest) -> Page[Run]:
        """Return a page of the runs; the newest first, if not asked otherwise.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        with self._context.database.read() as connection:
            page = _listing.page(connection, select(tables.runs), request, self._context.now_ns())
            return Page(_runs(connection, page.items), page.next_token)

    def update(self, run_id: str, change: Callable[[RunDraft], RunDraft]) -> Run:
        """Replace what a client said of a run by what `change` makes of it.

        Raises:
            NotFoundError: There is no run of that id.
            AlreadyExistsError: Another run has the client key.
            InvalidArgumentError: As for `create`.
        """
        with self._context.database.write() as connection:
            return self._update(connection, run_id, change)

    def stop(self, run_id: str) -> Run:
        """End a run now; one that ended before stays as it is.

        Raises:
            NotFoundError: There is no run of that id.
            FailedPreconditionError: It starts in the future.
        """
        now_ns = self._context.now_ns()

        def stopped(draft: RunDraft) -> RunDraft:
            if draft.stop_ns is not None and draft.stop_ns <= now_ns:
                return draft
            if draft.start_ns is not None and draft.start_ns > now_ns:
                raise FailedPreconditionError(
                    f"the run {draft.name!r} starts in the future, so that it can't stop now;"
                    " update its start time first"
                )
            return replace(draft, stop_ns=now_ns)

        with self._context.database.write() as connection:
            return self._update(connection, run_id, stopped)

    def count_annotations(self, run_id: str) -> int:
        """How many annotations of a run there are that were not deleted."""
        query = select(func.count()).where(
            _annotations.run_id == run_id, _annotations.deleted_ns.is_(None)
        )
        with self._context.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def delete(self, run_id: str) -> int:
        """Delete a run and its annotations; reports about it stay. Gives how many annotations.

        Raises:
            NotFoundError: There is no such run.
        """
        now_ns = self._context.now_ns()
        with self._context.database.write() as connection:
            _get(connection, run_id)
            deleted = connection.execute(
                update(tables.annotations_table)
                .where(_annotations.run_id == run_id, _annotations.deleted_ns.is_(None))
                .values(deleted_ns=now_ns, modified_ns=now_ns)
            )
            for table in (tables.run_tags, tables.run_metadata):
                connection.execute(delete(table).where(table.c.owner_id == run_id))
            waiting = tables.rule_backlog
            connection.execute(delete(waiting).where(waiting.c.run_id == run_id))
            connection.execute(delete(tables.runs).where(_columns.run_id == run_id))
        return int(deleted.rowcount)

    def _update(
        self, connection: Connection, run_id: str, change: Callable[[RunDraft], RunDraft]
    ) -> Run:
        before = _get(connection, run_id).draft
        draft = change(before)
        if draft != before:
            try:
                connection.execute(
                    update(tables.runs)
                    .where(_columns.run_id == run_id)
                    .values(modified_ns=self._context.now_ns(), **_values(draft))
                )
            except IntegrityError:
                raise _key_taken(draft) from None
            _attributes.write(connection, self._context, run_id, draft.attributes)
        return _get(connection, run_id)


def create(connection: Connection, context: Context, draft: RunDraft) -> Run:
    """Create a run within a transaction; raises as `Runs.create`."""
    run_id, now_ns = context.new_id(), context.now_ns()
    values = {"run_id": run_id, "created_ns": now_ns, "modified_ns": now_ns, **_values(draft)}
    try:
        connection.execute(insert(tables.runs).values(values))
    except IntegrityError:
        raise _key_taken(draft) from None
    _attributes.write(connection, context, run_id, draft.attributes)
    return _get(connection, run_id)


def check_there(connection: Connection, run_id: str) -> None:
    """Check within a transaction that there is a run.

    Raises:
        NotFoundError: There is none of that id.
    """
    _get(connection, run_id)


def _values(draft: RunDraft) -> dict[str, Any]:
    if not draft.name.strip():
        raise InvalidArgumentError("a run needs a name that is not blank")
    start_ns, stop_ns = draft.start_ns, draft.stop_ns
    if start_ns is not None and stop_ns is not None and stop_ns < start_ns:
        raise InvalidArgumentError(
            f"the run {draft.name!r} stops at {stop_ns} ns, before it starts at"
            f" {start_ns} ns since 1970; a run stops at or after its start"
        )
    return {
        "name": draft.name,
        "description": draft.description,
        "organization_id": draft.organization_id,
        "client_key": draft.client_key or None,
        "start_ns": start_ns,
        "stop_ns": stop_ns,
        "is_pinned": draft.is_pinned,
        "archived_ns": draft.archived_ns,
    }


def _key_taken(draft: RunDraft) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"a run with the client key {draft.client_key!r} exists; use it, or give the run"
        f" {draft.name!r} another client key"
    )


def _get(connection: Connection, run_id: str) -> Run:
    rows = connection.execute(select(tables.runs).where(_columns.run_id == run_id)).all()
    if not rows:
        raise NotFoundError(f"there is no run with the id {run_id!r}; list the runs to find it")
    (run,) = _runs(connection, rows)
    return run


def _runs(connection: Connection, rows: Sequence[Row[Any]]) -> list[Run]:
    attributes = _attributes.read(connection, [row.run_id for row in rows])
    return [
        Run(
            row.run_id,
            RunDraft(
                name=row.name,
                description=row.description,
                organization_id=row.organization_id,
                client_key=row.client_key,
                start_ns=row.start_ns,
                stop_ns=row.stop_ns,
                is_pinned=row.is_pinned,
                archived_ns=row.archived_ns,
                attributes=attributes[row.run_id],
            ),
            row.created_ns,
            row.modified_ns,
        )
        for row in rows
    ]
