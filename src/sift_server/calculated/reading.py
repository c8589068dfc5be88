"""Pages of the values of an expression, computed from what is stored and what is hot."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_server.errors import InvalidArgumentError, ResourceExhaustedError
from sift_server.expressions import Type
from sift_server.lake.points import Points, joined_points, kind_of
from sift_server.query import Page, RunPoints, RunSource
from sift_server.rules.part import TIME_NS_MIN
from sift_server.rules.pieces import stored_pieces
from sift_server.rules.sources import SourceKey
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sift_server.expressions import Column, Expression, Signal
    from sift_server.lake import ChannelView, PointStore

EVALUATED_MAX = 10_000_000
"""How many points a page may be made of, beside those that the expression looks back at: where few
values are known a page ends there, perhaps an empty one."""

COMBINED_MAX = 100
"""How many runs may be read as one, times the channels of the expression."""

DATA_TYPES = {
    Type.BOOL: DataType.BOOL,
    Type.INT: DataType.INT_64,
    Type.DOUBLE: DataType.DOUBLE,
    Type.STRING: DataType.STRING,
}
"""What the values of an expression are as points."""


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The run and the time up to which everything was given that there is."""

    run_id: str
    timestamp_ns: int

    @property
    def next_ns(self) -> int:
        """The earliest time behind it."""
        return self.timestamp_ns + 1

    def to_token(self) -> str:
        text = f"{self.timestamp_ns}:{self.run_id}"
        return base64.urlsafe_b64encode(text.encode()).decode("ascii")

    @classmethod
    def from_token(cls, token: str) -> _Cursor:
        try:
            timestamp_ns, run_id = (
                base64.b64decode(token, altchars=b"-_", validate=True).decode().split(":", 1)
            )
            return cls(run_id, int(np.int64(int(timestamp_ns))))
        except (ValueError, OverflowError, binascii.Error):
            raise InvalidArgumentError(
                "page_token is none that this server gave; leave it out for the first page"
            ) from None


_BEGINNING = _Cursor("", TIME_NS_MIN - 1)


class CalculatedReader:
    """Reads expressions page by page, as `query.PointReader` does channels.

    Safe from many threads. A page is computed from everything that was published before the call.
    It begins as far before its first value as the expression looks back, so that the values do not
    depend on the size of pages. Memory is taken for a page and a few windows of the table.
    """

    def __init__(self, store: PointStore) -> None:
        """Take where the points are."""
        self._store = store

    def read(
        self,
        expression: Expression,
        start_ns: int,
        end_ns: int,
        run_id: str | None,
        after: str | None,
        limit: int,
        *,
        combines_runs: bool = False,
    ) -> Page:
        """Read at most `limit` values that are known, sorted by run and time.

        Args:
            expression: The expression; its sources have a `SourceKey`.
            start_ns: Earliest time.
            end_ns: Time that is no longer included.
            run_id: None for each run by itself, and what has none; an empty string for what has no
                run, else a run's id.
            after: `next_cursor` of the page before, or None for the first one.
            limit: Most values to give; at least 1.
            combines_runs: Without a run id: whether the points of all runs are evaluated together.

        Raises:
            InvalidArgumentError: `after` is no cursor.
            ResourceExhaustedError: More than `COMBINED_MAX` runs and channels are to be combined.
        """
        cursor = _BEGINNING if after is None else _Cursor.from_token(after)
        channels = _Channels(self._store, expression)
        page = _Gathered(DATA_TYPES[expression.type], limit)
        for run, run_ids in channels.runs(start_ns, end_ns, run_id, combines_runs):
            if run < cursor.run_id:
                continue
            from_ns = max(start_ns, cursor.next_ns) if run == cursor.run_id else start_ns
            stopped = page.add(run, channels.values(run_ids, from_ns, end_ns))
            if page.is_full:
                return page.cut()
            if stopped is not None:
                return Page(page.runs, stopped.to_token())
        return Page(page.runs, None)

    def sources(
        self,
        expression: Expression,
        start_ns: int,
        end_ns: int,
        run_id: str | None,
        *,
        combines_runs: bool = False,
    ) -> list[RunSource]:
        """The values that are known, run by run, for those who sample them; see `read`."""
        channels = _Channels(self._store, expression)

        def source(run: str, run_ids: list[str]) -> RunSource:
            def read(from_ns: int) -> Iterator[Points]:
                pieces = channels.values(run_ids, max(start_ns, from_ns), end_ns)
                return (points for points, _, _ in pieces if len(points))

            return RunSource(run, read)

        runs = channels.runs(start_ns, end_ns, run_id, combines_runs)
        return [source(run, run_ids) for run, run_ids in runs]


class _Gathered:
    """The values of a page, run by run."""

    def __init__(self, data_type: DataType, limit: int) -> None:
        self.runs: list[RunPoints] = []
        self._kind = kind_of(data_type)
        self._missing = limit + 1  # One more tells whether this is the end.
        self._left = EVALUATED_MAX

    @property
    def is_full(self) -> bool:
        """Whether there is at least one value too many."""
        return self._missing <= 0

    def add(self, run: str, pieces: Iterable[tuple[Points, int, int]]) -> _Cursor | None:
        """Take the values of a run, until it is full, or made of enough points: returns where."""
        parts: list[Points] = []
        stopped: _Cursor | None = None
        for values, count, last_ns in pieces:
            parts.append(values)
            self._missing -= len(values)
            self._left -= count
            if self._left <= 0:
                stopped = _Cursor(run, last_ns)
            if self.is_full or stopped is not None:
                break
        points = joined_points(self._kind, parts)
        if len(points):
            self.runs.append(RunPoints(run, points.timestamps_ns, points.values))
        return stopped

    def cut(self) -> Page:
        """The page without what is too much; only if it is full."""
        last = self.runs.pop()
        kept = len(last.timestamps_ns) + self._missing - 1
        if kept:
            self.runs.append(
                RunPoints(last.run_id, last.timestamps_ns[:kept], last.values.slice(0, kept))
            )
        end = self.runs[-1]
        return Page(self.runs, _Cursor(end.run_id, int(end.timestamps_ns[-1])).to_token())


