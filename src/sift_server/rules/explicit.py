"""Evaluates a condition over what is stored, when somebody asks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift_server.rules.evaluation import BEGINNING
from sift_server.rules.pieces import stored_pieces
from sift_server.rules.replay import replayed, warm_up_start_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sift_server.rules.condition import Condition
    from sift_server.rules.late import Views
    from sift_server.rules.stretches import Stretch


class EvaluationStoppedError(Exception):
    """Who asked does not want to know any more."""


def evaluate_range(
    condition: Condition,
    views: Views,
    run_id: str,
    start_ns: int,
    end_ns: int,
    go_on: Callable[[], bool] = lambda: True,
) -> list[Stretch]:
    """Evaluate a condition on the points of a run between two times, the end excluded.

    What came before the start is taken into account as if all had been evaluated: last known
    values, windows, and a stretch that began earlier, which begins some time before the start here;
    see `within`.

    Args:
        condition: The condition.
        views: Its channels.
        run_id: The run; an empty string for what has none.
        start_ns: The start.
        end_ns: The end.
        go_on: Asked now and then whether to go on.

    Raises:
        EvaluationStoppedError: It was not to go on.
        NoisyError: There are more than `STRETCHES_MAX` stretches.
        ResourceExhaustedError: It has to remember too much.
    """
    mark = BEGINNING
    found: list[Stretch] = []
    pieces = stored_pieces(views, run_id, warm_up_start_ns(condition, start_ns), end_ns)
    for _, ended, mark in replayed(condition, pieces):  # noqa: B007 (the last one is wanted)
        if not go_on():
            raise EvaluationStoppedError
        found += [one for one in ended if one.end_ns > start_ns]
    still_open = None if mark.edge is None else mark.edge.open_stretch()
    if still_open is not None and still_open.end_ns >= start_ns:
        found.append(still_open)
    return found


def within(stretches: Sequence[Stretch], start_ns: int) -> list[Stretch]:
    """Stretches that begin at a time at the earliest."""
    return [replace(one, start_ns=max(one.start_ns, start_ns)) for one in stretches]
