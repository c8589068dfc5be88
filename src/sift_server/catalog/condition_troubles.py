"""Annotations that say that a condition was not evaluated for a while, and why.

They are to be reviewed as what conditions find is, for nothing is known of that time: they belong
to the rule, and have its tags and assignee. No evaluation replaces them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import exists, insert, select, update

from sift_server.catalog import annotation_rows, tables, users
from sift_server.catalog.annotation_rows import AnnotationDraft, AnnotationState
from sift_server.catalog.attributes import Attributes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Update

    from sift_server.catalog.annotation_rows import LinkedChannel
    from sift_server.catalog.context import Context
    from sift_server.catalog.rule_conditions import RuleCondition

TROUBLE_KEY = "rule_trouble"
"""Metadata of such an annotation: `NOISY` or `NOT_EVALUATED`."""

TRIGGERS_KEY = "batched_triggers"
"""Metadata of one of a noisy condition: how often it became true when it was given up."""

NOISY = "noisy"
NOT_EVALUATED = "not evaluated"

_columns = tables.annotations_table.c
_assets = tables.annotation_assets.c


class TroublePlace(NamedTuple):
    """Which condition is in trouble, on which asset, in which run; the run is empty for none."""

    condition_version_id: str
    asset_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class ConditionTrouble:
    """Why a condition is not evaluated on an asset, in a run.

    Attributes:
        times_ns: The first and the last time that it is not evaluated at, or None for now.
        noisy_count: How often it became true, if that is why; else 0.
    """

    condition: RuleCondition
    place: TroublePlace
    message: str
    times_ns: tuple[int, int] | None
    noisy_count: int = 0
    linked_channels: tuple[LinkedChannel, ...] = ()


def tell(connection: Connection, context: Context, troubles: Sequence[ConditionTrouble]) -> None:
    """Have a pending annotation for each, which is made or brought up to date."""
    now_ns = context.now_ns()
    for trouble in troubles:
        start_ns, end_ns = trouble.times_ns or (now_ns, now_ns)
        found = connection.execute(
            select(_columns.annotation_id, _columns.start_ns).where(*_is_told(trouble.place))
        ).one_or_none()
        if found is None:
            draft = replace(_draft(trouble), start_ns=start_ns, end_ns=end_ns)
            _create(connection, context, trouble, draft)
        else:
            values = {"end_ns": max(end_ns, found.start_ns), "description": trouble.message}
            if trouble.times_ns is not None:
                values["start_ns"] = min(start_ns, found.start_ns)
            connection.execute(
                update(tables.annotations_table)
                .where(_columns.annotation_id == found.annotation_id)
                .values(modified_ns=now_ns, **values)
            )


def end(connection: Connection, context: Context, places: Sequence[TroublePlace]) -> None:
    """End what was told of some conditions."""
    for place in places:
        connection.execute(_ended(context).where(*_is_told(place)))


def end_all(connection: Connection, context: Context) -> None:
    """End what was told of all conditions."""
    connection.execute(
        _ended(context).where(
            _columns.is_pending,
            _columns.condition_version_id.is_not(None),
            _columns.condition_asset_id.is_(None),
        )
    )


def _ended(context: Context) -> Update:
    return update(tables.annotations_table).values(is_pending=False, modified_ns=context.now_ns())


def _is_told(place: TroublePlace) -> tuple[ColumnElement[bool], ...]:
    return (
        _columns.is_pending,
        _columns.condition_version_id == place.condition_version_id,
        _columns.condition_asset_id.is_(None),
        _columns.run_id.is_not_distinct_from(place.run_id or None),
        _columns.deleted_ns.is_(None),
        exists().where(
            _assets.annotation_id == _columns.annotation_id, _assets.asset_id == place.asset_id
        ),
    )


def _draft(trouble: ConditionTrouble) -> AnnotationDraft:
    condition = trouble.condition
    kind = NOISY if trouble.noisy_count else NOT_EVALUATED
    metadata: list[tuple[str, str | float]] = [(TROUBLE_KEY, kind)]
    if trouble.noisy_count:
        metadata.append((TRIGGERS_KEY, float(trouble.noisy_count)))
    return AnnotationDraft(
        name=f"{condition.name}: {kind}",
        start_ns=0,
        end_ns=0,
        description=trouble.message,
        state=AnnotationState.OPEN,
        asset_ids=(trouble.place.asset_id,),
        linked_channels=trouble.linked_channels,
        run_id=trouble.place.run_id,
        assigned_to_user_id=condition.action.assigned_to_user_id,
        attributes=Attributes(condition.action.tags, tuple(metadata)),
    )


def _create(
    connection: Connection, context: Context, trouble: ConditionTrouble, draft: AnnotationDraft
) -> None:
    annotation_id, now_ns = context.new_id(), context.now_ns()
    owner_id = users.owner_id(connection, context)
    connection.execute(
        insert(tables.annotations_table).values(
            annotation_id=annotation_id,
            condition_id=trouble.condition.condition_id,
            condition_version_id=trouble.place.condition_version_id,
            rule_id=trouble.condition.rule_id,
            is_pending=True,
            is_touched=False,
            is_withdrawn=False,
            created_by_user_id=owner_id,
            modified_by_user_id=owner_id,
            created_ns=now_ns,
            modified_ns=now_ns,
            **annotation_rows.values_of(draft),
        )
    )
    annotation_rows.attribute_tables.write(connection, context, annotation_id, draft.attributes)
    annotation_rows.write_assets(connection, annotation_id, draft.asset_ids)
