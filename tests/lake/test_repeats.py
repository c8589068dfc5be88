"""A file has each point once, however often it was sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from sift_server.lake import PointStore, files, merging, repeats
from sift_server.lake.chunk import PointChunk, joined
from sift_server.lake.compaction import MERGE_FILES
from sift_server.lake.points import Kind
from sift_server.lake.repeats import without_repeats
from sift_server.lake.schema import write_schema
from sift_server.lake.sorting import sorted_points
from sift_wire.columns import DataType
from support.points import make_block, make_layout

if TYPE_CHECKING:
    from pathlib import Path

TYPES = {"double": DataType.DOUBLE, "string": DataType.STRING}
IDS = ("first", "second")
LAYOUT = make_layout("flow", TYPES)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.tuples(
            st.none() | st.sampled_from([0.0, -0.0, 1.5, float("nan")]),
            st.none() | st.sampled_from(["", "a", "b", "ab", "long " * 9]),
        ),
    ),
    min_size=1,
    max_size=20,
)


def rows_of(chunk: PointChunk) -> list[str]:
    table = chunk.to_table(write_schema(list(Kind), has_runs=True)).drop_columns(["channel"])
    return [repr(row) for row in table.to_pylist()]


def chunk_of(rows: list[Any], run_id: str) -> PointChunk:
    ((day, *_),) = [sorted_points([make_block(LAYOUT, IDS, rows, run_id)], 1_000)]
    (chunk,) = day.chunks
    return chunk


@given(
    sent=st.lists(
        st.tuples(ROWS, st.sampled_from(["", "run"]), st.booleans()), min_size=1, max_size=4
    ),
    compared_max=st.sampled_from([1, 2, repeats.COMPARED_MAX]),
)
def test_the_first_of_points_that_are_the_same_is_kept(sent, compared_max: int):
    """Whatever their number is, and whatever the channel was called meanwhile."""
    chunks = []
    for rows, run_id, is_renamed in sent:
        if any(value is not None for _, values in rows for value in values):
            chunk = chunk_of(rows, run_id)
            if is_renamed:
                names = pa.array(["new name"] * len(chunk.channels))
                renamed = chunk.channels.set_column(1, "channel", names)
                chunk = replace(chunk, channels=renamed)
            chunks.append(chunk)
    if not chunks:
        return
    whole = joined(chunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "COMPARED_MAX", compared_max)
        found = rows_of(without_repeats(whole))
    assert len(found) == len(set(found))
    assert set(found) == set(rows_of(whole))


def file_of(store: PointStore) -> Any:
    (file,) = store._lake.files
    return file


def test_a_flush_writes_a_point_once_that_was_sent_again(tmp_path: Path):
    """And the name of the file says so, also to whoever opens the table later."""
    rows = [(time, (1.5, f"at {time}")) for time in range(10)]
    store = PointStore.open(tmp_path)
    store.publish(1, [make_block(LAYOUT, IDS, rows), make_block(LAYOUT, IDS, rows[3:])])
    store.publish(2, [make_block(LAYOUT, IDS, rows)])
    store.flush()
    assert pq.read_metadata(file_of(store).path).num_rows == 20
    for each in (store, PointStore.open(tmp_path)):
        assert file_of(each).extent.points == 20
        assert file_of(each).has_each_point_once


def test_a_merge_says_whether_it_may_have_missed_some(tmp_path: Path, monkeypatch):
    """Long strings at one time are merged a part at a time; those of two parts are not compared."""
    rows = [(1, (None, f"{number} " * 10)) for number in range(3)]
    for text_bytes, is_once in ((1, False), (merging.TEXT_BYTES_MAX, True)):
        folder = tmp_path / str(text_bytes)
        with monkeypatch.context() as patch:
            patch.setattr(files, "ROW_GROUP_HEAP_BYTES_MAX", 1)
            patch.setattr(merging, "TEXT_BYTES_MAX", text_bytes)
            store = PointStore.open(folder)
            for position in range(1, MERGE_FILES + 1):
                mine = rows if position % 2 else rows[::-1]
                store.publish(position, [make_block(LAYOUT, IDS, mine)])
                store.flush()
            assert store.compact()
        assert file_of(store).has_each_point_once == is_once
        assert (pq.read_metadata(file_of(store).path).num_rows == len(rows)) == is_once


def test_files_of_other_programs_are_not_known_to(tmp_path: Path):
    """They may have put any rows into them."""
    store = PointStore.open(tmp_path)
    for position in range(1, 3):
        store.publish(position, [make_block(LAYOUT, IDS, [(position, (1.5, "a"))])])
        store.flush()
    DeltaTable(str(tmp_path)).optimize.compact()
    assert not file_of(PointStore.open(tmp_path)).has_each_point_once
