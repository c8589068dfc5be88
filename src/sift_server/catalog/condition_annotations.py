"""The annotations that conditions of rules make: replaced for a window of time, all at once.

What an evaluation finds for a window of time is what there is afterwards: `replace` can be called
with the same any number of times, and the annotations are the same as if everything had been
evaluated once at the end. What people made of an annotation stays with it, see `stretches`:

- one whose times change keeps its id, its dates of creation, state, assignee, tags and comments;
- one that people touched, but that no stretch takes over, is archived, and comes back out of the
  archive when a stretch takes it over later;
- one that people archived stays archived, and one that they deleted stays deleted, for as long as
  its stretch is there;
- all others are removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, union_all, update

from sift_server.catalog import annotation_rows, stretches, tables, tags, users
from sift_server.catalog.annotation_rows import AnnotationDraft, AnnotationState
from sift_server.catalog.attributes import Attributes, metadata_columns
from sift_server.catalog.chunks import chunks
from sift_server.catalog.rule_content import AnnotationType
from sift_server.catalog.stretches import Known, Stretch

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from sqlalchemy import Connection, Row

    from sift_server.catalog.annotation_rows import LinkedChannel
    from sift_server.catalog.context import Context
    from sift_server.catalog.rule_conditions import RuleCondition

_columns = tables.annotations_table.c


@dataclass(frozen=True, slots=True)
class ConditionStretches:
    """What an evaluation found: for which stretches a condition is true on an asset, in a run.

    Times are nanoseconds since 1970 in UTC.

    Attributes:
        run_id: The run, or an empty string for what is in none.
        from_ns: Where the window begins that was evaluated: what ended before stays.
        until_ns: Where it ends: what begins later stays; None for no end.
        stretches: In order, none overlapping another, none outside of the window.
        linked_channels: The channels of the condition, for annotations that are new.
        more_tags: Names of tags that annotations which are new get, beside those of the rule.
        report_rule_version_id: The rule of a report that they are found for, or empty; it has no
            annotation of the condition yet.
    """

    condition: RuleCondition
    asset_id: str
    run_id: str
    from_ns: int
    until_ns: int | None
    stretches: Sequence[Stretch]
    linked_channels: tuple[LinkedChannel, ...] = ()
    more_tags: tuple[str, ...] = ()
    report_rule_version_id: str = ""


@dataclass(frozen=True, slots=True)
class Replaced:
    """How many annotations were created, changed, and removed or archived."""

    created_count: int
    changed_count: int
    removed_count: int


def replace(
    connection: Connection, context: Context, batch: Sequence[ConditionStretches]
) -> Replaced:
    """Make the annotations of windows what evaluations found, within a transaction.

    Raises:
        ValueError: Stretches are out of order, or outside of their window; or two windows are
            about the same condition, asset and run.
    """
    keys = [_key(item) for item in batch]
    if len(set(keys)) < len(keys):
        raise ValueError("two windows are about the same condition, asset and run")
    for item in batch:
        stretches.check(item.stretches, item.from_ns, item.until_ns)
    known: dict[tuple[str, str, str], list[Row[Any]]] = {}
    for row in _near(connection, batch):
        key = (row.condition_version_id, row.condition_asset_id, row.run_id or "")
        known.setdefault(key, []).append(row)
    work = _Work(context.now_ns())
    for item, key in zip(batch, keys, strict=True):
        work.add(item, [row for row in known.get(key, ()) if _is_within(row, item)])
    return work.write(connection, context)


def unsettled(
    connection: Connection, evaluated: Container[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Versions of conditions and assets that have pending annotations, but for those evaluated."""
    query = select(_columns.condition_version_id, _columns.condition_asset_id).where(
        _columns.is_pending, _columns.condition_asset_id.is_not(None)
    )
    pairs = [(row[0], row[1]) for row in connection.execute(query.distinct())]
    return [pair for pair in pairs if pair not in evaluated]


def settle(connection: Connection, context: Context, pairs: Iterable[tuple[str, str]]) -> int:
    """End what is pending of versions of conditions on assets; returns how many.

    Within a transaction.
    """
    count = 0
    for version_id, asset_id in pairs:
        statement = update(tables.annotations_table).where(
            _columns.is_pending,
            _columns.condition_version_id == version_id,
            _columns.condition_asset_id == asset_id,
        )
        values = {"is_pending": False, "modified_ns": context.now_ns()}
        count += connection.execute(statement.values(values)).rowcount
    return count


