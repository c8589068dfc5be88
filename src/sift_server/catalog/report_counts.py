"""How many annotations the rules of reports have, counted whenever somebody asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from sift_server.catalog import tables
from sift_server.catalog.annotation_rows import AnnotationState
from sift_server.catalog.chunks import chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_columns = tables.annotations_table.c
_found = tables.report_annotations.c


@dataclass(frozen=True, slots=True)
class AnnotationCounts:
    """Annotations that are neither archived nor deleted, by what people think of them.

    Attributes:
        open_count: Nobody decided yet.
        failed_count: Flagged.
        passed_count: Resolved.
        total_count: All of them, also phases, which have no state.
    """

    open_count: int = 0
    failed_count: int = 0
    passed_count: int = 0
    total_count: int = 0


_NAMES = {
    AnnotationState.OPEN: "open_count",
    AnnotationState.FLAGGED: "failed_count",
    AnnotationState.RESOLVED: "passed_count",
}


def read(
    connection: Connection, report_rule_version_ids: Sequence[str]
) -> dict[str, AnnotationCounts]:
    """Count the annotations of rules of reports, by the ids of the latter."""
    counts = dict.fromkeys(report_rule_version_ids, AnnotationCounts())
    for ids in chunks(report_rule_version_ids):
        rows = connection.execute(
            select(_found.report_rule_version_id, _columns.state, func.count())
            .join(
                tables.annotations_table,
                tables.annotations_table.c.annotation_id == _found.annotation_id,
            )
            .where(
                _found.report_rule_version_id.in_(ids),
                _columns.archived_ns.is_(None),
                _columns.deleted_ns.is_(None),
            )
            .group_by(_found.report_rule_version_id, _columns.state)
        )
        for one, state, count in rows:
            known = counts[one]
            changed = replace(known, total_count=known.total_count + count)
            if state is not None:
                changed = replace(changed, **{_NAMES[AnnotationState(state)]: count})
            counts[one] = changed
    return counts
