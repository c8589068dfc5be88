"""Pages of samples: of a channel's points those that `lttb` chooses, run by run.

Points are read window by window. As many as two buckets have are held at a time, up to
`HELD_POINTS_MAX`; what is larger is read again instead: once for the mean of the bucket behind it,
once to choose.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sift_server.errors import InvalidArgumentError
from sift_server.lake import points_once
from sift_server.query import lttb
from sift_server.query.reader import Page, RunPoints
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sift_server.lake import Points, PointStore

HELD_POINTS_MAX = 2_000_000
"""Points that are held until enough is known to choose, at least 2: 48 MB, and as much again for a
moment."""

SAMPLED_MAX = 10_000_000
"""How many points a page may be made of: behind them it ends with the bucket that it is in."""

_CHOSEN_AT_ONCE = 65_536

_NS_MIN = -(2**63)

_NUMERIC = frozenset(
    {
        DataType.DOUBLE,
        DataType.FLOAT,
        DataType.INT_32,
        DataType.UINT_32,
        DataType.INT_64,
        DataType.UINT_64,
    }
)


def is_sampled(data_type: DataType) -> bool:
    """Whether values have sizes, so that some of them show how the others run.

    Those of enums, bit fields, bools and strings of bytes have none: each change counts.
    """
    return data_type in _NUMERIC


@dataclass(frozen=True, slots=True)
class RunSource:
    """The points of one run.

    Attributes:
        run_id: The run, or an empty string.
        read: Reads the points from a time on, sorted by time and value, each once, in windows none
            of which is empty. It reads the same each time.
    """

    run_id: str
    read: Callable[[int], Iterator[Points]]


def channel_sources(
    store: PointStore,
    channel_id: str,
    data_type: DataType,
    start_ns: int,
    end_ns: int,
    run_id: str | None,
) -> list[RunSource]:
    """The points of a channel as they are now, run by run.

    Args:
        store: Where they are.
        channel_id: Which channel.
        data_type: Its data type.
        start_ns: Earliest time.
        end_ns: Time that is no longer included.
        run_id: None for all points, an empty string for those without a run, else a run's id.
    """
    view = store.view(channel_id, data_type)

    def source(run: str) -> RunSource:
        def read(from_ns: int) -> Iterator[Points]:
            return map(points_once, view.read(run, max(start_ns, from_ns), end_ns))

        return RunSource(run, read)

    return [source(run) for run in (view.run_ids(start_ns, end_ns) if run_id is None else [run_id])]


@dataclass(frozen=True, slots=True)
class _Point:
    timestamp_ns: int
    word: int


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The last point that was given, and the last one of its bucket, behind which it goes on."""

    run_id: str
    chosen: _Point
    end: _Point

    def to_token(self) -> str:
        chosen, end = self.chosen, self.end
        text = f"{chosen.timestamp_ns}:{chosen.word}:{end.timestamp_ns}:{end.word}:{self.run_id}"
        return base64.urlsafe_b64encode(text.encode()).decode("ascii")

    @classmethod
    def from_token(cls, token: str) -> _Cursor:
        try:
            text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
            *numbers, run_id = text.split(":", 4)
            chosen_ns, chosen_word, end_ns, end_word = map(int, numbers)
            np.array([chosen_ns, end_ns], np.int64)
            np.array([chosen_word, end_word], np.uint64)
        except (ValueError, OverflowError, binascii.Error):
            raise InvalidArgumentError(
                "page_token is none that this server gave; leave it out for the first page"
            ) from None
        return cls(run_id, _Point(chosen_ns, chosen_word), _Point(end_ns, end_word))


def read_sampled(
    sources: Iterable[RunSource],
    data_type: DataType,
    sample_ns: int,
    after: str | None,
    limit: int,
) -> Page:
    """Read at most `limit` samples: pages of any size have the same ones.

    Args:
        sources: The points, run by run, in the order of run ids.
        data_type: What they are; `is_sampled`.
        sample_ns: How long a bucket is, of each of which there is one sample; at least 1.
        after: `next_cursor` of the page before, or None for the first one.
        limit: Most samples to give; at least 1.

    Raises:
        InvalidArgumentError: `after` is no cursor.
    """
    cursor = None if after is None else _Cursor.from_token(after)
    page = _Gathered(limit)
    for source in sources:
        if cursor is not None and source.run_id < cursor.run_id:
            continue
        is_begun = cursor is not None and source.run_id == cursor.run_id
        sampler = _Sampler(source, data_type, sample_ns, cursor if is_begun else None)
        for samples in sampler.samples(limit + 1):
            if page.take(source.run_id, samples):
                return page.ended()
    return Page(page.runs(), None)


