"""Which points are still to be read from the store."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Backlog:
    """Times of which a follower misses something, the ends included.

    Attributes:
        parts: By run id and channel id.
        rest: Of all that is in no part; None for nothing.
    """

    parts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    rest: tuple[int, int] | None = None

    def __bool__(self) -> bool:
        return bool(self.parts) or self.rest is not None

    def add(self, run_id: str, channel_id: str, first_ns: int, last_ns: int) -> None:
        """Miss some time of a channel in a run."""
        key = run_id, channel_id
        self.parts[key] = spanning(self.parts.get(key, self.rest), first_ns, last_ns)

    def add_all(self, first_ns: int, last_ns: int) -> None:
        """Miss some time of everything."""
        for key, part in self.parts.items():
            self.parts[key] = spanning(part, first_ns, last_ns)
        self.rest = spanning(self.rest, first_ns, last_ns)

    def of(self, run_id: str, channel_id: str) -> tuple[int, int] | None:
        """What is missed of a channel in a run."""
        return self.parts.get((run_id, channel_id), self.rest)


def spanning(part: tuple[int, int] | None, first_ns: int, last_ns: int) -> tuple[int, int]:
    """A time that is made long enough to have another one in it."""
    if part is None:
        return first_ns, last_ns
    return min(part[0], first_ns), max(part[1], last_ns)
