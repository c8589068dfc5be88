"""An overview is what somebody sees who looks at every point."""

from __future__ import annotations

import itertools
import math
import shutil
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sift_server.lake import (
    Doomed,
    Overview,
    PointStore,
    StoreLimits,
    compaction,
    delta,
    overview,
)
from sift_server.lake.compaction import MERGE_FILES
from sift_server.lake.file_reader import FileReader
from sift_server.lake.overview import Buckets
from sift_wire import kernels
from sift_wire.block import RowBlock
from sift_wire.columns import DataType
from support.points import Flow, make_block, make_layout

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.lake import Points

TYPES = {
    "double": DataType.DOUBLE,
    "float": DataType.FLOAT,
    "int32": DataType.INT_32,
    "int64": DataType.INT_64,
    "uint64": DataType.UINT_64,
    "enum": DataType.ENUM,
    "bool": DataType.BOOL,
    "string": DataType.STRING,
}
IDS = tuple(f"id of {name}" for name in TYPES)
LAYOUT = make_layout("flow", TYPES)
TIMES = (
    st.integers(0, 200) | st.integers(0, 10**6) | st.sampled_from([-(2**63), -1, 10**15, 2**63 - 2])
)
NUMBERS = st.sampled_from([0.0, -0.0, 1.5, -7.25, math.inf, -math.inf, math.nan])
VALUES = st.tuples(
    st.none() | NUMBERS,
    st.none() | NUMBERS,
    st.none() | st.sampled_from([-(2**31), -1, 0, 7]),
    st.none() | st.sampled_from([-(2**63), -1, 0, 2**63 - 1]),
    st.none() | st.sampled_from([0, 5, 2**63, 2**64 - 1]),
    st.none() | st.integers(0, 3),
    st.none() | st.booleans(),
    st.none() | st.just("text"),
)
ROWS = st.lists(st.tuples(TIMES, VALUES), min_size=1, max_size=25)
STEPS = st.lists(
    st.tuples(ROWS, st.sampled_from(["", "run"]))
    | st.sampled_from(["flush", "flush", "merge", "reopen", "delete", "make", "remove"]),
    max_size=12,
)
REMOVED = Doomed(first_ns=10, last_ns=150)
Seen = list[tuple[int, int, Any, Any, Any]]


def bits(value: Any, data_type: DataType) -> Any:
    """What can be compared: floating point by its bits, any NaN as one."""
    if data_type not in (DataType.DOUBLE, DataType.FLOAT):
        return int(value)
    return "NaN" if math.isnan(value) else struct.pack("<d", value)


def word(value: Any, data_type: DataType) -> int:
    code = {DataType.DOUBLE: "dQ", DataType.FLOAT: "fI"}.get(data_type)
    if code:
        return int(struct.unpack(f"<{code[1]}", struct.pack(f"<{code[0]}", value))[0])
    return int(value) % 2**64


