"""The loops over bytes, compiled by Numba.

Each is an ordinary function over NumPy arrays first: `NUMBA_DISABLE_JIT=1` runs it as such. They
run without the GIL, touch no Python object, and read no byte outside the extents they are given:
every read is behind a comparison with the end of its own message. Compiled code is kept on disk,
beside this file or, where that can't be written, in the user's cache folder, so that only the first
start pays for it.

The format is protocol buffers: a field is a tag (number << 3 | wire type) and a varint, 4 or 8
bytes, or a length and as many bytes. Source: "Protocol Buffers: Encoding". What a kernel does not
expect, it leaves to the protobuf library, and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Ints = NDArray[np.int64]

# Columns of the table that `scan_messages` fills, one row a message.
CONFIG_START, CONFIG_END = 0, 1
FLOW_START, FLOW_END = 2, 3
RUN_START, RUN_END = 4, 5
TIMESTAMP_NS = 6
VALUES_START, VALUES_END, VALUES = 7, 8, 9
UNDERSTOOD = 10
HEAD_END = 11
"""Where the timestamp begins, if the values follow it at once; else -1."""
LIKE = 12
"""An earlier message that has the same config, flow and run, if one was found by the way; else -1.
"""
FLOW_HASH = 13
"""Hash of config and flow, if `LIKE` is -1."""
SCAN_COLUMNS = 14

# Columns of the table of groups of messages of one flow and run, one row a group.
FLOW = 0
"""Number of the flow, or -1 if it is not known."""
RUN = 1
"""Number of the run."""
CHANNELS = 2
"""Number of channels, or -1 if the flow is not known."""
FIELDS_START = 3
"""Where the flow's value fields begin."""
CELLS_START = 4
"""Where the group's words begin."""
ROWS_MAX = 5
"""How many rows there is room for: so far apart are the words of two channels."""
ROWS_START = 6
"""Where the group's timestamps begin."""
ROWS = 7
"""How many rows were filled."""
VALUE_BYTES = 8
"""How many bytes the values of these rows have in their messages."""
GROUP_COLUMNS = 9

# Columns of the table of known flows, one row a flow.
KNOWN_CONFIG_START, KNOWN_FLOW_START, KNOWN_FLOW_END = 0, 1, 2
"""Where the id of its ingestion config and its name lie, one behind the other."""
KNOWN_FIELDS_START, KNOWN_CHANNELS = 3, 4
KNOWN_COLUMNS = 5

_NS_PER_S = 1_000_000_000
SECONDS_MIN = -9_223_372_036
SECONDS_MAX = 9_223_372_035
"""Whole seconds that are int64 nanoseconds: 1677-09-21T00:12:44Z to 2262-04-11T23:47:15Z."""

RUN_ID_BYTES_MAX = 1_024
"""Length of the id of a run; servers give shorter ones. Each one that is new takes memory."""

_PREFIX_BYTES = 5
_VARINT_BYTES_MAX = 10

# Tags of IngestWithConfigDataStreamRequest.
_TAG_CONFIG = 0x0A
_TAG_FLOW = 0x12
_TAG_TIMESTAMP = 0x1A
_TAG_VALUE = 0x22
_TAG_RUN = 0x2A
_TAG_END_STREAM = 0x30
_TAG_ORGANIZATION = 0x3A
# Tags of google.protobuf.Timestamp.
_TAG_SECONDS = 0x08
_TAG_NANOS = 0x10
# Members of IngestWithConfigDataChannelValue.
_STRING, _DOUBLE, _FLOAT, _BOOL, _INT_32, _UINT_32 = 1, 2, 3, 4, 5, 6
_INT_64, _UINT_64, _BIT_FIELD, _ENUM, _BYTES = 7, 8, 9, 10, 12
_TAG_EMPTY = 0x5A


def compiled(function: Callable[..., Any]) -> Any:  # noqa: ANN401 (Numba's type)
    """Compile a function at its first call, to run without the GIL; keep it on the disk."""
    return numba.njit(nogil=True, cache=True)(function)


@compiled
def count_frames(data: Bytes, message_bytes_max: int) -> tuple[int, int, bool]:
    """Count whole frames: how many, how many bytes, and whether a bad prefix follows them."""
    count = 0
    at = 0
    while at + _PREFIX_BYTES <= len(data):
        length = (
            (np.int64(data[at + 1]) << 24)
            | (np.int64(data[at + 2]) << 16)
            | (np.int64(data[at + 3]) << 8)
            | np.int64(data[at + 4])
        )
        if data[at] != 0 or length > message_bytes_max:
            return count, at, True
        end = at + _PREFIX_BYTES + length
        if end > len(data):
            break
        count += 1
        at = end
    return count, at, False


