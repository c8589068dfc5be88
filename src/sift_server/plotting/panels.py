"""Which curves share a panel, and what all panels have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.plotting.curves import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.plotting.curves import Curve


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of time that has a name: an annotation. Times are nanoseconds since 1970."""

    name: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves that share an axis: numbers of one unit, one enum, or all switches.

    Attributes:
        kind: What they are.
        unit: Of the numbers.
        curves: The curves.
    """

    kind: Kind
    unit: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """What a picture shows.

    Attributes:
        title: What it is of.
        curves: The curves, at least one.
        marks: The annotations.
        start_ns: Where the axis of times begins.
        end_ns: Where it ends; above `start_ns`.
    """

    title: str
    curves: tuple[Curve, ...]
    marks: tuple[Mark, ...]
    start_ns: int
    end_ns: int

    @classmethod
    def of(cls, title: str, curves: Sequence[Curve], marks: Sequence[Mark]) -> Plot:
        """A picture from the first point to the last one, with the marks that can be seen."""
        first_ns = min(int(each.times_ns[0]) for each in curves)
        last_ns = max(first_ns + 1, *(int(each.times_ns[-1]) for each in curves))
        seen = [mark for mark in marks if mark.end_ns >= first_ns and mark.start_ns <= last_ns]
        return cls(title, tuple(curves), tuple(seen), first_ns, last_ns)

    @property
    def panels(self) -> list[Panel]:
        """The panels, in the order in which their first curves were asked for."""
        parts: dict[tuple[Kind, str], list[Curve]] = {}
        for curve in self.curves:
            key = curve.name if curve.kind is Kind.STATE else curve.unit
            if curve.kind is Kind.SWITCH:
                key = ""
            parts.setdefault((curve.kind, key), []).append(curve)
        return [
            Panel(kind, mine[0].unit if kind is Kind.NUMBER else "", tuple(mine))
            for (kind, _), mine in parts.items()
        ]

    def label(self, curve: Curve) -> str:
        """Name of a curve, with its run if there are several."""
        runs = {each.run for each in self.curves}
        return f"{curve.name}, {curve.run or 'no run'}" if len(runs) > 1 else curve.name
