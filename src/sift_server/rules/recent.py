"""The latest points of a channel in a run, for who has to go back a little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sift_server.lake import Points, points_once
from sift_server.lake.points import joined_points, kind_of, part_of

if TYPE_CHECKING:
    from sift_wire.columns import DataType


class RecentPoints:
    """Points later than some time, sorted, each once. Not thread-safe."""

    def __init__(self, data_type: DataType) -> None:
        self._kind = kind_of(data_type)
        self._parts: list[Points] = []
        """Each is later than the one before."""
        self._sizes: list[int] = []
        """Bytes of each of them."""
        self.nbytes = 0
        """Bytes of the points."""

    def add(self, points: Points) -> None:
        """Add points, in any order, some perhaps known already."""
        added = points_once(points)
        if not len(added):
            return
        first_ns = added.timestamps_ns[0]
        behind = len(self._parts)
        while behind and self._parts[behind - 1].timestamps_ns[-1] >= first_ns:
            behind -= 1
        if behind < len(self._parts):
            added = points_once(joined_points(self._kind, [*self._parts[behind:], added]))
        size = added.timestamps_ns.nbytes + added.values.nbytes
        self.nbytes += size - sum(self._sizes[behind:])
        self._parts[behind:], self._sizes[behind:] = [added], [size]

    def later_than(self, time_ns: int) -> Points:
        """The points later than a time."""
        first = len(self._parts)
        while first and self._parts[first - 1].timestamps_ns[-1] > time_ns:
            first -= 1
        points = joined_points(self._kind, self._parts[first:])
        start = int(np.searchsorted(points.timestamps_ns, time_ns, side="right"))
        return part_of(points, start, len(points))

    def forget(self, time_ns: int) -> None:
        """Forget the points up to a time, or most of them."""
        gone = 0
        while gone < len(self._parts) and self._parts[gone].timestamps_ns[-1] <= time_ns:
            gone += 1
        self.nbytes -= sum(self._sizes[:gone])
        del self._parts[:gone], self._sizes[:gone]
