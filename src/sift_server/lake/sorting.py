"""Blocks become points sorted by date, channel and time, a row group at a time.

The arrays of all blocks are put one behind the other as they are. Their rows are cut into segments
(`gathering`), and a row group is gathered from these, channel by channel in the order of ids. Only
where times go back are points compared. A row group is made of whole channels if it can be, so that
a channel rarely lies in two, and memory is taken for a row group or two at a time beside the joined
arrays.

There is no Python for a point, a row or a group: a flush of a row each of a hundred thousand flows
costs little more a point than one of many rows of one flow, and other threads get their turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_server.lake import gathering
from sift_server.lake.chunk import PointChunk
from sift_server.lake.points import VARIABLE_KINDS, Kind, kind_of
from sift_server.lake.repeats import without_repeats
from sift_wire import kernels
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sift_server.lake.block import PointBlock, PointFlow

SEGMENTS_MAX = 512 * 1024
"""Segments that are made at a time, of 80 bytes, up to three times in memory."""

HEAP_BYTES_MAX = 1024 * 1024 * 1024
"""Bytes of strings that are joined at a time, or one block's, which has less than 4 GiB: words have
32 bits for the place where a string begins."""

_VARIABLE = list(VARIABLE_KINDS)
_FOREVER_NS = (-(2**63), 2**63 - 1)
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")

_KIND_OF_FIELD = np.zeros(max(each.value_field for each in DataType) + 1, np.uint8)
for _data_type in DataType:
    _KIND_OF_FIELD[_data_type.value_field] = kind_of(_data_type)


class DayOfPoints(NamedTuple):
    """Points of one UTC date.

    Attributes:
        day: Days since 1970-01-01.
        kinds: Kinds of values that there may be.
        has_runs: Whether there may be points of a run.
        chunks: The points, in the order of channel ids; no chunk is empty. Each point is there
            once, and all of a channel and a time are in one chunk.
    """

    day: int
    kinds: frozenset[Kind]
    has_runs: bool
    chunks: Iterator[PointChunk]


def sorted_points(blocks: Sequence[PointBlock], points_max: int) -> Iterator[DayOfPoints]:
    """Sort what is there, date by date.

    Args:
        blocks: The blocks, in order of arrival.
        points_max: Points of a chunk. It is exceeded only if one channel has more at one time.

    Yields:
        Dates in order; begins anew behind `SEGMENTS_MAX` segments or `HEAP_BYTES_MAX`.
    """
    for portion in _portions(blocks):
        yield from _sorted_portion(portion, points_max)


def _portions(blocks: Sequence[PointBlock]) -> Iterator[Sequence[PointBlock]]:
    """Cut blocks so that few segments are made of them at a time, usually not at all."""
    first = segments = heap_bytes = 0
    for number, block in enumerate(blocks):
        more = gathering.count_segments(block.groups, block.timestamps_ns)
        is_much = segments + more > SEGMENTS_MAX or heap_bytes + len(block.heap) > HEAP_BYTES_MAX
        if segments and is_much:
            yield blocks[first:number]
            first, segments, heap_bytes = number, 0, 0
        segments += more
        heap_bytes += len(block.heap)
    if first < len(blocks):
        yield blocks[first:]


def _sorted_portion(blocks: Sequence[PointBlock], points_max: int) -> Iterator[DayOfPoints]:
    rows = _Rows.of(blocks)
    channels = _Channels.of(rows.flows)
    days = rows.segments[:, gathering.SEGMENT_DAY]
    first, last = int(days.min()), int(days.max())
    for day in [first] if first == last else np.unique(days).tolist():
        segments = rows.segments if first == last else rows.segments[days == day]
        flows = _numbers_in(segments[:, gathering.SEGMENT_FLOW], len(rows.flows))
        fields = b"".join([rows.flows[flow].layout.value_fields for flow in flows])
        kinds = _numbers_in(_KIND_OF_FIELD[np.frombuffer(fields, np.uint8)], len(Kind))
        runs = _numbers_in(segments[:, gathering.SEGMENT_RUN], len(rows.run_ids))
        yield DayOfPoints(
            day,
            frozenset(map(Kind, kinds)),
            any(rows.run_ids[run] for run in runs),
            _Day(rows, channels, segments).chunks(points_max),
        )


def _numbers_in(numbers: NDArray[Any], end: int) -> list[int]:
    """The different numbers in an array of such that are less than `end`, sorted."""
    is_in = np.zeros(end, np.bool_)
    is_in[numbers] = True
    found: list[int] = np.flatnonzero(is_in).tolist()
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The rows of all blocks.

    Attributes:
        flows: The flows that they are of, each once.
        run_ids: The runs that they are of, each once.
        timestamps_ns: int64. Times of the blocks' rows, one block behind the other.
        words: uint64. Their words.
        present: bool. Where there is a value.
        heap: Their heaps.
        segments: int64, shape (segments, `SEGMENT_COLUMNS`), sorted by flow.
    """

    flows: list[PointFlow]
    run_ids: list[str]
    timestamps_ns: NDArray[np.int64]
    words: NDArray[np.uint64]
    present: NDArray[np.bool_]
    heap: bytes
    segments: NDArray[np.int64]

    @classmethod
    def of(cls, blocks: Sequence[PointBlock]) -> _Rows:
        """Join blocks."""
        groups = np.concatenate([block.groups for block in blocks])
        counts = np.array([len(block) for block in blocks])
        groups[:, kernels.ROWS_START] += _starts([len(b.timestamps_ns) for b in blocks], counts)
        groups[:, kernels.CELLS_START] += _starts([len(b.words) for b in blocks], counts)
        heap_starts = _starts([len(block.heap) for block in blocks], counts)
        runs = {run_id: number for number, run_id in enumerate(_run_ids(blocks))}
        of_blocks = list(chain.from_iterable(block.run_ids for block in blocks))
        run_starts = _starts([len(block.run_ids) for block in blocks], counts)
        numbers = np.array([runs[run_id] for run_id in of_blocks])
        groups[:, kernels.RUN] = numbers[groups[:, kernels.RUN] + run_starts]
        flows = _number_flows(blocks, counts, groups)
        timestamps_ns = np.concatenate([block.timestamps_ns for block in blocks])
        count = gathering.count_segments(groups, timestamps_ns)
        segments = np.empty((count, gathering.SEGMENT_COLUMNS), np.int64)
        gathering.cut_segments(groups, heap_starts, timestamps_ns, segments)
        return cls(
            flows,
            list(runs),
            timestamps_ns,
            np.concatenate([block.words for block in blocks]),
            np.concatenate([block.present for block in blocks]),
            b"".join([block.heap for block in blocks]),
            segments[np.argsort(segments[:, gathering.SEGMENT_FLOW], kind="stable")],
        )


