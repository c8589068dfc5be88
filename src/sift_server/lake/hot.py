"""Rows that are durable in the log and not yet in the table, readable from memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift_server.lake.batch import PointBatch


@dataclass(slots=True)
class FlowBatches:
    """Batches of one flow and run, in the order of their positions."""

    channel_ids: tuple[str, ...]
    index_of: dict[str, int]
    batches: list[PointBatch] = field(default_factory=list)


class HotColumns:
    """Batches by flow and run. Not thread-safe: `PointStore` holds its lock around every call.

    Publishing costs the same for a flow of ten channels and of ten thousand; a channel is looked
    for when it is read.
    """

    def __init__(self) -> None:
        self.nbytes = 0
        self.position = 0
        self._flows: dict[tuple[int, str], FlowBatches] = {}

    def publish(self, position: int, batches: Sequence[PointBatch]) -> None:
        """Add batches; `position` is the log's, and never smaller than before."""
        for batch in batches:
            key = (id(batch.channel_ids), batch.rows.run_id)
            flow = self._flows.get(key)
            if flow is None:
                index_of = {name: index for index, name in enumerate(batch.channel_ids)}
                # The tuple is kept, so that no other one can get its id.
                flow = self._flows[key] = FlowBatches(batch.channel_ids, index_of)
            flow.batches.append(batch)
            self.nbytes += batch.nbytes
        self.position = position

    def flows(self) -> list[FlowBatches]:
        """Everything there is."""
        return list(self._flows.values())

    def of_channel(self, channel_id: str) -> Iterator[tuple[PointBatch, int]]:
        """Batches that have a channel, and its index in them."""
        for flow in self._flows.values():
            index = flow.index_of.get(channel_id)
            if index is not None:
                for batch in flow.batches:
                    yield batch, index
