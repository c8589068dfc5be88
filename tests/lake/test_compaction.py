"""Small files become large ones; nobody who reads sees a difference."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sift_server.lake import PointStore, StoreLimits, delta, file_reader, files, merging
from sift_server.lake.compaction import FINAL_POINTS_MIN, MERGE_FILES, files_to_merge
from sift_server.lake.files import DataFile, Extent
from sift_server.lake.schema import FILE_SCHEMA
from sift_server.query import PointReader
from sift_wire.columns import DataType
from support.points import make_block, make_layout, plain

if TYPE_CHECKING:
    from sift_server.lake import PointBlock

TYPES = {
    "double": DataType.DOUBLE,
    "uint64": DataType.UINT_64,
    "bool": DataType.BOOL,
    "string": DataType.STRING,
    "bytes": DataType.BYTES,
}
LAYOUT = make_layout("all", TYPES)
IDS = tuple(f"id of {name}" for name in TYPES)
FOREVER = (-(2**63), 2**63 - 1)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.tuples(
            st.none() | st.sampled_from([0.0, -0.0, 1.5, float("nan")]),
            st.none() | st.sampled_from([0, 2**64 - 1]),
            st.none() | st.booleans(),
            st.none() | st.sampled_from(["", "a", "text"]),
            st.none() | st.sampled_from([b"", b"\0"]),
        ),
    ),
    min_size=1,
    max_size=12,
)
FILES = st.lists(
    st.tuples(ROWS, st.sampled_from(["", "run a", "run b"])), min_size=MERGE_FILES, max_size=12
)


def seen(store: PointStore) -> list[Any]:
    """All points, as the reader gives them."""
    reader = PointReader(store)
    found = []
    for channel_id, data_type in zip(IDS, TYPES.values(), strict=True):
        page = reader.read(channel_id, data_type, *FOREVER, None, None, 100_000)
        for run in page.runs:
            values = plain(run.values, data_type)
            found.append((channel_id, run.run_id, run.timestamps_ns.tolist(), values))
    return found


def table_rows(folder: Path) -> set[str]:
    """Rows that another reader of the table sees, each once."""
    return {repr(row) for row in DeltaTable(str(folder)).to_pyarrow_table().to_pylist()}


def flushed(folder: Path, blocks: list[PointBlock], **limits: int) -> PointStore:
    """A store that flushed after each block."""
    store = PointStore.open(folder, StoreLimits(**limits))
    first = store.committed_position
    for position, block in enumerate(blocks, first + 1):
        store.publish(position, [block])
        store.flush()
    return store


def ten_blocks() -> list[PointBlock]:
    return [
        make_block(LAYOUT, IDS, [(time, [1.5, time, True, f"at {time}", b"\1"])])
        for time in range(10)
    ]


def compact(store: PointStore) -> int:
    return sum(1 for _ in iter(store.compact, False))


def parquet_files(folder: Path) -> set[Path]:
    return set(folder.glob("date=*/*.parquet"))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    each=FILES,
    group_points=st.integers(1, 9),
    heap_bytes=st.integers(1, 30),
    joined_bytes=st.sampled_from([1, 9, merging.TEXT_BYTES_MAX]),
)
def test_merging_keeps_the_points_and_the_position(
    tmp_path_factory, monkeypatch, each, group_points: int, heap_bytes: int, joined_bytes: int
):
    """Random files of random row groups: the same before and after, here and for other readers."""
    folder = tmp_path_factory.mktemp("lake")
    with monkeypatch.context() as patch:
        patch.setattr(delta, "ROW_GROUP_POINTS", group_points)
        patch.setattr(files, "ROW_GROUP_HEAP_BYTES_MAX", heap_bytes)
        patch.setattr(merging, "TEXT_BYTES_MAX", joined_bytes)
        store = flushed(folder, [make_block(LAYOUT, IDS, rows, run_id) for rows, run_id in each])
        before, rows_before = seen(store), table_rows(folder)
        compact(store)
        assert seen(store) == before
        assert table_rows(folder) == rows_before
        reopened = PointStore.open(folder)
    assert seen(reopened) == before
    assert reopened.committed_position == store.committed_position == len(each)
    for file in parquet_files(folder):
        keys = pq.ParquetFile(file).read(["channel_id", "timestamp_ns"])
        listed = list(zip(*(keys[name].to_pylist() for name in keys.column_names), strict=True))
        assert listed == sorted(listed)
    shutil.rmtree(folder)


def test_long_strings_are_merged_a_few_at_a_time(tmp_path: Path, monkeypatch):
    """However well they compress: files of some megabytes may hold more than there is memory."""
    monkeypatch.setattr(files, "ROW_GROUP_HEAP_BYTES_MAX", 1_000)
    monkeypatch.setattr(merging, "TEXT_BYTES_MAX", 5_000)
    heaps: list[int] = []
    joined = merging.joined

    def joining(chunks):
        chunk = joined(chunks)
        heaps.append(len(chunk.heap))
        return chunk

    monkeypatch.setattr(merging, "joined", joining)
    rows = [
        [(time, [None, None, None, "x" * 100, None]) for time in range(first, 400, MERGE_FILES)]
        for first in range(MERGE_FILES)
    ]
    store = flushed(tmp_path, [make_block(LAYOUT, IDS, each) for each in rows])
    before = seen(store)
    assert compact(store) == 1
    assert seen(store) == before
    # At the most, the limit and a row group of each file, of which one may reach beyond it.
    assert max(heaps) <= 5_000 + 1_000 * MERGE_FILES
    assert sum(heaps) >= 2 * 40_000


@pytest.mark.proves("merge-one")
def test_a_point_that_was_sent_again_is_written_once(tmp_path: Path):
    """One row is left of rows with the same channel, run, time and value; others stay."""
    rows = [(5, [1.5, 7, True, "text", b"\0"])]
    store = flushed(
        tmp_path,
        [make_block(LAYOUT, IDS, rows, run) for run in ("", "run a")] * 4
        + [make_block(LAYOUT, IDS, [(5, [-1.5, 7, True, "other", b"\0"])])] * 8,
    )
    assert compact(store) == 2
    assert compact(store) == 0
    assert store.stats().table_points == 5 + 5 + 5
    assert len(table_rows(tmp_path)) == 5 + 5 + 2


def test_a_view_reads_on_while_its_files_are_merged_and_vacuumed(tmp_path: Path):
    """Files that a view has stay on disk, even without any retention, until it is gone."""
    store = flushed(tmp_path, ten_blocks(), retention_s=0)
    view = store.view("id of uint64", DataType.UINT_64)
    old = parquet_files(tmp_path)
    assert store.compact()
    store.tidy()
    assert old < parquet_files(tmp_path)
    (points,) = view.read("", *FOREVER)
    assert sorted(points.timestamps_ns.tolist()) == list(range(10))
    del view, points
    store.tidy()
    assert len(parquet_files(tmp_path)) == 3
    assert len(seen(store)[0][2]) == 10


def test_other_readers_keep_what_they_opened_for_the_retention(tmp_path: Path):
    """A table opened before a merge and a vacuum reads the same after them."""
    store = flushed(tmp_path, ten_blocks(), retention_s=3_600)
    opened = DeltaTable(str(tmp_path))
    before = table_rows(tmp_path)
    assert store.compact()
    store.tidy()
    assert {repr(row) for row in opened.to_pyarrow_table().to_pylist()} == before


def test_a_vacuum_removes_what_a_crash_left_once_it_is_old(tmp_path: Path):
    """Files that no commit names are removed, young ones are not: they may be named soon."""
    store = flushed(tmp_path, ten_blocks(), retention_s=3_600)
    (folder,) = tmp_path.glob("date=*")
    for name, age_s in (("young", 60), ("old", 4_000)):
        path = folder / f"{name}.parquet"
        pq.write_table(pa.table({}), path)
        now = path.stat().st_mtime
        os.utime(path, (now - age_s, now - age_s))
    store.tidy()
    assert (folder / "young.parquet").exists()
    assert not (folder / "old.parquet").exists()
    assert len(parquet_files(tmp_path)) == 11


@pytest.mark.proves("vacuum-unnamed")
def test_a_vacuum_leaves_files_of_a_flush_that_goes_on(tmp_path: Path, monkeypatch):
    """Even if nothing is retained: they are on disk, and no commit names them yet."""
    store = flushed(tmp_path, ten_blocks()[:9], retention_s=0)
    write_commit = delta.write_commit

    def tidy_and_commit(*arguments: Any) -> None:
        store.tidy()
        write_commit(*arguments)

    monkeypatch.setattr(delta, "write_commit", tidy_and_commit)
    store.publish(10, ten_blocks()[9:])
    store.flush()
    monkeypatch.undo()
    assert len(table_rows(tmp_path)) == 10 * len(IDS)
    assert not store._lake._unnamed.paths()


@pytest.mark.parametrize("step", ["_write_file", "merged", "write_commit", "sync_folder"])
def test_a_crash_on_the_way_changes_nothing_that_is_read(tmp_path: Path, monkeypatch, step: str):
    """Before, at and behind the commit of a merge: the same points, each in one place."""
    store = flushed(tmp_path, ten_blocks(), retention_s=0)
    before, rows_before = seen(store), table_rows(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise OSError("power failed")

    with monkeypatch.context() as patch:
        if step == "_write_file":
            patch.setattr(files, "_write_file", fail)
        elif step == "merged":
            patch.setattr(delta, "_actions", fail)
            patch.setattr(delta, "_remove", lambda _: None)
        elif step == "write_commit":
            patch.setattr(delta, "write_commit", fail)
        else:
            # The commit has its name; that it is durable is not known.
            patch.setattr("sift_server.lake.delta_log.sync_folder", fail)
        with pytest.raises(OSError, match="power failed"):
            store.compact()
    assert seen(store) == before
    reopened = PointStore.open(tmp_path, StoreLimits(retention_s=0))
    assert seen(reopened) == before
    assert table_rows(tmp_path) == rows_before
    assert reopened.committed_position == 10
    compact(reopened)
    del store
    reopened.tidy()
    assert seen(reopened) == before
    assert len(parquet_files(tmp_path)) == reopened.stats().table_files == 3


def test_a_flush_goes_on_behind_a_merge_that_failed_at_its_end(tmp_path: Path, monkeypatch):
    """Versions that were made without being told of are found, and built upon."""
    store = flushed(tmp_path, ten_blocks())
    with monkeypatch.context() as patch:
        patch.setattr("sift_server.lake.delta_log.sync_folder", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.compact()
    store.publish(11, [make_block(LAYOUT, IDS, [(99, [0.5, 1, False, "last", b""])])])
    store.flush()
    assert seen(store)[0][2] == [*range(10), 99]
    assert seen(PointStore.open(tmp_path)) == seen(store)


def test_a_merge_waits_for_a_flush_that_failed(tmp_path: Path, monkeypatch):
    """Points of a flush whose commit is there and was not told of are not given twice."""
    store = flushed(tmp_path, ten_blocks())
    store.publish(11, [make_block(LAYOUT, IDS, [(99, [0.5, 1, False, "last", b""])])])
    with monkeypatch.context() as patch:
        patch.setattr("sift_server.lake.delta_log.sync_folder", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.flush()
    store.compact()
    (points,) = store.view("id of double", DataType.DOUBLE).read("", *FOREVER)
    assert len(points) == 11
    store.flush()
    assert store.committed_position == 11
    (points,) = store.view("id of double", DataType.DOUBLE).read("", *FOREVER)
    assert len(points) == 11


def test_a_merge_is_given_up_when_the_server_stops(tmp_path: Path):
    """Nothing is left of it."""
    store = flushed(tmp_path, ten_blocks())
    before = parquet_files(tmp_path)
    assert not store.compact(lambda: False)
    assert parquet_files(tmp_path) == before
    assert store.compact()


def test_commits_of_other_programs_are_built_upon(tmp_path: Path):
    """`optimize` of another program, between a flush and the next: all points stay readable."""
    store = flushed(tmp_path, ten_blocks())
    DeltaTable(str(tmp_path)).optimize.compact()
    store.publish(11, [make_block(LAYOUT, IDS, [(99, [0.5, 1, False, "last", b""])])])
    store.flush()
    assert seen(store)[0][2] == [*range(10), 99]
    assert store.stats().table_files == 2
    assert seen(PointStore.open(tmp_path)) == seen(store)


def test_files_that_another_program_removed_are_not_merged(tmp_path: Path):
    """The merge is given up; what the other program wrote is what is there."""
    store = flushed(tmp_path, ten_blocks())
    DeltaTable(str(tmp_path)).optimize.compact()
    assert not store.compact()
    assert seen(store)[0][2] == [*range(10)]
    assert len(DeltaTable(str(tmp_path)).file_uris()) == 1


def test_a_file_that_is_not_sorted_is_left_alone(tmp_path: Path):
    """Another program may have written it; the others are merged."""
    store = flushed(tmp_path, ten_blocks())
    path = next(iter(parquet_files(tmp_path)))
    table = pq.read_table(path, partitioning=None, schema=FILE_SCHEMA)
    pq.write_table(table.take(pa.array(range(len(table)))[::-1]), path)
    before = len(parquet_files(tmp_path))
    compact(store)
    assert path in {file.path for file in store.view("x", DataType.DOUBLE).files}
    assert len(parquet_files(tmp_path)) == before + 1


def test_the_position_survives_checkpoints_and_the_clearing_of_the_log(tmp_path: Path, monkeypatch):
    """Old commits are gone, the newest checkpoint has everything."""
    monkeypatch.setattr(delta, "CHECKPOINT_COMMITS", 5)
    store = PointStore.open(tmp_path, StoreLimits(retention_s=0))
    positions = itertools.count(1)
    for _ in range(4):
        for block in ten_blocks():
            store.publish(next(positions), [block])
            store.flush()
        compact(store)
        store.tidy()
    assert len(list((tmp_path / "_delta_log").glob("*.json"))) < 15
    reopened = PointStore.open(tmp_path, StoreLimits(retention_s=0))
    assert reopened.committed_position == 40
    assert seen(reopened) == seen(store)
    assert seen(store)[0][2] == list(range(10))


def test_files_whose_footers_were_forgotten_are_read_again(tmp_path: Path, monkeypatch):
    """What is remembered of files has a limit, whatever their number."""
    monkeypatch.setattr(file_reader, "ROW_GROUPS_KEPT_MAX", 3)
    store = flushed(tmp_path, ten_blocks())
    assert seen(store) == seen(store)
    assert seen(store)[0][2] == list(range(10))


def data_file(points: int, date: str = "1970-01-01", name: str = "one") -> DataFile:
    return DataFile(Path(f"date={date}") / name, points, Extent(points, None, None, None, None))


def test_only_files_of_one_date_and_size_are_merged():
    """Eight of a tier; the smallest tier first."""
    small, large = [data_file(100)] * 8, [data_file(10_000)] * 8
    assert files_to_merge(small[1:] + large[1:]) == []
    assert files_to_merge(large + small) == small
    assert files_to_merge(large) == large
    assert files_to_merge([data_file(100)] * 7 + [data_file(100, "1970-01-02")]) == []
    assert files_to_merge([data_file(FINAL_POINTS_MIN)] * 20) == []


@given(st.lists(st.integers(1, 2_000_000), min_size=1, max_size=600))
def test_points_are_rewritten_a_few_times_and_files_stay_few(flushes: list[int]):
    """A point is rewritten at most once a tier; a tier keeps at most seven files."""
    kept: list[DataFile] = []
    rewritten: dict[Path, int] = {}
    for number, points in enumerate(flushes):
        kept.append(data_file(points, name=str(number)))
        while old := files_to_merge(kept):
            kept = [file for file in kept if file not in old]
            path = Path("date=1970-01-01") / f"{number} of {old[0].path.name}"
            rewritten[path] = 1 + max(rewritten.get(file.path, 0) for file in old)
            kept.append(
                DataFile(
                    path, 0, Extent(sum(file.extent.points for file in old), None, None, None, None)
                )
            )
    tiers = FINAL_POINTS_MIN.bit_length() // 3 + 1
    assert max(rewritten.values(), default=0) <= tiers
    small = [file for file in kept if file.extent.points < FINAL_POINTS_MIN]
    assert len(small) <= (MERGE_FILES - 1) * tiers
