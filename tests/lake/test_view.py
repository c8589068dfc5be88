"""A channel is read in windows of time, whatever its files look like."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sift_server.lake import Points, PointStore, delta, points_once, view
from sift_server.lake.ahead import one_ahead
from sift_server.query import PointReader
from sift_wire.columns import DataType
from support.points import comparable, make_block, make_layout, plain

if TYPE_CHECKING:
    from pathlib import Path

TYPES = {"double": DataType.DOUBLE, "string": DataType.STRING}
IDS = ("first", "second")
LAYOUT = make_layout("flow", TYPES)
FOREVER = (-(2**63), 2**63 - 1)
TIMES = st.integers(0, 40)
ROWS = st.lists(
    st.tuples(
        TIMES,
        st.tuples(
            st.none() | st.sampled_from([0.0, -0.0, 1.5, float("nan")]),
            st.none() | st.sampled_from(["", "a", "long " * 9]),
        ),
    ),
    min_size=1,
    max_size=12,
)
BLOCKS = st.lists(
    st.tuples(ROWS, st.sampled_from(["", "run a", "run b"]), st.booleans()), max_size=8
)


def filled(folder: Path, blocks: list[Any]) -> PointStore:
    """A store with rows of runs; behind some it was flushed."""
    store = PointStore.open(folder)
    for position, (rows, run_id, is_flushed) in enumerate(blocks, 1):
        store.publish(position, [make_block(LAYOUT, IDS, rows, run_id)])
        if is_flushed:
            store.flush()
    return store


def expected(blocks: list[Any], index: int, run_id: str | None) -> list[tuple[str, int, Any]]:
    """Points of a channel, as they were sent."""
    data_type = LAYOUT.data_types[index]
    return [
        (run, time, comparable(values[index], data_type))
        for rows, run, _ in blocks
        for time, values in rows
        if run_id in (None, run) and values[index] is not None
    ]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    blocks=BLOCKS,
    group_points=st.integers(1, 9),
    window_points=st.integers(1, 30),
    start_ns=st.sampled_from([FOREVER[0], 0, 7, 20]),
    end_ns=st.sampled_from([FOREVER[1], 41, 21, 9]),
)
def test_windows_have_every_point_and_follow_each_other(
    tmp_path_factory, monkeypatch, blocks, group_points, window_points, start_ns, end_ns
):
    """Row groups overlap, reach far, have several channels and runs; some points are hot."""
    folder = tmp_path_factory.mktemp("lake")
    with monkeypatch.context() as patch:
        patch.setattr(delta, "ROW_GROUP_POINTS", group_points)
        patch.setattr(view, "WINDOW_POINTS", window_points)
        store = filled(folder, blocks)
        for index, (channel_id, data_type) in enumerate(zip(IDS, TYPES.values(), strict=True)):
            for run_id in ("", "run a", "nobody"):
                found = []
                before_ns = FOREVER[0]
                for points in store.view(channel_id, data_type).read(run_id, start_ns, end_ns):
                    times = points.timestamps_ns.tolist()
                    assert times
                    assert before_ns < min(times)
                    before_ns = max(times)
                    found += zip(times, plain(points.values, data_type), strict=True)
                inside = [
                    (time, value)
                    for _, time, value in expected(blocks, index, run_id)
                    if start_ns <= time < end_ns
                ]
                assert len(found) <= len(inside)
                assert set(found) == set(inside)
            for run_id in (None, "run a"):
                mine = set(expected(blocks, index, run_id))
                assert all_of(store, channel_id, data_type, run_id) == sorted(mine)
    store.close()
    shutil.rmtree(folder)


def all_of(
    store: PointStore, channel_id: str, data_type: DataType, run_id: str | None
) -> list[tuple[str, int, Any]]:
    """What `read_all` gives."""
    found = []
    for run in PointReader(store).read_all(channel_id, data_type, *FOREVER, run_id):
        assert len(run.timestamps_ns)
        values = plain(run.values, data_type)
        found += [
            (run.run_id, time, value)
            for time, value in zip(run.timestamps_ns.tolist(), values, strict=True)
        ]
    return found


def test_what_was_published_before_the_call_is_read(tmp_path: Path):
    """And nothing that came later, however late it is looked at."""
    rows = [(time, (1.5, "a")) for time in range(5)]
    store = filled(tmp_path, [(rows, "", True), (rows[:2], "run a", False)])
    everything = PointReader(store).read_all("first", DataType.DOUBLE, *FOREVER, None)
    store.publish(3, [make_block(LAYOUT, IDS, [(9, (2.5, "b"))])])
    assert [(run.run_id, len(run.timestamps_ns)) for run in everything] == [("", 5), ("run a", 2)]


@given(
    parts=st.lists(st.lists(st.tuples(TIMES, st.integers(0, 3)))),
    is_text=st.booleans(),
    is_sorted=st.booleans(),
)
def test_points_are_sorted_and_each_is_there_once(parts, is_text: bool, is_sorted: bool):
    """However often, and in whatever order, they were sent."""
    sent = [
        (time, str(value) if is_text else value)
        for part in parts
        for time, value in (sorted(part) if is_sorted else part)
    ]
    value_type = pa.large_string() if is_text else pa.uint64()
    times = np.array([time for time, _ in sent], np.int64)
    points = points_once(Points(times, pa.array([value for _, value in sent], value_type)))
    assert points.values.type == value_type
    found = list(zip(points.timestamps_ns.tolist(), points.values.to_pylist(), strict=True))
    assert found == sorted(set(sent))


def test_one_item_is_made_while_the_one_before_is_used():
    """Not more than one, and none once nobody wants more."""
    made: list[int] = []
    is_made = threading.Semaphore(0)

    def numbers():
        for number in range(5):
            made.append(number)
            is_made.release()
            yield number

    ahead = one_ahead(numbers(), "ahead")
    assert next(ahead) == 0
    for _ in range(2):
        assert is_made.acquire(timeout=10)
    assert made == [0, 1]
    assert next(ahead) == 1
    ahead.close()
    assert made == [0, 1, 2]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
    assert list(one_ahead(numbers(), "ahead")) == [0, 1, 2, 3, 4]
    assert list(one_ahead(iter(()), "ahead")) == []


def test_who_reads_ahead_gets_the_error():
    """At the item that could not be made."""

    def broken():
        yield 1
        raise OSError("the disk is gone")

    ahead = one_ahead(broken(), "ahead")
    assert next(ahead) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)
