"""Functions of a window of time: the points not older than its length, without the one that is."""

from __future__ import annotations

import functools
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sift_server.expressions.functions import kernels
from sift_server.expressions.functions.base import Step
from sift_server.expressions.functions.exact import DOUBLES, SIGNED, UNSIGNED
from sift_server.expressions.functions.history import History
from sift_server.expressions.signal import Signal, behind
from sift_server.expressions.values import Column, Type, blank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


class _Rolling(Step):
    """A function of the known values of a window; what is missing is no point of it."""

    def __init__(self, kind: Type, window_ns: int) -> None:
        self.type = kind
        self.lookback_ns = window_ns
        self._window_ns = window_ns

    def _windows(
        self, times_ns: Ints, before: int, signal: Signal
    ) -> tuple[Ints, Ints, NDArray[np.bool_] | None]:
        """Places of the windows at a signal's times, as in `kernels`, and where they have points.

        `times_ns` are those of the known points, of which those `before` are older than the signal.
        """
        starts, ends = np.empty(len(signal), np.int64), np.empty(len(signal), np.int64)
        is_full = kernels.window_places(
            times_ns, signal.times_ns, self._window_ns, before, starts, ends
        )
        return starts, ends, None if is_full else starts < ends


def _known_points(signal: Signal) -> Signal:
    column = signal.column
    if column.known is None:
        return signal
    places = np.flatnonzero(column.known)
    return Signal(signal.times_ns[places], Column(column.type, column.take(places).values))


@dataclass(frozen=True, slots=True, eq=False)
class _Summed:
    """The points of the last window, and what a kernel knows of them; never changed."""

    points: History
    state: Ints


class _RollingSums(_Rolling):
    """What is made of sums; the memory holds the sums of the last window, so that they go on."""

    _state_words: int

    def __init__(self, window_ns: int) -> None:
        super().__init__(Type.DOUBLE, window_ns)

    def advance(self, memory: _Summed | None, signal: Signal) -> tuple[Column, _Summed | None]:
        """See `Step`."""
        if not len(signal):
            return Column(Type.DOUBLE, np.empty(0)), memory
        now = _known_points(signal)
        words, kind = self._words(now.column)
        before = 0 if memory is None else len(memory.points)
        points = None
        times_ns = now.times_ns
        if memory is not None and before:
            points = memory.points.longer(times_ns, words)
            times_ns, words = points.times_ns, points.words
        starts, ends, known = self._windows(times_ns, before, signal)
        state = np.zeros(self._state_words, np.int64) if memory is None else memory.state.copy()
        found = np.empty(len(signal))
        self._sum(words, kind, before, starts, ends, state, found)
        gone = int(starts[-1])
        rest = History.of(times_ns[gone:], words[gone:]) if points is None else points.without(gone)
        return Column(Type.DOUBLE, found, known), _Summed(rest, state)

    @staticmethod
    def _words(column: Column) -> tuple[Ints, int]:
        """The bits of values, and what they are."""
        values = np.ascontiguousarray(column.values)
        kinds = {np.dtype(np.int64): SIGNED, np.dtype(np.uint64): UNSIGNED}
        return values.view(np.int64), kinds.get(values.dtype, DOUBLES)

    @abstractmethod
    def _sum(
        self,
        words: Ints,
        kind: int,
        before: int,
        starts: Ints,
        ends: Ints,
        state: Ints,
        found: NDArray[np.float64],
    ) -> None:
        """Compute the result for each window."""


class RollingSum(_RollingSums):
    """The sum of a window, or its average."""

    _state_words = kernels.SUM_WORDS

    def __init__(self, window_ns: int, *, is_average: bool = False) -> None:
        super().__init__(window_ns)
        self._is_average = is_average

    def _sum(
        self,
        words: Ints,
        kind: int,
        before: int,
        starts: Ints,
        ends: Ints,
        state: Ints,
        found: NDArray[np.float64],
    ) -> None:
        kernels.rolling_sums(words, kind, before, starts, ends, self._is_average, state, found)


class RollingStddev(_RollingSums):
    """The standard deviation of a window, as of a whole population."""

    _state_words = kernels.STDDEV_WORDS

    @staticmethod
    def _words(column: Column) -> tuple[Ints, int]:
        return np.ascontiguousarray(column.doubles()).view(np.int64), DOUBLES

    def _sum(
        self,
        words: Ints,
        kind: int,
        before: int,
        starts: Ints,
        ends: Ints,
        state: Ints,
        found: NDArray[np.float64],
    ) -> None:
        del kind
        kernels.rolling_stddevs(words, before, starts, ends, state, found)


