"""Annotations: stretches of time that a condition or a person marked.

People create, change, archive and delete them one by one; what conditions make is replaced a window
at a time, see `condition_annotations`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import and_, insert, not_, select, update

from sift_server.catalog import (
    annotation_logs,
    annotation_rows,
    condition_annotations,
    condition_troubles,
    tables,
    users,
)
from sift_server.catalog.annotation_logs import AnnotationLog, LogDraft, LogKind
from sift_server.catalog.annotation_rows import Annotation, AnnotationDraft, AnnotationState
from sift_server.catalog.fields import (
    Field,
    Filterable,
    Kind,
    MetadataField,
    has_row,
    named_numbers_field,
    tags_field,
)
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.catalog.rule_content import AnnotationType
from sift_server.catalog.rule_writing import check_known
from sift_server.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from sqlalchemy import Connection

    from sift_server.catalog.condition_annotations import ConditionStretches, Replaced
    from sift_server.catalog.condition_troubles import ConditionTrouble, TroublePlace
    from sift_server.catalog.context import Context
    from sift_server.catalog.fields import Condition
    from sift_server.catalog.stretches import Stretch

ANNOTATION_NAME_CHARS_MAX = 1_000
"""Longest name that is given to an annotation."""

ANNOTATION_DESCRIPTION_CHARS_MAX = 10_000
"""Longest description that is given to one."""

_columns = tables.annotations_table.c
_assets = tables.annotation_assets.c


def _of_asset(condition: Condition) -> Condition:
    return has_row(
        and_(
            _assets.annotation_id == _columns.annotation_id,
            _assets.asset_id == tables.assets.c.asset_id,
            condition,
        )
    )


def _of_report(condition: Condition) -> Condition:
    found, rules = tables.report_annotations.c, tables.report_rules.c
    return has_row(
        and_(
            found.annotation_id == _columns.annotation_id,
            found.report_rule_version_id == rules.report_rule_version_id,
            condition,
        )
    )


ANNOTATION_FIELDS = Filterable(
    "annotations",
    {
        "annotation_id": Field(Kind.TEXT, _columns.annotation_id),
        "name": Field(Kind.TEXT, _columns.name),
        "description": Field(Kind.TEXT, _columns.description),
        "start_time": Field(Kind.TIME, _columns.start_ns),
        "end_time": Field(Kind.TIME, _columns.end_ns),
        "created_date": Field(Kind.TIME, _columns.created_ns),
        "modified_date": Field(Kind.TIME, _columns.modified_ns),
        "archived_date": Field(Kind.TIME, _columns.archived_ns, is_nullable=True),
        "is_archived": Field(Kind.BOOL, _columns.archived_ns.is_not(None)),
        "pending": Field(
            Kind.BOOL, and_(_columns.is_pending, not_(annotation_rows.run_has_stopped()))
        ),
        "run_id": Field(Kind.TEXT, _columns.run_id, is_nullable=True),
        "state": named_numbers_field(
            _columns.state, "ANNOTATION_STATE_", [one.name for one in AnnotationState]
        ),
        "annotation_type": named_numbers_field(
            _columns.annotation_type, "ANNOTATION_TYPE_", ("DATA_REVIEW", "PHASE")
        ),
        "assignee": Field(Kind.TEXT, _columns.assigned_to_user_id),
        "organization_id": Field(Kind.TEXT, _columns.organization_id),
        "created_by_user_id": Field(Kind.TEXT, _columns.created_by_user_id),
        "modified_by_user_id": Field(Kind.TEXT, _columns.modified_by_user_id),
        "created_by_condition_id": Field(Kind.TEXT, _columns.condition_id, is_nullable=True),
        "created_by_rule_condition_version_id": Field(
            Kind.TEXT, _columns.condition_version_id, is_nullable=True
        ),
        "rule_id": Field(Kind.TEXT, _columns.rule_id, is_nullable=True),
        "asset_id": Field(
            Kind.TEXT,
            _assets.asset_id,
            within=lambda that: has_row(_assets.annotation_id == _columns.annotation_id, that),
        ),
        "asset_name": Field(Kind.TEXT, tables.assets.c.name, within=_of_asset),
        "tag_name": tags_field(tables.annotation_tags, _columns.annotation_id),
        "report_id": Field(Kind.TEXT, tables.report_rules.c.report_id, within=_of_report),
        "metadata": MetadataField(tables.annotation_metadata, _columns.annotation_id),
    },
    missing={"campaign_reports": "this server has no campaigns; filter by report_id"},
)
_listing = Listing(ANNOTATION_FIELDS, "created_date desc", (_columns.sequence,))


class Annotations:
    """The annotations of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def replace(self, batch: Sequence[ConditionStretches]) -> Replaced:
        """Make the annotations of windows what evaluations found, all in one transaction.

        Those that a condition's version made on the asset, in the run, and that begin by the end of
        the window and are pending or end behind its start, are these stretches afterwards. The same
        again changes nothing. What people made of annotations stays, see
        `sift_server.catalog.condition_annotations`.

        Raises:
            ValueError: Stretches are out of order, or outside of their window; or two windows are
                about the same condition, asset and run.
        """
        with self._context.database.write() as connection:
            return condition_annotations.replace(connection, self._context, batch)

    def settle(self, evaluated: Container[tuple[str, str]]) -> int:
        """End what is pending and that no evaluation goes on with; returns how many were.

        Args:
            evaluated: The ids of the versions of conditions, and of the assets, that are evaluated.
        """
        with self._context.database.read() as connection:
            pairs = condition_annotations.unsettled(connection, evaluated)
        if not pairs:
            return 0
        with self._context.database.write() as connection:
            return condition_annotations.settle(connection, self._context, pairs)

    def tell_troubles(
        self, troubles: Sequence[ConditionTrouble], over: Sequence[TroublePlace]
    ) -> None:
        """Have a pending annotation for each condition in trouble, and end those of others.

        Args:
            troubles: What is to be told; what was told of the same condition is brought up to date.
            over: Where it is over.
        """
        with self._context.database.write() as connection:
            condition_troubles.end(connection, self._context, over)
            condition_troubles.tell(connection, self._context, troubles)

    def end_troubles(self) -> None:
        """End all that was told of conditions in trouble."""
        with self._context.database.write() as connection:
            condition_troubles.end_all(connection, self._context)

    def stretches(
        self, pairs: Iterable[tuple[str, str]], run_id: str = ""
    ) -> dict[tuple[str, str], list[Stretch]]:
        """Return the stretches of versions of conditions on assets, in a run, in order of time.

        Without what was deleted, and without what an evaluation archived; what no point has ended
        is pending, also in a run that has stopped.
        """
        with self._context.database.read() as connection:
            return condition_annotations.known_stretches(connection, pairs, run_id)

    def create(self, draft: AnnotationDraft, condition_id: str = "") -> Annotation:
        """Create an annotation that a person made, or another program.

        Args:
            draft: What is said of it.
            condition_id: The condition that it is said to be made by, if no version of one is.

        Raises:
            InvalidArgumentError: It has no name, or too long a one, ends before it starts, is about
                no asset, channel or tag, or is a phase with a state; or the version is of another
                condition.
            NotFoundError: An asset, run, user, condition or version of one does not exist.
        """
        annotation_id, now_ns = self._context.new_id(), self._context.now_ns()
        if draft.annotation_type is AnnotationType.REVIEW and draft.state is None:
            draft = replace(draft, state=AnnotationState.OPEN)
        with self._context.database.write() as connection:
            _check(connection, None, draft)
            owner_id = users.owner_id(connection, self._context)
            connection.execute(
                insert(tables.annotations_table).values(
                    annotation_id=annotation_id,
                    is_pending=False,
                    is_touched=True,
                    is_withdrawn=False,
                    created_by_user_id=owner_id,
                    modified_by_user_id=owner_id,
                    created_ns=now_ns,
                    modified_ns=now_ns,
                    **annotation_rows.values_of(draft),
                    **_made_by(connection, condition_id, draft.condition_version_id),
                )
            )
            self._write_owned(connection, annotation_id, draft)
            return annotation_rows.get(connection, annotation_id)

    def get(self, annotation_id: str) -> Annotation:
        """Return an annotation.

        Raises:
            NotFoundError: There is none of that id, or it was deleted.
        """
        with self._context.database.read() as connection:
            return annotation_rows.get(connection, annotation_id)

    def update(
        self, annotation_id: str, change: Callable[[AnnotationDraft], AnnotationDraft]
    ) -> Annotation:
        """Replace what is said of an annotation by what `change` makes of it.

        A new state or assignee is kept in its log, too.

        Raises:
            NotFoundError: There is no annotation, asset, run or user of an id.
            InvalidArgumentError: As for `create`.
        """
        with self._context.database.write() as connection:
            before = annotation_rows.get(connection, annotation_id).draft
            after = change(before)
            self._change(connection, annotation_id, before, after)
            for entry in _entries(before, after):
                self._log(connection, annotation_id, entry)
            return annotation_rows.get(connection, annotation_id)

    def set_archived(self, annotation_ids: Sequence[str], *, archived: bool) -> list[Annotation]:
        """Archive annotations, or take them out again: all of them, or none.

        Raises:
            NotFoundError: There is no annotation of an id.
        """
        archived_ns = self._context.now_ns() if archived else None
        with self._context.database.write() as connection:
            for annotation_id in annotation_ids:
                before = annotation_rows.get(connection, annotation_id).draft
                if (before.archived_ns is not None) != archived:
                    after = replace(before, archived_ns=archived_ns)
                    self._change(connection, annotation_id, before, after)
            return [annotation_rows.get(connection, one) for one in annotation_ids]

    def delete(self, annotation_ids: Sequence[str]) -> None:
        """Delete annotations: all of them, or none.

        Those that a rule made are not made again by evaluating the same stretches once more.

        Raises:
            NotFoundError: There is no annotation of an id.
        """
        now_ns = self._context.now_ns()
        with self._context.database.write() as connection:
            for annotation_id in annotation_ids:
                annotation_rows.get(connection, annotation_id)
                connection.execute(
                    update(tables.annotations_table)
                    .where(_columns.annotation_id == annotation_id)
                    .values(deleted_ns=now_ns, modified_ns=now_ns)
                )

    def add_log(self, annotation_id: str, entry: LogDraft) -> AnnotationLog:
        """Add to the log of an annotation, which gets the state or assignee that it says.

        Raises:
            NotFoundError: There is no annotation or user of an id.
            InvalidArgumentError: It is a comment that says nothing, or a state of a phase.
        """
        with self._context.database.write() as connection:
            before = annotation_rows.get(connection, annotation_id).draft
            after = before
            if entry.kind is LogKind.STATE_UPDATE:
                after = replace(before, state=entry.state)
            elif entry.kind is LogKind.ASSIGNED:
                after = replace(before, assigned_to_user_id=entry.assigned_to_user_id)
            self._change(connection, annotation_id, before, after)
            _touch(connection, annotation_id)
            return self._log(connection, annotation_id, entry)

    def list_logs(self, annotation_id: str, request: ListRequest) -> Page[AnnotationLog]:
        """Return a page of the log of an annotation, in the order in which it was written.

        Raises:
            NotFoundError: There is no annotation of that id.
            InvalidArgumentError: Filter or page token are wrong.
        """
        with self._context.database.read() as connection:
            annotation_rows.get(connection, annotation_id)
            now_ns = self._context.now_ns()
            return annotation_logs.list_of(connection, annotation_id, request, now_ns)

    def remove_log(self, annotation_id: str, annotation_log_id: str) -> None:
        """Remove an entry of the log of an annotation.

        Raises:
            NotFoundError: There is no such annotation or entry.
        """
        with self._context.database.write() as connection:
            annotation_rows.get(connection, annotation_id)
            annotation_logs.remove(connection, annotation_id, annotation_log_id)

    def list(self, request: ListRequest) -> Page[Annotation]:
        """Return a page of the annotations; the newest first, if not asked otherwise.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        query = select(tables.annotations_table).where(_columns.deleted_ns.is_(None))
        with self._context.database.read() as connection:
            page = _listing.page(connection, query, request, self._context.now_ns())
            return Page(annotation_rows.read(connection, page.items), page.next_token)

    def _change(
        self,
        connection: Connection,
        annotation_id: str,
        before: AnnotationDraft,
        after: AnnotationDraft,
    ) -> None:
        if before == after:
            return
        _check(connection, before, after)
        connection.execute(
            update(tables.annotations_table)
            .where(_columns.annotation_id == annotation_id)
            .values(
                modified_ns=self._context.now_ns(),
                modified_by_user_id=users.owner_id(connection, self._context),
                is_touched=True,
                # Whoever archives or takes out decides from now on.
                is_withdrawn=False,
                **annotation_rows.values_of(after),
            )
        )
        self._write_owned(connection, annotation_id, after)

    def _write_owned(
        self, connection: Connection, annotation_id: str, draft: AnnotationDraft
    ) -> None:
        annotation_rows.attribute_tables.write(
            connection, self._context, annotation_id, draft.attributes
        )
        annotation_rows.write_assets(connection, annotation_id, draft.asset_ids)

    def _log(self, connection: Connection, annotation_id: str, entry: LogDraft) -> AnnotationLog:
        user_id = users.owner_id(connection, self._context)
        return annotation_logs.add(connection, self._context, annotation_id, user_id, entry)


def _touch(connection: Connection, annotation_id: str) -> None:
    connection.execute(
        update(tables.annotations_table)
        .where(_columns.annotation_id == annotation_id)
        .values(is_touched=True)
    )


def _entries(before: AnnotationDraft, after: AnnotationDraft) -> list[LogDraft]:
    entries = []
    if before.state != after.state:
        entries.append(LogDraft(LogKind.STATE_UPDATE, state=after.state))
    if before.assigned_to_user_id != after.assigned_to_user_id:
        assignee = after.assigned_to_user_id
        entries.append(LogDraft(LogKind.ASSIGNED, assigned_to_user_id=assignee))
    return entries


def _check(connection: Connection, before: AnnotationDraft | None, draft: AnnotationDraft) -> None:
    if not draft.name.strip():
        raise InvalidArgumentError("an annotation needs a name that is not blank")
    # What rules made may be longer, and in a run that only the points name.
    if before is None or draft.name != before.name:
        _check_length("name", draft.name, ANNOTATION_NAME_CHARS_MAX)
    if before is None or draft.description != before.description:
        _check_length("description", draft.description, ANNOTATION_DESCRIPTION_CHARS_MAX)
    if draft.run_id and (before is None or draft.run_id != before.run_id):
        check_known(connection, tables.runs.c.run_id, [draft.run_id], "run")
    if draft.end_ns < draft.start_ns:
        raise InvalidArgumentError(
            f"the annotation {draft.name!r} ends at {draft.end_ns} ns, before it starts at"
            f" {draft.start_ns} ns since 1970; an annotation ends at or after its start"
        )
    if draft.annotation_type is AnnotationType.PHASE and draft.state is not None:
        raise InvalidArgumentError(
            f"the annotation {draft.name!r} is a phase, which has no state; leave it out"
        )
    if not (draft.asset_ids or draft.linked_channels or draft.attributes.tags):
        raise InvalidArgumentError(
            f"the annotation {draft.name!r} is about nothing; give it an asset, a channel or a tag"
        )
    check_known(connection, tables.assets.c.asset_id, draft.asset_ids, "asset")
    if draft.assigned_to_user_id:
        check_known(connection, tables.users.c.user_id, [draft.assigned_to_user_id], "user")
    channel_ids = {one.channel_id for one in draft.linked_channels if not one.version_id}
    check_known(connection, tables.channels.c.channel_id, channel_ids, "channel")
    version_ids = {one.version_id for one in draft.linked_channels if one.version_id}
    column = tables.calculated_channel_versions.c.version_id
    check_known(connection, column, version_ids, "calculated channel's version")


def _check_length(what: str, text: str, chars_max: int) -> None:
    if len(text) > chars_max:
        raise InvalidArgumentError(
            f"the {what} of an annotation has {len(text):,} characters; the limit is {chars_max:,}"
        )


def _made_by(
    connection: Connection, condition_id: str, condition_version_id: str
) -> dict[str, str | None]:
    """What the row has of the condition that an annotation is said to be made by."""
    made: dict[str, str | None] = dict.fromkeys(("condition_id", "condition_version_id", "rule_id"))
    conditions = tables.rule_conditions
    if condition_id:
        query = select(conditions.c.rule_id).where(conditions.c.condition_id == condition_id)
        rule_id = connection.execute(query.limit(1)).scalar_one_or_none()
        if rule_id is None:
            raise NotFoundError(
                f"there is no condition with the id {condition_id!r}; the rules have those there"
                " are"
            )
        made |= {"condition_id": condition_id, "rule_id": rule_id}
    if not condition_version_id:
        return made
    row = connection.execute(
        select(conditions).where(conditions.c.condition_version_id == condition_version_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(
            f"there is no version of a condition with the id {condition_version_id!r}; the rule's"
            " versions have those there are"
        )
    if condition_id and row.condition_id != condition_id:
        raise InvalidArgumentError(
            f"the version {condition_version_id!r} is one of the condition {row.condition_id!r},"
            f" not of {condition_id!r}; say one of both"
        )
    # Not for an asset: it is no evaluation that made it, and none replaces it.
    return {name: getattr(row, name) for name in made}
