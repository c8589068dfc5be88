"""Finds the rows of a channel among the blocks that are hot."""

from __future__ import annotations

import threading
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sift_wire import kernels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sift_server.lake.block import PointBlock, PointFlow
    from sift_wire.columns import FlowLayout

_LIST_SHIFT = 32
"""A flow's key: the number of its list above, its number in there below."""


class HotIndex:
    """Which groups of which blocks are of a flow, and which flows have a channel.

    Safe from many threads, also while blocks are added. What was added since somebody asked last is
    sorted by flow when somebody asks, and joined with what was sorted before once it is half as
    much: so a group is moved a few times at the most. There is no Python object for a group: there
    may be more than a million, and the threads that ingest would have to wait for their turn.
    """

    def __init__(self, blocks: Sequence[PointBlock]) -> None:
        """Take the blocks; others may be added behind them."""
        self._blocks = blocks
        self._lock = threading.Lock()
        self._n_indexed = 0
        self._parts: list[_Part] = []
        self._lists: dict[int, _ListedFlows] = {}
        """The lists of flows that blocks have, by `id`: a list that is here is not freed."""

    def of_channel(self, channel_id: str, n_blocks: int) -> list[HotRows]:
        """Rows that have a channel, in the first blocks.

        Those of one flow are in the order of blocks.
        """
        with self._lock:
            self._add(n_blocks)
            parts = self._parts[:]
            places = [place for each in self._lists.values() for place in each.places(channel_id)]
        return [
            _hot_rows(self._blocks[block], group, index)
            for key, index in places
            for part in parts
            for block, group in part.groups_of(key)
            if block < n_blocks
        ]

    def _add(self, n_blocks: int) -> None:
        """Index the blocks up to a number that are not indexed yet."""
        new = self._blocks[self._n_indexed : n_blocks]
        if not new:
            return
        lists = [self._listed(block.flows) for block in new]
        part = _Part.of(new, self._n_indexed, [each.number for each in lists])
        self._n_indexed = n_blocks
        for each in {each.number: each for each in lists}.values():
            each.extend(part.flows_until(each.number))
        while self._parts and len(self._parts[-1].keys) <= 2 * len(part.keys):
            part = self._parts.pop().joined(part)
        self._parts.append(part)

    def _listed(self, flows: Sequence[PointFlow]) -> _ListedFlows:
        listed = self._lists.get(id(flows))
        if listed is None:
            listed = self._lists[id(flows)] = _ListedFlows(len(self._lists), flows)
        return listed


class HotRows(NamedTuple):
    """Where the points of a channel are in a group of a block. There may be very many of these.

    Attributes:
        block: The block.
        run_id: The run of the group.
        layout: Its flow's layout.
        channel: The channel's index there.
        first_row: Where the times of its rows begin.
        first_cell: Where the channel's words begin.
        n_rows: How many rows there are.
    """

    block: PointBlock
    run_id: str
    layout: FlowLayout
    channel: int
    first_row: int
    first_cell: int
    n_rows: int

    @property
    def timestamps_ns(self) -> NDArray[np.int64]:
        """Times of the rows."""
        return self.block.timestamps_ns[self.first_row : self.first_row + self.n_rows]

    @property
    def words(self) -> NDArray[np.uint64]:
        """The channel's words."""
        return self.block.words[self.first_cell : self.first_cell + self.n_rows]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Where it has a value."""
        return self.block.present[self.first_cell : self.first_cell + self.n_rows]


def _hot_rows(block: PointBlock, group: int, index: int) -> HotRows:
    row = block.groups[group].tolist()
    return HotRows(
        block,
        block.run_ids[row[kernels.RUN]],
        block.flows[row[kernels.FLOW]].layout,
        index,
        row[kernels.ROWS_START],
        row[kernels.CELLS_START] + index * row[kernels.ROWS_MAX],
        row[kernels.ROWS],
    )


class _Part(NamedTuple):
    """Groups of some blocks that follow each other, sorted by flow, then by block.

    Attributes:
        keys: int64. The key of each group's flow.
        blocks: int32. Number of its block.
        groups: int32. Its number there.
    """

    keys: NDArray[np.int64]
    blocks: NDArray[np.int32]
    groups: NDArray[np.int32]

    @staticmethod
    def of(blocks: Sequence[PointBlock], first: int, lists: Sequence[int]) -> _Part:
        """Sort the groups of blocks, of which the first has a number, and each a list of flows."""
        counts = np.array([len(block) for block in blocks])
        flows = np.concatenate([block.groups[:, kernels.FLOW] for block in blocks])
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        return _sorted(
            np.repeat(np.array(lists, np.int64) << _LIST_SHIFT, counts) | flows,
            np.repeat(np.arange(first, first + len(blocks), dtype=np.int32), counts),
            (np.arange(len(flows)) - starts).astype(np.int32),
        )

    def joined(self, following: _Part) -> _Part:
        """The groups of two parts, of which the other has later blocks."""
        return _sorted(
            np.concatenate([self.keys, following.keys]),
            np.concatenate([self.blocks, following.blocks]),
            np.concatenate([self.groups, following.groups]),
        )

    def flows_until(self, list_number: int) -> int:
        """The largest number of a flow of a list, and one more."""
        end = int(np.searchsorted(self.keys, (list_number + 1) << _LIST_SHIFT))
        return int(self.keys[end - 1]) - (list_number << _LIST_SHIFT) + 1

    def groups_of(self, key: int) -> Iterable[tuple[int, int]]:
        """Number of the block, and the number in there, of each group of a flow."""
        first, last = np.searchsorted(self.keys, [key, key + 1]).tolist()
        return zip(self.blocks[first:last].tolist(), self.groups[first:last].tolist(), strict=True)


def _sorted(keys: NDArray[np.int64], blocks: NDArray[np.int32], groups: NDArray[np.int32]) -> _Part:
    order = np.argsort(keys, kind="stable")
    return _Part(keys[order], blocks[order], groups[order])


class _ListedFlows:
    """The channels of a list of flows that only grows, found by id.

    An id is looked for by its hash, in an array: a dictionary of all would take a hundred bytes a
    channel, and a while to make.
    """

    def __init__(self, number: int, flows: Sequence[PointFlow]) -> None:
        self.number = number
        self._flows = flows
        self._hashes = np.empty(0, np.int64)
        """Of the ids of the channels of one flow behind the other."""
        self._starts = np.zeros(1, np.int64)
        """Where the channels of each flow begin there, and behind them all where they end."""

    def extend(self, n_flows: int) -> None:
        """Know so many flows, at the least."""
        new = self._flows[len(self._starts) - 1 : n_flows]
        if not new:
            return
        of_flows = [flow.channel_ids for flow in new]
        hashes = np.fromiter(map(hash, chain.from_iterable(of_flows)), np.int64)
        ends = self._starts[-1] + np.cumsum(list(map(len, of_flows)))
        self._hashes = np.concatenate([self._hashes, hashes])
        self._starts = np.concatenate([self._starts, ends])

    def places(self, channel_id: str) -> Iterator[tuple[int, int]]:
        """Keys of the flows that have a channel, and its index in them."""
        for at in np.flatnonzero(self._hashes == hash(channel_id)).tolist():
            flow = int(np.searchsorted(self._starts, at, side="right")) - 1
            index = at - int(self._starts[flow])
            if self._flows[flow].channel_ids[index] == channel_id:
                yield self.number << _LIST_SHIFT | flow, index
