"""Points as arrays, and the kinds of values they have."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_wire.columns import DataType
from sift_wire.kernels import gather_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Kind(enum.IntEnum):
    """Kind of a value: which column of the table it is in."""

    DOUBLE = 0
    FLOAT = 1
    INT64 = 2
    UINT64 = 3
    BOOL = 4
    STRING = 5
    BYTES = 6

    @property
    def column(self) -> str:
        """Name of the table's column."""
        return f"value_{self.name.lower()}"


_KINDS = {
    DataType.DOUBLE: Kind.DOUBLE,
    DataType.FLOAT: Kind.FLOAT,
    DataType.INT_32: Kind.INT64,
    DataType.INT_64: Kind.INT64,
    DataType.UINT_32: Kind.INT64,
    DataType.ENUM: Kind.INT64,
    DataType.UINT_64: Kind.UINT64,
    DataType.BOOL: Kind.BOOL,
    DataType.STRING: Kind.STRING,
    DataType.BIT_FIELD: Kind.BYTES,
    DataType.BYTES: Kind.BYTES,
}

VARIABLE_KINDS = frozenset({Kind.STRING, Kind.BYTES})


def kind_of(data_type: DataType) -> Kind:
    """Kind of the values of a data type."""
    return _KINDS[data_type]


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points of one channel and run.

    Attributes:
        timestamps_ns: int64, shape (points,).
        values: Arrow array, one value a point: uint64 for numbers, holding their bits as
            `FlowRows.words` does; large_string or large_binary otherwise.
    """

    timestamps_ns: NDArray[np.int64]
    values: Any

    def __len__(self) -> int:
        return len(self.timestamps_ns)


def points_once(points: Points) -> Points:
    """Points sorted by time, those of one time by the bits of their value, each once.

    Of points that are sorted, the times are compared and that is all; those that are several
    sorted parts are merged. Values are only looked at where there are several at one time.
    """
    times = points.timestamps_ns
    # Compared, not subtracted: the difference of two times may not fit 64 bits.
    if (times[1:] > times[:-1]).all():
        return points
    values = points.values
    if not (times[1:] >= times[:-1]).all():
        # A stable sort finds the parts that are sorted, and merges them.
        order = np.argsort(times, kind="stable")
        times, values = times[order], values.take(pa.array(order))
    tied = times[1:] == times[:-1]
    if tied.any():
        # What was sent again is often beside what was sent first: then nothing is to be sorted.
        times, values = _without_repeats(times, values, tied)
        tied = times[1:] == times[:-1]
    if tied.any():
        order = _order_of_tied(times, values, tied)
        values = values.take(pa.array(order))
        times, values = _without_repeats(times, values, tied)
    return Points(times, values)


def _without_repeats(
    times: NDArray[np.int64],
    values: Any,  # noqa: ANN401
    tied: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], Any]:
    """Leave out points that are the same as the one before; `tied` says where the times are."""
    is_new = np.ones(len(times), np.bool_)
    is_new[1:] = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    is_new[1:] |= ~tied
    return (times, values) if is_new.all() else (times[is_new], values.filter(pa.array(is_new)))


def _order_of_tied(
    times: NDArray[np.int64],
    values: Any,  # noqa: ANN401
    tied: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Places of points that are sorted by time, those of one time in the order of values."""
    mine = np.zeros(len(times), np.bool_)
    mine[1:] = tied
    mine[:-1] |= tied
    places = np.flatnonzero(mine)
    table = pa.table({"time": times[places], "value": values.take(pa.array(places))})
    sorted_places = pc.sort_indices(
        table, sort_keys=[("time", "ascending"), ("value", "ascending")]
    ).to_numpy()
    order = np.arange(len(times))
    order[places] = places[sorted_places]
    return order


def joined_points(kind: Kind, parts: Sequence[Points]) -> Points:
    """Points of one channel, one part behind the other; none, if there are no parts."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Points(np.empty(0, np.int64), words_to_arrow(kind, np.empty(0, np.uint64), b""))
    return Points(
        np.concatenate([part.timestamps_ns for part in parts]),
        pa.concat_arrays([part.values for part in parts]),
    )


def part_of(points: Points, first: int, last: int) -> Points:
    """Points from one place to before another; nothing is copied."""
    if first == 0 and last == len(points):
        return points
    return Points(points.timestamps_ns[first:last], points.values.slice(first, last - first))


def words_to_arrow(kind: Kind, words: NDArray[np.uint64], heap: bytes) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """Values as `Points` has them: numbers as they are, others gathered from the heap."""
    if kind not in VARIABLE_KINDS:
        return pa.array(words)
    offsets, data = gather(words, heap)
    kind_type = pa.large_string() if kind is Kind.STRING else pa.large_binary()
    return pa.Array.from_buffers(
        kind_type, len(words), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def number_words(values: Any, kind: Kind) -> NDArray[np.uint64]:  # noqa: ANN401
    """Words of numbers of the table, none of them null; not for `VARIABLE_KINDS`."""
    match kind:
        case Kind.DOUBLE | Kind.INT64:
            words: NDArray[np.uint64] = values.to_numpy().view(np.uint64)
        case Kind.FLOAT:
            words = values.to_numpy().view(np.uint32).astype(np.uint64)
        case Kind.UINT64:
            words = values.cast(pa.uint64()).to_numpy()
        case _:
            words = values.cast(pa.uint8()).to_numpy().astype(np.uint64)
    return words


def gather(words: NDArray[np.uint64], heap: bytes) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Bytes that words point to in a heap, one behind the other, and where each begins."""
    lengths = (words & np.uint64(0xFFFFFFFF)).astype(np.int64)
    offsets = np.zeros(len(words) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    data = np.empty(offsets[-1], np.uint8)
    gather_bytes(np.frombuffer(heap, np.uint8), words, data)
    return offsets, data
