"""Functions of what a signal was before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_server.expressions.durations import DurationError, duration_ns
from sift_server.expressions.functions.base import Example, FunctionError, Library, OverTime, Step
from sift_server.expressions.functions.rolling import (
    RollingCount,
    RollingExtreme,
    RollingFirst,
    RollingLast,
    RollingStddev,
    RollingSum,
)
from sift_server.expressions.operators import arithmetic
from sift_server.expressions.signal import AGE_NS_MAX, Signal, ages, behind
from sift_server.expressions.values import Column, Type, blank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

NS_PER_MS = 1_000_000


class Prev(Step):
    """The value before; the memory is the last point."""

    lookback_ns = AGE_NS_MAX

    def __init__(self, kind: Type) -> None:
        self.type = kind

    def advance(self, memory: Signal | None, signal: Signal) -> tuple[Column, Signal | None]:
        """See `Step`."""
        if not len(signal):
            return signal.column, memory
        column, _ = _before(memory, signal)
        return column, signal.last()


class Delta(Step):
    """The value less the value before; the memory is the last point."""

    lookback_ns = AGE_NS_MAX

    def __init__(self, kind: Type) -> None:
        self.type = kind

    def advance(self, memory: Signal | None, signal: Signal) -> tuple[Column, Signal | None]:
        """See `Step`."""
        if not len(signal):
            return signal.column, memory
        column, _ = _before(memory, signal)
        return arithmetic("-", signal.column, column), signal.last()


class Deriv(Step):
    """How much the value changes in `per_ns` nanoseconds, from the point before to this one.

    The memory is the last point.
    """

    type = Type.DOUBLE
    lookback_ns = AGE_NS_MAX

    def __init__(self, per_ns: int) -> None:
        self._per_ns = per_ns

    def advance(self, memory: Signal | None, signal: Signal) -> tuple[Column, Signal | None]:
        """See `Step`."""
        if not len(signal):
            return Column(Type.DOUBLE, np.empty(0)), memory
        column, ages_ns = _before(memory, signal)
        difference = arithmetic("-", signal.column, column)
        with np.errstate(all="ignore"):
            change = difference.doubles() / (ages_ns / self._per_ns)
        return Column(Type.DOUBLE, change, difference.known), signal.last()


def _before(last: Signal | None, signal: Signal) -> tuple[Column, NDArray[np.uint64]]:
    """For each point the value of the point before, missing if that is too old, and its age."""
    if last is None:
        last = Signal(signal.times_ns[:1], blank(signal.column, 1))
    points = behind(last, signal)
    ages_ns = ages(points.times_ns[:-1], signal.times_ns)
    is_young = ages_ns <= AGE_NS_MAX
    column = points.column.part(0, len(signal))
    return column.only(None if is_young.all() else is_young), ages_ns


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Where the present stretch of truth began, or None if there is none, and the last point."""

    since_ns: int | None
    last_ns: int


class Persistence(Step):
    """Whether a condition has been true for some time without a break."""

    type = Type.BOOL

    def __init__(self, for_ns: int) -> None:
        self._for_ns = for_ns
        self.lookback_ns = for_ns + AGE_NS_MAX

    def advance(self, memory: _Stretch | None, signal: Signal) -> tuple[Column, _Stretch | None]:
        """See `Step`."""
        if not len(signal):
            return signal.column, memory
        times_ns = signal.times_ns
        is_true = signal.column.values
        if signal.column.known is not None:
            is_true = is_true & signal.column.known
        breaks = ~is_true
        breaks[1:] |= breaks[:-1] | (ages(times_ns[:-1], times_ns[1:]) > AGE_NS_MAX)
        since_ns = int(times_ns[0])
        if (
            memory is not None
            and memory.since_ns is not None
            and since_ns - memory.last_ns <= AGE_NS_MAX
        ):
            since_ns = memory.since_ns
        # Where each stretch began: at its first point, or if that is the first one of all here, at
        # what memory knows.
        places = np.maximum.accumulate(np.where(breaks, np.arange(len(times_ns)), 0))
        begins_ns = times_ns[places]
        begins_ns[places == 0] = since_ns
        found = is_true & (ages(begins_ns, times_ns) >= self._for_ns)
        open_since_ns = int(begins_ns[-1]) if is_true[-1] else None
        return (
            Column(Type.BOOL, found, signal.column.known),
            _Stretch(open_since_ns, int(times_ns[-1])),
        )


