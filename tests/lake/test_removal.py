"""Points are removed for good: from what is read, from the table, and from the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sift_server.errors import FailedPreconditionError
from sift_server.lake import Doomed, PointStore, StoreLimits
from sift_server.lake.removal import RemovalAbandonedError
from sift_wire.columns import DataType
from support.points import make_block, make_layout

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.lake import PointBlock

LAYOUT = make_layout("all", {"a": DataType.DOUBLE, "b": DataType.STRING, "c": DataType.INT_64})
IDS = ("id a", "id b", "id c")
DAY_NS = 86_400 * 10**9

Row = tuple[str, str, int, Any]


def block(times_ns: list[int], run_id: str = "") -> PointBlock:
    rows = [(time_ns, [float(time_ns), str(time_ns), time_ns]) for time_ns in times_ns]
    return make_block(LAYOUT, IDS, rows, run_id)


def rows_of(times_ns: list[int], run_id: str = "") -> set[Row]:
    return {
        (channel_id, run_id, time_ns, value)
        for time_ns in times_ns
        for channel_id, value in zip(IDS, (float(time_ns), str(time_ns), time_ns), strict=True)
    }


def table_rows(folder: Path) -> set[Row]:
    """What another reader of the table sees."""
    return {
        (
            row["channel_id"],
            row["run_id"] or "",
            row["timestamp_ns"],
            next(
                row[name]
                for name in ("value_double", "value_string", "value_int64")
                if row[name] is not None
            ),
        )
        for row in DeltaTable(str(folder)).to_pyarrow_table().to_pylist()
    }


def on_disk(folder: Path) -> set[Path]:
    return set(folder.rglob("*-*.parquet")) - set(folder.rglob("*.checkpoint.parquet"))


def stored(folder: Path, *blocks: PointBlock) -> PointStore:
    store = PointStore.open(folder)
    for each in blocks:
        store.publish(store.committed_position + 1, [each])
        store.flush()
    return store


RUNS = st.sampled_from(["", "run a", "run b"])
TIMES = st.integers(0, 5).map(lambda number: number * DAY_NS // 2)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.lists(TIMES, min_size=1, max_size=6, unique=True), RUNS), max_size=10),
    st.none() | st.lists(st.sampled_from([*IDS, "id of none"]), max_size=3, unique=True),
    st.none() | RUNS,
    TIMES,
    TIMES,
    st.booleans(),
)
def test_what_is_doomed_is_gone_and_the_rest_is_there(
    tmp_path_factory: pytest.TempPathFactory,
    flushes: list[tuple[list[int], str]],
    channels: list[str] | None,
    run_id: str | None,
    first_ns: int,
    last_ns: int,
    merged: bool,
):
    folder = tmp_path_factory.mktemp("removal") / "lake"
    store = stored(folder, *(block(*each) for each in flushes))
    while merged and store.compact():
        pass
    before = table_rows(folder)
    ids = None if channels is None else tuple(sorted(channels))
    doomed = Doomed(ids, run_id, first_ns, last_ns)
    going = {
        row
        for row in before
        if (ids is None or row[0] in ids)
        and (run_id is None or row[1] == run_id)
        and first_ns <= row[2] <= last_ns
    }
    counted = store.count(doomed)

    removed = store.remove(doomed)

    assert removed == counted
    assert removed.points >= len(going)
    assert bool(removed.points) == bool(going)
    assert table_rows(folder) == before - going
    if removed.points:
        assert on_disk(folder) == {file.path for file in store.snapshot().files}
    assert store.remove(doomed).points == 0
    assert PointStore.open(folder).stats().table_points == store.stats().table_points


def test_files_without_such_points_are_not_touched(tmp_path: Path):
    store = stored(tmp_path, block([1, 2], "run a"), block([3, 4], "run b"))
    (_, kept) = store.snapshot().files

    removed = store.remove(Doomed(run_id="run a"))

    assert (removed.points, removed.files) == (6, 1)
    assert store.snapshot().files == (kept,)
    assert removed.bytes > 0


def test_files_that_somebody_reads_go_when_nobody_does_any_more(tmp_path: Path):
    store = stored(tmp_path, block(list(range(100))))
    view = store.view("id a", DataType.DOUBLE)
    (old,) = store.snapshot().files

    store.remove(Doomed(first_ns=50))

    assert old.path.exists()
    assert sum(map(len, view.read("", 0, 1_000))) == 100
    assert sum(map(len, store.view("id a", DataType.DOUBLE).read("", 0, 1_000))) == 50
    del view
    store.tidy()
    assert not old.path.exists()


def test_what_was_merged_before_goes_too(tmp_path: Path):
    """Old files stay for other readers; not those that have what was removed."""
    store = stored(tmp_path, *(block([time_ns]) for time_ns in range(8)))
    assert store.compact()
    assert len(on_disk(tmp_path)) == 9

    store.remove(Doomed(first_ns=4))

    assert on_disk(tmp_path) == {file.path for file in store.snapshot().files}


def test_new_files_are_as_others_are(tmp_path: Path):
    store = stored(tmp_path, block(list(range(100)), "run a"), block(list(range(100))))
    store.remove(Doomed(channel_ids=("id b",), first_ns=10))

    actions = DeltaTable(str(tmp_path)).get_add_actions(flatten=True)
    assert sorted(actions["num_records"].to_pylist()) == [210, 210]
    for file in store.snapshot().files:
        table = pq.read_table(file.path)
        keys = list(
            zip(table["channel_id"].to_pylist(), table["timestamp_ns"].to_pylist(), strict=True)
        )
        assert keys == sorted(keys)
        assert file.parts
        assert file.has_each_point_once


def test_who_wants_to_stop_removes_nothing(tmp_path: Path):
    store = stored(tmp_path, block([1]), block([2]))
    before = table_rows(tmp_path), on_disk(tmp_path)
    asked: list[int] = []

    def go_on() -> bool:
        asked.append(1)
        return len(asked) < 3

    with pytest.raises(RemovalAbandonedError):
        store.remove(Doomed(channel_ids=("id a",)), go_on)

    assert (table_rows(tmp_path), on_disk(tmp_path)) == before


def test_a_file_of_another_program_is_left_as_it_is(tmp_path: Path):
    store = stored(tmp_path, block([1, 2, 3]))
    (file,) = store.snapshot().files
    table = pq.read_table(file.path, partitioning=None)
    pq.write_table(table.take(list(range(len(table)))[::-1]), file.path)

    with pytest.raises(FailedPreconditionError, match="another program wrote it"):
        store.remove(Doomed(first_ns=2, last_ns=2))

    assert on_disk(tmp_path) == {file.path}


def test_points_go_on_coming_and_files_are_merged_meanwhile(tmp_path: Path):
    store = PointStore.open(tmp_path, StoreLimits())
    stop = threading.Event()
    failed: list[BaseException] = []

    def merge() -> None:
        try:
            while not stop.is_set():
                store.compact()
                store.tidy()
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    thread = threading.Thread(target=merge)
    thread.start()
    wanted: set[Row] = set()
    for number in range(40):
        times = list(range(number * 10, number * 10 + 10))
        store.publish(number + 1, [block(times)])
        store.flush()
        wanted |= rows_of(times)
        if number % 5 == 4:
            first = number * 10 - 25
            store.remove(Doomed(first_ns=first, last_ns=first + 12))
            wanted -= rows_of(list(range(first, first + 13)))
    stop.set()
    thread.join()

    assert not failed
    assert table_rows(tmp_path) == wanted


_PROGRAM = """
import sys
from pathlib import Path
from sift_server.lake import Doomed, PointStore
store = PointStore.open(Path(sys.argv[1]))
store.remove(Doomed(first_ns=5, last_ns=14))
print("removed", flush=True)
"""


@pytest.mark.parametrize(
    "point",
    [
        "file.write@1",
        "file.sync@1",
        "file.synced@1",
        "file.synced@2",
        "remove.written@1",
        "commit.sync@1",
        "commit.synced@1",
        "commit.named@1",
        "remove.committed@1",
        "vacuum@1",
        "vacuum.removed@1",
        "vacuum.removed@2",
    ],
)
@pytest.mark.proves("delete-whole")
def test_a_kill_at_any_step_leaves_all_of_the_points_or_none(tmp_path: Path, point: str):
    store = stored(tmp_path, block(list(range(10))), block(list(range(10, 20))))
    before = table_rows(tmp_path)
    after = before - rows_of(list(range(5, 15)))
    store.close()

    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)],
        env={**os.environ, "SIFT_FAULTS": f"{point}=kill"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == -signal.SIGKILL, ended.stderr
    again = PointStore.open(tmp_path)
    is_committed = point.startswith(("commit.named", "remove.committed", "vacuum"))
    assert table_rows(tmp_path) == (after if is_committed else before)
    again.remove(Doomed(first_ns=5, last_ns=14))
    assert table_rows(tmp_path) == after
    again.tidy()
    assert {file.path for file in again.snapshot().files} <= on_disk(tmp_path)
