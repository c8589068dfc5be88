"""Functions of a window of time: the points not older than its length, without the one that is."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_server.expressions.functions import kernels
from sift_server.expressions.functions.base import Step
from sift_server.expressions.signal import Signal, behind
from sift_server.expressions.values import Column, Type, blank

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGE, _SMALL = 2.0**500, 2.0**-500
"""Sizes between which a square is a double too."""


class _Rolling(Step):
    """A function of the known values of a window; the memory is the points of the last one."""

    def __init__(self, kind: Type, window_ns: int) -> None:
        self.type = kind
        self.lookback_ns = window_ns
        self._window_ns = window_ns

    def advance(self, memory: Signal | None, signal: Signal) -> tuple[Column, Signal | None]:
        """See `Step`."""
        known = signal.column.known
        now = signal
        if known is not None:
            places = np.flatnonzero(known)
            column = signal.column.take(places)
            now = Signal(signal.times_ns[places], Column(column.type, column.values))
        points = behind(memory, now)
        # A point as old as the window is long is out of it.
        window_ns = self._window_ns
        begin_ns = np.maximum(signal.times_ns, np.iinfo(np.int64).min + window_ns) - window_ns
        starts = np.searchsorted(points.times_ns, begin_ns, side="right")
        ends = np.searchsorted(points.times_ns, signal.times_ns, side="right")
        found = self._of_windows(points.column, starts, ends)
        if len(signal):
            kept = np.arange(starts[-1], len(points))
            points = Signal(points.times_ns[kept], points.column.take(kept))
        return found, points

    @abstractmethod
    def _of_windows(
        self, column: Column, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> Column:
        """The result for each window, from the place of its first point to behind its last."""


class RollingCount(_Rolling):
    """How many points a window has."""

    def __init__(self, window_ns: int) -> None:
        super().__init__(Type.INT, window_ns)

    def _of_windows(
        self, column: Column, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> Column:
        del column
        return Column(Type.INT, ends - starts)


class _RollingSums(_Rolling):
    is_average: bool

    def __init__(self, window_ns: int) -> None:
        super().__init__(Type.DOUBLE, window_ns)

    def _of_windows(
        self, column: Column, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> Column:
        values = column.values
        is_integer = values.dtype == np.int64
        if values.dtype == np.uint64:
            values = values.astype(np.float64)
        found = np.empty(len(starts))
        kernels.rolling_sums(
            values.view(np.int64), is_integer, starts, ends, self.is_average, found
        )
        return Column(Type.DOUBLE, found, _where_any(starts, ends))


class RollingSum(_RollingSums):
    """The sum of a window."""

    is_average = False


class RollingAverage(_RollingSums):
    """The average of a window."""

    is_average = True


class RollingStddev(_Rolling):
    """The standard deviation of a window, as of a whole population."""

    def __init__(self, window_ns: int) -> None:
        super().__init__(Type.DOUBLE, window_ns)

    def _of_windows(
        self, column: Column, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> Column:
        values = column.doubles()
        scale = _scale(values)
        found = np.empty(len(starts))
        kernels.rolling_stddevs(np.ascontiguousarray(values * scale), starts, ends, found)
        return Column(Type.DOUBLE, found / scale, _where_any(starts, ends))


def _scale(values: NDArray[np.float64]) -> float:
    """A power of 2 that brings values to a size whose squares are doubles; mostly 1."""
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max(initial=0.0))
    if largest == 0.0 or _SMALL < largest < _LARGE:
        return 1.0
    return float(2.0 ** -np.clip(np.frexp(largest)[1], -1000, 1000))


class RollingExtreme(_Rolling):
    """The smallest or largest value of a window."""

    def __init__(self, kind: Type, window_ns: int, *, is_largest: bool) -> None:
        super().__init__(kind, window_ns)
        self._is_largest = is_largest

    def _of_windows(
        self, column: Column, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> Column:
        known = _where_any(starts, ends)
        places = np.zeros(len(starts), np.int64)
        some = np.arange(len(starts)) if known is None else np.flatnonzero(known)
        best = np.empty(len(some), np.int64)
        kernels.rolling_extremes(column.values, starts[some], ends[some], self._is_largest, best)
        places[some] = best
        return _at(column, places, known)


class RollingEdge(_Rolling):
    """The first or last value of a window."""

    def __init__(self, kind: Type, window_ns: int, *, is_last: bool) -> None:
        super().__init__(kind, window_ns)
        self._is_last = is_last

    def _of_windows(
        self, column: Column, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> Column:
        known = _where_any(starts, ends)
        places = ends - 1 if self._is_last else starts
        return _at(column, np.clip(places, 0, max(len(column) - 1, 0)), known)


def _at(column: Column, places: NDArray[np.int64], known: NDArray[np.bool_] | None) -> Column:
    if not len(column):
        return blank(column, len(places))
    return column.take(places).only(known)


def _where_any(starts: NDArray[Any], ends: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where a window has points; None if all have."""
    has_points = ends > starts
    return None if has_points.all() else has_points
