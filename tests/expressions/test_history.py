"""A history is a value: who lengthens it changes nothing for anybody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sift_server.expressions.functions.history import History

STEPS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 40), st.integers(0, 60)))


def points(first: int, count: int) -> np.ndarray:
    return np.arange(first, first + count)


@given(st.integers(0, 100), STEPS)
def test_histories_stay_as_they_are(count: int, steps: list[tuple[int, int, int]]) -> None:
    """Whichever is lengthened, also one that has been, and whatever is cut off."""
    histories = [(History.of(points(0, count), points(0, count)), list(range(count)))]
    for which, longer_by, shorter_by in steps:
        history, values = histories[which % len(histories)]
        more = points(1_000 * len(histories), longer_by)
        gone = min(shorter_by, len(values) + longer_by)
        lengthened = history.longer(more, -more).without(gone)
        histories.append((lengthened, [*values, *more.tolist()][gone:]))
    for history, values in histories:
        assert history.times_ns.tolist() == values
        assert np.abs(history.words).tolist() == values
        assert len(history) == len(values)


def test_threads_may_lengthen_the_same_one() -> None:
    """Each of them gets what it asked for."""
    history = History.of(points(0, 10), points(0, 10))

    def lengthened(thread: int) -> list[list[int]]:
        return [history.longer(*[points(thread, 20)] * 2).words.tolist() for _ in range(200)]

    with ThreadPoolExecutor(8) as threads:
        for thread, found in enumerate(threads.map(lengthened, range(8))):
            assert all(one == [*range(10), *range(thread, thread + 20)] for one in found)
