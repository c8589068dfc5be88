"""Points and stretches kept in memory, as the rules want to read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sift_server.lake import Points
from sift_server.lake.points import joined_points, kind_of
from sift_server.rules.stretches import touches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from sift_server.rules.condition import Condition
    from sift_server.rules.run_evaluation import Found
    from sift_server.rules.stretches import Stretch
    from sift_wire.columns import DataType


@dataclass
class StoredChannel:
    """A channel that is read in windows of any size."""

    data_type: DataType
    random: Random
    parts: list[Points] = field(default_factory=list)

    def read(self, run_id: str, start_ns: int, end_ns: int) -> Iterator[Points]:
        """As `ChannelView.read`."""
        points = joined_points(kind_of(self.data_type), self.parts)
        order = np.argsort(points.timestamps_ns, kind="stable")
        times_ns = points.timestamps_ns[order]
        first, last = np.searchsorted(times_ns, [start_ns, end_ns])
        while first < last:
            end = min(first + self.random.randint(1, 20), last)
            end = int(np.searchsorted(times_ns[:last], times_ns[end - 1], side="right"))
            yield Points(times_ns[first:end], points.values.take(pa.array(order[first:end])))
            first = end


class Storage:
    """One run, and the stretches that were found in it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._channels: dict[str, StoredChannel] = {}
        self._stretches: dict[object, set[Stretch]] = {}

    def publish(self, channel_id: str, data_type: DataType, points: Points) -> None:
        """Make points readable."""
        channel = self._channels.setdefault(channel_id, StoredChannel(data_type, self._random))
        channel.parts.append(points)

    def views(self, channels: dict[str, DataType]) -> dict[str, tuple[StoredChannel, DataType]]:
        """As `Stored.views`."""
        nothing = {
            channel_id: StoredChannel(data_type, self._random)
            for channel_id, data_type in channels.items()
        }
        return {
            channel_id: (self._channels.get(channel_id, nothing[channel_id]), data_type)
            for channel_id, data_type in channels.items()
        }

    def stretches(
        self, conditions: Sequence[Condition], run_id: str
    ) -> dict[object, list[Stretch]]:
        """As `Stored.stretches`."""
        return {
            condition.key: sorted(
                self._stretches.get(condition.key, ()), key=lambda stretch: stretch.start_ns
            )
            for condition in conditions
        }

    def write(self, found: Sequence[Found]) -> None:
        """As `RuleBook.write`."""
        for one in found:
            known = self._stretches.setdefault(one.condition.key, set())
            change = one.change
            gone = [each for each in known if touches(each, change.first_ns, change.last_ns)]
            known.difference_update(gone)
            known.update(change.stretches)
