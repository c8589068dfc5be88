"""The stretches of time in which a condition is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sift_server.expressions import AGE_NS_MAX
from sift_server.expressions.signal import ages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.expressions import Signal


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of truth.

    Attributes:
        start_ns: Time of the first point at which the condition is true.
        end_ns: Time of the first point behind at which it is not, or `AGE_NS_MAX` after the last
            one at which it is, if that comes first. Of an open stretch: time of its last point.
        is_open: Whether nothing has ended it yet.
    """

    start_ns: int
    end_ns: int
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """How a piece of time ended.

    Attributes:
        since_ns: Where the stretch began that was open then; None if there was none.
        last_ns: Time of the last point.
    """

    since_ns: int | None
    last_ns: int

    def open_stretch(self) -> Stretch | None:
        """The stretch that was open."""
        return None if self.since_ns is None else Stretch(self.since_ns, self.last_ns, is_open=True)


def ended_stretches(before: Edge | None, truth: Signal) -> tuple[list[Stretch], Edge | None]:
    """The stretches that end in a piece of time, and how it ends itself.

    Where it is not known whether the condition is true, it is not.

    Args:
        before: How the piece before ended; None if this is the first one.
        truth: The condition at each point of the piece.
    """
    if not len(truth):
        return [], before
    times_ns = truth.times_ns
    is_true = truth.column.values
    if truth.column.known is not None:
        is_true = is_true & truth.column.known
    was_true = np.empty_like(is_true)
    was_true[1:] = is_true[:-1]
    was_true[0] = before is not None and before.since_ns is not None
    if not is_true.any() and not was_true[0]:
        return [], Edge(None, int(times_ns[-1]))
    before_ns = np.empty_like(times_ns)
    before_ns[1:] = times_ns[:-1]
    before_ns[0] = times_ns[0] if before is None else before.last_ns
    goes_on = was_true & is_true & (ages(before_ns, times_ns) <= AGE_NS_MAX)
    begins = np.flatnonzero(is_true & ~goes_on)
    ends = np.flatnonzero(was_true & ~goes_on)
    starts_ns = times_ns[begins].tolist()
    if before is not None and before.since_ns is not None:
        starts_ns.insert(0, before.since_ns)
    known_until_ns = np.minimum(before_ns[ends], np.iinfo(np.int64).max - AGE_NS_MAX) + AGE_NS_MAX
    ends_ns = np.minimum(times_ns[ends], known_until_ns).tolist()
    ended = [Stretch(start, end) for start, end in zip(starts_ns, ends_ns, strict=False)]
    since_ns = starts_ns[-1] if len(starts_ns) > len(ends_ns) else None
    return ended, Edge(since_ns, int(times_ns[-1]))


def spliced(
    old: Sequence[Stretch], fresh: Sequence[Stretch], first_ns: int, last_ns: int | None
) -> list[Stretch]:
    """Put what was found out anew about a part of time into what was known before.

    Args:
        old: What was known of it: the stretches that `touches` it, sorted.
        fresh: The stretches of a time that contains the part, sorted.
        first_ns: Time of the first point of the part. What the condition is at the point before
            must be known rightly to who made `fresh`.
        last_ns: Time of its last point, at which the condition is as it was before, too; None if
            the part goes to the end of all points.

    Returns:
        The stretches that take the place of `old`.
    """
    found = []
    earlier = old[0] if old and old[0].start_ns < first_ns else None
    if earlier is not None and earlier.is_open and earlier.end_ns < first_ns - AGE_NS_MAX:
        # Nothing came for so long that nothing is known of its end any more.
        found.append(Stretch(earlier.start_ns, earlier.end_ns + AGE_NS_MAX))
        earlier = None
    elif earlier is not None and not any(one.start_ns < first_ns <= one.end_ns for one in fresh):
        found.append(_ended_before(earlier, fresh, first_ns))
        earlier = None
    for one in fresh:
        start_ns, end_ns, is_open = one.start_ns, one.end_ns, one.is_open
        if end_ns < first_ns or (last_ns is not None and start_ns > last_ns):
            continue
        if start_ns < first_ns:
            if earlier is not None:
                start_ns = earlier.start_ns
            elif end_ns <= first_ns:
                continue
            else:
                # A condition that is new begins with the first point that it was asked about.
                start_ns = first_ns
        if last_ns is not None and _goes_on(one, last_ns) and old and _goes_on(old[-1], last_ns):
            end_ns, is_open = old[-1].end_ns, old[-1].is_open
        found.append(Stretch(start_ns, end_ns, is_open))
    return found


def _ended_before(earlier: Stretch, fresh: Sequence[Stretch], first_ns: int) -> Stretch:
    """A stretch that late points have ended, which are stored but a part of their own.

    That part begins by the end of what this returns, and so will find it, and put it right.
    """
    known_ns = min(earlier.end_ns, first_ns)
    ends_ns = (one.end_ns for one in fresh if earlier.start_ns < one.end_ns < first_ns)
    return Stretch(earlier.start_ns, next(ends_ns, known_ns))


def moved_start(
    old: Sequence[Stretch], found: Sequence[Stretch], last_ns: int
) -> tuple[int, int] | None:
    """The old and the new beginning of a stretch that goes on as it was, if that has moved.

    Args:
        old: As in `spliced`.
        found: What `spliced` has made of it.
        last_ns: A time behind which the condition is as it was before.
    """
    before = next((one for one in old if _goes_on(one, last_ns)), None)
    after = next((one for one in found if _goes_on(one, last_ns)), None)
    if before is None or after is None or before.start_ns == after.start_ns:
        return None
    is_same_end = before.is_open == after.is_open and before.end_ns == after.end_ns
    return (before.start_ns, after.start_ns) if is_same_end else None


def _goes_on(stretch: Stretch, last_ns: int) -> bool:
    return stretch.is_open or stretch.end_ns > last_ns


def touches(stretch: Stretch, first_ns: int, last_ns: int | None) -> bool:
    """Whether what is found out anew about a part of time can change a stretch."""
    begins = last_ns is None or stretch.start_ns <= last_ns
    return begins and (stretch.is_open or stretch.end_ns >= first_ns)
