"""Rows that are durable in the log and not yet in the table, readable from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_wire import kernels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift_server.lake.block import PointBlock, PointFlow
    from sift_wire.columns import FlowRows


class HotColumns:
    """Blocks in the order of their positions. Not thread-safe: `PointStore` holds its lock.

    Publishing keeps a block as it is; what is in it is looked at when somebody reads.
    """

    def __init__(self) -> None:
        self.nbytes = 0
        self.position = 0
        self._blocks: list[PointBlock] = []
        self._indexed = 0
        """How many of the blocks are in `_groups`."""
        self._groups: dict[int, list[tuple[PointBlock, int]]] = {}
        """Groups of each flow, by its `id`; its blocks keep the flow, so that no other gets it."""
        self._places: dict[str, list[tuple[int, int]]] = {}
        """The flows that have a channel, by the channel's id, and its index in them."""

    def publish(self, position: int, blocks: Sequence[PointBlock]) -> None:
        """Add blocks; `position` is the log's, and never smaller than before."""
        self._blocks += blocks
        self.nbytes += sum(block.nbytes for block in blocks)
        self.position = position

    def blocks(self) -> Sequence[PointBlock]:
        """Everything there is."""
        return self._blocks

    def of_channel(self, channel_id: str) -> Iterator[tuple[FlowRows, int]]:
        """Rows that have a channel, and its index in them."""
        self._index()
        for flow_key, index in self._places.get(channel_id, ()):
            for block, group in self._groups[flow_key]:
                yield block.rows(group), index

    def _index(self) -> None:
        for block in self._blocks[self._indexed :]:
            for group, number in enumerate(block.groups[:, kernels.FLOW].tolist()):
                flow = block.flows[number]
                groups = self._groups.get(id(flow))
                if groups is None:
                    groups = self._groups[id(flow)] = []
                    self._place(flow)
                groups.append((block, group))
        self._indexed = len(self._blocks)

    def _place(self, flow: PointFlow) -> None:
        for index, channel_id in enumerate(flow.channel_ids):
            self._places.setdefault(channel_id, []).append((id(flow), index))