class RollingCount(_Rolling):
    """How many points a window has; the memory is the times of the last window."""

    def __init__(self, window_ns: int) -> None:
        super().__init__(Type.INT, window_ns)

    def advance(self, memory: History | None, signal: Signal) -> tuple[Column, History | None]:
        """See `Step`."""
        if not len(signal):
            return Column(Type.INT, np.empty(0, np.int64)), memory
        known = signal.column.known
        times_ns = signal.times_ns if known is None else signal.times_ns[known]
        points = None
        before = 0 if memory is None else len(memory)
        if memory is not None and before:
            points = memory.longer(times_ns, times_ns)
            times_ns = points.times_ns
        starts, ends, _ = self._windows(times_ns, before, signal)
        gone = int(starts[-1])
        rest = times_ns[gone:]
        after = History.of(rest, rest) if points is None else points.without(gone)
        return Column(Type.INT, ends - starts), after


class RollingExtreme(_Rolling):
    """The smallest or largest value of a window.

    The memory is those points of the last window that can still be it.
    """

    def __init__(self, kind: Type, window_ns: int, *, is_largest: bool) -> None:
        super().__init__(kind, window_ns)
        self._is_largest = is_largest

    def advance(self, memory: Signal | None, signal: Signal) -> tuple[Column, Signal | None]:
        """See `Step`."""
        if not len(signal):
            return signal.column, memory
        before = 0 if memory is None else len(memory)
        points = behind(memory, _known_points(signal))
        starts, ends, known = self._windows(points.times_ns, before, signal)
        queue = np.empty(len(points), np.int64)
        best = np.empty(len(signal), np.int64)
        head, tail = kernels.rolling_extremes(
            points.column.values, before, starts, ends, self._is_largest, queue, best
        )
        kept = queue[head:tail]
        found = _at(points.column, best, known)
        return found, Signal(points.times_ns[kept], points.column.take(kept))


class RollingFirst(_Rolling):
    """The first value of a window; the memory is the points of the last one, piece by piece."""

    def advance(
        self, memory: tuple[Signal, ...] | None, signal: Signal
    ) -> tuple[Column, tuple[Signal, ...] | None]:
        """See `Step`."""
        if not len(signal):
            return signal.column, memory
        now = _known_points(signal)
        pieces = [*(memory or ()), now]
        # All windows begin in the first pieces, mostly in the very first: from the first that
        # reaches into the first window to the first that reaches into the last one.
        first = self._first_reaching(pieces, signal.times_ns[0])
        count = self._first_reaching(pieces, signal.times_ns[-1]) + 1
        front = _in_a_row(pieces[first:count])
        is_whole = count == len(pieces)
        before = len(front) - len(now) if is_whole else len(front)
        starts, _, known = self._windows(front.times_ns, before, signal)
        found = _at(front.column, np.minimum(starts, max(len(front) - 1, 0)), known)
        rest = _part(front, int(starts[-1]))
        if is_whole:
            return found, (_copied(rest),)
        return found, (rest, *pieces[count:-1], _copied(now))

    def _first_reaching(self, pieces: Sequence[Signal], time_ns: int) -> int:
        """The first piece that reaches into the window that ends at a time; the last if none."""
        for number, piece in enumerate(pieces):
            if len(piece) and int(time_ns) - int(piece.times_ns[-1]) < self._window_ns:
                return number
        return len(pieces) - 1


def _in_a_row(pieces: Sequence[Signal]) -> Signal:
    """Signals as one, joined by twos, so that no point is copied many times."""
    while len(pieces) > 1:
        pieces = [
            functools.reduce(behind, pieces[number : number + 2])
            for number in range(0, len(pieces), 2)
        ]
    return pieces[0]


def _part(points: Signal, start: int) -> Signal:
    return Signal(points.times_ns[start:], points.column.part(start, len(points)))


def _copied(points: Signal) -> Signal:
    """Points of which nothing holds what they were a part of."""
    return Signal(points.times_ns.copy(), points.column.take(np.arange(len(points))))


class RollingLast(_Rolling):
    """The last value of a window; the memory is the last point."""

    def advance(self, memory: Signal | None, signal: Signal) -> tuple[Column, Signal | None]:
        """See `Step`."""
        if not len(signal):
            return signal.column, memory
        points = behind(memory, _known_points(signal))
        before = 0 if memory is None else len(memory)
        _, ends, known = self._windows(points.times_ns, before, signal)
        return _at(points.column, np.maximum(ends - 1, 0), known), points.last()


def _at(column: Column, places: Ints, known: NDArray[np.bool_] | None) -> Column:
    if not len(column):
        return blank(column, len(places))
    return column.take(places).only(known)