def _starts(lengths: list[int], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where what has these lengths begins, for each group of each block."""
    return np.repeat(np.cumsum([0, *lengths[:-1]]), counts)


def _run_ids(blocks: Sequence[PointBlock]) -> dict[str, None]:
    return dict.fromkeys(chain.from_iterable(block.run_ids for block in blocks))


def _number_flows(
    blocks: Sequence[PointBlock], counts: NDArray[np.int64], groups: NDArray[np.int64]
) -> list[PointFlow]:
    """Number the flows of groups without gaps, and return them.

    Usually all blocks have the same list of flows.
    """
    lists = {id(block.flows): block.flows for block in blocks}
    list_of = np.repeat([id(block.flows) for block in blocks], counts)
    flows: list[PointFlow] = []
    for key, numbered in lists.items():
        mine = np.flatnonzero(list_of == key) if len(lists) > 1 else slice(None)
        numbers = groups[mine, kernels.FLOW]
        used = np.zeros(int(numbers.max()) + 1, np.bool_)
        used[numbers] = True
        groups[mine, kernels.FLOW] = (np.cumsum(used) - 1 + len(flows))[numbers]
        flows += [numbered[number] for number in np.flatnonzero(used).tolist()]
    return flows


@dataclass(frozen=True, slots=True, eq=False)
class _Channels:
    """The channels of flows, sorted by id.

    Attributes:
        names: Arrow record batch with `asset`, `channel` and `channel_id`, each id once.
        places: int64, shape (places, 3). As `gathering.gather_points` takes them; a channel that
            several flows have has several places.
        kinds: uint8, shape (places,). `Kind` of the values.
    """

    names: Any
    places: NDArray[np.int64]
    kinds: NDArray[np.uint8]

    @classmethod
    def of(cls, flows: Sequence[PointFlow]) -> _Channels:
        """The channels of some flows."""
        widths = np.array([len(flow.channel_ids) for flow in flows])
        flow = np.repeat(np.arange(len(flows)), widths)
        index = np.arange(len(flow)) - np.repeat(np.cumsum(widths) - widths, widths)
        ids = pa.array(chain.from_iterable(flow.channel_ids for flow in flows), pa.string())
        names = pa.array(chain.from_iterable(f.layout.channel_names for f in flows), pa.string())
        assets = pa.array([flow.asset_name for flow in flows], pa.string())
        order = pc.sort_indices(ids).to_numpy()
        ids = ids.take(pa.array(order))
        is_new = np.ones(len(order), np.bool_)
        is_new[1:] = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
        firsts = order[is_new]
        kinds = _KIND_OF_FIELD[
            np.frombuffer(b"".join(flow.layout.value_fields for flow in flows), np.uint8)
        ]
        return cls(
            pa.record_batch(
                {
                    "asset": assets.take(pa.array(flow[firsts])),
                    "channel": names.take(pa.array(firsts)),
                    "channel_id": ids.filter(pa.array(is_new)),
                }
            ),
            np.column_stack([np.cumsum(is_new) - 1, flow[order], index[order]]),
            kinds[order],
        )


class _Day:
    """Points of one date."""

    def __init__(self, rows: _Rows, channels: _Channels, segments: NDArray[np.int64]) -> None:
        self._rows = rows
        self._channels = channels
        self._segments = segments
        numbers = np.arange(len(rows.flows) + 1)
        flow_of = segments[:, gathering.SEGMENT_FLOW]
        self._segments_from = np.searchsorted(flow_of, numbers)
        rows_until = np.cumsum(np.append(0, segments[:, gathering.SEGMENT_ROWS]))
        rows_of_flow = np.diff(rows_until[self._segments_from])
        self._lengths = rows_of_flow[channels.places[:, 1]]

    def chunks(self, points_max: int) -> Iterator[PointChunk]:
        """Cut between channels, or inside of one that has more than `points_max`."""
        places = self._channels.places
        if not len(places):
            return
        starts = np.flatnonzero(np.diff(places[:, 0], prepend=-1))
        edges = [*starts.tolist(), len(places)]
        ends = np.cumsum(self._lengths)[np.array(edges[1:]) - 1]
        channel = 0
        while channel < len(starts):
            before = int(ends[channel - 1]) if channel else 0
            behind = int(np.searchsorted(ends, before + points_max, side="right"))
            if behind > channel:
                points = int(ends[behind - 1]) - before
                yield from self._chunk(edges[channel], edges[behind], points)
                channel = behind
            else:
                yield from self._pieces(edges[channel], edges[channel + 1], points_max)
                channel += 1

    def _pieces(self, first: int, last: int, points_max: int) -> Iterator[PointChunk]:
        """Cut the points of one channel between times."""
        times_ns = np.sort(self._times_ns(first, last), kind="stable")
        start = 0
        while start < len(times_ns):
            end = min(start + points_max, len(times_ns))
            if end < len(times_ns):
                before, behind = (
                    int(np.searchsorted(times_ns, times_ns[end], side)) for side in _SIDES
                )
                end = before if before > start else behind
            yield from self._chunk(
                first, last, end - start, int(times_ns[start]), int(times_ns[end - 1])
            )
            start = end

    def _times_ns(self, first: int, last: int) -> NDArray[np.int64]:
        """Times of all rows of some places."""
        segments = np.concatenate(
            [
                self._segments[self._segments_from[flow] : self._segments_from[flow + 1]]
                for flow in self._channels.places[first:last, 1].tolist()
            ]
        )
        rows = segments[:, gathering.SEGMENT_ROWS]
        starts = segments[:, gathering.SEGMENT_TIMES] - (np.cumsum(rows) - rows)
        times_ns: NDArray[np.int64] = self._rows.timestamps_ns[
            np.arange(rows.sum()) + np.repeat(starts, rows)
        ]
        return times_ns

    def _chunk(
        self,
        first: int,
        last: int,
        points: int,
        first_ns: int = _FOREVER_NS[0],
        last_ns: int = _FOREVER_NS[1],
    ) -> Iterator[PointChunk]:
        """The points of some places as one chunk; nothing if there are none."""
        places, kinds = self._channels.places[first:last], self._channels.kinds[first:last]
        place = np.empty(points, np.int32)
        run = np.empty(points, np.int32)
        times_ns = np.empty(points, np.int64)
        words = np.empty(points, np.uint64)
        count, in_order, has_ties = gathering.gather_points(
            places,
            np.isin(kinds, _VARIABLE),
            self._segments,
            self._segments_from,
            self._rows.timestamps_ns,
            self._rows.words,
            self._rows.present,
            first_ns,
            last_ns,
            place,
            run,
            times_ns,
            words,
        )
        if not count:
            return
        place = place[:count]
        first_channel, last_channel = places[[0, -1], 0].tolist()
        number_of = (places[:, 0] - first_channel).astype(np.int32)
        run_ids, run = _used(self._rows.run_ids, run[:count])
        chunk = PointChunk(
            self._channels.names.slice(first_channel, last_channel - first_channel + 1),
            run_ids,
            number_of[place],
            run,
            times_ns[:count],
            kinds[place],
            words[:count],
            self._rows.heap,
        )
        if not in_order:
            chunk = chunk.take(np.lexsort((chunk.timestamps_ns, chunk.channel)))
        if has_ties or not in_order:
            chunk = without_repeats(chunk)
        yield chunk


def _used(run_ids: list[str], runs: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int32]]:
    """The ids that are used, and the numbers that they then have."""
    if len(run_ids) == 1:
        return run_ids, runs
    used = np.zeros(len(run_ids), np.bool_)
    used[runs] = True
    numbers = (np.cumsum(used) - 1).astype(np.int32)
    return [run_ids[number] for number in np.flatnonzero(used).tolist()], numbers[runs]
