"""Whatever is published is readable, from memory or from the table, exactly as it came."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sift_server.errors import InvalidArgumentError
from sift_server.lake import PointStore, StoreLimits
from sift_server.lake import delta as delta_module
from sift_server.query import PointReader
from sift_wire.columns import DataType
from support.points import comparable, make_block, make_layout, plain

if TYPE_CHECKING:
    from pathlib import Path

TYPES = {
    "double": DataType.DOUBLE,
    "float": DataType.FLOAT,
    "int32": DataType.INT_32,
    "int64": DataType.INT_64,
    "uint64": DataType.UINT_64,
    "enum": DataType.ENUM,
    "bool": DataType.BOOL,
    "string": DataType.STRING,
    "bytes": DataType.BYTES,
}
FLOWS = {
    "all": make_layout("all", TYPES),
    "one": make_layout("one", {"double": DataType.DOUBLE}),
    "text": make_layout("text", {"string": DataType.STRING, "other": DataType.STRING}),
}
CHANNEL_IDS = {name: tuple(f"id of {each}" for each in FLOWS[name].channel_names) for name in FLOWS}
VALUES: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.DOUBLE: st.sampled_from([0.0, -0.0, 1.5, float("inf"), float("nan")]) | st.floats(),
    DataType.FLOAT: st.floats(width=32),
    DataType.INT_32: st.integers(-(2**31), 2**31 - 1),
    DataType.INT_64: st.integers(-(2**63), 2**63 - 1),
    DataType.UINT_64: st.integers(0, 2**64 - 1),
    DataType.ENUM: st.integers(0, 2**32 - 1),
    DataType.BOOL: st.booleans(),
    DataType.STRING: st.text(max_size=5),
    DataType.BYTES: st.binary(max_size=5),
}
DAY_NS = 86_400 * 10**9
TIMES = st.sampled_from([0, 1, -1, 5, DAY_NS, -DAY_NS, 10**18, -(2**63), 2**63 - 1]) | st.integers(
    -(10**12), 10**12
)
FOREVER = (-(2**63), 2**63 - 1)


@st.composite
def blocks(draw: st.DrawFn):
    flow = draw(st.sampled_from(list(FLOWS)))
    layout = FLOWS[flow]
    rows = draw(
        st.lists(
            st.tuples(TIMES, st.tuples(*(st.none() | VALUES[each] for each in layout.data_types))),
            min_size=1,
            max_size=6,
        )
    )
    run_id = draw(st.sampled_from(["", "run a", "run b"]))
    return make_block(layout, CHANNEL_IDS[flow], rows, run_id), rows, run_id, flow


STEPS = st.lists(st.just("flush") | st.just("reopen") | blocks(), max_size=8)
NUMBERS = itertools.count()


def read_all(
    reader: PointReader, channel: str, limit: int, run_id: str | None = None
) -> list[tuple[str, int, Any]]:
    data_type = TYPES.get(channel, DataType.STRING)
    found = []
    after = None
    while True:
        page = reader.read(f"id of {channel}", data_type, *FOREVER, run_id, after, limit)
        count = 0
        for run in page.runs:
            assert len(run.timestamps_ns) > 0
            values = plain(run.values, data_type)
            found += [
                (run.run_id, time, value)
                for time, value in zip(run.timestamps_ns.tolist(), values, strict=True)
            ]
            count += len(values)
        assert count <= limit
        if page.next_cursor is None:
            return found
        assert count == limit
        after = page.next_cursor


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, limit=st.integers(1, 7))
def test_any_interleaving_reads_as_a_set(tmp_path_factory, steps: list[Any], limit: int):
    """Batches, flushes and restarts in any order; pages of any size; each point once, sorted."""
    folder = tmp_path_factory.mktemp("lake")
    store = PointStore.open(folder)
    expected: set[tuple[str, str, int, Any]] = set()
    position = 0
    for step in steps:
        if step == "flush":
            store.flush()
            assert store.committed_position == position
        elif step == "reopen":
            store.flush()
            store.close()
            store = PointStore.open(folder)
            assert store.committed_position == position
        else:
            block, rows, run_id, flow = step
            position += 1
            store.publish(position, [block])
            for time, values in rows:
                for channel, value in zip(FLOWS[flow].channel_names, values, strict=True):
                    # The largest time is the excluded end of 'for ever'.
                    if value is not None and time < FOREVER[1]:
                        data_type = TYPES.get(channel, DataType.STRING)
                        expected.add((channel, run_id, time, comparable(value, data_type)))
    reader = PointReader(store)
    for channel in [*TYPES, "other"]:
        mine = [point[1:] for point in expected if point[0] == channel]
        found = read_all(reader, channel, limit)
        assert sorted(found, key=repr) == sorted(mine, key=repr)
        assert [point[:2] for point in found] == sorted(point[:2] for point in mine)
        for run_id in ("", "run a", "nobody"):
            assert sorted(read_all(reader, channel, limit, run_id), key=repr) == sorted(
                (point for point in mine if point[0] == run_id), key=repr
            )
    store.close()
    shutil.rmtree(folder)


def points_of(store: PointStore, channel_id: str, data_type: DataType = DataType.DOUBLE) -> int:
    """Number of points without a run that a channel has."""
    return sum(len(points) for points in store.view(channel_id, data_type).read("", *FOREVER))


def simple_batch(times: range, flow: str = "one"):
    rows = [(time, [float(time)] * len(FLOWS[flow].channel_names)) for time in times]
    return make_block(FLOWS[flow], CHANNEL_IDS[flow], rows)


def test_a_page_goes_on_where_it_ended_while_data_arrives(tmp_path: Path):
    """New points, a flush and a restart between pages neither repeat nor skip a point."""
    store = PointStore.open(tmp_path)
    store.publish(1, [simple_batch(range(0, 100, 2))])
    reader = PointReader(store)
    first = reader.read("id of double", DataType.DOUBLE, 0, 1000, None, None, 10)
    store.publish(2, [simple_batch(range(1, 100, 2))])
    store.flush()
    store.close()
    reader = PointReader(PointStore.open(tmp_path))
    rest = reader.read("id of double", DataType.DOUBLE, 0, 1000, None, first.next_cursor, 1000)
    assert first.runs[0].timestamps_ns.tolist() == list(range(0, 20, 2))
    assert rest.runs[0].timestamps_ns.tolist() == list(range(19, 100))


def test_start_is_included_and_end_is_not(tmp_path: Path):
    """In memory and in the table alike."""
    store = PointStore.open(tmp_path)
    reader = PointReader(store)
    store.publish(1, [simple_batch(range(10))])
    for _ in range(2):
        page = reader.read("id of double", DataType.DOUBLE, 3, 6, None, None, 100)
        assert page.runs[0].timestamps_ns.tolist() == [3, 4, 5]
        store.flush()


@pytest.mark.parametrize("token", ["nonsense", "!!!", "MTI=", ""])
def test_a_cursor_that_is_none_is_refused(tmp_path: Path, token: str):
    """A made-up page token is the caller's mistake, and says so."""
    reader = PointReader(PointStore.open(tmp_path))
    with pytest.raises(InvalidArgumentError, match="page_token"):
        reader.read("id", DataType.DOUBLE, 0, 1, None, token, 1)


