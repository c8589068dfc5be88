"""Parts of time whose points are new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sift_server.rules.condition import Condition

TIME_NS_MIN, TIME_NS_MAX = -(2**63), 2**63 - 1
"""The times there are."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of time whose points are new.

    Attributes:
        first_ns: Time of the first of them.
        last_ns: Time of the last.
    """

    first_ns: int
    last_ns: int

    def with_part(self, other: Part) -> Part:
        """The time from the first to the last of both."""
        return Part(min(self.first_ns, other.first_ns), max(self.last_ns, other.last_ns))

    def with_effect(self, condition: Condition) -> Part:
        """The part of time in which the condition may be another one because of them."""
        lookback_ns = condition.expression.lookback_ns
        if lookback_ns is None:
            return Part(self.first_ns, TIME_NS_MAX)
        return Part(self.first_ns, min(self.last_ns, TIME_NS_MAX - lookback_ns) + lookback_ns)
