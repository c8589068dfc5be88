"""Row groups that were read a moment ago."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from sift_server.lake.recent_tables import RecentTables


def table(rows: int) -> pa.Table:
    return pa.table({"x": pa.array(range(rows), pa.int64())})


def key(number: int, name: str = "a") -> tuple[Path, int, frozenset[str]]:
    return Path(name), number, frozenset({"x"})


def test_what_was_not_asked_for_longest_makes_room() -> None:
    recent = RecentTables(bytes_max=3 * 800)
    for number in range(3):
        recent.keep(key(number), table(100))
    assert recent.get(key(0)) is not None
    recent.keep(key(3), table(100))
    assert [recent.get(key(number)) is not None for number in range(4)] == [True, False, True, True]


def test_what_is_larger_than_all_is_not_kept() -> None:
    recent = RecentTables(bytes_max=800)
    recent.keep(key(0), table(101))
    assert recent.get(key(0)) is None
    recent.keep(key(1), table(100))
    assert recent.get(key(1)) is not None


def test_what_is_kept_twice_counts_once() -> None:
    recent = RecentTables(bytes_max=1600)
    recent.keep(key(0), table(100))
    recent.keep(key(0), table(100))
    recent.keep(key(1), table(100))
    assert recent.get(key(0)) is not None


def test_files_that_are_gone_are_forgotten() -> None:
    recent = RecentTables(bytes_max=800)
    recent.keep(key(0, "a"), table(100))
    recent.forget([Path("a")])
    recent.keep(key(0, "b"), table(100))
    assert recent.get(key(0, "a")) is None
    assert recent.get(key(0, "b")) is not None