def slow(points: list[tuple[int, Any]], cut: Buckets, data_type: DataType) -> Seen:
    """Every point looked at."""
    of_buckets: dict[int, list[tuple[int, Any]]] = {}
    for time_ns, value in points:
        of_buckets.setdefault((time_ns - cut.first_ns) // cut.width_ns, []).append((time_ns, value))
    found: Seen = []
    for bucket, mine in sorted(of_buckets.items()):
        last_ns, last = max(mine, key=lambda each: (each[0], word(each[1], data_type)))
        # -0.0 is less than 0.0.
        values = sorted(
            (value for _, value in mine if not math.isnan(value)),
            key=lambda value: (value, math.copysign(1, value)),
        ) or [math.nan]
        low, high = values[0], values[-1]
        found.append(
            (
                cut.first_ns + bucket * cut.width_ns,
                last_ns,
                *(bits(value, data_type) for value in (last, low, high)),
            )
        )
    return found


def seen(
    store: PointStore, name: str, start_ns: int, end_ns: int, run_id: str | None, buckets: int
) -> Seen:
    data_type = TYPES[name]
    found = store.overview(f"id of {name}", data_type, start_ns, end_ns, run_id, buckets)
    columns = (found.last, found.minimum, found.maximum)
    return list(
        zip(
            found.starts_ns.tolist(),
            found.last_ns.tolist(),
            *([bits(value, data_type) for value in each.tolist()] for each in columns),
            strict=True,
        )
    )


def take(store: PointStore, folder: Path, step: str) -> PointStore:
    """Do something that changes no point."""
    match step:
        case "flush":
            store.flush()
        case "merge":
            store.compact()
            store.tidy()
        case "reopen":
            store.flush()
            return PointStore.open(folder, StoreLimits(retention_s=0))
        case "delete":
            shutil.rmtree(folder / "_overview", ignore_errors=True)
        case "make":
            while store.add_overview():
                pass
    return store


def is_removed(time_ns: int) -> bool:
    return REMOVED.first_ns <= time_ns <= REMOVED.last_ns


def check(store: PointStore, sent: list[Any], start_ns: int, end_ns: int, buckets: int) -> None:
    cut = Buckets.of(start_ns, end_ns, buckets)
    assert cut.count <= buckets
    for index, (name, data_type) in enumerate(TYPES.items()):
        for run_id in (None, "run") if data_type is not DataType.STRING else ():
            points = [
                (time_ns, values[index])
                for run, time_ns, values in sent
                if run_id in (None, run)
                and values[index] is not None
                and start_ns <= time_ns < end_ns
            ]
            found = seen(store, name, start_ns, end_ns, run_id, buckets)
            assert found == slow(points, cut, data_type)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=STEPS,
    group_points=st.sampled_from([7, 64]),
    points_min=st.sampled_from([1, 3, 20]),
    level_bins_min=st.sampled_from([1, 4]),
    ranges=st.lists(
        st.tuples(
            st.sampled_from([-(2**63), -5, 0, 17, 1000]),
            st.sampled_from([2**63 - 1, 10**15 + 1, 10**6, 201, 18]),
            st.sampled_from([1, 2, 5, 100]),
        ).filter(lambda each: each[0] < each[1]),
        min_size=2,
        max_size=3,
    ),
)
def test_it_is_what_looking_at_every_point_gives(
    tmp_path_factory, monkeypatch, steps, group_points, points_min, level_bins_min, ranges
):
    """Late, twice, NaN, of several runs; flushed, merged, removed, restarted; with bins or not."""
    folder = tmp_path_factory.mktemp("lake")
    sent: list[tuple[str, int, tuple[Any, ...]]] = []
    with monkeypatch.context() as patch:
        patch.setattr(delta, "ROW_GROUP_POINTS", group_points)
        patch.setattr(overview, "POINTS_MIN", points_min)
        patch.setattr(overview, "LEVEL_BINS_MIN", level_bins_min)
        patch.setattr(compaction, "MERGE_FILES", 2)
        store = PointStore.open(folder, StoreLimits(retention_s=0))
        for position, step in enumerate([*steps, "flush"], 1):
            if step == "remove":
                store.flush()
                store.remove(REMOVED)
                sent = [point for point in sent if not is_removed(point[1])]
            elif isinstance(step, str):
                store = take(store, folder, step)
            else:
                rows, run_id = step
                store.publish(position, [make_block(LAYOUT, IDS, rows, run_id)])
                sent += [(run_id, time_ns, values) for time_ns, values in rows]
            for each in ranges:
                check(store, sent, *each)
    shutil.rmtree(folder)


POINTS = 300_000
STEP_NS = 1_000
WALK = np.cumsum(np.random.default_rng(1).normal(size=POINTS))
CHANNEL = "walk"


def walked(folder: Path) -> PointStore:
    """A random walk in two files that overlap, of which one has half of the points again."""
    store = PointStore.open(folder)
    flow = Flow("rig", (CHANNEL,), make_layout("flow", {CHANNEL: DataType.DOUBLE}))
    for position, part in enumerate((slice(0, 200_000), slice(100_000, POINTS)), 1):
        times_ns = np.arange(POINTS)[part] * STEP_NS
        groups = np.zeros((1, kernels.GROUP_COLUMNS), np.int64)
        groups[0, kernels.CHANNELS] = 1
        groups[0, [kernels.ROWS, kernels.ROWS_MAX]] = len(times_ns)
        words = WALK[part].view(np.uint64)
        present = np.ones(len(times_ns), np.bool_)
        store.publish(position, [RowBlock([flow], ("",), groups, times_ns, words, present, b"")])
        store.flush()
    return store


