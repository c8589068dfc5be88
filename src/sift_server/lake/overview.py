"""Points summed up in bins of time, so that a picture of many points needs few of them.

1. The time of a channel and run in a file is cut into bins: nanoseconds of which all but the lowest
   so many bits are the same, so that bins of any files lie inside of each other. In the finest
   level there are about `SPAN_POINTS` points to a bin; each level is four times as wide as the one
   below, until there are `LEVEL_BINS_MIN` bins or fewer. Bins without points are left out.
2. A bin has the last point and the smallest and the largest value. These do not change when points
   are there twice, also in two files that overlap. A mean would, so there is none.
3. Buckets of a picture are as wide as a number of bins of some width, at least
   `BINS_PER_BUCKET_MIN`, and begin where one does. So they are made of whole bins, except at the
   ends of the time asked for. These, points that have no bins that are narrow enough, and those
   that are not in a file yet, are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_server.lake.overview_kernels import KEY_MAX, SPAN_POINTS, bin_points, fold_bins
from sift_server.lake.points import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sift_server.lake.chunk import PointChunk

POINTS_MIN = SPAN_POINTS
"""Points from which on a channel has bins in a file; fewer are read as fast as they are."""

LEVEL_BINS_MIN = 16
"""Bins of a level that has no wider one above."""

BINS_PER_BUCKET_MIN = 16
"""How many of the widest bins that are used are in a bucket, at the least: there may be fewer
buckets than asked for, by one of so many."""

BIN_COLUMNS = ("bin", "last_ns", "last", "smallest", "largest")
"""Columns of bins: the bits of their times that are the same, as a number; time and word of the
last point (the largest word, if several are at that time); the smallest and the largest key."""

_RUN_BITS = 32
_LEVEL_BITS = 6


class FileBins:
    """The bins of a file that is written chunk by chunk. Not thread-safe."""

    def __init__(self) -> None:
        self._channel_ids: list[str] = []
        self._runs: dict[str, int] = {}
        self._last_id: str | None = None
        self._owners: list[NDArray[np.int64]] = []
        self._shifts: list[NDArray[np.int32]] = []
        self._bins: list[NDArray[np.int64]] = []

    def add(self, chunk: PointChunk) -> None:
        """Sum up the chunk that comes next in the file."""
        points = len(chunk)
        owner, bins = np.empty((3, points), np.int32), np.empty((5, points), np.int64)
        goes_on = chunk.channel_id_min == self._last_id
        self._last_id = chunk.channel_id_max
        count = bin_points(
            chunk.ranks(),
            chunk.run,
            len(chunk.run_ids),
            chunk.timestamps_ns,
            chunk.kind,
            chunk.words,
            POINTS_MIN,
            goes_on,
            owner,
            bins,
        )
        if not count:
            return
        ranks, channel = np.unique(owner[0, :count], return_inverse=True)
        ids = chunk.channel_ids_of(ranks)
        if goes_on and self._channel_ids and self._channel_ids[-1] == ids[0]:
            del ids[0]
            channel = channel - 1
        numbers = channel + len(self._channel_ids)
        self._channel_ids += ids
        runs = np.array([self._runs.setdefault(run, len(self._runs)) for run in chunk.run_ids])
        self._owners.append((numbers << _RUN_BITS) | runs[owner[1, :count]])
        self._shifts.append(owner[2, :count].copy())
        self._bins.append(bins[:, :count].copy())

    def to_table(self) -> Any:  # noqa: ANN401 (pyarrow has no types)
        """All bins, a row a channel, run and level, sorted by channel id, run and width.

        Columns are `channel_id`, `run_id`, `shift`, the logarithm of the width to the base of two,
        and `BIN_COLUMNS`, which are lists.
        """
        owner, shift, bins = self._finest()
        levels = [(owner, shift, bins)]
        while len(owner):
            owner, shift, bins = _wider(owner, shift, bins)
            levels.append((owner, shift, bins))
        number = np.repeat(np.arange(len(levels)), [len(each[0]) for each in levels])
        owner, shift, bins = (np.concatenate(each, axis=-1) for each in zip(*levels, strict=True))
        order = np.lexsort((number, owner))
        owner, shift, number = owner[order], shift[order], number[order]
        bins = bins.take(order, axis=1)
        starts = np.flatnonzero(
            np.diff(owner, prepend=-1).astype(bool) | np.diff(number, prepend=-1).astype(bool)
        )
        offsets = pa.array(np.append(starts, len(owner)).astype(np.int32))
        ids, runs = (
            pa.array(self._channel_ids, pa.string()),
            pa.array(list(self._runs), pa.string()),
        )
        rows = owner[starts]
        return pa.table(
            {
                "channel_id": ids.take(pa.array(rows >> _RUN_BITS)),
                "run_id": runs.take(pa.array(rows & ((1 << _RUN_BITS) - 1))),
                "shift": pa.array(shift[starts].astype(np.uint8)),
                **{
                    name: pa.ListArray.from_arrays(offsets, pa.array(column))
                    for name, column in zip(BIN_COLUMNS, bins, strict=True)
                },
            }
        )

    def _finest(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        """Bins of the finest level; those of one channel and run are as wide as the widest."""
        owner = np.concatenate([np.empty(0, np.int64), *self._owners])
        shift = np.concatenate([np.empty(0, np.int32), *self._shifts])
        bins = np.concatenate([np.empty((5, 0), np.int64), *self._bins], axis=1)
        order = np.argsort(owner, kind="stable")
        owner, shift, bins = owner[order], shift[order], bins.take(order, axis=1)
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        if len(starts):
            counts = np.diff(np.append(starts, len(owner)))
            widest = np.repeat(np.maximum.reduceat(shift, starts), counts)
            bins[0] >>= widest - shift
            shift = widest
        return _folded(owner, shift, bins)


def _wider(
    owner: NDArray[np.int64], shift: NDArray[np.int32], bins: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """The bins of the next level, of those that have one."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    counts = np.diff(np.append(starts, len(owner)))
    more = np.repeat(counts > LEVEL_BINS_MIN, counts)
    bins = bins.compress(more, axis=1)
    bins[0] >>= 2
    return _folded(owner[more], shift[more] + np.int32(2), bins)


