"""Blocks of many flows come out date by date, channel by channel, in the order of time."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_server.lake import sorting
from sift_server.lake.gathering import NS_PER_DAY
from sift_server.lake.points import Kind
from sift_server.lake.schema import write_schema
from sift_server.lake.sorting import sorted_points
from sift_wire.columns import DataType, FlowLayout
from sift_wire.decode import decode
from sift_wire.flow_index import FlowIndex
from sift_wire.frames import Frames
from support.points import Flow, make_block

if TYPE_CHECKING:
    from sift_server.lake.chunk import PointChunk

FLOWS = {
    "both": Flow(
        "rig",
        ("id 2", "id 0"),
        FlowLayout("both", ("speed", "log"), (DataType.DOUBLE, DataType.STRING)),
    ),
    "again": Flow("rig", ("id 2",), FlowLayout("again", ("speed",), (DataType.DOUBLE,))),
    "other": Flow("pad", ("id 1",), FlowLayout("other", ("speed",), (DataType.DOUBLE,))),
    "none": Flow("pad", (), FlowLayout("none", (), ())),
}
NAMES = {"id 0": ("rig", "log"), "id 1": ("pad", "speed"), "id 2": ("rig", "speed")}
TIMES_NS = st.integers(0, 20) | st.sampled_from(
    [-1, NS_PER_DAY - 1, NS_PER_DAY, -NS_PER_DAY, 2**63 - 1 - 10**9, -(2**63) + 10**9]
)
VALUES = {
    DataType.DOUBLE: st.none() | st.sampled_from([0.0, 1.5, 2.5]),
    DataType.STRING: st.none() | st.sampled_from(["", "abort", "go"]),
}


@st.composite
def rows(draw: st.DrawFn) -> tuple[str, str, int, list[Any]]:
    flow = draw(st.sampled_from(list(FLOWS)))
    values = [draw(VALUES[data_type]) for data_type in FLOWS[flow].layout.data_types]
    return flow, draw(st.sampled_from(["", "run a", "run b"])), draw(TIMES_NS), values


def message(flow: str, run_id: str, time_ns: int, values: list[Any]) -> bytes:
    request = Request(ingestion_config_id="config", flow=flow, run_id=run_id)
    request.timestamp.FromNanoseconds(time_ns)
    for value in values:
        one = request.channel_values.add()
        if isinstance(value, str):
            one.string = value
        elif value is not None:
            one.double = value
    return request.SerializeToString()


Point = tuple[int, str, str, int, Any]


def points_of(day: int, chunk: PointChunk) -> list[Point]:
    table = chunk.to_table(write_schema(list(Kind), has_runs=True)).to_pylist()
    for row in table:
        assert (row["asset"], row["channel"]) == NAMES[row["channel_id"]]
    return [
        (
            day,
            row["channel_id"],
            row["run_id"] or "",
            row["timestamp_ns"],
            row["value_string"] if row["value_double"] is None else row["value_double"],
        )
        for row in table
    ]


@settings(max_examples=200)
@given(
    batches=st.lists(st.lists(rows(), min_size=1, max_size=12), max_size=5),
    points_max=st.integers(1, 6),
    splits=st.booleans(),
    segments_max=st.sampled_from([1, 3, sorting.SEGMENTS_MAX]),
    heap_bytes_max=st.sampled_from([1, 8, sorting.HEAP_BYTES_MAX]),
)
def test_points_come_out_sorted_and_once(
    batches: list[list[Any]],
    points_max: int,
    *,
    splits: bool,
    segments_max: int,
    heap_bytes_max: int,
) -> None:
    """From any rows in any blocks; `splits`: the flows were forgotten after each block."""
    is_one_go = segments_max > 100 and heap_bytes_max > 100
    with (
        patch.object(sorting, "SEGMENTS_MAX", segments_max),
        patch.object(sorting, "HEAP_BYTES_MAX", heap_bytes_max),
    ):
        check_points(batches, points_max, splits=splits, is_one_go=is_one_go)


def test_strings_are_joined_up_to_a_limit() -> None:
    """Words have no room for a place in more than 4 GiB: a flush of more would mix strings up."""
    blocks = [
        make_block(FLOWS["both"].layout, FLOWS["both"].channel_ids, [(time, [1.5, "x" * 40])])
        for time in range(10)
    ]
    with patch.object(sorting, "HEAP_BYTES_MAX", 100):
        heaps = [
            len(chunk.heap) for points in sorted_points(blocks, 100) for chunk in points.chunks
        ]
    assert heaps == [80] * 5


def check_points(
    batches: list[list[Any]], points_max: int, *, splits: bool, is_one_go: bool
) -> None:
    index = FlowIndex(lambda _, name: FLOWS[name])
    blocks = []
    for batch in batches:
        if splits:
            index = FlowIndex(lambda _, name: FLOWS[name])
        frames = Frames.from_messages([message(*row) for row in batch])
        blocks += decode(frames, index).blocks
    found: list[Point] = []
    days = []
    for points in sorted_points(blocks, points_max):
        days.append(points.day)
        for chunk in points.chunks:
            assert len(chunk)
            mine = points_of(points.day, chunk)
            assert len(mine) <= points_max or len({point[1:4:2] for point in mine}) == 1
            assert {Kind(kind) for kind in chunk.kind.tolist()} <= points.kinds
            assert points.has_runs or not any(point[2] for point in mine)
            assert (chunk.channel_id_min, chunk.channel_id_max) == (mine[0][1], mine[-1][1])
            found += mine
    expected = [
        (time_ns // NS_PER_DAY, channel_id, run_id, time_ns, value)
        for batch in batches
        for flow, run_id, time_ns, values in batch
        for channel_id, value in zip(FLOWS[flow].channel_ids, values, strict=True)
        if value is not None
    ]
    assert set(found) == set(expected)
    if is_one_go:
        assert len(found) == len(set(found))
        assert days == sorted(set(days))
        keys = [(day, channel_id, time_ns) for day, channel_id, _, time_ns, _ in found]
        assert all(one <= following for one, following in pairwise(keys))


MODES = ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK")


@pytest.mark.skipif(any(map(os.environ.get, MODES)), reason="this is the other run")
@pytest.mark.parametrize("mode", MODES)
def test_the_loops_agree_as_plain_python_and_with_checks_of_bounds(tmp_path, mode: str) -> None:
    """They are ordinary functions first, and no index is outside of its array."""
    # Plain NumPy warns where unsigned numbers wrap around, as they are meant to.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", __file__, "-W", "ignore::RuntimeWarning"],
        env={**os.environ, mode: "1", "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