def pixels(store: PointStore, start_ns: int, end_ns: int) -> Overview:
    """A picture of the walk, checked against the points."""
    found = store.overview(CHANNEL, DataType.DOUBLE, start_ns, end_ns, None, 50)
    assert 47 <= len(found.starts_ns) <= 50
    edges = [start_ns, *(found.starts_ns[1:].tolist()), end_ns]
    places = [-(-edge // STEP_NS) for edge in edges]
    parts = [WALK[first:last] for first, last in itertools.pairwise(places)]
    assert found.minimum.tolist() == [part.min() for part in parts]
    assert found.maximum.tolist() == [part.max() for part in parts]
    assert found.last.tolist() == [part[-1] for part in parts]
    assert found.last_ns.tolist() == [(place - 1) * STEP_NS for place in places[1:]]
    return found


def test_few_points_are_read(tmp_path: Path, monkeypatch):
    """Two ends of each file; without bins all of them, with the same result."""
    store = walked(tmp_path)
    times = 12_345, POINTS * STEP_NS - 54_321
    read: list[int] = []
    plain_read = FileReader.read

    def counting(*arguments: Any) -> Points | None:
        points = plain_read(*arguments)
        read.append(0 if points is None else len(points))
        return points

    monkeypatch.setattr(FileReader, "read", counting)
    found = pixels(store, *times)
    assert sum(read) < 2_000
    shutil.rmtree(tmp_path / "_overview")
    read.clear()
    again = pixels(store, *times)
    assert sum(read) > POINTS
    assert again.starts_ns.tolist() == found.starts_ns.tolist()
    while store.add_overview():
        pass
    read.clear()
    pixels(store, *times)
    assert sum(read) < 2_000


def test_bins_that_are_no_good_are_not_used(tmp_path: Path):
    """Cut off, empty, those of a file of another size: the points are read."""
    store = walked(tmp_path)
    first, second = sorted((tmp_path / "_overview").glob("*.arrow"))
    data = first.read_bytes()
    for bad in (data[: len(data) // 2], b"", second.read_bytes()):
        first.write_bytes(bad)
        pixels(store, 0, POINTS * STEP_NS)


def test_a_file_that_can_not_be_read_does_not_hold_up_the_others(tmp_path: Path):
    """It is said, once."""
    store = walked(tmp_path)
    shutil.rmtree(tmp_path / "_overview")
    damaged, whole = (file.path for file in store._lake.files)
    damaged.write_bytes(b"damaged")
    assert store.add_overview()
    assert store.add_overview()
    assert not store.add_overview()
    assert [path.stem for path in (tmp_path / "_overview").iterdir()] == [whole.stem]


def test_bins_go_with_their_files(tmp_path: Path):
    """Also those that a crash left."""
    store = PointStore.open(tmp_path, StoreLimits(retention_s=0))
    for position in range(1, MERGE_FILES + 1):
        row = (position, (1.5, 2.5, 1, 2, 3, 1, True, "text"))
        store.publish(position, [make_block(LAYOUT, IDS, [row])])
        store.flush()
    folder = tmp_path / "_overview"
    for name in ("gone.arrow", "gone.tmp"):
        (folder / name).write_bytes(b"")
    assert store.compact()
    store.tidy()
    assert {path.stem for path in folder.iterdir()} == {
        path.stem for path in tmp_path.glob("date=*/*.parquet")
    }
    assert not store.add_overview()


def test_a_disk_that_is_full_loses_only_the_bins(tmp_path: Path):
    """They are made when there is room."""
    (tmp_path / "_overview").write_bytes(b"in the way")
    store = walked(tmp_path)
    pixels(store, 0, POINTS * STEP_NS)
    with pytest.raises(OSError, match="_overview"):
        store.add_overview()
    (tmp_path / "_overview").unlink()
    while store.add_overview():
        pass
    pixels(store, 0, POINTS * STEP_NS)
    assert len(list((tmp_path / "_overview").iterdir())) == 2


@pytest.mark.parametrize(
    ("data_type", "end_ns", "buckets"),
    [(DataType.STRING, 9, 1), (DataType.DOUBLE, 0, 1), (DataType.DOUBLE, 9, 0)],
)
def test_what_can_not_be_summed_up_is_refused(tmp_path: Path, data_type, end_ns, buckets):
    """Strings, no time, no buckets."""
    with pytest.raises(ValueError, match="no "):
        PointStore.open(tmp_path).overview("any", data_type, 0, end_ns, None, buckets)
