"""The loops that bring points into the order of files, compiled as `sift_wire.kernels` are.

A *segment* is a stretch of rows of one flow and run that came in one go and are of one date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sift_wire.kernels import (
    CELLS_START,
    FLOW,
    GROUP_COLUMNS,
    ROWS,
    ROWS_MAX,
    ROWS_START,
    RUN,
    compiled,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Words = NDArray[np.uint64]

NS_PER_DAY = 86_400 * 1_000_000_000
_NS_MIN, _NS_MAX = -(2**63), 2**63 - 1
_DAY_MIN, _DAY_MAX = _NS_MIN // NS_PER_DAY, _NS_MAX // NS_PER_DAY

# Columns of the table of segments.
SEGMENT_FLOW, SEGMENT_RUN = 0, 1
"""Numbers of flow and run."""
SEGMENT_DAY = 2
"""Days since 1970-01-01."""
SEGMENT_ROWS = 3
"""How many rows there are."""
SEGMENT_TIMES = 4
"""Where their times begin."""
SEGMENT_WORDS, SEGMENT_STRIDE = 5, 6
"""Where the words of the first channel begin, and how far those of the next one are."""
SEGMENT_HEAP = 7
"""Where the heap of the block begins."""
SEGMENT_FIRST_NS, SEGMENT_LAST_NS = 8, 9
"""The smallest and the largest time."""
SEGMENT_COLUMNS = 10
_NO_SEGMENTS = np.empty((0, SEGMENT_COLUMNS), np.int64)


@compiled
def cut_segments(groups: Ints, heap_starts: Ints, times_ns: Ints, segments: Ints) -> int:
    """Cut the rows of groups where the date changes; return how many segments there are.

    Args:
        groups: As in `RowBlock`, with places in the arrays of all blocks.
        heap_starts: Where the heap of each group's block begins.
        times_ns: Times of all rows.
        segments: Filled as far as it reaches.
    """
    count = 0
    for index in range(len(groups)):
        group = groups[index]
        start = group[ROWS_START]
        first = 0
        while first < group[ROWS]:
            low = high = times_ns[start + first]
            day = low // NS_PER_DAY
            # Nanoseconds that there are do not reach to the ends of the first and the last date.
            day_first_ns = day * NS_PER_DAY if day > _DAY_MIN else _NS_MIN
            day_last_ns = day * NS_PER_DAY + NS_PER_DAY - 1 if day < _DAY_MAX else _NS_MAX
            last = first + 1
            while last < group[ROWS]:
                time_ns = times_ns[start + last]
                if not day_first_ns <= time_ns <= day_last_ns:
                    break
                low = min(low, time_ns)
                high = max(high, time_ns)
                last += 1
            if count < len(segments):
                segment = segments[count]
                segment[SEGMENT_FLOW] = group[FLOW]
                segment[SEGMENT_RUN] = group[RUN]
                segment[SEGMENT_DAY] = day
                segment[SEGMENT_ROWS] = last - first
                segment[SEGMENT_TIMES] = start + first
                segment[SEGMENT_WORDS] = group[CELLS_START] + first
                segment[SEGMENT_STRIDE] = group[ROWS_MAX]
                segment[SEGMENT_HEAP] = heap_starts[index]
                segment[SEGMENT_FIRST_NS] = low
                segment[SEGMENT_LAST_NS] = high
            count += 1
            first = last
    return count


@compiled
def gather_points(
    places: Ints,
    is_text: NDArray[np.bool_],
    segments: Ints,
    segments_from: Ints,
    times_ns: Ints,
    words: Words,
    present: NDArray[np.bool_],
    first_ns: int,
    last_ns: int,
    out_place: NDArray[np.int32],
    out_run: NDArray[np.int32],
    out_times_ns: Ints,
    out_words: Words,
) -> tuple[int, bool, bool]:
    """Copy the points of channels, one channel behind the other.

    Args:
        places: int64, shape (places, 3). Number of a channel, a flow that has it, and its index
            there; those of one channel follow each other.
        is_text: bool, shape (places,). Whether the words point into a heap.
        segments: Sorted by flow.
        segments_from: Where the segments of each flow begin, and behind them all where they end.
        times_ns: Times of all rows.
        words: Words of all rows.
        present: Whether there is a value.
        first_ns: Earliest time to be copied.
        last_ns: Latest time to be copied.
        out_place: Filled with the number of the place that each point is from.
        out_run: Filled with its run.
        out_times_ns: Filled with its time.
        out_words: Filled with its word.

    Returns:
        How many points there are; whether each channel's are in the order of time; and whether some
        of these follow each other at one time.
    """
    count = 0
    in_order = True
    has_ties = False
    before_ns = np.int64(0)
    for place in range(len(places)):
        flow = places[place, 1]
        channel = places[place, 2]
        if place == 0 or places[place, 0] != places[place - 1, 0]:
            before_ns = np.int64(-(2**63))
        start = count
        for number in range(segments_from[flow], segments_from[flow + 1]):
            segment = segments[number]
            if segment[SEGMENT_LAST_NS] < first_ns or segment[SEGMENT_FIRST_NS] > last_ns:
                continue
            times_at = segment[SEGMENT_TIMES]
            words_at = segment[SEGMENT_WORDS] + channel * segment[SEGMENT_STRIDE]
            heap = np.uint64(segment[SEGMENT_HEAP]) << np.uint64(32)
            heap = heap if is_text[place] else np.uint64(0)
            run = segment[SEGMENT_RUN]
            for row in range(segment[SEGMENT_ROWS]):
                time_ns = times_ns[times_at + row]
                if present[words_at + row] and first_ns <= time_ns <= last_ns:
                    out_times_ns[count] = time_ns
                    out_words[count] = words[words_at + row] + heap
                    out_run[count] = run
                    in_order &= before_ns <= time_ns
                    has_ties |= before_ns == time_ns
                    before_ns = time_ns
                    count += 1
        out_place[start:count] = place
    return count, in_order, has_ties


def count_segments(groups: Ints, times_ns: Ints) -> int:
    """How many segments `cut_segments` would make."""
    count: int = cut_segments(groups, times_ns[:0], times_ns, _NO_SEGMENTS)
    return count


def warm_up() -> None:
    """Compile the loops, or load them from the disk."""
    none = np.empty(0, np.int64)
    segments = _NO_SEGMENTS
    count_segments(np.empty((0, GROUP_COLUMNS), np.int64), none)
    words, present = np.empty(0, np.uint64), np.empty(0, np.bool_)
    numbers = np.empty(0, np.int32)
    gather_points(
        np.empty((0, 3), np.int64), present, segments, none, none, words, present, 0, 0,
        numbers, numbers, none, words,
    )  # fmt: skip