@compiled
def split_frames(data: Bytes, starts: Ints, ends: Ints) -> None:
    """Say where the first `len(starts)` messages lie; `count_frames` found them whole."""
    at = 0
    for index in range(len(starts)):
        length = (
            (np.int64(data[at + 1]) << 24)
            | (np.int64(data[at + 2]) << 16)
            | (np.int64(data[at + 3]) << 8)
            | np.int64(data[at + 4])
        )
        starts[index] = at + _PREFIX_BYTES
        at += _PREFIX_BYTES + length
        ends[index] = at


@compiled
def _load_64(data: Bytes, at: int) -> np.uint64:
    """Eight bytes, little-endian; one instruction when compiled, for which `u` has no sign."""
    u = np.uint64(at)
    return (
        np.uint64(data[u])
        | np.uint64(data[u + np.uint64(1)]) << np.uint64(8)
        | np.uint64(data[u + np.uint64(2)]) << np.uint64(16)
        | np.uint64(data[u + np.uint64(3)]) << np.uint64(24)
        | np.uint64(data[u + np.uint64(4)]) << np.uint64(32)
        | np.uint64(data[u + np.uint64(5)]) << np.uint64(40)
        | np.uint64(data[u + np.uint64(6)]) << np.uint64(48)
        | np.uint64(data[u + np.uint64(7)]) << np.uint64(56)
    )


@compiled
def _load_32(data: Bytes, at: int) -> np.uint64:
    """Four bytes, little-endian."""
    u = np.uint64(at)
    return (
        np.uint64(data[u])
        | np.uint64(data[u + np.uint64(1)]) << np.uint64(8)
        | np.uint64(data[u + np.uint64(2)]) << np.uint64(16)
        | np.uint64(data[u + np.uint64(3)]) << np.uint64(24)
    )


@compiled
def _equal(
    data: Bytes, start: int, end: int, other: Bytes, other_start: int, other_end: int
) -> bool:
    length = end - start
    if length != other_end - other_start:
        return False
    if length < 8:
        for index in range(length):
            if data[start + index] != other[other_start + index]:
                return False
        return True
    # Names of flows differ at their ends, if anywhere.
    if _load_64(data, end - 8) != _load_64(other, other_end - 8):
        return False
    index = 0
    while index <= length - 8:
        if _load_64(data, start + index) != _load_64(other, other_start + index):
            return False
        index += 8
    return True


@compiled
def _varint(data: Bytes, at: int, end: int) -> tuple[np.uint64, int]:
    """The varint at a place, and the place behind it; -1 if it is cut off or too long."""
    value = np.uint64(0)
    for index in range(_VARINT_BYTES_MAX):
        if at >= end:
            return value, -1
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & np.uint64(0x7F)) << np.uint64(7 * index)
        if byte < np.uint64(0x80):
            if index == _VARINT_BYTES_MAX - 1 and byte > np.uint64(1):
                return value, -1
            return value, at
    return value, -1


