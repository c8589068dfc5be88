"""Leaves out points that are there already: sent again, or merged from several files.

Points are the same if channel, run, timestamp and value are, the value to the bit. They are looked
for among those of one channel and time, which lie beside each other. A few are compared with each
other by a compiled loop, as `sift_wire.kernels` are; very many are sorted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_server.lake.points import VARIABLE_KINDS, Kind, gather
from sift_wire.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sift_server.lake.chunk import PointChunk

COMPARED_MAX = 32
"""Points of one channel and time that are compared with each other."""

_LENGTH = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_VARIABLE = list(VARIABLE_KINDS)
_IS_TEXT = np.array([kind in VARIABLE_KINDS for kind in Kind])


def without_repeats(chunk: PointChunk) -> PointChunk:
    """Keep the first of points that are the same.

    Args:
        chunk: Points, sorted.
    """
    channel = chunk.ranks()
    is_new = np.ones(len(chunk), np.bool_)
    heap = np.frombuffer(chunk.heap, np.uint8)
    times, kind, run, words = chunk.timestamps_ns, chunk.kind, chunk.run, chunk.words
    count, is_long = _mark_repeats(
        channel, run, times, kind, words, _IS_TEXT, heap, COMPARED_MAX, is_new
    )
    if is_long:
        is_new = _new_of_many(chunk, channel)
        count = len(chunk) - int(is_new.sum())
    return chunk.take(np.flatnonzero(is_new)) if count else chunk


@compiled
def _mark_repeats(
    channel: NDArray[np.int32],
    run: NDArray[np.int32],
    times_ns: NDArray[np.int64],
    kind: NDArray[np.uint8],
    words: NDArray[np.uint64],
    is_text: NDArray[np.bool_],
    heap: NDArray[np.uint8],
    compared_max: int,
    is_new: NDArray[np.bool_],
) -> tuple[int, bool]:
    """Strike from `is_new` what is the same as a point before.

    Returns:
        How many there are, and whether more than `compared_max` points are at one time; then
        they were not all looked at.
    """
    count = 0
    first = 0
    for place in range(1, len(words)):
        if channel[place] != channel[place - 1] or times_ns[place] != times_ns[place - 1]:
            first = place
            continue
        if place - first >= compared_max:
            return count, True
        for other in range(first, place):
            if not is_new[other] or run[place] != run[other] or kind[place] != kind[other]:
                continue
            is_same = words[place] == words[other]
            if not is_same and is_text[kind[place]]:
                length = words[place] & _LENGTH
                is_same = length == words[other] & _LENGTH
                start, start_other = words[place] >> _SHIFT, words[other] >> _SHIFT
                at = np.uint64(0)
                while is_same and at < length:
                    is_same = heap[start + at] == heap[start_other + at]
                    at += np.uint64(1)
            if is_same:
                is_new[place] = False
                count += 1
                break
    return count, False


def _new_of_many(chunk: PointChunk, channel: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which points are not the same as one before, however many are at one time."""
    together = (channel[1:] == channel[:-1]) & (chunk.timestamps_ns[1:] == chunk.timestamps_ns[:-1])
    tied = np.zeros(len(chunk), np.bool_)
    tied[1:] |= together
    tied[:-1] |= together
    places = np.flatnonzero(tied)
    keys: list[NDArray[Any]] = [
        _comparable(chunk, places),
        chunk.kind[places],
        chunk.run[places],
        chunk.timestamps_ns[places],
        channel[places],
    ]
    order = np.lexsort(keys)
    same = np.ones(len(places) - 1, np.bool_)
    for key in keys:
        same &= key[order][1:] == key[order][:-1]
    is_new = np.ones(len(chunk), np.bool_)
    is_new[places[order[1:][same]]] = False
    return is_new


def _comparable(chunk: PointChunk, places: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Words, those of texts replaced by numbers that are equal where the texts are."""
    words = chunk.words[places]
    texts = np.isin(chunk.kind[places], _VARIABLE)
    if texts.any():
        offsets, data = gather(words[texts], chunk.heap)
        values = pa.Array.from_buffers(
            pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        )
        words[texts] = values.dictionary_encode().indices.to_numpy()
    return words


def warm_up() -> None:
    """Compile the loop, or load it from the disk."""
    numbers = np.empty(0, np.int32)
    _mark_repeats(
        numbers, numbers, np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.uint64),
        _IS_TEXT, np.frombuffer(b"", np.uint8), COMPARED_MAX, np.empty(0, np.bool_),
    )  # fmt: skip
