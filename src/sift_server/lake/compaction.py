"""Which files of the table are merged, and when.

Each flush adds a small file a date. Files of a date are sorted into tiers by their points, each
tier eight times the one below; eight files of one tier become one of the next. A point is therefore
written again at most once a tier, and a date keeps at most seven files a tier beside the large
ones, however often it was flushed. A file of `FINAL_POINTS_MIN` is never written again: a server
under full load makes such files at once, and pays nothing for merging.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sift_server.lake.files import DataFile

MERGE_FILES = 8
"""Files that are merged at a time: one row group of each is in memory."""

FINAL_POINTS_MIN = 4 * 1024 * 1024
"""Points from which on a file stays as it is."""


def files_to_merge(files: Iterable[DataFile]) -> list[DataFile]:
    """Choose files to be merged next; the smallest tier first, so that large files come last.

    Returns:
        `MERGE_FILES` files of one date, or none.
    """
    waiting: dict[tuple[int, Path], list[DataFile]] = {}
    for file in files:
        if file.extent.points < FINAL_POINTS_MIN:
            key = (_tier(file.extent.points), file.path.parent)
            waiting.setdefault(key, []).append(file)
    due = [key for key, mine in waiting.items() if len(mine) >= MERGE_FILES]
    return waiting[min(due)][:MERGE_FILES] if due else []


def _tier(points: int) -> int:
    """Logarithm to the base of eight, rounded down."""
    return max(0, points.bit_length() - 1) // 3