def known_stretches(
    connection: Connection, pairs: Iterable[tuple[str, str]], run_id: str
) -> dict[tuple[str, str], list[Stretch]]:
    """Read the stretches of versions of conditions on assets, in a run, in the order of time.

    Without what was deleted, and without what an evaluation archived. What no point has ended is
    pending, whether or not the run has stopped: points of it may come still.
    """
    found: dict[tuple[str, str], list[Stretch]] = {pair: [] for pair in pairs}
    for ids in chunks(list(dict.fromkeys(version_id for version_id, _ in found))):
        rows = connection.execute(
            select(
                _columns.condition_version_id,
                _columns.condition_asset_id,
                _columns.start_ns,
                _columns.end_ns,
                _columns.is_pending,
            )
            .where(
                _columns.condition_version_id.in_(ids),
                _columns.run_id.is_not_distinct_from(run_id or None),
                _columns.deleted_ns.is_(None),
                _columns.is_withdrawn.is_(False),
            )
            .order_by(_columns.start_ns, _columns.sequence)
        )
        for version_id, asset_id, *times in rows:
            if (version_id, asset_id) in found:
                found[version_id, asset_id].append(Stretch(*times))
    return found


_needed = (
    _columns.annotation_id,
    _columns.start_ns,
    _columns.end_ns,
    _columns.run_id,
    _columns.condition_version_id,
    _columns.condition_asset_id,
    _columns.is_pending,
    _columns.is_touched,
    _columns.is_withdrawn,
    _columns.archived_ns,
    _columns.deleted_ns,
)


def _near(connection: Connection, batch: Sequence[ConditionStretches]) -> list[Row[Any]]:
    """All that may be within a window: by condition, from the first window on."""
    from_ns = min((item.from_ns for item in batch), default=0)
    rows: list[Row[Any]] = []
    version_ids = list(dict.fromkeys(item.condition.condition_version_id for item in batch))
    for ids in chunks(version_ids):
        of_conditions = select(*_needed).where(_columns.condition_version_id.in_(ids))
        # Two questions, each of which has an index.
        query = union_all(
            of_conditions.where(_columns.end_ns >= from_ns),
            of_conditions.where(_columns.is_pending, _columns.end_ns < from_ns),
        )
        rows += connection.execute(query).all()
    return rows


def _key(item: ConditionStretches) -> tuple[str, str, str]:
    return item.condition.condition_version_id, item.asset_id, item.run_id


def _is_within(row: Row[Any], item: ConditionStretches) -> bool:
    begins = item.until_ns is None or bool(row.start_ns <= item.until_ns)
    return begins and bool(row.is_pending or row.end_ns >= item.from_ns)