class _Gathered:
    """The samples of a page."""

    def __init__(self, limit: int) -> None:
        self._missing = limit
        self._left = SAMPLED_MAX
        self._found: list[tuple[str, _Samples]] = []

    def take(self, run_id: str, samples: _Samples) -> bool:
        """Take what there is room for; returns whether the page ends here, though more follows."""
        kept = samples.first(self._missing)
        if len(kept):
            self._found.append((run_id, kept))
        self._missing -= len(kept)
        self._left -= samples.points
        return len(kept) < len(samples) or self._left <= 0

    def runs(self) -> list[RunPoints]:
        """The samples run by run."""
        parts: dict[str, list[_Numbers]] = {}
        for run_id, samples in self._found:
            parts.setdefault(run_id, []).append(samples.chosen)
        joined = {run_id: _joined(mine) for run_id, mine in parts.items()}
        return [RunPoints(run, mine.times, pa.array(mine.words)) for run, mine in joined.items()]

    def ended(self) -> Page:
        """The page, and where to go on."""
        run_id, last = self._found[-1]
        end = _Cursor(run_id, last.chosen.point(-1), last.ends.point(-1))
        return Page(self.runs(), end.to_token())


@dataclass(frozen=True, slots=True, eq=False)
class _Numbers:
    """Points of one run, values as words."""

    times: NDArray[np.int64]
    words: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, places: slice | NDArray[np.int64]) -> _Numbers:
        return _Numbers(self.times[places], self.words[places])

    def point(self, at: int) -> _Point:
        return _Point(int(self.times[at]), int(self.words[at]))


