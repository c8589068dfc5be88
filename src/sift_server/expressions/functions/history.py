"""Points that are remembered, and lengthened piece by piece without being copied each time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROOM_POINTS_MIN = 64


class _Store:
    """Room for points. What has been written is never changed; whoever claims room writes it."""

    def __init__(self, points_max: int) -> None:
        self.times_ns = np.empty(points_max, np.int64)
        self.words = np.empty(points_max, np.int64)
        self._claimed = 0
        self._claiming = threading.Lock()

    def claim(self, start: int, end: int) -> bool:
        """Whether the caller may write from `start` to `end`: nobody else has, and it fits."""
        with self._claiming:
            is_free = start == self._claimed and end <= len(self.times_ns)
            if is_free:
                self._claimed = end
            return is_free


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Times and values of points; a value that never changes, safe from many threads.

    The points are a part of a store. The first that lengthens a history writes behind its end,
    where no other one looks; anyone else who lengthens the same one gets a store of its own. A
    store has room for twice the points that it begins with, so that a point is copied once or twice
    in its life.
    """

    _store: _Store
    _start: int
    _end: int

    @classmethod
    def of(cls, times_ns: NDArray[np.int64], words: NDArray[np.int64]) -> History:
        """Copy points: int64 times, and values of 64 bits viewed as int64."""
        count = len(times_ns)
        store = _Store(2 * count + _ROOM_POINTS_MIN)
        store.claim(0, count)
        store.times_ns[:count] = times_ns
        store.words[:count] = words
        return cls(store, 0, count)

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def times_ns(self) -> NDArray[np.int64]:
        """When; not to be written to."""
        return self._store.times_ns[self._start : self._end]

    @property
    def words(self) -> NDArray[np.int64]:
        """The values' bits; not to be written to."""
        return self._store.words[self._start : self._end]

    def longer(self, times_ns: NDArray[np.int64], words: NDArray[np.int64]) -> History:
        """The history with later points behind it."""
        end = self._end + len(times_ns)
        if not self._store.claim(self._end, end):
            return self.of(
                np.concatenate([self.times_ns, times_ns]), np.concatenate([self.words, words])
            )
        self._store.times_ns[self._end : end] = times_ns
        self._store.words[self._end : end] = words
        return History(self._store, self._start, end)

    def without(self, count: int) -> History:
        """The history without its first points."""
        return History(self._store, self._start + count, self._end)
