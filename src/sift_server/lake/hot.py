"""Rows that are durable in the log and not yet in the table, readable from memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.lake.hot_index import HotIndex, HotRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.lake.block import PointBlock


class HotColumns:
    """Blocks in the order of their positions. Not thread-safe: `PointStore` holds its lock.

    Publishing keeps a block as it is; what is in it is looked at when somebody reads.
    """

    def __init__(self) -> None:
        self.nbytes = 0
        self.position = 0
        self._blocks: list[PointBlock] = []
        self._index = HotIndex(self._blocks)

    def publish(self, position: int, blocks: Sequence[PointBlock]) -> None:
        """Add blocks; `position` is the log's, and never smaller than before."""
        self._blocks += blocks
        self.nbytes += sum(block.nbytes for block in blocks)
        self.position = position

    def blocks(self) -> Sequence[PointBlock]:
        """Everything there is."""
        return self._blocks

    def snapshot(self) -> HotSnapshot:
        """What there is now."""
        return HotSnapshot(self._blocks, self._index, len(self._blocks))


@dataclass(frozen=True, slots=True)
class HotSnapshot:
    """The first so many blocks of hot columns, to be read without the lock of the store."""

    _blocks: Sequence[PointBlock]
    _index: HotIndex
    _n_blocks: int

    def blocks(self) -> Sequence[PointBlock]:
        """Everything there is."""
        return self._blocks[: self._n_blocks]

    def of_channel(self, channel_id: str) -> list[HotRows]:
        """Rows that have a channel."""
        return self._index.of_channel(channel_id, self._n_blocks)
