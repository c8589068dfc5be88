"""Reads channels in one call."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from sift.data.v2.data_pb2 import GetDataRequest
from sift_py.data._finding import Finder
from sift_py.data._moments import to_ns
from sift_py.data._pieces import read_pieces
from sift_py.data._progress import ReadProgress
from sift_py.data._source import connected
from sift_py.data.query import CalculatedChannelQuery, ChannelQuery
from sift_py.data.readings import ChannelReadings, Readings
from sift_py.errors import DataError
from sift_py.ingestion._internal.timestamps import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sift_py.data._finding import Asked
    from sift_py.data._moments import Moment
    from sift_py.data._pieces import About
    from sift_py.data._source import Source
    from sift_py.grpc.transport import SiftChannel

    Wanted: TypeAlias = str | ChannelQuery | CalculatedChannelQuery

__all__ = ["read_channels"]

SAMPLE_MS_MAX = 2**32 - 1

_EVER_NS = -(2**63), 2**63 - 1
"""All times that a server can keep, the end excluded; a client can send a little less."""


def read_channels(
    asset: str,
    channels: Wanted | Sequence[Wanted] = "*",
    start: Moment | None = None,
    end: Moment | None = None,
    *,
    run: str | None = None,
    sample: timedelta | int | None = None,
    source: Source | None = None,
    progress: bool | None = None,
) -> Readings:
    """Read channels of an asset into memory.

    A point can be read as soon as it was acknowledged. Points are sorted by time, each once.

    Args:
        asset: Name of the asset.
        channels: Names, `component.name` where there is a component, of channels and calculated
            channels; `*`, `?` and `[...]` stand for what they do in a shell. Or queries, such as
            `CalculatedChannelQuery` for an expression.
        start: Earliest time: a `datetime` (naive is UTC), nanoseconds since 1970, a text such as
            `2026-01-31T12:00:00.5Z`, a `pandas.Timestamp` or `numpy.datetime64`. None is the
            beginning.
        end: Time that is no longer included; None is the end.
        run: Name, id or client key of a run; an empty string for what has no run, None for all.
        sample: Time that one point stands for, as a `timedelta` or in milliseconds: points are
            chosen so that the curve keeps its shape (largest triangle, three buckets). Of numbers
            only.
        source: A channel, a URI or the folder of a server; None is the URI in the environment
            variable `SIFT_URI`, with the key in `SIFT_API_KEY`. A channel is best for many calls.
        progress: Whether to show on standard error how much was read. None shows it on a terminal,
            if it takes longer than a second.

    Returns:
        The points: see `Readings`. Channels without points are not there.

    Raises:
        DataError: There is no asset, channel or run of the name, several runs are, or a time can't
            be used.
        DataReadError: The server refused, or broke off.
        grpc.RpcError: Another call failed.

    Example:
        ```python
        readings = read_channels(
            "test-stand-3", ["chamber_pressure", "valve.*"], run="hot fire 12", source="./telemetry"
        )
        readings.to_pandas().plot()
        ```
    """
    request = request_of(start, end, sample)
    with connected(source) as channel:
        asked = Finder(channel, asset).find(listed(channels), run)
        return read_asked(channel, request, asked, progress=progress)


def read_asked(
    channel: SiftChannel,
    request: GetDataRequest,
    asked: Sequence[Asked],
    *,
    progress: bool | None = None,
) -> Readings:
    """Read what was found: `request` has the times, and what else is the same for all."""
    request.queries.extend(each.query for each in asked)
    shown = ReadProgress(wanted=progress)
    parts: dict[tuple[int, str], tuple[About, list[Any]]] = {}
    for about, batch in read_pieces(channel, request):
        _, batches = parts.setdefault((about.query, about.run_id), (about, []))
        batches.append(batch)
        shown.add(batch.num_rows)
    shown.end()
    found: list[ChannelReadings] = []
    for about, batches in parts.values():
        found += readings_of(asked[about.query].name, about, batches)
    return Readings(found)


def readings_of(name: str, about: About, batches: list[Any]) -> Iterable[ChannelReadings]:
    """Points of one query and run, that came in pieces, under the name that it was asked for by."""
    table = pa.Table.from_batches(batches)
    times = table["time"]
    for column in table.column_names[1:]:
        yield ChannelReadings(
            f"{name}.{column}" if about.data_type == "BIT_FIELD" else name,
            name,
            about.channel_id,
            about.data_type,
            about.unit,
            {key: state for state, key in about.enum_types},
            about.asset,
            about.run,
            about.run_id,
            about.sampled_ms,
            times,
            table[column],
        )


def request_of(
    start: Moment | None, end: Moment | None, sample: timedelta | int | None
) -> GetDataRequest:
    """A request without queries, of what `read_channels` takes.

    Raises:
        DataError: A time can't be used.
    """
    start_ns = _EVER_NS[0] if start is None else to_ns(start, "start")
    end_ns = _EVER_NS[1] if end is None else to_ns(end, "end")
    if end_ns < start_ns:
        raise DataError(f"end, {end!r}, is before start, {start!r}.")
    return request_between(start_ns, end_ns, _sample_ms(sample))


def request_between(start_ns: int, end_ns: int, sample_ms: int) -> GetDataRequest:
    """A request without queries."""
    request = GetDataRequest(sample_ms=sample_ms)
    for timestamp, nanoseconds in ((request.start_time, start_ns), (request.end_time, end_ns)):
        timestamp.seconds, timestamp.nanos = divmod(nanoseconds, NS_PER_S)
    return request


def _sample_ms(sample: timedelta | int | None) -> int:
    if sample is None:
        return 0
    milliseconds = sample
    if isinstance(sample, timedelta):
        milliseconds, rest = divmod(sample, timedelta(milliseconds=1))
        if rest:
            raise DataError(f"sample must be whole milliseconds, got {sample!r}.")
    if not isinstance(milliseconds, int) or not 0 < milliseconds <= SAMPLE_MS_MAX:
        raise DataError(
            f"sample must be a timedelta, or milliseconds from 1 to {SAMPLE_MS_MAX}, got"
            f" {sample!r}."
        )
    return milliseconds


def listed(channels: Wanted | Sequence[Wanted]) -> list[Wanted]:
    """Channels as a list, also if it is one."""
    if isinstance(channels, str | ChannelQuery | CalculatedChannelQuery):
        return [channels]
    return list(channels)
