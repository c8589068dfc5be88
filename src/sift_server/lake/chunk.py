"""Points on their way into a file: one row group, sorted, as few arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_server.lake.points import VARIABLE_KINDS, Kind, gather
from sift_server.lake.schema import UINT64_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_VARIABLE = list(VARIABLE_KINDS)
_KIND_OF_COLUMN = {kind.column: kind for kind in Kind}
_LENGTH = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True, eq=False)
class PointChunk:
    """Points of one UTC date, sorted by channel id, then by time: a row group of a file.

    Attributes:
        channels: Arrow record batch with `asset`, `channel` and `channel_id`, a row a channel,
            sorted by id. An id is there twice only if its points have different names.
        run_ids: Ids of the runs, each once; an empty string for 'no run'.
        channel: int32, shape (points,). Index of each point's channel.
        run: int32, shape (points,). Index of each point's run.
        timestamps_ns: int64, shape (points,).
        kind: uint8, shape (points,). `Kind` of each value.
        words: uint64, shape (points,). Values, as in `FlowRows.words`.
        heap: What the words of strings and bytes point into.
    """

    channels: Any
    run_ids: list[str]
    channel: NDArray[np.int32]
    run: NDArray[np.int32]
    timestamps_ns: NDArray[np.int64]
    kind: NDArray[np.uint8]
    words: NDArray[np.uint64]
    heap: bytes

    def __len__(self) -> int:
        return len(self.words)

    @property
    def channel_id_min(self) -> str:
        """Smallest channel id."""
        return self._channel_id(int(self.channel[0]))

    @property
    def channel_id_max(self) -> str:
        """Largest channel id."""
        return self._channel_id(int(self.channel[-1]))

    @property
    def first_key(self) -> tuple[str, int]:
        """Channel id and time of the first point."""
        return self.channel_id_min, int(self.timestamps_ns[0])

    @property
    def last_key(self) -> tuple[str, int]:
        """Channel id and time of the last point."""
        return self.channel_id_max, int(self.timestamps_ns[-1])

    def ranks(self) -> NDArray[np.int32]:
        """The channel of each point as a number: the same for all names of an id, and sorted."""
        starts = self._id_starts()
        if len(starts) == len(self.channels):
            return self.channel
        is_new = np.zeros(len(self.channels), np.int32)
        is_new[starts] = 1
        ranks: NDArray[np.int32] = (np.cumsum(is_new, dtype=np.int32) - 1)[self.channel]
        return ranks

    def channel_ids_of(self, ranks: NDArray[np.int32]) -> list[str]:
        """The ids of channels that have numbers as `ranks` gives them."""
        places = self._id_starts()[ranks]
        ids: list[str] = self.channels["channel_id"].take(pa.array(places)).to_pylist()
        return ids

    def _id_starts(self) -> NDArray[np.intp]:
        """Which channels have another id than the one before."""
        ids = self.channels["channel_id"]
        is_new = np.ones(len(ids), np.bool_)
        is_new[1:] = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
        return np.flatnonzero(is_new)

    def _channel_id(self, number: int) -> str:
        channel_id: str = self.channels["channel_id"][number].as_py()
        return channel_id

    @property
    def text_bytes(self) -> int:
        """Bytes of the heap that the words point to."""
        return int(self._text_lengths().sum()) if self.heap else 0

    def _text_lengths(self) -> NDArray[np.int64]:
        is_text = np.isin(self.kind, _VARIABLE)
        return np.where(is_text, self.words & _LENGTH, np.uint64(0)).astype(np.int64)

    def take(self, places: NDArray[np.intp]) -> PointChunk:
        """The points at some places, in that order."""
        return PointChunk(
            self.channels,
            self.run_ids,
            self.channel[places],
            self.run[places],
            self.timestamps_ns[places],
            self.kind[places],
            self.words[places],
            self.heap,
        )

    def part(self, first: int, last: int) -> PointChunk:
        """The points from one place to another, the end excluded."""
        mine = slice(first, last)
        channel = self.channel[mine]
        low, high = (int(channel.min()), int(channel.max()) + 1) if len(channel) else (0, 0)
        return PointChunk(
            self.channels.slice(low, high - low),
            self.run_ids,
            channel - np.int32(low),
            self.run[mine],
            self.timestamps_ns[mine],
            self.kind[mine],
            self.words[mine],
            self.heap,
        )

    def pieces(self, heap_bytes_max: int) -> Iterator[PointChunk]:
        """Cut the points so that a piece has so many bytes of strings, or one point."""
        if len(self.heap) <= heap_bytes_max:
            yield self
            return
        ends = np.cumsum(self._text_lengths())
        first = 0
        while first < len(self):
            before = int(ends[first - 1]) if first else 0
            last = int(np.searchsorted(ends, before + heap_bytes_max, side="right"))
            last = max(last, first + 1)
            yield self.part(first, last)
            first = last

    def to_table(self, schema: Any) -> Any:  # noqa: ANN401 (pyarrow has no types)
        """The points as an Arrow table.

        Args:
            schema: As `write_schema` makes it, with columns for all that there is.
        """
        return pa.table([self._column(field) for field in schema], schema=schema)

    def _column(self, field: Any) -> Any:  # noqa: ANN401
        if field.name == "timestamp_ns":
            return pa.array(self.timestamps_ns)
        if field.name == "run_id":
            return _run_column(self.run, self.run_ids)
        if field.name in self.channels.schema.names:
            return _name_column(self.channel, self.channels[field.name])
        return self._values(_KIND_OF_COLUMN[field.name], field.type)

    def _values(self, kind: Kind, value_type: Any) -> Any:  # noqa: ANN401
        mine = self.kind == kind
        if not mine.any():
            return _nulls(value_type, len(self))
        mask = None if mine.all() else ~mine
        match kind:
            case Kind.DOUBLE:
                return pa.array(self.words.view(np.float64), mask=mask)
            case Kind.FLOAT:
                return pa.array(self.words.astype(np.uint32).view(np.float32), mask=mask)
            case Kind.INT64:
                return pa.array(self.words.view(np.int64), mask=mask)
            case Kind.UINT64:
                return pa.array(self.words, mask=mask).cast(UINT64_TYPE)
            case Kind.BOOL:
                return pa.array(self.words != 0, mask=mask)
            case _:
                return self._texts(mine, value_type)

    def _texts(self, mine: NDArray[np.bool_], value_type: Any) -> Any:  # noqa: ANN401
        offsets, data = gather(np.where(mine, self.words, np.uint64(0)), self.heap)
        buffers = [pa.array(mine).buffers()[1], pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(value_type, len(self), buffers)


def joined(chunks: Sequence[PointChunk]) -> PointChunk:
    """Points of several chunks, sorted; the heap has only what their words point to."""
    of_chunks = [_triples(chunk) for chunk in chunks]
    triples = sorted(set(chain.from_iterable(of_chunks)), key=lambda each: each[::-1])
    run_ids = sorted({run_id for chunk in chunks for run_id in chunk.run_ids})
    number_of = {triple: number for number, triple in enumerate(triples)}
    run_of = {run_id: number for number, run_id in enumerate(run_ids)}
    channel, run, words, heaps = [], [], [], []
    heap_bytes = 0
    for chunk, mine in zip(chunks, of_chunks, strict=True):
        numbers = np.array([number_of[triple] for triple in mine], np.int32)
        channel.append(numbers[chunk.channel])
        run.append(np.array([run_of[run_id] for run_id in chunk.run_ids], np.int32)[chunk.run])
        moved, data = _moved(chunk, heap_bytes)
        words.append(moved)
        heaps.append(data)
        heap_bytes += len(data)
    whole = PointChunk(
        _named(triples),
        run_ids,
        np.concatenate(channel),
        np.concatenate(run),
        np.concatenate([chunk.timestamps_ns for chunk in chunks]),
        np.concatenate([chunk.kind for chunk in chunks]),
        np.concatenate(words),
        b"".join(heaps),
    )
    return whole if len(chunks) == 1 else whole.take(_order(whole))


def _triples(chunk: PointChunk) -> list[tuple[str, str, str]]:
    return list(zip(*(column.to_pylist() for column in chunk.channels.columns), strict=True))


def _named(triples: Sequence[tuple[str, str, str]]) -> Any:  # noqa: ANN401
    columns = zip(*triples, strict=True) if triples else ((), (), ())
    arrays = [pa.array(column, pa.string()) for column in columns]
    return pa.record_batch(arrays, names=["asset", "channel", "channel_id"])


def _moved(chunk: PointChunk, heap_start: int) -> tuple[NDArray[np.uint64], bytes]:
    """Words of a chunk that point behind a start, and the bytes that stand there."""
    texts = np.isin(chunk.kind, _VARIABLE)
    if not texts.any():
        return chunk.words, b""
    offsets, data = gather(chunk.words[texts], chunk.heap)
    words = chunk.words.copy()
    starts = (offsets[:-1] + heap_start).astype(np.uint64) << np.uint64(32)
    words[texts] = starts | (words[texts] & _LENGTH)
    return words, data.tobytes()


def _order(chunk: PointChunk) -> NDArray[np.intp]:
    """Places of points, sorted by channel id, then by time."""
    rank = chunk.ranks()
    # Usually what is joined follows in time, channel by channel: then this is all.
    order = np.argsort(rank, kind="stable")
    rank, times = rank[order], chunk.timestamps_ns[order]
    if ((times[1:] >= times[:-1]) | (rank[1:] != rank[:-1])).all():
        return order
    return order[np.lexsort((times, rank))]


_NULLS_KEPT = 256 * 1024
_nulls_of: dict[Any, Any] = {}


def _nulls(value_type: Any, length: int) -> Any:  # noqa: ANN401
    """Nulls of a type, cut from an array that is kept: most columns of most chunks are that."""
    if length > _NULLS_KEPT:
        return pa.nulls(length, value_type)
    kept = _nulls_of.get(value_type)
    if kept is None:
        kept = _nulls_of[value_type] = pa.nulls(_NULLS_KEPT, value_type)
    return kept.slice(0, length)


def _name_column(numbers: NDArray[np.int32], names: Any) -> Any:  # noqa: ANN401
    """Names as a dictionary that has each once, which is what Parquet takes as it is."""
    encoded = names.dictionary_encode()
    if len(encoded.dictionary) < len(names):
        numbers = encoded.indices.to_numpy()[numbers]
    return pa.DictionaryArray.from_arrays(pa.array(numbers), encoded.dictionary)


def _run_column(numbers: NDArray[np.int32], run_ids: Sequence[str]) -> Any:  # noqa: ANN401
    """Run ids as a dictionary; null where a point has none."""
    mask = np.array([not run_id for run_id in run_ids])[numbers]
    return pa.DictionaryArray.from_arrays(
        pa.array(numbers, mask=mask if mask.any() else None), pa.array(run_ids, pa.string())
    )