class First(Step):
    """The first value there was."""

    lookback_ns = None
    is_ageless = True

    def __init__(self, kind: Type) -> None:
        self.type = kind

    def advance(self, memory: Column | None, signal: Signal) -> tuple[Column, Column | None]:
        """See `Step`."""
        if memory is None:
            places = np.flatnonzero(signal.column.known_places())[:1]
            if not len(places):
                return signal.column, None
            memory = Column(signal.column.type, signal.column.take(places).values)
            unknown = np.arange(len(signal)) >= places[0]
            found = memory.take(np.zeros(len(signal), np.int64))
            return found.only(None if unknown.all() else unknown), memory
        return memory.take(np.zeros(len(signal), np.int64)), memory


class Last(Step):
    """The last value there was, however old."""

    lookback_ns = None
    is_ageless = True

    def __init__(self, kind: Type) -> None:
        self.type = kind

    def advance(self, memory: Signal | None, signal: Signal) -> tuple[Column, Signal | None]:
        """See `Step`."""
        known = signal.column.known
        if known is None:
            return signal.column, signal.last() if len(signal) else memory
        all_points = behind(memory, signal)
        is_known = all_points.column.known_places()
        places = np.maximum.accumulate(np.where(is_known, np.arange(len(all_points)), -1))
        last = places[-1:]
        if len(last) and last[0] >= 0:
            memory = Signal(all_points.times_ns[last], all_points.column.take(last))
        mine = places[len(all_points) - len(signal) :]
        has_one = mine >= 0
        found = all_points.column.take(np.maximum(mine, 0))
        return Column(found.type, found.values, None if has_one.all() else has_one), memory


def _duration(literal: object) -> int:
    try:
        return duration_ns(literal)
    except DurationError as error:
        raise FunctionError(f"takes a duration: {error}") from None


def _number(kind: Type) -> None:
    if not kind.is_number:
        raise FunctionError(f"takes a number, not {kind.value}")


def _make_deriv(kind: Type, literals: Sequence[Any]) -> Step:
    _number(kind)
    return Deriv(_duration(literals[0]) if literals else NS_PER_MS)


def _make_delta(kind: Type, _: Sequence[Any]) -> Step:
    _number(kind)
    return Delta(kind)


def _make_persistence(kind: Type, literals: Sequence[Any]) -> Step:
    if kind is not Type.BOOL:
        raise FunctionError(f"takes a condition, not {kind.value}")
    return Persistence(_duration(literals[0]))


def _of_numbers(make: Callable[[Type, int], Step]) -> Callable[[Type, Sequence[Any]], Step]:
    def made(kind: Type, literals: Sequence[Any]) -> Step:
        _number(kind)
        return make(kind, literals[0])

    return made


def _windowed(
    name: str,
    result: str,
    meaning: str,
    at_gaps: str,
    make: Callable[[Type, Sequence[Any]], Step],
    example: Example,
) -> OverTime:
    form = f'{name}(x, rolling("10s"))'
    return OverTime(
        name, Library.SUMMARY, form, result, meaning, at_gaps, example, (1, 1), True, make
    )


_SKIPPED = "missing values are left out; missing if there is none"

