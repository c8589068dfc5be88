"""All that there is at one moment: files, and points that are hot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.lake.files import ROW_GROUP_POINTS
from sift_server.lake.sorting import sorted_points

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift_server.lake.block import PointBlock
    from sift_server.lake.files import DataFile
    from sift_server.lake.sorting import DayOfPoints


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class StoreSnapshot:
    """Files of the table and hot rows; every point that was published before is in one of them.

    While there is a snapshot, its files stay on disk, also when they were merged into others.

    Attributes:
        files: Files of the table.
        blocks: Rows that are not in them.
    """

    files: tuple[DataFile, ...]
    blocks: Sequence[PointBlock]

    def hot_points(self) -> Iterator[DayOfPoints]:
        """Sort what is hot, as a flush would do; some points perhaps more than once."""
        return sorted_points(self.blocks, ROW_GROUP_POINTS)