_NONE = _Numbers(np.empty(0, np.int64), np.empty(0, np.uint64))


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Samples, the last point of the bucket of each, and of how many points they are."""

    chosen: _Numbers
    ends: _Numbers
    points: int

    def __len__(self) -> int:
        return len(self.chosen)

    def first(self, count: int) -> _Samples:
        return _Samples(self.chosen[:count], self.ends[:count], self.points)


class _Sampler:
    """Chooses samples of one run, behind a cursor if there is one."""

    def __init__(
        self, source: RunSource, data_type: DataType, sample_ns: int, cursor: _Cursor | None
    ) -> None:
        self._source = source
        self._data_type = data_type
        self._sample_ns = sample_ns
        self._chosen = None if cursor is None else cursor.chosen
        self._end = None if cursor is None else cursor.end

    def samples(self, at_once: int) -> Iterator[_Samples]:
        """Choose, as long as somebody asks; at most so many samples at once."""
        room = np.empty((2, min(at_once, _CHOSEN_AT_ONCE)), np.int64)
        windows, held, wanted, is_end = self._windows(), _NONE, 1, False
        while True:
            held, is_end = _filled(held, windows, wanted, is_end)
            if not len(held):
                return
            found = self._choose(held, is_end, room)
            if found is not None:
                self._chosen, self._end = found.chosen.point(-1), found.ends.point(-1)
                held = held[found.points :]
                # With a full room there may be enough for others.
                wanted = max(1, len(held) + (len(found) < room.shape[1]))
            elif len(held) < HELD_POINTS_MAX:
                wanted = min(2 * len(held), HELD_POINTS_MAX)
                continue
            else:
                found = self._choose_of_many(held)
                self._chosen, self._end = found.chosen.point(-1), found.ends.point(-1)
                windows, held, wanted, is_end = self._windows(), _NONE, 1, False
            yield found

    def _windows(self) -> Iterator[_Numbers]:
        """What is behind the last bucket of which a point was chosen."""
        end = self._end
        for points in self._source.read(_NS_MIN if end is None else end.timestamp_ns):
            window = _Numbers(points.timestamps_ns, points.values.to_numpy())
            if end is not None:
                window = _behind(window, end)
            if len(window):
                yield window

    def _choose(self, held: _Numbers, is_end: bool, room: NDArray[np.int64]) -> _Samples | None:
        chosen = self._chosen or _Point(0, 0)
        count = lttb.choose(
            held.times,
            self._sizes(held.words),
            self._sample_ns,
            is_end,
            self._chosen is not None,
            chosen.timestamp_ns,
            self._size(chosen.word),
            room[0],
            room[1],
        )
        if not count:
            return None
        places, ends = room[:, :count]
        return _Samples(held[places], held[ends], int(ends[-1]) + 1)

    def _choose_of_many(self, held: _Numbers) -> _Samples:
        """Choose a point of the first bucket of what is held, though it is not all there."""
        assert self._chosen is not None  # noqa: S101 - the first point is chosen alone
        last_ns = lttb.bucket_last_ns(int(held.times[0]), self._sample_ns)
        count, corner = self._corners(last_ns)
        best, size, end = held.point(0), lttb.NOTHING, held.point(0)
        missing = count
        for window in self._windows():
            part = window[:missing]
            at, size = lttb.largest(
                part.times,
                self._sizes(part.words),
                0,
                len(part),
                self._chosen.timestamp_ns,
                corner,
                size,
            )
            if at >= 0:
                best = part.point(at)
            end = part.point(-1)
            missing -= len(part)
            if not missing:
                break
        return _Samples(_one(best), _one(end), count)

    def _corners(self, last_ns: int) -> tuple[int, tuple[float, float, float]]:
        """How many points are in the bucket up to a time, and the corners of its triangles.

        The last point of all is in no bucket but its own.
        """
        assert self._chosen is not None  # noqa: S101
        count = 0
        first_ns = next_last_ns = None
        sums = np.zeros(lttb.SUMS)
        for window, is_last in _last_apart(self._windows()):
            start = 0
            if not is_last and next_last_ns is None:
                start = int(np.searchsorted(window.times, last_ns, side="right"))
                count += start
            if start == len(window):
                continue
            if next_last_ns is None or first_ns is None:
                first_ns = int(window.times[start])
                next_last_ns = lttb.bucket_last_ns(first_ns, self._sample_ns)
            elif is_last:
                break
            stop = int(np.searchsorted(window.times, next_last_ns, side="right"))
            lttb.add_to_mean(window.times, self._sizes(window.words), start, stop, first_ns, sums)
            if stop < len(window):
                break
        assert first_ns is not None  # noqa: S101 - there are as many points as are held
        chosen = self._chosen
        return count, lttb.corners(chosen.timestamp_ns, self._size(chosen.word), first_ns, sums)

    def _sizes(self, words: NDArray[np.uint64]) -> NDArray[np.float64]:
        """How large values are, as well as a double can say."""
        match self._data_type:
            case DataType.DOUBLE:
                return words.view(np.float64)
            case DataType.FLOAT:
                return words.astype(np.uint32).view(np.float32).astype(np.float64)
            case DataType.UINT_64:
                return words.astype(np.float64)
            case _:
                return words.view(np.int64).astype(np.float64)

    def _size(self, word: int) -> float:
        return float(self._sizes(np.array([word], np.uint64))[0])


def _filled(
    held: _Numbers, windows: Iterator[_Numbers], wanted: int, is_end: bool
) -> tuple[_Numbers, bool]:
    """What is held, and more, until there are as many points as are wanted, or no others."""
    parts, count = [held], len(held)
    while count < wanted and not is_end:
        window = next(windows, _NONE)
        is_end = not len(window)
        parts.append(window)
        count += len(window)
    return _joined(parts), is_end


def _joined(parts: Sequence[_Numbers]) -> _Numbers:
    if len(parts) == 1:
        return parts[0]
    return _Numbers(
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.words for part in parts]),
    )


def _behind(window: _Numbers, point: _Point) -> _Numbers:
    """The points of a window that come behind one."""
    first = int(np.searchsorted(window.times, point.timestamp_ns, side="left"))
    last = int(np.searchsorted(window.times, point.timestamp_ns, side="right"))
    found = np.flatnonzero(window.words[first:last] == np.uint64(point.word))
    return window[first + int(found[0]) + 1 :] if len(found) else window[first:]


def _last_apart(windows: Iterator[_Numbers]) -> Iterator[tuple[_Numbers, bool]]:
    """The windows without the last point of all, and that one, of which is said what it is."""
    last = _NONE
    for window in windows:
        if len(last):
            yield last, False
        if len(window) > 1:
            yield window[:-1], False
        last = window[-1:]
    if len(last):
        yield last, True


def _one(point: _Point) -> _Numbers:
    return _Numbers(np.array([point.timestamp_ns], np.int64), np.array([point.word], np.uint64))
