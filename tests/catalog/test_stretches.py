"""Which annotation a new stretch takes over."""

from __future__ import annotations

import pytest

from sift_server.catalog.stretches import Known, Stretch, check, matched


def known(*times: tuple[int, int] | tuple[int, int, bool]) -> list[Known]:
    return [Known(f"{index}", *one) for index, one in enumerate(times)]


@pytest.mark.parametrize(
    ("before", "wanted", "ids"),
    [
        # nothing, the same, moved, touching, apart
        ([], [(0, 5)], [None]),
        ([(0, 5)], [(0, 5)], ["0"]),
        ([(0, 5)], [(2, 9)], ["0"]),
        ([(0, 5)], [(5, 9)], ["0"]),
        ([(5, 9)], [(0, 5)], ["0"]),
        ([(0, 5)], [(6, 9)], [None]),
        # two become one: the earlier; one becomes two: the first of them
        ([(0, 2), (4, 6)], [(0, 6)], ["0"]),
        ([(0, 6)], [(0, 2), (4, 6)], ["0", None]),
        # but what people touched comes first
        ([(0, 2), (4, 6, True)], [(0, 6)], ["1"]),
        # and the same times before all
        ([(0, 5, True), (5, 9)], [(0, 5), (5, 9)], ["0", "1"]),
        ([(0, 5), (5, 9, True)], [(0, 5), (5, 9)], ["0", "1"]),
        ([(0, 9, True), (3, 4)], [(3, 4), (6, 7)], ["1", "0"]),
        # each once
        ([(0, 9)], [(0, 1), (2, 3), (8, 9)], ["0", None, None]),
        ([(0, 1), (2, 3), (8, 9)], [(0, 9)], ["0"]),
        ([(0, 1), (4, 5), (8, 9)], [(1, 4), (9, 12)], ["0", "2"]),
    ],
)
def test_a_stretch_takes_over_what_it_overlaps(before, wanted, ids):
    """In the order that the module tells."""
    assert matched(known(*before), [Stretch(*one) for one in wanted]) == ids
    assert matched(known(*before)[::-1], [Stretch(*one) for one in wanted]) == ids


@pytest.mark.parametrize(
    "wrong",
    [
        [(5, 4)],
        [(0, 5), (4, 9)],
        [(5, 9), (0, 2)],
        [(100, 101)],
        [(-20, -11)],
    ],
)
def test_stretches_are_in_order_and_in_their_window(wrong):
    """An evaluation that says otherwise is wrong: the same again would not be the same."""
    check([Stretch(-11, -10), Stretch(0, 5), Stretch(5, 120)], -10, 50)
    check([Stretch(-20, -15, is_pending=True)], -10, 50)
    check([Stretch(90, 95)], -10, None)
    with pytest.raises(ValueError, match="the stretch from"):
        check([Stretch(*one) for one in wrong], -10, 50)