class _Channels:
    """The channels of an expression, as they were at one moment."""

    def __init__(self, store: PointStore, expression: Expression) -> None:
        self._expression = expression
        self._keys = [_key(source.key) for source in expression.sources]
        types = {key.channel_id: key.data_type for key in self._keys}
        self._views = {
            channel_id: (store.view(channel_id, data_type), data_type)
            for channel_id, data_type in types.items()
        }

    def runs(
        self, start_ns: int, end_ns: int, run_id: str | None, combines_runs: bool
    ) -> list[tuple[str, list[str]]]:
        """What is evaluated by itself, in order: the run that it is called, and whose points."""
        if run_id is not None:
            return [(run_id, [run_id])]
        if not combines_runs:
            return [(run, [run]) for run in self._run_ids(start_ns, end_ns)]
        # What one run has before the start may matter for what another one has behind it.
        start_ns = self._warm_up_start_ns(start_ns)
        run_ids = self._run_ids(start_ns, end_ns)
        if len(run_ids) * len(self._views) > COMBINED_MAX:
            run_ids = [run for run in run_ids if self._has_points(run, start_ns, end_ns)]
        if len(run_ids) > 1 and len(run_ids) * len(self._views) > COMBINED_MAX:
            raise ResourceExhaustedError(
                f"{len(run_ids):,} runs of {len(self._views):,} channels are to be read as one; the"
                f" limit is {COMBINED_MAX} of both together (COMBINED_MAX). Ask for a shorter time,"
                " or without combine_run_data"
            )
        return [("", run_ids)]

    def _run_ids(self, start_ns: int, end_ns: int) -> list[str]:
        """The runs that may have points between two times."""
        views = [view for view, _ in self._views.values()]
        return sorted({run for view in views for run in view.run_ids(start_ns, end_ns)})

    def _has_points(self, run_id: str, start_ns: int, end_ns: int) -> bool:
        return any(
            len(window)
            for view, _ in self._views.values()
            for window in view.read(run_id, start_ns, end_ns)
        )

    def values(
        self, run_ids: Sequence[str], from_ns: int, end_ns: int
    ) -> Iterator[tuple[Points, int, int]]:
        """The values that are known, from a time on, piece by piece.

        Yields:
            The values, of how many points they were made, and the time of the last of those.
        """
        memory = None
        for inputs in self._inputs(run_ids, self._warm_up_start_ns(from_ns), end_ns):
            signal, memory = self._expression.advance(memory, inputs)
            times_ns = signal.times_ns
            if len(times_ns) and times_ns[-1] >= from_ns:
                count = len(times_ns) - int(np.searchsorted(times_ns, from_ns, side="left"))
                yield _known(signal, from_ns), count, int(times_ns[-1])

    def _warm_up_start_ns(self, from_ns: int) -> int:
        lookback_ns = self._expression.lookback_ns
        if lookback_ns is None:
            return TIME_NS_MIN
        return max(from_ns, TIME_NS_MIN + lookback_ns) - lookback_ns

    def _inputs(self, run_ids: Sequence[str], start_ns: int, end_ns: int) -> Iterator[list[Signal]]:
        if len(run_ids) == 1:
            for piece in stored_pieces(self._views, run_ids[0], start_ns, end_ns):
                yield [key.signal(piece[key.channel_id]) for key in self._keys]
            return
        of_runs = {
            f"{channel_id}/{run}": (_OfRun(view, run), data_type)
            for channel_id, (view, data_type) in self._views.items()
            for run in run_ids
        }
        for piece in stored_pieces(of_runs, "", start_ns, end_ns):
            yield [
                key.signal(
                    joined_points(
                        kind_of(key.data_type),
                        [piece[f"{key.channel_id}/{run}"] for run in run_ids],
                    )
                )
                for key in self._keys
            ]


@dataclass(frozen=True, slots=True)
class _OfRun:
    """A channel in one run, whichever is asked for."""

    view: ChannelView
    run_id: str

    def read(self, _run_id: str, start_ns: int, end_ns: int) -> Iterator[Points]:
        return self.view.read(self.run_id, start_ns, end_ns)


def _known(signal: Signal, from_ns: int) -> Points:
    """The values from a time on that are known and fit their data type."""
    first = int(np.searchsorted(signal.times_ns, from_ns, side="left"))
    times_ns = signal.times_ns[first:]
    column = signal.column
    if column.is_literal:
        column = column.written_out(len(signal))
    column = column.part(first, len(signal))
    if column.type is Type.INT:
        column = column.signed()
    known = column.known
    if known is not None and not known.all():
        places = np.flatnonzero(known)
        times_ns, column = times_ns[places], column.take(places)
    return Points(times_ns, _values(column))


def _values(column: Column) -> Any:  # noqa: ANN401 (pyarrow has no types)
    match column.type:
        case Type.STRING:
            return column.values.plain()
        case Type.DOUBLE:
            return pa.array(np.ascontiguousarray(column.doubles()).view(np.uint64))
        case Type.BOOL:
            return pa.array(column.values.astype(np.uint64))
        case _:
            return pa.array(np.ascontiguousarray(column.values).view(np.uint64))


def _key(key: object) -> SourceKey:
    assert isinstance(key, SourceKey)  # noqa: S101 - see `CalculatedReader.read`
    return key
