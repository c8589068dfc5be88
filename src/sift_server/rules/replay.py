"""Evaluates a condition on what is stored, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sift_server.errors import ResourceExhaustedError
from sift_server.expressions import AGE_NS_MAX
from sift_server.rules.evaluation import BEGINNING, Mark
from sift_server.rules.memory import check_memory
from sift_server.rules.part import TIME_NS_MIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sift_server.rules.condition import Condition
    from sift_server.rules.pieces import Piece
    from sift_server.rules.stretches import Stretch

STRETCHES_MAX = 100_000
"""How many stretches a condition may have in the time of a run that is evaluated."""


class Replayed(NamedTuple):
    """What evaluating a piece gave: the stretches that ended in it, and the mark behind it."""

    piece: Piece
    ended: list[Stretch]
    mark: Mark


class NoisyError(ResourceExhaustedError):
    """A condition becomes true too often.

    Attributes:
        count: How often it did.
    """

    def __init__(self, condition: Condition, count: int) -> None:
        """Take the condition, and how often it did."""
        super().__init__(
            f"the condition {condition.expression.text!r} becomes true more than"
            f" {STRETCHES_MAX:,} times (STRETCHES_MAX) in a run; let it hold for some time with"
            " persistence(...), or evaluate it on a shorter time"
        )
        self.count = count


def replayed(condition: Condition, pieces: Iterable[Piece]) -> Iterator[Replayed]:
    """Evaluate a condition on pieces of its channels, as if nothing had been before the first.

    Raises:
        NoisyError: There are more than `STRETCHES_MAX` stretches.
        ResourceExhaustedError: The condition has to remember too much.
    """
    mark = BEGINNING
    count = 0
    for piece in pieces:
        inputs = [source.signal(piece[source.channel_id]) for source in condition.sources]
        ended, mark = mark.advance(condition, inputs)
        count += len(ended)
        if count > STRETCHES_MAX:
            raise NoisyError(condition, count)
        check_memory(condition, mark.memory)
        yield Replayed(piece, ended, mark)


def warm_up_start_ns(condition: Condition, first_ns: int) -> int:
    """Where evaluating has to begin so that the point before a time is evaluated rightly.

    A point that is older than the age limit has no effect on whether a stretch goes on.
    """
    lookback_ns = condition.expression.lookback_ns
    if lookback_ns is None:
        return TIME_NS_MIN
    return max(first_ns, TIME_NS_MIN + lookback_ns + AGE_NS_MAX) - lookback_ns - AGE_NS_MAX