def test_a_crash_before_the_commit_shows_nothing(tmp_path: Path, monkeypatch):
    """Files without a commit are never read; the rows stay hot and are flushed the next time."""
    store = PointStore.open(tmp_path)
    store.publish(7, [simple_batch(range(10))])

    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(delta_module, "write_commit", fail)
    with pytest.raises(OSError, match="no"):
        store.flush()
    assert not list(tmp_path.rglob("*.parquet"))
    assert points_of(store, "id of double") == 10
    crashed = PointStore.open(tmp_path)
    assert crashed.committed_position == 0
    assert points_of(crashed, "id of double") == 0
    monkeypatch.undo()
    store.publish(8, [simple_batch(range(10, 20))])
    store.flush()
    assert store.committed_position == 7
    store.flush()
    assert store.committed_position == 8
    assert points_of(store, "id of double") == 20


@pytest.mark.proves("sync-queue")
def test_what_must_be_durable_first_is_done_before_the_commit(tmp_path: Path):
    """The callback runs when the rows are decided on and the table does not have them yet."""
    store = PointStore.open(tmp_path)
    store.publish(3, [simple_batch(range(10))])
    seen = []
    store.flush(before_commit=lambda: seen.append(store.committed_position))
    assert seen == [0]
    assert store.committed_position == 3


