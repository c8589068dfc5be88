"""Conditions of a run that are not evaluated for a while, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, ItemsView

    from sift_server.rules.condition import Condition
    from sift_server.rules.part import Part

REST_MS_MIN = 60_000
"""How long a condition is not evaluated, the first time."""

REST_MS_MAX = 3_600_000
"""The same, if it was in trouble again and again: each time it is twice as long."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a condition is not evaluated on some points of a run.

    Attributes:
        message: Why, and what can be done.
        part: The time of the points.
        noisy_count: How many stretches it had in the points for which it was given up as noisy; 0
            if it could not be evaluated. What is noisy is skipped, all else is tried again.
    """

    message: str
    part: Part
    noisy_count: int = 0

    @property
    def is_noisy(self) -> bool:
        """Whether the condition found too much."""
        return self.noisy_count > 0


@dataclass(slots=True)
class _Resting:
    condition: Condition
    trouble: Trouble
    due_s: float


class Troubles:
    """The conditions of a run that are in trouble, by their keys. Not thread-safe."""

    def __init__(self) -> None:
        self._resting: dict[object, _Resting] = {}
        self._rested: dict[object, tuple[float, float]] = {}
        """How long those were in trouble that are tried again, and until when, in seconds."""

    def __contains__(self, key: object) -> bool:
        return key in self._resting

    def __len__(self) -> int:
        return len(self._resting)

    def items(self) -> ItemsView[object, Trouble]:
        """All of them."""
        return {key: one.trouble for key, one in self._resting.items()}.items()

    @property
    def to_evaluate(self) -> list[tuple[Condition, Part]]:
        """What is still to be evaluated of them."""
        return [
            (one.condition, one.trouble.part)
            for one in self._resting.values()
            if not one.trouble.is_noisy
        ]

    @property
    def next_due_s(self) -> float | None:
        """When one is tried again; None if there is none."""
        return min((one.due_s for one in self._resting.values()), default=None)

    def begin(self, condition: Condition, trouble: Trouble, now_s: float) -> None:
        """Let a condition rest."""
        rest_s = REST_MS_MIN / 1_000
        before_s, until_s = self._rested.pop(condition.key, (0.0, now_s))
        if before_s and now_s < until_s + before_s:
            rest_s = min(2 * before_s, REST_MS_MAX / 1_000)
        self._rested[condition.key] = rest_s, now_s + rest_s
        self._resting[condition.key] = _Resting(condition, trouble, now_s + rest_s)

    def add(self, key: object, part: Part) -> None:
        """Tell of points that came meanwhile."""
        one = self._resting[key]
        one.trouble = replace(one.trouble, part=one.trouble.part.with_part(part))

    def take_due(self, now_s: float) -> list[tuple[Condition, Trouble]]:
        """Take out those that have rested."""
        due = [key for key, one in self._resting.items() if one.due_s <= now_s]
        taken = [self._resting.pop(key) for key in due]
        return [(one.condition, one.trouble) for one in taken]

    def keep_only(self, keys: Container[object]) -> None:
        """Forget all but these."""
        self._resting = {key: one for key, one in self._resting.items() if key in keys}
        self._rested = {key: one for key, one in self._rested.items() if key in keys}
