"""Which annotation is which, when the stretches that a condition is true for are known anew.

An annotation that people made something of has to survive that its start or end moves: by late
points, or because the condition is still true. So a new stretch takes over an annotation that was
there, if one overlaps it or touches it, in this order:

1. one of the same start and end;
2. of the others, one that people touched, or else the earliest.

Each annotation is taken over once. Nothing in here knows the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Stretch(NamedTuple):
    """A stretch of time for which a condition is true. Nanoseconds since 1970 in UTC.

    Attributes:
        start_ns: The first time.
        end_ns: The last time; as far as it is known, if the stretch is pending.
        is_pending: Whether the condition is true until now, so that the end is not known yet.
    """

    start_ns: int
    end_ns: int
    is_pending: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """An annotation that is there.

    Attributes:
        is_touched: Whether people made something of it.
    """

    annotation_id: str
    start_ns: int
    end_ns: int
    is_touched: bool = False


def check(stretches: Sequence[Stretch], from_ns: int, until_ns: int | None) -> None:
    """Check that stretches belong to a window of time, in order.

    Raises:
        ValueError: One ends before it starts, begins before the one before ends, or is outside of
            the window, where the next call would not find it.
    """
    last_ns = None
    for start_ns, end_ns, is_pending in stretches:
        if end_ns < start_ns or (last_ns is not None and start_ns < last_ns):
            raise ValueError(f"the stretch from {start_ns} to {end_ns} ns is out of order")
        after = until_ns is not None and start_ns > until_ns
        if after or not (is_pending or end_ns >= from_ns):
            raise ValueError(
                f"the stretch from {start_ns} to {end_ns} ns is not within {from_ns} to"
                f" {until_ns} ns"
            )
        last_ns = end_ns


def matched(known: Sequence[Known], stretches: Sequence[Stretch]) -> list[str | None]:
    """Return the id of the annotation that each stretch takes over, or None for a new one.

    Args:
        known: The annotations of the window, in any order.
        stretches: In order, none of which overlaps another.
    """
    by_times: dict[tuple[int, int], list[Known]] = {}
    for one in sorted(known, key=_preference, reverse=True):
        by_times.setdefault((one.start_ns, one.end_ns), []).append(one)
    ids: list[str | None] = [None] * len(stretches)
    taken: set[str] = set()
    for place, stretch in enumerate(stretches):
        same = by_times.get((stretch.start_ns, stretch.end_ns))
        if same:
            found = same.pop()
            ids[place] = found.annotation_id
            taken.add(found.annotation_id)
    left = sorted(
        (one for one in known if one.annotation_id not in taken), key=lambda one: one.start_ns
    )
    began = 0
    near: list[Known] = []
    for place, stretch in enumerate(stretches):
        while began < len(left) and left[began].start_ns <= stretch.end_ns:
            near.append(left[began])
            began += 1
        # What ends before this stretch ends before all that follow.
        near = [one for one in near if one.end_ns >= stretch.start_ns]
        if ids[place] is None and near:
            found = min(near, key=_preference)
            near.remove(found)
            ids[place] = found.annotation_id
    return ids


def _preference(known: Known) -> tuple[bool, int, str]:
    return not known.is_touched, known.start_ns, known.annotation_id