def _folded(
    owner: NDArray[np.int64], shift: NDArray[np.int32], bins: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Join bins of one owner that have the same place now, where they are."""
    folded = owner.copy()
    count = fold_bins(owner, bins, folded, bins)
    return folded[:count], shift[np.searchsorted(owner, folded[:count])], bins[:, :count]


@dataclass(frozen=True, slots=True)
class Buckets:
    """How a time range is cut into buckets.

    Attributes:
        first_ns: Where the first one begins: at the start of the range, or before.
        width_ns: How wide they are.
        count: How many there are.
        shift: Logarithm of the width of the widest bins that lie in one bucket each.
        whole_first_ns: From here...
        whole_last_ns: ...to here, excluded, bins of that width are inside of the range.
    """

    first_ns: int
    width_ns: int
    count: int
    shift: int
    whole_first_ns: int
    whole_last_ns: int

    @classmethod
    def of(cls, start_ns: int, end_ns: int, buckets: int) -> Buckets:
        """Cut the time from a start to an end, excluded and later, into so many at most."""
        shift = max(0, ((end_ns - start_ns) // (buckets * BINS_PER_BUCKET_MIN)).bit_length() - 1)
        bin_ns = 1 << shift
        first_ns = start_ns // bin_ns * bin_ns
        bins = -(-(end_ns - first_ns) // bin_ns)
        bins_per_bucket = -(-bins // buckets)
        whole_first_ns = -(-start_ns // bin_ns) * bin_ns
        whole_last_ns = max(whole_first_ns, end_ns // bin_ns * bin_ns)
        return cls(
            first_ns,
            bins_per_bucket * bin_ns,
            -(-bins // bins_per_bucket),
            shift,
            whole_first_ns,
            whole_last_ns,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """What there is of a channel in buckets of time; those without points are left out.

    Attributes:
        bucket_ns: How wide buckets are.
        starts_ns: int64, shape (buckets,). Where each begins; the first one perhaps a little before
            the time that was asked for, of which no point is in it.
        last_ns: int64, the same shape. Time of the last point.
        last: Value of the last point; the one with the largest bits if several are at that time.
        minimum: Smallest value; NaN only where there is nothing else.
        maximum: Largest value, the same.

    The arrays of values have the type of the channel: float64, float32, int64, uint64 or bool.
    """

    bucket_ns: int
    starts_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]
    last: NDArray[Any]
    minimum: NDArray[Any]
    maximum: NDArray[Any]


def values_of_words(words: NDArray[np.int64], kind: Kind) -> Any:  # noqa: ANN401
    """Values as arrays have them."""
    match kind:
        case Kind.DOUBLE:
            return words.view(np.float64)
        case Kind.FLOAT:
            return words.astype(np.uint32).view(np.float32)
        case Kind.UINT64:
            return words.view(np.uint64)
        case Kind.BOOL:
            return words != 0
        case _:
            return words


def values_of_keys(keys: NDArray[np.int64], is_none: NDArray[np.bool_], kind: Kind) -> Any:  # noqa: ANN401
    """Values that have keys; NaN where there is none."""
    if kind is Kind.UINT64:
        return values_of_words(keys ^ np.int64(-(2**63)), kind)
    if kind not in (Kind.DOUBLE, Kind.FLOAT):
        return values_of_words(keys, kind)
    keys = np.where(is_none, np.int64(0), keys)
    magnitude = np.int64(KEY_MAX if kind is Kind.DOUBLE else 2**31 - 1)
    values = values_of_words(keys ^ ((keys >> np.int64(63)) & magnitude), kind)
    values[is_none] = np.nan
    return values
