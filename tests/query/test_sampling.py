"""Samples are those of Largest-Triangle-Three-Buckets, in pages of any size, from any windows."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_server.errors import InvalidArgumentError
from sift_server.lake import Points
from sift_server.query import RunSource, is_sampled, read_sampled, sampling
from sift_wire.columns import DataType
from support import lttb_oracle
from support.points import to_word

if TYPE_CHECKING:
    from collections.abc import Iterator

Pairs = list[tuple[int, int]]
"""Times and words."""

NS_MIN, NS_MAX = -(2**63), 2**63 - 1
VALUES = {
    DataType.DOUBLE: st.floats() | st.sampled_from([0.0, -0.0, 1.0, 1e308, -1e308]),
    DataType.FLOAT: st.floats(width=32),
    DataType.INT_32: st.integers(-(2**31), 2**31 - 1),
    DataType.UINT_32: st.integers(0, 2**32 - 1),
    DataType.INT_64: st.integers(-(2**63), 2**63 - 1),
    DataType.UINT_64: st.integers(0, 2**64 - 1),
}
TIMES = st.one_of(
    st.integers(0, 60),
    st.integers(-100, 100).map(lambda time: time * 7),
    st.sampled_from([NS_MIN, NS_MIN + 1, NS_MAX - 1, NS_MAX]),
)


def source(run_id: str, points: Pairs, cuts: list[int]) -> RunSource:
    """A run whose windows end behind some places, but never between points of one time."""

    def read(from_ns: int) -> Iterator[Points]:
        mine = [point for point in points if point[0] >= from_ns]
        places = [
            place for place in sorted(set(cuts)) if 0 < place < len(mine)
            and mine[place - 1][0] < mine[place][0]
        ]  # fmt: skip
        for first, last in itertools.pairwise([0, *places, len(mine)]):
            if first < last:
                times, words = zip(*mine[first:last], strict=True)
                yield Points(np.array(times, np.int64), pa.array(np.array(words, np.uint64)))

    return RunSource(run_id, read)


def pages(
    sources: list[RunSource], data_type: DataType, width_ns: int, limit: int
) -> Iterator[dict[str, Pairs]]:
    cursor = None
    for _ in range(1_000):
        page = read_sampled(sources, data_type, width_ns, cursor, limit)
        found = {
            run.run_id: list(zip(run.timestamps_ns.tolist(), run.values.to_pylist(), strict=True))
            for run in page.runs
        }
        assert len(found) == len(page.runs)
        assert all(found.values())
        yield found
        cursor = page.next_cursor
        if cursor is None:
            return
    raise AssertionError("pages without end")


def as_float(word: int, data_type: DataType) -> float:
    match data_type:
        case DataType.DOUBLE:
            return struct.unpack("<d", struct.pack("<Q", word))[0]
        case DataType.FLOAT:
            return struct.unpack("<f", struct.pack("<I", word))[0]
        case DataType.UINT_64:
            return float(word)
        case _:
            return float(word - 2**64 if word >= 2**63 else word)


def expected(points: Pairs, data_type: DataType, width_ns: int) -> Pairs:
    numbers = [(time, as_float(word, data_type)) for time, word in points]
    return [points[place] for place in lttb_oracle.chosen(numbers, width_ns)]


@given(st.data())
def test_pages_of_any_size_are_what_the_oracle_says(data):
    """Of any values, in any windows, held or read again, run by run."""
    data_type = data.draw(st.sampled_from(list(VALUES)))
    width_ns = data.draw(st.integers(1, 50) | st.sampled_from([2**52, (2**32 - 1) * 10**6]))
    runs = {}
    for run_id in data.draw(st.sampled_from([[""], ["", "a", "b"]])):
        rows = data.draw(st.lists(st.tuples(TIMES, VALUES[data_type]), max_size=40))
        runs[run_id] = sorted(
            {(time, to_word(value, data_type, bytearray())) for time, value in rows}
        )
    cuts = data.draw(st.lists(st.integers(1, 40)))
    limit = data.draw(st.sampled_from([1, 2, 3, 7, 1_000]))
    sources = [source(run_id, points, cuts) for run_id, points in runs.items()]
    found: dict[str, Pairs] = {run_id: [] for run_id in runs}
    with (
        mock.patch.object(
            sampling, "HELD_POINTS_MAX", data.draw(st.sampled_from([2, 4, 10, 10**6]))
        ),
        mock.patch.object(sampling, "SAMPLED_MAX", data.draw(st.sampled_from([1, 9, 10**6]))),
        mock.patch.object(sampling, "_CHOSEN_AT_ONCE", data.draw(st.sampled_from([1, 3, 99]))),
    ):
        for page in pages(sources, data_type, width_ns, limit):
            assert sum(map(len, page.values())) <= limit
            for run_id, points in page.items():
                found[run_id] += points
    for run_id, points in runs.items():
        assert found[run_id] == expected(points, data_type, width_ns)


def test_a_page_is_made_of_so_many_points(monkeypatch):
    """It ends behind them, with the bucket that it is in, and the next one goes on there."""
    monkeypatch.setattr(sampling, "SAMPLED_MAX", 100)
    monkeypatch.setattr(sampling, "_CHOSEN_AT_ONCE", 1)
    points = [(time, time % 7) for time in range(1_000)]
    seen = list(pages([source("", points, [])], DataType.INT_64, 10, 1_000))
    # A page that is full does not ask whether there is more: the last one is empty.
    assert [sum(map(len, page.values())) for page in seen] == [*[11] + [10] * 8, 11, 0]
    joined = [point for page in seen[:-1] for point in page[""]]
    assert joined == expected(points, DataType.INT_64, 10)


def test_a_peak_stays():
    """One point in a million, where its bucket has a thousand."""
    values = np.zeros(1_000_000)
    values[654_321] = 1.0
    points = Points(np.arange(1_000_000) * 1_000, pa.array(values.view(np.uint64)))
    page = read_sampled(
        [RunSource("", lambda _: iter([points]))], DataType.DOUBLE, 10**6, None, 10_000
    )
    (run,) = page.runs
    assert len(run.timestamps_ns) == 1_002
    assert 654_321_000 in run.timestamps_ns


def test_only_numbers_are_sampled():
    """Of the others each change counts."""
    assert {one for one in DataType if is_sampled(one)} == set(VALUES)


@pytest.mark.parametrize("token", ["x", "é", "MToyOjM=", "YTpiOmM6ZDo=", "MTotMToxOjE6", "W10="])
def test_what_is_no_cursor_is_refused(token: str):
    """Whatever it is."""
    with pytest.raises(InvalidArgumentError, match="page_token is none"):
        read_sampled([], DataType.DOUBLE, 1, token, 1)


def test_a_cursor_goes_on_behind_a_point_that_is_gone():
    """With those that are there."""
    points = [(time, time) for time in range(10)]
    first = read_sampled([source("", points, [])], DataType.INT_64, 1, None, 4)
    later = [point for point in points if point[0] != 3]
    rest = read_sampled([source("", later, [])], DataType.INT_64, 1, first.next_cursor, 100)
    assert rest.runs[0].timestamps_ns.tolist() == [4, 5, 6, 7, 8, 9]
