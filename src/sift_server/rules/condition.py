"""A condition of a rule, ready to be evaluated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sift_server.rules.sources import SourceKey

if TYPE_CHECKING:
    from sift_server.expressions import Expression
    from sift_wire.columns import DataType


@dataclass(frozen=True, slots=True)
class Condition:
    """What is to be evaluated for an asset.

    Attributes:
        key: What tells the condition from others, for whoever keeps its stretches.
        expression: A compiled condition, whose sources have a `SourceKey`.
        live_from_position: What the log has up to this position is not evaluated as it comes: it
            was there before the rule.
    """

    key: object
    expression: Expression
    live_from_position: int = 0
    sources: tuple[SourceKey, ...] = field(init=False)
    """The channels, and elements of bit fields, that it names."""
    channel_ids: frozenset[str] = field(init=False)
    """The channels that it names."""

    def __post_init__(self) -> None:
        sources = tuple(_key(source.key) for source in self.expression.sources)
        object.__setattr__(self, "sources", sources)
        channel_ids = frozenset(source.channel_id for source in sources)
        object.__setattr__(self, "channel_ids", channel_ids)

    @property
    def remembers(self) -> bool:
        """Whether it remembers more than the last values: as much as there is in a time."""
        return self.expression.lookback_ns != 0

    @property
    def data_types(self) -> dict[str, DataType]:
        """The data type of each channel, by its id."""
        return {source.channel_id: source.data_type for source in self.sources}


def _key(key: object) -> SourceKey:
    assert isinstance(key, SourceKey)  # noqa: S101 - see `Condition.expression`
    return key
