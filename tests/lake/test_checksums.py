"""A commit says what the bytes of its files, and its own, are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from sift_server.lake import PointStore
from sift_server.lake.checksums import (
    damaged_parts,
    is_checkpoint_damaged,
    is_commit_damaged,
    parts_of,
    parts_text,
)
from sift_server.lake.delta import DeltaLake
from sift_server.lake.delta_log import remove_torn, write_checkpoint
from sift_server.lake.files import ROW_GROUP_POINTS
from sift_wire.columns import DataType
from support.points import make_block, make_layout

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_700_000_000_000_000_000


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A table with a commit, whose file has three row groups."""
    store = PointStore.open(tmp_path)
    layout = make_layout("flow", {"a": DataType.DOUBLE})
    rows = [(T0 + i, [float(i)]) for i in range(2 * ROW_GROUP_POINTS + 1_000)]
    store.publish(7, [make_block(layout, ("channel",), rows)])
    store.flush()
    store.close()
    return tmp_path


def newest(lake: Path) -> tuple[bytes, list[dict]]:
    data = max((lake / "_delta_log").glob("*.json")).read_bytes()
    return data, [json.loads(line) for line in data.splitlines()]


def test_each_row_group_is_a_part_of_its_own(lake: Path):
    """So one flipped bit costs one row group; the last part is the footer."""
    (path,) = lake.rglob("date=*/*.parquet")
    (add,) = [action["add"] for action in newest(lake)[1] if "add" in action]
    parts = parts_of(add["tags"]["sift.parts"])
    metadata = pq.read_metadata(path)
    starts = [metadata.row_group(i).column(0) for i in range(metadata.num_row_groups)]
    ends = [each.dictionary_page_offset for each in starts[1:]]
    assert [part.end for part in parts[: len(ends)]] == ends
    assert (len(parts), parts[-1].end) == (metadata.num_row_groups + 1, path.stat().st_size)
    assert parts_of(parts_text(parts)) == parts
    assert set(damaged_parts(path, parts)) == {None}


@pytest.mark.proves("bytes-known")
@pytest.mark.parametrize("number", range(4))
def test_a_flipped_bit_is_found_where_it_is(lake: Path, number: int):
    """Wherever it is in the part."""
    (path,) = lake.rglob("date=*/*.parquet")
    (add,) = [action["add"] for action in newest(lake)[1] if "add" in action]
    parts = parts_of(add["tags"]["sift.parts"])
    data = bytearray(path.read_bytes())
    start = parts[number - 1].end if number else 0
    for at in (start, parts[number].end - 1):
        data[at] ^= 4
        path.write_bytes(data)
        assert [each for each in damaged_parts(path, parts) if each is not None] == [number]
        data[at] ^= 4


@pytest.mark.proves("bytes-known")
def test_a_commit_with_another_byte_is_found(lake: Path):
    """Also where it is JSON still: a position, a size."""
    data, actions = newest(lake)
    assert not is_commit_damaged(data, actions)
    other = data.replace(b'"version":7', b'"version":6')
    assert is_commit_damaged(other, [json.loads(line) for line in other.splitlines()])


@pytest.mark.proves("bytes-known")
def test_a_checkpoint_with_another_byte_is_found(lake: Path):
    """A server that opens the table goes by the commits instead, or, if they are gone, refuses."""
    write_checkpoint(lake)
    (checkpoint,) = lake.glob("_delta_log/*.checkpoint.parquet")
    hint = (lake / "_delta_log" / "_last_checkpoint").read_bytes()
    whole = checkpoint.read_bytes()
    version = int(checkpoint.name[:20])
    assert not is_checkpoint_damaged(version, whole, hint)
    assert not is_checkpoint_damaged(version + 1, whole, hint)
    for at in range(0, len(whole), 97):
        other = bytearray(whole)
        other[at] ^= 16
        assert is_checkpoint_damaged(version, other, hint)
    checkpoint.write_bytes(other)
    remove_torn(lake)
    assert not checkpoint.exists()
    assert DeltaLake.open(lake).committed_position == 7
    write_checkpoint(lake)
    (checkpoint,) = lake.glob("_delta_log/*.checkpoint.parquet")
    checkpoint.write_bytes(other)
    for commit in lake.glob("_delta_log/*.json"):
        commit.unlink()
    with pytest.raises(OSError, match="sift doctor --repair"):
        DeltaLake.open(lake)
    assert checkpoint.read_bytes() == other
