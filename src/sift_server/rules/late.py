"""Evaluates a part of time anew, from what is stored."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sift_server.lake.points import part_of
from sift_server.rules.evaluation import BEGINNING, Change, Mark
from sift_server.rules.part import TIME_NS_MAX
from sift_server.rules.pieces import stored_pieces
from sift_server.rules.replay import replayed, warm_up_start_ns
from sift_server.rules.stretches import Stretch, moved_start, spliced, touches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sift_server.lake import ChannelView
    from sift_server.rules.condition import Condition
    from sift_server.rules.part import Part
    from sift_server.rules.pieces import Piece
    from sift_server.rules.stretches import Edge
    from sift_wire.columns import DataType

_MARKS_KEPT = 8
"""How many places near the end one can go back to."""

Views = dict[str, tuple["ChannelView", "DataType"]]
"""Channels by id, and their data types."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What evaluating a part of time gave.

    Attributes:
        change: What is to be changed in the stretches.
        moved: The old and the new beginning of the stretch that goes on behind the part, or None.
        marks: Marks near the end, if everything up to the end was evaluated; else none.
        recent: The points behind the first of them.
    """

    change: Change
    moved: tuple[int, int] | None
    marks: tuple[Mark, ...]
    recent: tuple[Piece, ...]


def evaluate_part(
    condition: Condition,
    views: Views,
    run_id: str,
    part: Part,
    end_ns: int,
    old: Sequence[Stretch],
) -> Evaluated:
    """Evaluate a part of time.

    Args:
        condition: The condition.
        views: Its channels.
        run_id: The run whose points are evaluated.
        part: The part: behind it everything is as it was, as far as it was evaluated.
        end_ns: Time of the last point that is evaluated at the most.
        old: The stretches that are known of the condition in the run, sorted.
    """
    start_ns = warm_up_start_ns(condition, part.first_ns)
    mark = BEGINNING
    latest: deque[tuple[Mark, Piece]] = deque(maxlen=_MARKS_KEPT)
    fresh: list[Stretch] = []
    last_ns: int | None = None
    pieces = stored_pieces(views, run_id, start_ns, min(end_ns, TIME_NS_MAX - 1) + 1)
    for piece, ended, mark in replayed(condition, _cut(pieces)):
        fresh += ended
        if mark.edge is None or mark.edge.last_ns < part.first_ns:
            continue
        latest.append((mark, piece))
        if mark.edge.last_ns > part.last_ns and _is_as_before(mark.edge, old):
            last_ns = mark.edge.last_ns
            latest.clear()
            break
    if mark.edge is None or mark.edge.last_ns < part.first_ns:
        # The part is that of a block of rows, in which the channels have no point.
        same = tuple(one for one in old if touches(one, part.first_ns, None))
        first_ns = min([part.first_ns, *(one.end_ns for one in same)])
        return Evaluated(Change(first_ns, None, same), None, (), ())
    still_open = mark.edge.open_stretch()
    if still_open is not None:
        fresh.append(still_open)
    touched = [one for one in old if touches(one, part.first_ns, last_ns)]
    found = spliced(touched, fresh, part.first_ns, last_ns)
    # The stretch that is open at a mark may have begun before the time that was evaluated here.
    began = [one.start_ns for one in found if one.start_ns <= part.first_ns <= one.end_ns]
    starts_ns = {one.start_ns: began[-1] for one in fresh if one.start_ns < part.first_ns and began}
    return Evaluated(
        # A stretch may have ended by itself before the part.
        Change(
            min([part.first_ns, *(one.end_ns for one in found)]),
            last_ns,
            tuple(found),
            len(found) - len(touched),
        ),
        moved_start(touched, found, part.last_ns if last_ns is None else last_ns),
        tuple(each.with_starts(starts_ns) for each, _ in latest),
        tuple(piece for _, piece in latest)[1:],
    )


def _is_as_before(edge: Edge, old: Sequence[Stretch]) -> bool:
    """Whether it is known of the last point if the condition is true there.

    A version of a rule knows nothing of what came before it, where late points may be.
    """
    was_true = any(
        one.start_ns <= edge.last_ns and (one.is_open or one.end_ns > edge.last_ns) for one in old
    )
    return was_true == (edge.since_ns is not None)


def _cut(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Cut pieces into smaller ones, so that there are several marks near the end of the last."""
    for piece in pieces:
        longest = max(piece.values(), key=len)
        count = len(longest)
        places = sorted({count * number // _MARKS_KEPT for number in range(1, _MARKS_KEPT)} - {0})
        ends_ns = [int(longest.timestamps_ns[place - 1]) for place in places]
        firsts = dict.fromkeys(piece, 0)
        for end_ns in ends_ns:
            lasts = {
                channel_id: int(np.searchsorted(points.timestamps_ns, end_ns, side="right"))
                for channel_id, points in piece.items()
            }
            yield {
                channel_id: part_of(points, firsts[channel_id], lasts[channel_id])
                for channel_id, points in piece.items()
            }
            firsts = lasts
        yield {
            channel_id: part_of(points, firsts[channel_id], len(points))
            for channel_id, points in piece.items()
        }
