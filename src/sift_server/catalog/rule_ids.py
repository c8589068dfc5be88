"""Which condition and action of a version is which of the version before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sift_server.catalog.rule_content import StoredAction, StoredCondition
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sift_server.catalog.rule_content import RuleContent


@dataclass(frozen=True, slots=True)
class AskedIds:
    """Which condition of the version before one is to be, and which are its actions; "" for any."""

    condition_id: str = ""
    action_ids: tuple[str, ...] = ()


def with_ids(
    content: RuleContent,
    before: Sequence[StoredCondition],
    asked: Sequence[AskedIds],
    new_id: Callable[[], str],
    now_ns: int,
) -> tuple[StoredCondition, ...]:
    """Give conditions and actions the ids that they had, asked for or by their places.

    Args:
        content: The new version.
        before: The conditions of the version before; empty for a new rule.
        asked: What is asked of the ids of each condition; empty for nothing.
        new_id: Makes the ids of what is new, and of versions.
        now_ns: When the version is made.

    Raises:
        NotFoundError: The version before has no condition or action of an id that is asked for.
    """
    asked = asked or [AskedIds()] * len(content.conditions)
    places = _places(
        [one.condition_id for one in before],
        [one.condition_id for one in asked],
        f"the rule {content.name!r} has no condition",
    )
    stored = []
    for condition, ids, place in zip(content.conditions, asked, places, strict=True):
        found = None if place is None else before[place]
        known = () if found is None else found.actions
        count = len(condition.actions)
        action_places = _places(
            [one.action_id for one in known],
            [*ids.action_ids, *[""] * count][:count],
            f"the condition of the rule {content.name!r} has no action",
        )
        actions = tuple(
            replace(
                StoredAction(new_id(), "", now_ns) if at is None else known[at],
                action_version_id=new_id(),
            )
            for at in action_places
        )
        if found is None:
            stored.append(StoredCondition(new_id(), new_id(), now_ns, actions))
        else:
            stored.append(replace(found, condition_version_id=new_id(), actions=actions))
    return tuple(stored)


def _places(known: Sequence[str], asked: Sequence[str], has_none: str) -> list[int | None]:
    """Where each is among those before, None for a new one; an empty id goes by its place."""
    free = {one: place for place, one in enumerate(known)}
    places: list[int | None] = []
    for wanted in asked:
        if wanted and wanted not in free:
            raise NotFoundError(f"{has_none} with the id {wanted!r}, or it is there twice")
        places.append(free.pop(wanted) if wanted else None)
    left = set(free.values())
    return [
        index if place is None and index in left and not asked[index] else place
        for index, place in enumerate(places)
    ]
