"""Rows that are durable in the log and not yet in the table, readable from memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sift_server.lake.points import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sift_server.lake.batch import PointBatch

CHANNELS_KNOWN_MAX = 1_000_000
"""Channels of flows that are remembered from one flush to the next; more make it start anew."""


class HotFlow:
    """What is worked out once for a flow, and only when it is asked for."""

    def __init__(self, batch: PointBatch) -> None:
        self.asset_name = batch.asset_name
        self.channel_ids = batch.channel_ids
        self.channel_names = batch.rows.layout.channel_names
        self._data_types = batch.rows.layout.data_types

    @cached_property
    def index_of(self) -> dict[str, int]:
        """Index of each channel, by its id."""
        return {channel_id: index for index, channel_id in enumerate(self.channel_ids)}

    @cached_property
    def kinds(self) -> NDArray[np.uint8]:
        """`Kind` of each channel."""
        return np.array([kind_of(data_type) for data_type in self._data_types], np.uint8)


class HotFlows:
    """The flows that batches came from, remembered from flush to flush.

    Batches of a flow share one tuple of channel ids; by its identity they are told apart, which
    costs the same for ten channels and for ten thousand.
    """

    def __init__(self) -> None:
        self._flows: dict[int, HotFlow] = {}
        self._channels = 0

    def of(self, batch: PointBatch) -> HotFlow:
        """Return the flow of a batch."""
        flow = self._flows.get(id(batch.channel_ids))
        if flow is None:
            if self._channels >= CHANNELS_KNOWN_MAX:
                self._flows.clear()
                self._channels = 0
            # The flow keeps the tuple, so that no other one can get its id.
            flow = self._flows[id(batch.channel_ids)] = HotFlow(batch)
            self._channels += len(batch.channel_ids)
        return flow


@dataclass(slots=True)
class FlowBatches:
    """Batches of one flow and run, in the order of their positions."""

    flow: HotFlow
    run_id: str
    batches: list[PointBatch] = field(default_factory=list)


class HotColumns:
    """Batches by flow and run. Not thread-safe: `PointStore` holds its lock around every call.

    Publishing is a look-up a batch; a channel is looked for when it is read.
    """

    def __init__(self, flows: HotFlows) -> None:
        self.nbytes = 0
        self.position = 0
        self._known = flows
        self._batches: dict[tuple[HotFlow, str], FlowBatches] = {}

    def publish(self, position: int, batches: Sequence[PointBatch]) -> None:
        """Add batches; `position` is the log's, and never smaller than before."""
        for batch in batches:
            flow = self._known.of(batch)
            key = (flow, batch.rows.run_id)
            mine = self._batches.get(key)
            if mine is None:
                mine = self._batches[key] = FlowBatches(flow, batch.rows.run_id)
            mine.batches.append(batch)
            self.nbytes += batch.nbytes
        self.position = position

    def flows(self) -> list[FlowBatches]:
        """Everything there is."""
        return list(self._batches.values())

    def of_channel(self, channel_id: str) -> Iterator[tuple[PointBatch, int]]:
        """Batches that have a channel, and its index in them."""
        for mine in self._batches.values():
            index = mine.flow.index_of.get(channel_id)
            if index is not None:
                for batch in mine.batches:
                    yield batch, index