def test_a_full_store_makes_callers_wait(tmp_path: Path):
    """The hot columns have a limit in bytes; a flush makes room."""
    store = PointStore.open(tmp_path, StoreLimits(hot_bytes_max=100, flush_bytes=100))
    assert store.wait_for_room(0)
    store.publish(1, [simple_batch(range(100))])
    assert store.is_full
    assert store.is_flush_due()
    assert not store.wait_for_room(0.01)
    store.flush()
    assert store.wait_for_room(0)
    assert not store.is_flush_due()


def test_other_readers_read_the_table(tmp_path: Path):
    """The table is plain Delta: the columns of the contract, NULL where there is nothing."""
    store = PointStore.open(tmp_path)
    values = [1.5, 0.5, -3, 2**40, 2**64 - 1, 2, True, "text", b"\0"]
    block = make_block(FLOWS["all"], CHANNEL_IDS["all"], [(DAY_NS + 7, values)], "run a")
    store.publish(1, [block])
    store.flush()
    rows = DeltaTable(str(tmp_path)).to_pyarrow_table().to_pylist()
    assert len(rows) == len(values)
    by_channel = {row["channel"]: row for row in rows}
    for channel, value in zip(TYPES, values, strict=True):
        row = by_channel[channel]
        assert (row["asset"], row["channel_id"], row["run_id"], str(row["date"])) == (
            "rig",
            f"id of {channel}",
            "run a",
            "1970-01-02",
        )
        assert row["timestamp_ns"] == DAY_NS + 7
        present = {name: each for name, each in row.items() if name.startswith("value_")}
        assert [each for each in present.values() if each is not None] == [value]


def test_other_readers_filter_by_any_column(tmp_path: Path):
    """What a commit says of its files never hides a row that a filter asks for."""
    store = PointStore.open(tmp_path)
    values = [1.5, 0.5, -3, 2**40, 2**64 - 1, 2, True, "text", b"\0"]
    block = make_block(FLOWS["all"], CHANNEL_IDS["all"], [(DAY_NS + 7, values)], "run a")
    store.publish(1, [block])
    store.flush()
    table = DeltaTable(str(tmp_path))
    for row in table.to_pyarrow_table().to_pylist():
        for name, value in row.items():
            if value is not None:
                found = table.to_pyarrow_table(filters=pc.field(name) == value).to_pylist()
                assert row in found, name


def test_wide_and_many_flows_flush_together(tmp_path: Path):
    """A flow of 5,000 channels and 500 flows of one: one commit, every point readable."""
    store = PointStore.open(tmp_path)
    wide = make_layout("wide", {f"w{i}": DataType.DOUBLE for i in range(5000)})
    wide_ids = tuple(f"wide {i}" for i in range(5000))
    store.publish(1, [make_block(wide, wide_ids, [(t, [float(t)] * 5000) for t in range(2)])])
    for i in range(500):
        layout = make_layout(f"flow {i}", {f"n{i}": DataType.INT_64})
        store.publish(2 + i, [make_block(layout, (f"narrow {i}",), [(t, [t]) for t in range(3)])])
    store.flush()
    assert DeltaTable(str(tmp_path)).version() == 1
    assert points_of(store, "wide 4999") == 2
    assert points_of(store, "narrow 499", DataType.INT_64) == 3


def test_a_file_without_a_column_reads_as_nulls(tmp_path: Path):
    """Other readers see all columns, though files lack those that they have no value for."""
    store = PointStore.open(tmp_path)
    one = make_layout("one", {"double": DataType.DOUBLE})
    text = make_layout("text", {"string": DataType.STRING})
    store.publish(1, [make_block(one, ("id 1",), [(1, [1.5])])])
    store.flush()
    store.publish(2, [make_block(text, ("id 2",), [(2, ["go"])], "run")])
    store.flush()
    store.close()
    names = [pq.read_schema(path).names for path in tmp_path.rglob("*.parquet")]
    assert sorted(map(len, names)) == [5, 6]
    found = pl.read_delta(str(tmp_path)).sort("timestamp_ns")
    assert found["value_double"].to_list() == [1.5, None]
    assert found["value_string"].to_list() == [None, "go"]
    assert found["run_id"].to_list() == [None, "run"]
    assert found["value_bytes"].null_count() == 2