@compiled
def _extent(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Start and end of a length-delimited field whose length is at a place; -1 if it is cut off."""
    if at < end and data[at] < 0x80:
        start = at + 1
        length = np.uint64(data[at])
    else:
        length, start = _varint(data, at, end)
        if start < 0:
            return -1, -1
    if length > np.uint64(end - start):
        return -1, -1
    return start, start + np.int64(length)


@compiled
def _is_utf8(data: Bytes, start: int, end: int) -> bool:
    """Whether bytes are UTF-8: no surrogates, no overlong forms, nothing above U+10FFFF."""
    at = start
    while at < end:
        if at + 8 <= end and _load_64(data, at) & np.uint64(0x8080808080808080) == 0:
            at += 8
            continue
        first = np.int64(data[at])
        if first < 0x80:
            at += 1
            continue
        low = 0x80
        high = 0xBF
        if 0xC2 <= first <= 0xDF:
            more = 1
        elif 0xE0 <= first <= 0xEF:
            more = 2
            if first == 0xE0:
                low = 0xA0
            elif first == 0xED:
                high = 0x9F
        elif 0xF0 <= first <= 0xF4:
            more = 3
            if first == 0xF0:
                low = 0x90
            elif first == 0xF4:
                high = 0x8F
        else:
            return False
        if at + more >= end:
            return False
        if data[at + 1] < low or data[at + 1] > high:
            return False
        for index in range(2, more + 1):
            if data[at + index] < 0x80 or data[at + index] > 0xBF:
                return False
        at += more + 1
    return True


@compiled
def _timestamp_ns(data: Bytes, start: int, end: int) -> tuple[int, bool]:
    """Nanoseconds of a Timestamp, and whether it was understood and is in range."""
    seconds = np.int64(0)
    nanos = np.int64(0)
    at = start
    while at < end:
        tag = data[at]
        if tag != _TAG_SECONDS and tag != _TAG_NANOS:
            return 0, False
        value, at = _varint(data, at + 1, end)
        if at < 0:
            return 0, False
        if tag == _TAG_SECONDS:
            if value < np.uint64(1 << 63):
                seconds = np.int64(value)
            else:
                seconds = -np.int64(~value) - 1
        elif value >= np.uint64(_NS_PER_S):
            return 0, False
        else:
            nanos = np.int64(value)
    if seconds < SECONDS_MIN or seconds > SECONDS_MAX:
        return 0, False
    return seconds * _NS_PER_S + nanos, True


@compiled
def _walk_values(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Step over the channel values at a place; return the place behind them, and how many."""
    count = 0
    step = 0
    while at < end and data[at] == _TAG_VALUE:
        if at + 1 < end and data[at + 1] < 0x80:
            step = np.int64(data[at + 1]) + 2
            if at + step > end:
                return -1, count
            at += step
        else:
            _, at = _extent(data, at + 1, end)
            if at < 0:
                return -1, count
        count += 1
    return at, count


@compiled
def _scan_message(data: Bytes, start: int, end: int, row: Ints) -> bool:
    """Read a message field by field; whether it was understood."""
    row[:] = 0
    at = start
    timestamp_start = -1
    timestamp_end = -1
    while at < end:
        tag = data[at]
        if tag == _TAG_VALUE:
            # All values in one go: they are one behind the other, or the message is unusual.
            if row[VALUES] != 0:
                return False
            row[VALUES_START] = at
            at, row[VALUES] = _walk_values(data, at, end)
            row[VALUES_END] = at
            if at < 0:
                return False
        elif tag == _TAG_END_STREAM:
            _, at = _varint(data, at + 1, end)
            if at < 0:
                return False
        elif tag == _TAG_TIMESTAMP:
            if timestamp_start >= 0:
                return False
            timestamp_start = at
            content, at = _extent(data, at + 1, end)
            if at < 0:
                return False
            timestamp_end = at
            row[TIMESTAMP_NS], in_range = _timestamp_ns(data, content, at)
            if not in_range:
                return False
        elif tag in (_TAG_CONFIG, _TAG_FLOW, _TAG_RUN, _TAG_ORGANIZATION):
            content, at = _extent(data, at + 1, end)
            if at < 0 or not _is_utf8(data, content, at):
                return False
            if tag == _TAG_CONFIG:
                row[CONFIG_START], row[CONFIG_END] = content, at
            elif tag == _TAG_FLOW:
                row[FLOW_START], row[FLOW_END] = content, at
            elif tag == _TAG_RUN:
                if at - content > RUN_ID_BYTES_MAX:
                    return False
                row[RUN_START], row[RUN_END] = content, at
        else:
            return False
    if row[VALUES] == 0 or row[VALUES_START] != timestamp_end:
        row[HEAD_END] = -1
    else:
        row[HEAD_END] = timestamp_start
    return timestamp_start >= 0


@compiled
def _scan_like(data: Bytes, starts: Ints, ends: Ints, scan: Ints, index: int, model: int) -> bool:
    """Read a message that differs from another in its timestamp and values only; whether it does.

    Its other bytes equal those of the other, so they mean the same and need not be read again.
    """
    start = starts[index]
    end = ends[index]
    model_start = starts[model]
    model_end = ends[model]
    model_values_end = scan[model, VALUES_END]
    head_bytes = scan[model, HEAD_END] - model_start
    at = start + head_bytes
    if at >= end or not _equal(data, start, at, data, model_start, model_start + head_bytes):
        return False
    if data[at] != _TAG_TIMESTAMP:
        return False
    content, at = _extent(data, at + 1, end)
    if at < 0:
        return False
    timestamp_ns, in_range = _timestamp_ns(data, content, at)
    if not in_range:
        return False
    values_start = at
    at, values = _walk_values(data, at, end)
    if at < 0 or values == 0:
        return False
    if not _equal(data, at, end, data, model_values_end, model_end):
        return False
    row = scan[index]
    moved_head = start - model_start
    moved_tail = at - model_values_end
    for column in range(CONFIG_START, RUN_END + 1):
        place = scan[model, column]
        row[column] = place + (moved_head if place < model_values_end else moved_tail)
    row[TIMESTAMP_NS] = timestamp_ns
    row[VALUES_START] = values_start
    row[VALUES_END] = at
    row[VALUES] = values
    row[HEAD_END] = start + head_bytes
    row[UNDERSTOOD] = 1
    return True


@compiled
def scan_messages(data: Bytes, starts: Ints, ends: Ints, scan: Ints) -> None:
    """Find out what each message says of itself, and where its values lie.

    Most messages are of the same flow as the one before. Where flows take turns, they are of the
    flow that came next the last time, or begin a new turn.
    """
    previous = -1
    for index in range(len(starts)):
        like = -1
        if previous >= 0:
            next_in_turn = scan[previous, LIKE] + 1
            tried = -1
            for model in (previous, next_in_turn, 0):
                if (
                    model != tried
                    and scan[model, UNDERSTOOD]
                    and scan[model, HEAD_END] >= 0
                    and _scan_like(data, starts, ends, scan, index, model)
                ):
                    like = model
                    break
                tried = model
        if like < 0:
            row = scan[index]
            row[UNDERSTOOD] = _scan_message(data, starts[index], ends[index], row)
        scan[index, LIKE] = like
        if scan[index, UNDERSTOOD]:
            previous = index


@compiled
def _same_run(data: Bytes, row: Ints, other: Ints) -> bool:
    return _equal(data, row[RUN_START], row[RUN_END], data, other[RUN_START], other[RUN_END])


@compiled
def _same_flow_and_run(data: Bytes, row: Ints, other: Ints) -> bool:
    return (
        _equal(
            data, row[CONFIG_START], row[CONFIG_END], data, other[CONFIG_START], other[CONFIG_END]
        )
        and _equal(data, row[FLOW_START], row[FLOW_END], data, other[FLOW_START], other[FLOW_END])
        and _same_run(data, row, other)
    )


@compiled
def _hash(data: Bytes, start: int, end: int, seed: np.uint64) -> np.uint64:
    """A hash in the manner of FNV-1a, eight bytes a step."""
    value = seed
    at = start
    while at + 8 <= end:
        value = (value ^ _load_64(data, at)) * np.uint64(0x100000001B3)
        value ^= value >> np.uint64(32)
        at += 8
    while at < end:
        value = (value ^ np.uint64(data[at])) * np.uint64(0x100000001B3)
        at += 1
    # The last step of MurmurHash3: every bit that came in reaches the lowest ones, which choose the
    # slot. Names that differ in their last characters only would else meet in few slots.
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@compiled
def _hash_flow(
    data: Bytes, config_start: int, config_end: int, flow_start: int, flow_end: int
) -> np.int64:
    """A hash of the names of config and flow, not negative."""
    value = _hash(data, config_start, config_end, np.uint64(0xCBF29CE484222325))
    return np.int64(_hash(data, flow_start, flow_end, value) >> np.uint64(1))


@compiled
def group_messages(
    data: Bytes, scan: Ints, group_of: Ints, first_of_group: Ints, table: Ints
) -> int:
    """Give messages of one config, flow and run the same group number; return how many there are.

    Args:
        data: The frames.
        scan: What `scan_messages` found.
        group_of: Filled with each message's group; -1 for messages that were not understood.
        first_of_group: Filled with the number of each group's first message.
        table: Work space, filled with -1; a power of two at least twice the number of messages.
    """
    groups = 0
    mask = np.uint64(len(table) - 1)
    for index in range(len(scan)):
        row = scan[index]
        if not row[UNDERSTOOD]:
            group_of[index] = -1
            continue
        if row[LIKE] >= 0:
            group = group_of[row[LIKE]]
        else:
            row[FLOW_HASH] = _hash_flow(
                data, row[CONFIG_START], row[CONFIG_END], row[FLOW_START], row[FLOW_END]
            )
            value = _hash(data, row[RUN_START], row[RUN_END], np.uint64(row[FLOW_HASH]))
            slot = np.int64(value & mask)
            while table[slot] >= 0 and not _same_flow_and_run(
                data, row, scan[first_of_group[table[slot]]]
            ):
                slot = np.int64((np.uint64(slot) + np.uint64(1)) & mask)
            group = table[slot]
            if group < 0:
                group = groups
                table[slot] = group
                first_of_group[group] = index
                groups += 1
        group_of[index] = group
    return groups


@compiled
def number_runs(data: Bytes, scan: Ints, firsts: Ints, groups: Ints, first_of_run: Ints) -> int:
    """Number the runs of groups in `RUN`; return how many there are.

    Only neighbours are compared: a run may get several numbers.

    Args:
        data: The frames.
        scan: What `scan_messages` found.
        firsts: Number of each group's first message.
        groups: The groups.
        first_of_run: Filled with the number of each run's first message; as long as `groups`.
    """
    runs = 0
    for index in range(len(groups)):
        if index == 0 or not _same_run(data, scan[firsts[index]], scan[firsts[index - 1]]):
            first_of_run[runs] = firsts[index]
            runs += 1
        groups[index, RUN] = runs - 1
    return runs


@compiled
def remember_flow(names: Bytes, known: Ints, slots: Ints, number: int) -> None:
    """Let `find_flows` find a flow: put its number where the hash of its names leads."""
    row = known[number]
    mask = len(slots) - 1
    slot = mask & _hash_flow(
        names,
        row[KNOWN_CONFIG_START],
        row[KNOWN_FLOW_START],
        row[KNOWN_FLOW_START],
        row[KNOWN_FLOW_END],
    )
    while slots[slot] >= 0:
        slot = (slot + 1) & mask
    slots[slot] = number


@compiled
def find_flows(
    data: Bytes,
    scan: Ints,
    firsts: Ints,
    groups: Ints,
    names: Bytes,
    known: Ints,
    slots: Ints,
    count: int,
) -> None:
    """Look up the flow of each group.

    Args:
        data: The frames.
        scan: What `scan_messages` and `group_messages` found.
        firsts: Number of each group's first message.
        groups: `FLOW`, `CHANNELS` and `FIELDS_START` are filled.
        names: The names of known flows.
        known: The known flows.
        slots: Numbers of known flows by the hash of their names, -1 where there is none; a power of
            two, at least twice as many as flows.
        count: How many flows are known. Others may be added meanwhile, with larger numbers: they
            are where nothing was before, so that who meets one has looked far enough.
    """
    mask = len(slots) - 1
    for index in range(len(groups)):
        row = scan[firsts[index]]
        group = groups[index]
        slot = row[FLOW_HASH] & mask
        number = slots[slot]
        while 0 <= number < count:
            flow = known[number]
            if _equal(
                data,
                row[CONFIG_START],
                row[CONFIG_END],
                names,
                flow[KNOWN_CONFIG_START],
                flow[KNOWN_FLOW_START],
            ) and _equal(
                data,
                row[FLOW_START],
                row[FLOW_END],
                names,
                flow[KNOWN_FLOW_START],
                flow[KNOWN_FLOW_END],
            ):
                break
            slot = (slot + 1) & mask
            number = slots[slot]
        if 0 <= number < count:
            group[FLOW] = number
            group[CHANNELS] = known[number, KNOWN_CHANNELS]
            group[FIELDS_START] = known[number, KNOWN_FIELDS_START]
        else:
            group[FLOW] = -1
            group[CHANNELS] = -1


@compiled
def plan_groups(scan: Ints, group_of: Ints, fields: Bytes, groups: Ints) -> tuple[int, int, int]:
    """Decide where each group's cells and rows lie, in `groups`.

    Only messages with the right number of values get room, so that a stream of messages that do
    not fit a wide flow can't ask for more memory than it sent bytes.

    Args:
        scan: What `scan_messages` found.
        group_of: Each message's group.
        fields: The value fields of flows.
        groups: The groups; what `find_flows` does not fill is zero.

    Returns:
        How many cells and rows there are in all, and how many heap bytes at the most.
    """
    for index in range(len(scan)):
        if group_of[index] >= 0:
            row = scan[index]
            group = groups[group_of[index]]
            if row[VALUES] == group[CHANNELS]:
                group[ROWS_MAX] += 1
                group[VALUE_BYTES] += row[VALUES_END] - row[VALUES_START]
    n_cells = 0
    n_rows = 0
    n_heap = 0
    for index in range(len(groups)):
        group = groups[index]
        group[CELLS_START] = n_cells
        group[ROWS_START] = n_rows
        for channel in range(group[CHANNELS]):
            field = fields[group[FIELDS_START] + channel]
            if field == _STRING or field == _BIT_FIELD or field == _BYTES:
                n_heap += group[VALUE_BYTES]
                break
        n_cells += max(group[CHANNELS], 0) * group[ROWS_MAX]
        n_rows += group[ROWS_MAX]
    return n_cells, n_rows, n_heap


@compiled
def _number(data: Bytes, at: int, end: int, field: int) -> tuple[np.uint64, bool]:
    """The word of a value that must be exactly one field: a float, or a varint."""
    word = np.uint64(0)
    if field == _DOUBLE:
        return word, False
    if field == _FLOAT:
        if end - at != 5 or data[at] != 0x1D:
            return word, False
        return _load_32(data, at + 1), True
    if data[at] != field << 3:
        return word, False
    word, at = _varint(data, at + 1, end)
    if at != end:
        return word, False
    if field == _BOOL:
        word = np.uint64(word != np.uint64(0))
    elif field in (_UINT_32, _ENUM):
        word &= np.uint64(0xFFFFFFFF)
    elif field == _INT_32:
        word &= np.uint64(0xFFFFFFFF)
        if word >= np.uint64(0x80000000):
            word |= np.uint64(0xFFFFFFFF00000000)
    return word, True


@compiled
def _copy_bytes(data: Bytes, at: int, end: int, field: int, heap: Bytes, heap_at: int) -> int:
    """Copy a value that must be exactly one field of bytes; return its length, -1 if it is not."""
    if data[at] != field << 3 | 2:
        return -1
    start, stop = _extent(data, at + 1, end)
    if stop != end or (field == _STRING and not _is_utf8(data, start, stop)):
        return -1
    for offset in range(stop - start):
        heap[heap_at + offset] = data[start + offset]
    return stop - start


@compiled
def fill_columns(
    data: Bytes,
    scan: Ints,
    group_of: Ints,
    groups: Ints,
    fields: Bytes,
    timestamps_ns: Ints,
    words: NDArray[np.uint64],
    present: NDArray[np.bool_],
    heap: Bytes,
) -> int:
    """Write the values of all messages into the columns of their groups.

    Returns how many bytes of the heap, which all groups share, were filled.

    A message that does not fit its group's channels takes no row, and loses its `UNDERSTOOD`.
    `scan_messages` made sure that values are whole; `present` is true everywhere before.
    """
    heap_end = 0
    for index in range(len(scan)):
        if group_of[index] < 0:
            continue
        row = scan[index]
        group = groups[group_of[index]]
        channels = group[CHANNELS]
        if row[VALUES] != channels:
            row[UNDERSTOOD] = 0
            continue
        first_field = group[FIELDS_START]
        first_cell = group[CELLS_START] + group[ROWS]
        cell_step = group[ROWS_MAX]
        heap_at = heap_end
        cell = first_cell
        at = row[VALUES_START]
        end = row[VALUES_END]
        fits = True
        for channel in range(channels):
            field = fields[first_field + channel]
            length = np.int64(data[at + 1])
            if field == _DOUBLE and length == 9 and data[at + 2] == 0x11:
                words[cell] = _load_64(data, at + 3)
                at += 11
                cell += cell_step
                continue
            if length < 0x80:
                start = at + 2
                at = start + length
            else:
                start, at = _extent(data, at + 1, end)
            word = np.uint64(0)
            if start == at or (
                data[start] == _TAG_EMPTY and at - start == 2 and data[start + 1] == 0
            ):
                present[cell] = False
            elif field == _STRING or field == _BIT_FIELD or field == _BYTES:
                length = _copy_bytes(data, start, at, field, heap, heap_at)
                if length < 0:
                    fits = False
                    break
                word = np.uint64(heap_at) << np.uint64(32) | np.uint64(length)
                heap_at += length
            else:
                word, fits = _number(data, start, at, field)
                if not fits:
                    break
            words[cell] = word
            cell += cell_step
        if fits:
            timestamps_ns[group[ROWS_START] + group[ROWS]] = row[TIMESTAMP_NS]
            group[ROWS] += 1
            heap_end = heap_at
        else:
            row[UNDERSTOOD] = 0
            for channel in range(channels):
                present[first_cell + channel * cell_step] = True
    return heap_end


@compiled
def gather_bytes(heap: Bytes, words: NDArray[np.uint64], out: Bytes) -> None:
    """Copy what each word (`start << 32 | length`) points to in a heap, one behind the other."""
    at = 0
    for word in words:
        start = np.int64(word >> np.uint64(32))
        for offset in range(np.int64(word & np.uint64(0xFFFFFFFF))):
            out[at] = heap[start + offset]
            at += 1