OVER_TIME: tuple[OverTime, ...] = (
    OverTime(
        "prev",
        Library.STATEFUL,
        "prev(x)",
        "that of x",
        "The value of the point before.",
        "missing at the first point, and where the point before is missing or too old",
        Example("prev($1)", [3, 4, None, 5], [None, 3, 4, None]),
        (0, 0),
        False,
        lambda kind, _: Prev(kind),
    ),
    OverTime(
        "delta",
        Library.STATEFUL,
        "delta(x)",
        "that of x",
        "The value less the value of the point before.",
        "as prev, and where this value is missing",
        Example("delta($1)", [3, 4, 9], [None, 1, 5]),
        (0, 0),
        False,
        _make_delta,
    ),
    OverTime(
        "deriv",
        Library.STATEFUL,
        'deriv(x), deriv(x, "1s")',
        "double",
        "The change from the point before to this one per millisecond, or per the time that is"
        " given.",
        "as prev, and where this value is missing",
        Example('deriv($1, "1s")', [3.0, 4.0, 9.0], [None, 1.0, 5.0]),
        (0, 1),
        False,
        _make_deriv,
    ),
    OverTime(
        "persistence",
        Library.STATEFUL,
        "persistence(condition, 5)",
        "bool",
        "Whether the condition was true at all points for so many seconds, or a time such as"
        ' "500ms".',
        "missing where the condition is; that, and no point for longer than the age limit, starts"
        " the time anew",
        Example("persistence($1 > 2, 2)", [3, 3, 3, 1, 3], [False, False, True, False, False]),
        (1, 1),
        False,
        _make_persistence,
    ),
    OverTime(
        "first",
        Library.STATEFUL,
        "first(x)",
        "that of x",
        "The first value of the run.",
        "missing until there is one; known however old it is",
        Example("first($1)", [5, 6, 7], [5, 5, 5]),
        (0, 0),
        False,
        lambda kind, _: First(kind),
    ),
    OverTime(
        "last",
        Library.STATEFUL,
        "last(x)",
        "that of x",
        "The last known value, however old it is: for what is sent once and holds.",
        "missing until there is one",
        Example("last($1)", [5, None, 7], [5, 5, 7]),
        (0, 0),
        False,
        lambda kind, _: Last(kind),
    ),
    _windowed(
        "avg",
        "double",
        "The average of the window.",
        _SKIPPED,
        _of_numbers(lambda _, window_ns: RollingSum(window_ns, is_average=True)),
        Example('avg($1, rolling("2s"))', [1.0, 3.0, 5.0], [1.0, 2.0, 4.0]),
    ),
    _windowed(
        "sum",
        "double",
        "The sum of the window, rounded once.",
        _SKIPPED,
        _of_numbers(lambda _, window_ns: RollingSum(window_ns)),
        Example('sum($1, rolling("2s"))', [1.0, 3.0, 5.0], [1.0, 4.0, 8.0]),
    ),
    _windowed(
        "stddev",
        "double",
        "The standard deviation of all values of the window (of the population).",
        _SKIPPED,
        _of_numbers(lambda _, window_ns: RollingStddev(window_ns)),
        Example('stddev($1, rolling("2s"))', [1.0, 3.0, 5.0], [0.0, 1.0, 1.0]),
    ),
    _windowed(
        "min",
        "that of x",
        "The smallest value of the window; NaN if one is.",
        _SKIPPED,
        _of_numbers(lambda kind, window_ns: RollingExtreme(kind, window_ns, is_largest=False)),
        Example('min($1, rolling("2s"))', [3, 1, 5], [3, 1, 1]),
    ),
    _windowed(
        "max",
        "that of x",
        "The largest value of the window; NaN if one is.",
        _SKIPPED,
        _of_numbers(lambda kind, window_ns: RollingExtreme(kind, window_ns, is_largest=True)),
        Example('max($1, rolling("2s"))', [3, 1, 5], [3, 3, 5]),
    ),
    _windowed(
        "count",
        "integer",
        "How many points the window has.",
        "missing values are left out",
        lambda _, literals: RollingCount(literals[0]),
        Example('count($1, rolling("2s"))', [3, 1, 5], [1, 2, 2]),
    ),
    _windowed(
        "first",
        "that of x",
        "The first value of the window.",
        _SKIPPED,
        lambda kind, literals: RollingFirst(kind, literals[0]),
        Example('first($1, rolling("2s"))', [3, 1, 5], [3, 3, 1]),
    ),
    _windowed(
        "last",
        "that of x",
        "The last value of the window.",
        _SKIPPED,
        lambda kind, literals: RollingLast(kind, literals[0]),
        Example('last($1, rolling("2s"))', [3, 1, 5], [3, 1, 5]),
    ),
)
