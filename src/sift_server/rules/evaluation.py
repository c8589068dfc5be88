"""A condition over the points of a run that come as they come: late, twice, in any order.

The points are evaluated in the order of their times, piece by piece. What evaluating needs of
everything before a piece is a value that is never changed, so that some of the last ones are kept:
a point that comes a little late is evaluated by going back to one before it. What comes later than
that is *late*: it is evaluated anew from what is stored, for the part of time on which it can have
an effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sift_server.rules.stretches import Edge, Stretch, ended_stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sift_server.expressions import Signal
    from sift_server.rules.condition import Condition

MARKS_MAX = 32
"""How many places one can go back to, of a condition in a run."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in time that one can go back to.

    Attributes:
        memory: What the expression needs of everything up to it; None at the beginning.
        edge: How the stretches stand there; None at the beginning.
    """

    memory: Any
    edge: Edge | None

    def advance(self, condition: Condition, inputs: Sequence[Signal]) -> tuple[list[Stretch], Mark]:
        """Evaluate the piece that follows: the stretches that end in it, and the mark behind it."""
        truth, memory = condition.expression.advance(self.memory, inputs)
        ended, edge = ended_stretches(self.edge, truth)
        return ended, Mark(memory, edge)

    def with_starts(self, starts_ns: Mapping[int, int]) -> Mark:
        """The mark, if the stretch that is open there began at another time."""
        edge = self.edge
        if edge is None or edge.since_ns is None or edge.since_ns not in starts_ns:
            return self
        return replace(self, edge=replace(edge, since_ns=starts_ns[edge.since_ns]))


BEGINNING = Mark(None, None)
"""Before all points."""


@dataclass(frozen=True, slots=True)
class Change:
    """Stretches that take the place of others.

    Attributes:
        first_ns: Those that end at this time or later, or are open, are no more...
        last_ns: ...if they begin at this time or earlier; None if all do.
        stretches: What takes their place, sorted.
        added: How many more these are, if it is known.
    """

    first_ns: int
    last_ns: int | None
    stretches: tuple[Stretch, ...]
    added: int = 0


class ConditionProgress:
    """How far a condition was evaluated in a run. Not thread-safe."""

    def __init__(
        self, condition: Condition, marks: Iterable[Mark], stretches: Iterable[Stretch]
    ) -> None:
        """Take marks in the order of time, at least one, each with points before it.

        `stretches` are known already; those that ended before the first mark do not matter.
        """
        self.condition = condition
        self._marks = list(marks)
        self._ended = [
            one for one in stretches if not one.is_open and one.end_ns > self.earliest_ns
        ]
        """The stretches that ended behind the first mark."""
        self._told_open: Stretch | None = self._last.open_stretch()

    @property
    def _last(self) -> Edge:
        edge = self._marks[-1].edge
        assert edge is not None  # noqa: S101 - see `__init__`
        return edge

    @property
    def last_ns(self) -> int:
        """Time up to which everything was evaluated."""
        return self._last.last_ns

    @property
    def earliest_ns(self) -> int:
        """Points up to this time are late."""
        edge = self._marks[0].edge
        assert edge is not None  # noqa: S101 - see `__init__`
        return edge.last_ns

    def forget_mark(self) -> bool:
        """Forget the earliest mark; False if it is the only one."""
        if len(self._marks) == 1:
            return False
        del self._marks[0]
        earliest_ns = self.earliest_ns
        self._ended = [one for one in self._ended if one.end_ns > earliest_ns]
        return True

    def advance(
        self,
        first_ns: int,
        inputs_later_than: Callable[[int], Sequence[Signal]],
        marks_max: int = MARKS_MAX,
    ) -> Change | None:
        """Evaluate points that are not late.

        Args:
            first_ns: Time of the first of them.
            inputs_later_than: Gives all points of the sources that are later than a time.
            marks_max: How many places are kept that one can go back to.

        Returns:
            What changed, if it is more than that the open stretch is longer now.
        """
        while self.last_ns >= first_ns:
            self._marks.pop()
        from_ns = self.last_ns
        before = self._marks[-1]
        ended, mark = before.advance(self.condition, inputs_later_than(from_ns))
        kept = [one for one in self._ended if one.end_ns <= from_ns]
        is_same = self._ended == [*kept, *ended]
        added = len(kept) + len(ended) - len(self._ended)
        self._ended = [*kept, *ended]
        self._marks.append(mark)
        while len(self._marks) > marks_max:
            self.forget_mark()
        now_open = self._last.open_stretch()
        was_open, self._told_open = self._told_open, now_open
        if is_same and _begins(now_open) == _begins(was_open):
            return None
        stretches = ended if now_open is None else [*ended, now_open]
        return Change(from_ns + 1, None, tuple(stretches), added)

    @property
    def memories(self) -> list[Any]:
        """What the expression remembers at all places that one can go back to."""
        return [mark.memory for mark in self._marks]

    def open_change(self) -> Change | None:
        """The open stretch as it is now, if there is one."""
        now_open = self._last.open_stretch()
        if now_open is None:
            return None
        return Change(now_open.start_ns, None, (now_open,))

    def brought_up_to_date(self, stretches: Sequence[Stretch]) -> list[Stretch]:
        """Stretches of the condition, of which the open one may have been stored a while ago."""
        now_open = self._last.open_stretch()
        if now_open is None:
            return list(stretches)
        return [now_open if one.is_open else one for one in stretches]

    def move_start(self, old_ns: int, new_ns: int) -> None:
        """Tell that a stretch began at another time: what is late has changed its beginning."""
        self._marks = [mark.with_starts({old_ns: new_ns}) for mark in self._marks]
        self._ended = [
            replace(one, start_ns=new_ns) if one.start_ns == old_ns else one for one in self._ended
        ]
        self._told_open = self._last.open_stretch()


def _begins(stretch: Stretch | None) -> int | None:
    return None if stretch is None else stretch.start_ns
