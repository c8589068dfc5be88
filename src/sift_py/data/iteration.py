"""Reads channels span by span: what does not fit into memory."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from sift.runs.v2.runs_pb2 import ListRunsRequest
from sift.runs.v2.runs_pb2_grpc import RunServiceStub
from sift_py.data._finding import Finder
from sift_py.data._pieces import first_piece, read_pieces, with_queries
from sift_py.data._progress import ReadProgress
from sift_py.data._source import connected
from sift_py.data._spans import Spans
from sift_py.data.reading import listed, readings_of, request_between, request_of
from sift_py.data.readings import Readings
from sift_py.errors import DataError
from sift_py.ingestion._internal.timestamps import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from datetime import timedelta

    from google.protobuf.timestamp_pb2 import Timestamp

    from sift.data.v2.data_pb2 import GetDataRequest
    from sift_py.data._finding import Asked
    from sift_py.data._moments import Moment
    from sift_py.data._pieces import About
    from sift_py.data._source import Source
    from sift_py.data.reading import Wanted
    from sift_py.grpc.transport import SiftChannel

__all__ = ["iter_channels"]

BATCH_POINTS = 1_000_000


def iter_channels(
    asset: str,
    channels: Wanted | Sequence[Wanted] = "*",
    start: Moment | None = None,
    end: Moment | None = None,
    *,
    run: str | None = None,
    sample: timedelta | int | None = None,
    batch_points: int = BATCH_POINTS,
    source: Source | None = None,
    progress: bool | None = None,
) -> Iterator[Readings]:
    """Read channels of an asset span by span, however many points there are.

    The spans follow each other in time, and their wide tables one behind the other are that of one
    call of `read_channels`: all have the same columns, those of the channels that have a point in
    some span. If `run` names no run, and the server has some, they have the column `run`, and the
    rows of several runs come span by span. With `sample`, each span is sampled for itself.

    Memory is taken for about twice `batch_points`, unless more have one time.

    Args:
        asset: As in `read_channels`, as all others that are not told here.
        channels: The channels.
        start: Earliest time.
        end: Time that is no longer included.
        run: The run.
        sample: Time that one point stands for.
        batch_points: About how many points a span has: twice as many at most, at 1 ns or longer.
            Each element of a bit field counts as one.
        source: Where to read from. It is used until the iterator ends or is closed.
        progress: Whether to show how much was read.

    Yields:
        The points of a span, at least one. Channels that have none in it are there, empty.

    Raises:
        DataError: As `read_channels`; or `batch_points` is below 1.
        DataReadError: The server refused, or broke off.
        grpc.RpcError: The same, from a server that has only pages.

    Example:
        ```python
        for readings in iter_channels("test-stand-3", run="hot fire 12", source="./telemetry"):
            writer.write_table(readings.to_arrow())
        ```
    """
    if batch_points < 1:
        raise DataError(f"batch_points must be at least 1, got {batch_points}.")
    request = request_of(start, end, sample)
    return _iterate(asset, listed(channels), run, request, batch_points, source, progress)


def _iterate(
    asset: str,
    wanted: list[Wanted],
    run: str | None,
    request: GetDataRequest,
    batch_points: int,
    source: Source | None,
    progress: bool | None,
) -> Iterator[Readings]:
    with connected(source) as channel:
        asked = Finder(channel, asset).find(wanted, run)
        has_runs = _have_runs(channel, asked)
        shown = ReadProgress(wanted=progress)
        for readings in iter_asked(
            _OfChannel(channel), request, asked, batch_points, has_runs=has_runs
        ):
            shown.add(readings.points)
            yield readings
        shown.end()


class Pieces(Protocol):
    """Where points come from, piece by piece: what they are of, and a record batch."""

    def read(self, request: GetDataRequest, /) -> Generator[tuple[About, Any]]:
        """All that a request is about, as `read_pieces` gives it."""

    def first(self, request: GetDataRequest, /) -> tuple[About, Any] | None:
        """Some of it, at least one point; None if there is none."""


@dataclass(frozen=True)
class _OfChannel:
    """Pieces that a server gives."""

    channel: SiftChannel

    def read(self, request: GetDataRequest, /) -> Generator[tuple[About, Any]]:
        return read_pieces(self.channel, request)

    def first(self, request: GetDataRequest, /) -> tuple[About, Any] | None:
        return first_piece(self.channel, request)


def iter_asked(
    pieces: Pieces,
    request: GetDataRequest,
    asked: Sequence[Asked],
    batch_points: int,
    *,
    has_runs: bool,
) -> Iterator[Readings]:
    """The spans of what was found, as `iter_channels` gives them.

    Args:
        pieces: Where points come from.
        request: The times, and what else is the same for all.
        asked: What to read.
        batch_points: As in `iter_channels`.
        has_runs: Whether wide tables have the column `run`.
    """
    reader = _SpanReader(pieces, request, asked, has_runs=has_runs)
    spans = Spans(_ns(request.start_time), _ns(request.end_time), batch_points)
    while asked and not spans.is_done:
        span = reader.read(spans)
        if span.is_whole:
            spans.done(span.points)
        else:
            spans.broken_off(span.times_ns(), span.queries / len(asked))
            reader.look_at_all()
        if span.is_whole and span.points:
            yield reader.readings(span)


@dataclass(slots=True)
class _Span:
    """What came of a span.

    Attributes:
        parts: The pieces, by query and run.
        points: How many points they have.
        queries: How many queries they are of, as far as it came.
        is_whole: Whether it was read to its end.
    """

    parts: dict[tuple[int, str], tuple[About, list[Any]]] = field(default_factory=dict)
    points: int = 0
    queries: int = 0
    is_whole: bool = True

    def times_ns(self) -> list[Any]:
        """Times of all points."""
        return [
            batch.column(0).cast(pa.int64()).to_numpy()
            for _, batches in self.parts.values()
            for batch in batches
        ]


class _SpanReader:
    """Reads spans, and knows which channels have points in any of them."""

    def __init__(
        self,
        pieces: Pieces,
        request: GetDataRequest,
        asked: Sequence[Asked],
        *,
        has_runs: bool,
    ) -> None:
        self._pieces = pieces
        self._request = with_queries(request, (each.query for each in asked))
        self._asked = asked
        self._has_runs = has_runs
        self._empty: dict[int, tuple[About, Any]] = {}
        """Of each query that has points: what they are of, and a batch without any."""
        self._knows_all = False

    def read(self, spans: Spans) -> _Span:
        """Read the next span, as far as it is not too large."""
        request = request_between(spans.start_ns, spans.end_ns, self._request.sample_ms)
        request.queries.extend(self._request.queries)
        span, points_max = _Span(), spans.points_max
        with closing(self._pieces.read(request)) as pieces:
            for about, batch in pieces:
                self._empty.setdefault(about.query, (about, batch.slice(0, 0)))
                _, batches = span.parts.setdefault((about.query, about.run_id), (about, []))
                batches.append(batch)
                span.points += batch.num_rows * (batch.num_columns - 1)
                span.queries = about.query + 1
                if points_max is not None and span.points > points_max:
                    span.is_whole = False
                    return span
        return span

    def look_at_all(self) -> None:
        """Find out which channels have points in some span, as there will be more than one."""
        if self._knows_all:
            return
        self._knows_all = True
        for number, each in enumerate(self._asked):
            if number in self._empty:
                continue
            found = self._pieces.first(with_queries(self._request, [each.query]))
            if found is not None:
                about, batch = found
                self._empty[number] = about, batch.slice(0, 0)

    def readings(self, span: _Span) -> Readings:
        """The points of a span, and an empty place for each channel that has none in it."""
        parts: dict[int, list[tuple[About, list[Any]]]] = {
            number: [(about, [batch])] for number, (about, batch) in sorted(self._empty.items())
        }
        for number in {number for number, _ in span.parts}:
            parts[number] = []
        for (number, _), part in span.parts.items():
            parts[number].append(part)
        return Readings(
            [
                one
                for number, mine in parts.items()
                for about, batches in mine
                for one in readings_of(self._asked[number].name, about, batches)
            ],
            has_runs=self._has_runs,
        )


def _have_runs(channel: SiftChannel, asked: Sequence[Asked]) -> bool:
    """Whether points may be of several runs."""
    run_ids = set()
    for each in asked:
        query = (
            each.query.channel if each.query.HasField("channel") else each.query.calculated_channel
        )
        run_ids.add(query.run_id if query.HasField("run_id") else None)
    if len(run_ids) == 1 and None not in run_ids:
        return False
    stub: Any = RunServiceStub(channel)
    return bool(stub.ListRuns(ListRunsRequest(page_size=1)).runs)


def _ns(timestamp: Timestamp) -> int:
    return timestamp.seconds * NS_PER_S + timestamp.nanos
