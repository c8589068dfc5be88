"""All that there is at one moment: files, and points that are hot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.lake.files import ROW_GROUP_POINTS
from sift_server.lake.points import kind_of
from sift_server.lake.sorting import sorted_points
from sift_server.lake.view import ChannelView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift_server.lake.file_reader import FileReader
    from sift_server.lake.files import DataFile
    from sift_server.lake.hot import HotSnapshot
    from sift_server.lake.sorting import DayOfPoints
    from sift_wire.columns import DataType


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class StoreSnapshot:
    """Files of the table and hot rows; every point that was published before is in one of them.

    While there is a snapshot, its files stay on disk, also when they were merged into others.

    Attributes:
        position: Log position up to which everything is in it, and nothing behind.
        files: Files of the table.
        hot: Rows that are not in them.
        reader: What reads files.
    """

    position: int
    files: tuple[DataFile, ...]
    hot: Sequence[HotSnapshot]
    reader: FileReader

    def view(self, channel_id: str, data_type: DataType) -> ChannelView:
        """What there is of a channel, to be read while there is the snapshot."""
        # Not with the lock of the store: what looks for rows would let all wait that publish some.
        rows = [found for each in self.hot for found in each.of_channel(channel_id)]
        return ChannelView(channel_id, kind_of(data_type), rows, self.files, self.reader)

    def hot_points(self) -> Iterator[DayOfPoints]:
        """Sort what is hot, as a flush would do; some points perhaps more than once."""
        blocks = [block for each in self.hot for block in each.blocks()]
        return sorted_points(blocks, ROW_GROUP_POINTS)
