"""The loops of overviews, compiled as `sift_wire.kernels` are.

Values are compared as *keys*: int64, in the order of the values, whatever kind they are. The order
is total: -0.0 is before 0.0. NaN has no key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sift_server.lake.points import Kind
from sift_wire.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Numbers = NDArray[np.int32]
    Words = NDArray[np.uint64]

KEY_MIN, KEY_MAX = -(2**63), 2**63 - 1
"""The smallest key is larger than the largest one where there is no value but NaN."""

_DOUBLE, _FLOAT, _UINT64 = int(Kind.DOUBLE), int(Kind.FLOAT), int(Kind.UINT64)
_LAST_KIND_OF_NUMBERS = int(Kind.BOOL)
_MAX = np.int64(2**63 - 1)
_MIN = np.int64(-(2**63))
_MAX_32 = np.int64(2**31 - 1)
_INFINITY = np.int64(0x7FF << 52)
_INFINITY_32 = np.int64(0xFF << 23)

SPAN_POINTS = 256
"""Points that a bin of the finest level has, about."""

_SAMPLES = 15
_SHIFT_MAX = 62


@compiled
def key_of(word: Any, kind: int) -> Any:  # noqa: ANN401 (numbers of Numba)
    """The key of a number, and whether it has none, for it is NaN."""
    number = np.int64(word)
    if kind == _DOUBLE:
        return number ^ ((number >> np.int64(63)) & _MAX), (number & _MAX) > _INFINITY
    if kind == _FLOAT:
        # The sign of 32 bits is brought to where that of 64 bits is.
        number = (number << np.int64(32)) >> np.int64(32)
        is_nan = (number & _MAX_32) > _INFINITY_32
        return number ^ ((number >> np.int64(63)) & _MAX_32), is_nan
    if kind == _UINT64:
        return number ^ _MIN, False
    return number, False


@compiled
def _shift_of(times_ns: Ints, first: int, last: int) -> int:
    """The logarithm of how long `SPAN_POINTS` points take, the median of some places."""
    count = last - first
    if count <= SPAN_POINTS:
        span = (np.uint64(times_ns[last - 1]) - np.uint64(times_ns[first])) >> np.uint64(1)
    else:
        spans = np.empty(_SAMPLES, np.uint64)
        for sample in range(_SAMPLES):
            at = first + (count - SPAN_POINTS - 1) * sample // (_SAMPLES - 1)
            spans[sample] = np.uint64(times_ns[at + SPAN_POINTS]) - np.uint64(times_ns[at])
        spans.sort()
        span = spans[_SAMPLES // 2]
    shift = 0
    while shift < _SHIFT_MAX and span >> np.uint64(shift + 1):
        shift += 1
    return shift


@compiled
def bin_points(
    channel: Numbers,
    run: Numbers,
    runs: int,
    times_ns: Ints,
    kind: NDArray[np.uint8],
    words: Words,
    points_min: int,
    goes_on: bool,
    out_owner: Numbers,
    out_bins: Ints,
) -> int:
    """Sum up the points of a chunk, sorted by channel and time, in bins of time.

    Args:
        channel: Channel of each point.
        run: Run of each point.
        runs: How many runs there are.
        times_ns: Time of each point.
        kind: Kind of each value.
        words: Each value.
        points_min: Channels with fewer points get no bins, unless they may go on in other chunks.
        goes_on: Whether the first channel was in the chunk before.
        out_owner: int32, shape (3, as many as there are points). Filled with channel, run, and the
            logarithm of the width, of each bin.
        out_bins: int64, shape (5, the same). Filled as in `Bins`. Bins of a channel and run are in
            the order of time.

    Returns:
        How many bins there are; fewer than points.
    """
    count = 0
    first = 0
    total = len(words)
    while first < total:
        last = _end_of_equal(channel, first)
        is_small = last - first < points_min and not (first == 0 and goes_on) and last < total
        if is_small or kind[first] > _LAST_KIND_OF_NUMBERS:
            first = last
            continue
        one_run = runs == 1 or _is_equal(run[first:last])
        shift = _shift_of(times_ns, first, last)
        # Four times what is meant, where points are not even.
        bins_max = 4 * ((last - first) // SPAN_POINTS + 1) * runs + 4
        number = int(kind[first])
        while True:
            out = out_bins[:, count:]
            if one_run:
                found = _bin_run(times_ns, words, number, first, last, shift, bins_max, out)
            else:
                owners = out_owner[1, count:]
                found = _bin_runs(
                    run, runs, times_ns, words, number, first, last, shift, bins_max, out, owners
                )
            if found <= bins_max or shift >= _SHIFT_MAX:
                break
            shift = min(shift + 2, _SHIFT_MAX)
        if one_run:
            out_owner[1, count : count + found] = run[first]
        out_owner[0, count : count + found] = channel[first]
        out_owner[2, count : count + found] = shift
        count += found
        first = last
    return count


@compiled
def _end_of_equal(numbers: Numbers, first: int) -> int:
    """Where the numbers end that are the same as the first; they are sorted."""
    low, high, step = first, first + 1, 1
    while high < len(numbers) and numbers[high] == numbers[first]:
        low = high
        step *= 2
        high = low + step
    high = min(high, len(numbers))
    while high - low > 1:
        middle = (low + high) >> 1
        if numbers[middle] == numbers[first]:
            low = middle
        else:
            high = middle
    return high


@compiled
def _is_equal(numbers: Numbers) -> bool:
    different = 0
    for place in range(len(numbers)):
        different += numbers[place] != numbers[0]
    return different == 0


@compiled
def _end_of_bin(times_ns: Ints, first: int, last: int, shift: int) -> int:
    """Where the bin ends that a place is in: looked for in ever larger steps, then in the last."""
    index = times_ns[first] >> np.int64(shift)
    low, high, step = first, first + 1, 1
    while high < last and times_ns[high] >> np.int64(shift) == index:
        low = high
        step *= 2
        high = low + step
    high = min(high, last)
    while high - low > 1:
        middle = (low + high) >> 1
        if times_ns[middle] >> np.int64(shift) == index:
            low = middle
        else:
            high = middle
    return high


@compiled
def _extremes(words: Words, kind: int) -> tuple[Any, Any]:
    """Smallest and largest key of some numbers, at least one.

    A loop for each kind, so plain that it is compiled to instructions that take several at a time.
    """
    smallest, largest = _MAX, _MIN
    if kind == _DOUBLE:
        for place in range(len(words)):
            number = np.int64(words[place])
            key = number ^ ((number >> np.int64(63)) & _MAX)
            smallest = min(smallest, key)
            largest = max(largest, key)
        # NaN would be outside of the infinities.
        if largest <= _INFINITY and smallest >= ~_INFINITY:
            return smallest, largest
    elif kind != _FLOAT:
        flip = _MIN if kind == _UINT64 else np.int64(0)
        for place in range(len(words)):
            key = np.int64(words[place]) ^ flip
            smallest = min(smallest, key)
            largest = max(largest, key)
        return smallest, largest
    smallest, largest = _MAX, _MIN
    for place in range(len(words)):
        key, is_nan = key_of(words[place], kind)
        smallest = min(smallest, _MAX if is_nan else key)
        largest = max(largest, _MIN if is_nan else key)
    return smallest, largest


@compiled
def _bin_run(
    times_ns: Ints,
    words: Words,
    kind: int,
    first: int,
    last: int,
    shift: int,
    bins_max: int,
    out_bins: Ints,
) -> int:
    """Sum up points of one run; it ends before the end if there would be more than `bins_max`."""
    count = 0
    while first < last:
        if count >= min(bins_max, out_bins.shape[1]):
            return bins_max + 1
        end = _end_of_bin(times_ns, first, last, shift)
        smallest, largest = _extremes(words[first:end], kind)
        place = end - 1
        word = words[place]
        while place > first and times_ns[place - 1] == times_ns[end - 1]:
            place -= 1
            word = max(word, words[place])
        out_bins[0, count] = times_ns[first] >> np.int64(shift)
        out_bins[1, count] = times_ns[end - 1]
        out_bins[2, count] = np.int64(word)
        out_bins[3, count] = smallest
        out_bins[4, count] = largest
        count += 1
        first = end
    return count


@compiled
def _bin_runs(
    run: Numbers,
    runs: int,
    times_ns: Ints,
    words: Words,
    kind: int,
    first: int,
    last: int,
    shift: int,
    bins_max: int,
    out_bins: Ints,
    out_run: Numbers,
) -> int:
    """Sum up points of several runs, as `_bin_run` does; also says which run each bin is of."""
    count = 0
    places = np.full(runs, -1, np.int64)  # Of the last bin of each run.
    for place in range(first, last):
        mine = run[place]
        index = times_ns[place] >> np.int64(shift)
        at = places[mine]
        if at < 0 or out_bins[0, at] != index:
            if count >= min(bins_max, out_bins.shape[1]):
                return bins_max + 1
            at = count
            places[mine] = count
            out_run[count] = mine
            out_bins[0, count] = index
            out_bins[1, count], out_bins[2, count] = times_ns[place], np.int64(words[place])
            out_bins[3, count], out_bins[4, count] = _MAX, _MIN
            count += 1
        add_point(out_bins[1:, at], times_ns[place], words[place], kind)
    return count


@compiled
def add_point(summary: Ints, time_ns: Any, word: Any, kind: int) -> None:  # noqa: ANN401
    """Add a point to time and word of the last one, smallest and largest key."""
    if is_later(time_ns, np.int64(word), summary[0], summary[1]):
        summary[0], summary[1] = time_ns, np.int64(word)
    key, is_nan = key_of(word, kind)
    if not is_nan:
        summary[2] = min(summary[2], key)
        summary[3] = max(summary[3], key)


@compiled
def fold_bins(owner: Ints, bins: Ints, out_owner: Ints, out_bins: Ints) -> int:
    """Join bins of one owner and index that follow each other; return how many there are then.

    What is filled may be what is read.
    """
    count = 0
    for place in range(len(owner)):
        before = count - 1
        if count and out_owner[before] == owner[place] and out_bins[0, before] == bins[0, place]:
            if is_later(bins[1, place], bins[2, place], out_bins[1, before], out_bins[2, before]):
                out_bins[1, before] = bins[1, place]
                out_bins[2, before] = bins[2, place]
            out_bins[3, before] = min(out_bins[3, before], bins[3, place])
            out_bins[4, before] = max(out_bins[4, before], bins[4, place])
        else:
            out_owner[count] = owner[place]
            for column in range(len(bins)):
                out_bins[column, count] = bins[column, place]
            count += 1
    return count


@compiled
def is_later(time_ns: Any, word: Any, than_ns: Any, than_word: Any) -> Any:  # noqa: ANN401
    """Whether a point is behind another one: later, or of the same time with larger bits."""
    return time_ns > than_ns or (time_ns == than_ns and np.uint64(word) > np.uint64(than_word))


@compiled
def add_bins(
    index: Ints,
    last_ns: Ints,
    last: Ints,
    smallest: Ints,
    largest: Ints,
    shift: int,
    first_ns: int,
    width_ns: np.uint64,
    has_points: NDArray[np.bool_],
    buckets: Ints,
) -> None:
    """Add bins to the buckets that they are in; each bin is in one.

    Args:
        index: As in `Bins`; so are the next four.
        last_ns: The same.
        last: The same.
        smallest: The same.
        largest: The same.
        shift: Logarithm of their width.
        first_ns: Where the first bucket begins.
        width_ns: How wide buckets are.
        has_points: Whether there are points in a bucket.
        buckets: int64, shape (4, buckets). Time of the last point, its word, smallest key and
            largest key.
    """
    for place in range(len(index)):
        begin = index[place] << np.int64(shift)
        bucket = np.int64((np.uint64(begin) - np.uint64(first_ns)) // width_ns)
        if bucket < 0 or bucket >= len(has_points):
            continue  # The file is damaged.
        if not has_points[bucket] or is_later(
            last_ns[place], last[place], buckets[0, bucket], buckets[1, bucket]
        ):
            buckets[0, bucket] = last_ns[place]
            buckets[1, bucket] = last[place]
        if not has_points[bucket]:
            has_points[bucket] = True
            buckets[2, bucket], buckets[3, bucket] = _MAX, _MIN
        buckets[2, bucket] = min(buckets[2, bucket], smallest[place])
        buckets[3, bucket] = max(buckets[3, bucket], largest[place])


@compiled
def add_points(
    times_ns: Ints,
    words: Words,
    kind: int,
    first_ns: int,
    width_ns: np.uint64,
    has_points: NDArray[np.bool_],
    buckets: Ints,
) -> None:
    """Add points, in any order, to the buckets that they are in, as `add_bins` does."""
    for place in range(len(times_ns)):
        time_ns, word = times_ns[place], words[place]
        bucket = np.int64((np.uint64(time_ns) - np.uint64(first_ns)) // width_ns)
        if not has_points[bucket]:
            has_points[bucket] = True
            buckets[0, bucket], buckets[1, bucket] = time_ns, np.int64(word)
            buckets[2, bucket], buckets[3, bucket] = _MAX, _MIN
        add_point(buckets[:, bucket], time_ns, word, kind)


def warm_up() -> None:
    """Compile the loops, or load them from the disk."""
    numbers, times_ns = np.empty(0, np.int32), np.empty(0, np.int64)
    owner, bins = np.empty((3, 0), np.int32), np.empty((5, 0), np.int64)
    bin_points(
        numbers, numbers, 1, times_ns, np.empty(0, np.uint8), np.empty(0, np.uint64), 1, False,
        owner, bins,
    )  # fmt: skip
    fold_bins(times_ns, bins, times_ns.copy(), bins)
    read = np.frombuffer(b"", np.int64)
    width_ns, has_points, buckets = np.uint64(1), np.zeros(1, np.bool_), np.zeros((4, 1), np.int64)
    add_bins(read, read, read, read, read, 0, 0, width_ns, has_points, buckets)
    add_points(read, read.view(np.uint64), 0, 0, width_ns, has_points, buckets)