class _Work:
    """Collects what is to be written, so that each table is written to once."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns
        self._created: list[tuple[ConditionStretches, Stretch]] = []
        self._changed: list[dict[str, Any]] = []
        self._withdrawn: list[dict[str, Any]] = []
        self._removed: list[str] = []
        self._reported: list[dict[str, Any]] = []

    def add(self, item: ConditionStretches, rows: Sequence[Row[Any]]) -> None:
        """See what becomes of a window."""
        by_id = {row.annotation_id: row for row in rows}
        known = [Known(row.annotation_id, row.start_ns, row.end_ns, row.is_touched) for row in rows]
        for stretch, annotation_id in zip(
            item.stretches, stretches.matched(known, item.stretches), strict=True
        ):
            if annotation_id is None:
                self._created.append((item, stretch))
            else:
                self._take_over(by_id.pop(annotation_id), stretch)
                self._report(item, annotation_id)
        for row in by_id.values():
            self._drop(row)

    def _report(self, item: ConditionStretches, annotation_id: str) -> None:
        if item.report_rule_version_id:
            self._reported.append(
                {
                    "report_rule_version_id": item.report_rule_version_id,
                    "annotation_id": annotation_id,
                }
            )

    def _take_over(self, row: Row[Any], stretch: Stretch) -> None:
        is_back = row.is_withdrawn
        if (row.start_ns, row.end_ns, row.is_pending) == tuple(stretch) and not is_back:
            return
        self._changed.append(
            {
                "known_id": row.annotation_id,
                "start_ns": stretch[0],
                "end_ns": stretch[1],
                "is_pending": stretch[2],
                "archived_ns": None if is_back else row.archived_ns,
                "is_withdrawn": False,
                "modified_ns": self._now_ns,
            }
        )

    def _drop(self, row: Row[Any]) -> None:
        if not row.is_touched or row.deleted_ns is not None:
            self._removed.append(row.annotation_id)
        elif row.archived_ns is None or row.is_pending:
            self._withdrawn.append(
                {
                    "known_id": row.annotation_id,
                    "is_pending": False,
                    "archived_ns": row.archived_ns or self._now_ns,
                    "is_withdrawn": row.archived_ns is None,
                    "modified_ns": self._now_ns,
                }
            )

    def write(self, connection: Connection, context: Context) -> Replaced:
        """Write it."""
        by_id = update(tables.annotations_table).where(
            _columns.annotation_id == bindparam("known_id")
        )
        for rows in (self._changed, self._withdrawn):
            if rows:
                connection.execute(by_id, rows)
        annotation_rows.remove(connection, self._removed)
        if self._created:
            self._create(connection, context)
        if self._reported:
            connection.execute(insert(tables.report_annotations), self._reported)
        removed_count = len(self._removed) + len(self._withdrawn)
        return Replaced(len(self._created), len(self._changed), removed_count)

    def _create(self, connection: Connection, context: Context) -> None:
        owner_id = users.owner_id(connection, context)
        rows, asset_rows, tag_rows, metadata_rows = [], [], [], []
        made_of: dict[tuple[str, str, str], dict[str, Any]] = {}
        for item, stretch in self._created:
            made = made_of.get(_key(item))
            if made is None:
                made = made_of[_key(item)] = self._made(item, owner_id)
            annotation_id = context.new_id()
            self._report(item, annotation_id)
            rows.append(
                {
                    **made,
                    "annotation_id": annotation_id,
                    "start_ns": stretch[0],
                    "end_ns": stretch[1],
                    "is_pending": stretch[2],
                }
            )
            asset_rows.append(
                {"annotation_id": annotation_id, "position": 0, "asset_id": item.asset_id}
            )
            names = dict.fromkeys([*item.condition.action.tags, *item.more_tags])
            tag_rows += [
                {"owner_id": annotation_id, "position": position, "name": name}
                for position, name in enumerate(names)
            ]
            metadata_rows += [
                {
                    "owner_id": annotation_id,
                    "position": position,
                    "key": key,
                    **metadata_columns(value),
                }
                for position, (key, value) in enumerate(item.condition.action.metadata)
            ]
        tags.find_or_create(connection, context, (str(row["name"]) for row in tag_rows))
        for table, of_table in (
            (tables.annotations_table, rows),
            (tables.annotation_assets, asset_rows),
            (tables.annotation_tags, tag_rows),
            (tables.annotation_metadata, metadata_rows),
        ):
            if of_table:
                connection.execute(insert(table), of_table)

    def _made(self, item: ConditionStretches, owner_id: str) -> dict[str, Any]:
        """What all new annotations of a window have in common."""
        condition = item.condition
        is_review = condition.action.annotation_type is AnnotationType.REVIEW
        draft = AnnotationDraft(
            name=condition.name,
            start_ns=0,
            end_ns=0,
            description=condition.description,
            annotation_type=condition.action.annotation_type,
            state=AnnotationState.OPEN if is_review else None,
            linked_channels=item.linked_channels,
            run_id=item.run_id,
            assigned_to_user_id=condition.action.assigned_to_user_id,
            attributes=Attributes(),
        )
        return {
            **annotation_rows.values_of(draft),
            "condition_id": condition.condition_id,
            "condition_version_id": condition.condition_version_id,
            "rule_id": condition.rule_id,
            "condition_asset_id": item.asset_id,
            "report_rule_version_id": item.report_rule_version_id or None,
            "is_touched": False,
            "is_withdrawn": False,
            "created_by_user_id": owner_id,
            "modified_by_user_id": owner_id,
            "created_ns": self._now_ns,
            "modified_ns": self._now_ns,
        }
