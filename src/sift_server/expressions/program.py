"""What evaluates an expression, piece by piece.

An expression is cut into *regions*. Inside of a region everything is computed at the same times:
the points of all channels and functions over time that stand in it, its *leaves*, each with its
last known value (`signal.meet`). A function over time has a region of its own as its argument: it
sees the points of that, and nothing of what stands around it. So `avg($1, rolling("10s"))` is the
same whether or not it is compared with a faster channel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sift_server.expressions.signal import AGE_NS_MAX, Signal, meet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sift_server.expressions.functions import Step
    from sift_server.expressions.source import Source
    from sift_server.expressions.values import Column, Type


@dataclass(frozen=True, slots=True)
class Input:
    """A leaf that is a channel: `index` is its place among the inputs."""

    index: int
    type: Type

    @property
    def is_ageless(self) -> bool:
        """Whether the last value is good however old it is."""
        return False

    @property
    def lookback_ns(self) -> int | None:
        """How much of the time before matters; None if all of it."""
        return 0

    def advance(self, memory: Any, inputs: Sequence[Signal]) -> tuple[Signal, Any]:  # noqa: ANN401
        """The channel's points."""
        return inputs[self.index], memory


@dataclass(frozen=True, slots=True)
class StepLeaf:
    """A leaf that is a function over time of a region."""

    step: Step
    argument: Region

    @property
    def type(self) -> Type:
        """Type of the result."""
        return self.step.type

    @property
    def is_ageless(self) -> bool:
        """Whether the last value is good however old it is."""
        return self.step.is_ageless

    @property
    def lookback_ns(self) -> int | None:
        """How much of the time before matters; None if all of it."""
        return _sum(self.step.lookback_ns, self.argument.lookback_ns)

    def advance(self, memory: Any, inputs: Sequence[Signal]) -> tuple[Signal, Any]:  # noqa: ANN401
        """The function of the next piece."""
        step_memory, region_memory = (None, None) if memory is None else memory
        signal, region_memory = self.argument.advance(region_memory, inputs)
        column, step_memory = self.step.advance(step_memory, signal)
        return Signal(signal.times_ns, column), (step_memory, region_memory)


Leaf = Input | StepLeaf


@dataclass(frozen=True, slots=True)
class Region:
    """What is computed at the same times.

    Attributes:
        type: Type of the result.
        leaves: What it is computed from.
        compute: Computes it from a column of each leaf.
        lookback_ns: How much of the time before matters; None if all of it.
    """

    type: Type
    leaves: tuple[Leaf, ...]
    compute: Callable[[Sequence[Column]], Column]
    lookback_ns: int | None = field(init=False)

    def __post_init__(self) -> None:
        deepest: int | None = 0
        for leaf in self.leaves:
            lookback_ns = leaf.lookback_ns
            deepest = None if deepest is None or lookback_ns is None else max(deepest, lookback_ns)
        if len(self.leaves) > 1:
            deepest = _sum(deepest, AGE_NS_MAX)
        object.__setattr__(self, "lookback_ns", deepest)

    def advance(self, memory: Any, inputs: Sequence[Signal]) -> tuple[Signal, Any]:  # noqa: ANN401
        """Compute the next piece; `memory` is None before the first."""
        count = len(self.leaves)
        memories, lasts = ((None,) * count, (None,) * count) if memory is None else memory
        signals, after = [], []
        for leaf, leaf_memory in zip(self.leaves, memories, strict=True):
            signal, leaf_memory = leaf.advance(leaf_memory, inputs)  # noqa: PLW2901
            signals.append(signal)
            after.append(leaf_memory)
        if count == 1:
            (only,) = signals
            return Signal(only.times_ns, self.compute([only.column])), (tuple(after), lasts)
        times_ns, columns = meet(signals, lasts, [leaf.is_ageless for leaf in self.leaves])
        lasts = tuple(
            signal.last() if len(signal) else last
            for signal, last in zip(signals, lasts, strict=True)
        )
        return Signal(times_ns, self.compute(columns)), (tuple(after), lasts)


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. Never changes, so that any number of threads may use it.

    Attributes:
        text: As it was written.
        sources: The channels that it names, with all that is nested in it, each once.
        region: What evaluates it.
        nested: The keys of what it names itself and that is nested in it, each once.
    """

    text: str
    sources: tuple[Source, ...]
    region: Region
    nested: tuple[object, ...] = ()

    @property
    def type(self) -> Type:
        """Type of its values."""
        return self.region.type

    @property
    def lookback_ns(self) -> int | None:
        """How long before a time points still matter for the value at it; None if all do."""
        return self.region.lookback_ns

    def advance(self, memory: Any, inputs: Sequence[Signal]) -> tuple[Signal, Any]:  # noqa: ANN401
        """Evaluate the next piece of time.

        What is remembered is never changed: whoever keeps it can go back, and evaluate a piece
        anew. The values do not depend on how time was cut into pieces.

        Args:
            memory: What the piece before gave; None for the first one.
            inputs: The points of each source in this piece. All are later than those before.

        Returns:
            The value at each point of any source, and what the next piece needs.
        """
        return self.region.advance(memory, inputs)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
