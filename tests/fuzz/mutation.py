"""Ingest messages that are almost right: cut, spliced, doubled, with bytes that were changed.

All by NumPy, ten thousand messages a go, from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_wire.columns import DataType
from sift_wire.frames import Frames
from support.decoding import LAYOUTS, MEMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Ints = NDArray[np.int64]

N_SEEDS = 400
PIECES = 3
GAP_BYTES = 24
"""What lies between two messages; more than any kernel reads at a time."""

_TAGS_WITH_LENGTH = np.array([0x0A, 0x12, 0x1A, 0x22, 0x2A, 0x3A, 0x4A, 0x62], np.uint8)
# Tags, ends of varints, and the edges of a byte and of a length.
_TELLING = np.array(
    [0, 1, 2, 5, 8, 9, 11, 0x0A, 0x10, 0x11, 0x12, 0x1A, 0x1D, 0x20, 0x22, 0x28, 0x2A, 0x30, 0x38,
     0x3A, 0x40, 0x4A, 0x50, 0x5A, 0x62, 0x7F, 0x80, 0x81, 0xC0, 0xED, 0xF4, 0xFE, 0xFF], np.uint8
)  # fmt: skip
# What goes on with text or a varint that is cut off.
_CONTINUING = np.array([0x80, 0x81, 0x9F, 0xA0, 0xBF, 0, 1, 0x22], np.uint8)
EXTRA_FIELDS = (
    b"\x40\x07",
    b"\x49" + b"x" * 8,
    b"\x52\x02hi",
    b"\x5b\x08\x01\x5c",
    b"\xfa\x07\x00",
    b"\x08\x01",
    b"\x30\x00",
    b"\x22\x00",
    b"\x22\x80\x00",
    b"\x1a\x00",
    b"\x1a\x02\x10\x05",
    b"\x2a\x03run",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\x2a\x02a\xc3",
    b"\x3a\x02\xe5\x80",
    b"\x3a\x03\xf0\x9f\x9a",
    b"\x1a\x02\x08\x80",
    b"\x22\x01\x11",
    b"\x22\x02\x28\x80",
    b"\x22\x04\x1d\x00\x00\x80",
    b"\x22\x06\x1d\x00\x00\x80\x3f\x00",
    b"\x22\x08\x11" + bytes(7),
    b"\x22\x04\x0a\x02a\xc3",
    b"\x30\x80",
    b"\x30",
    b"\x22\xff\xff\xff\xff\x0f",
)
"""Unknown fields, repeated ones, and such that end too early."""

_NUMBERS = {
    DataType.ENUM: (0, 1, 2**32 - 1),
    DataType.INT_32: (0, -1, -(2**31), 2**31 - 1),
    DataType.UINT_32: (0, 300, 2**32 - 1),
    DataType.INT_64: (0, -1, -(2**63), 2**63 - 1),
    DataType.UINT_64: (0, 2**63, 2**64 - 1),
}
_TEXTS = ("", "a", "größe", "値" * 5, "\U0001f680", "x" * 200)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Valid messages, one behind the other.

    Attributes:
        data: Messages, and behind them fields that messages may get.
        starts: int64, shape (messages,).
        ends: int64, shape (messages,).
        cuts: int64. Where fields of messages begin or end, in `data`.
        cuts_of: int64, shape (messages + 1,). The cuts of message `i` are `cuts[cuts_of[i] :
            cuts_of[i + 1]]`.
        extra_starts: int64. Where the fields behind the messages begin.
        extra_ends: int64. Where they end.
    """

    data: Bytes
    starts: Ints
    ends: Ints
    cuts: Ints
    cuts_of: Ints
    extra_starts: Ints
    extra_ends: Ints


@dataclass(frozen=True, slots=True)
class Mutated:
    """The same messages in two surroundings."""

    frames: Frames
    elsewhere: Frames


def corpus(rng: np.random.Generator) -> Corpus:
    """Make valid messages of every layout."""
    fields = [_fields(rng) for _ in range(N_SEEDS)]
    lengths = [np.cumsum([0, *map(len, each)]) for each in fields]
    messages = [b"".join(each) for each in fields]
    starts, ends = _extents(messages)
    extra_starts, extra_ends = _extents(EXTRA_FIELDS)
    return Corpus(
        np.frombuffer(b"".join(messages) + b"".join(EXTRA_FIELDS), np.uint8),
        starts,
        ends,
        np.concatenate([start + each for start, each in zip(starts, lengths, strict=True)]),
        np.cumsum([0, *map(len, lengths)]),
        extra_starts + ends[-1],
        extra_ends + ends[-1],
    )


def mutate(seeds: Corpus, rng: np.random.Generator, count: int) -> Mutated:
    """Make `count` messages; some are left as they were."""
    piece_starts, piece_ends = _pieces(seeds, rng, count)
    data = seeds.data[_indexes(piece_starts.ravel(), piece_ends.ravel())]
    lengths = (piece_ends - piece_starts).sum(axis=1)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    _change_bytes(data, starts, lengths, rng)
    gaps = (count + 1) * GAP_BYTES
    around = _CONTINUING[rng.integers(len(_CONTINUING), size=gaps)]
    elsewhere = rng.integers(256, size=gaps, dtype=np.uint8)
    return Mutated(_placed(data, starts, ends, around), _placed(data, starts, ends, elsewhere))


def _fields(rng: np.random.Generator) -> list[bytes]:
    """The fields of a valid message, each serialised."""
    config, flow = list(LAYOUTS)[rng.integers(len(LAYOUTS))]
    texts = {
        "ingestion_config_id": config,
        "flow": flow,
        "run_id": ("", "run", "läufer")[rng.integers(3)],
        "organization_id": ("", "org")[rng.integers(2)],
    }
    requests = [Request(**{name: text}) for name, text in texts.items()]
    time = Request()
    time.timestamp.seconds = (0, 1, -1, 1_780_000_000, 9_223_372_035)[rng.integers(5)]
    time.timestamp.nanos = (0, 1, 999_999_999)[rng.integers(3)]
    requests.insert(2, time)
    values = [_value(data_type, rng) for data_type in LAYOUTS[config, flow].data_types]
    requests[3:3] = values
    return [request.SerializeToString() for request in requests]


def _value(data_type: DataType, rng: np.random.Generator) -> Request:
    request = Request()
    value = request.channel_values.add()
    kind = rng.integers(10)
    if kind == 0:
        return request
    if kind == 1:
        value.empty.SetInParent()
    elif data_type in _NUMBERS:
        numbers = _NUMBERS[data_type]
        setattr(value, MEMBERS[data_type], numbers[rng.integers(len(numbers))])
    elif data_type is DataType.BOOL:
        value.bool = bool(kind % 2)
    elif data_type is DataType.STRING:
        value.string = _TEXTS[rng.integers(len(_TEXTS))]
    elif data_type.is_variable_width:
        setattr(value, MEMBERS[data_type], rng.bytes(rng.integers(6)))
    else:
        numbers = (0.0, -0.0, 1.5, float("inf"), float("nan"), float(np.float32(rng.normal())))
        setattr(value, MEMBERS[data_type], numbers[rng.integers(len(numbers))])
    return request


def _pieces(seeds: Corpus, rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
    """Of what each message is made: up to three slices of the corpus; shape (count, 3) each."""
    base = rng.integers(len(seeds.starts), size=count)
    other = rng.integers(len(seeds.starts), size=count)
    extra = rng.integers(len(seeds.extra_starts), size=count)
    low, high = np.sort([_points(seeds, rng, base), _points(seeds, rng, base)], axis=0)
    start, end = seeds.starts[base], seeds.ends[base]
    kind = rng.integers(16, size=count)
    nothing = np.zeros(count, np.int64)
    whole = [start, end, nothing, nothing, nothing, nothing]
    kinds = {
        1: [start, low, nothing, nothing, nothing, nothing],  # cut off
        2: [low, end, nothing, nothing, nothing, nothing],
        3: [start, low, _points(seeds, rng, other), seeds.ends[other], nothing, nothing],  # spliced
        4: [start, low, nothing, nothing, high, end],  # without a part
        5: [start, high, low, high, high, end],  # with a part twice
        6: [start, low, high, end, low, high],  # in another order
        7: [start, low, seeds.extra_starts[extra], seeds.extra_ends[extra], low, end],
        8: [start, end, start, end, nothing, nothing],
        9: [start, end, seeds.extra_starts[extra], seeds.extra_ends[extra], nothing, nothing],
        10: [start, low, seeds.extra_starts[extra], seeds.extra_ends[extra], nothing, nothing],
    }
    chosen = np.array(whole)
    for number, pieces in kinds.items():
        chosen = np.where(kind == number, np.array(pieces), chosen)
    starts, ends = chosen[0::2].T, chosen[1::2].T
    return starts.copy(), np.maximum(starts, ends)


def _points(seeds: Corpus, rng: np.random.Generator, message: Ints) -> Ints:
    """A place in each message, half of the time between two fields."""
    first, n_cuts = seeds.cuts_of[message], np.diff(seeds.cuts_of)[message]
    between = seeds.cuts[first + (rng.random(len(message)) * n_cuts).astype(np.int64)]
    lengths = seeds.ends[message] - seeds.starts[message]
    anywhere = seeds.starts[message] + (rng.random(len(message)) * (lengths + 1)).astype(np.int64)
    return np.where(rng.random(len(message)) < 0.5, between, anywhere)


def _change_bytes(data: Bytes, starts: Ints, lengths: Ints, rng: np.random.Generator) -> None:
    """Flip bits, set bytes that mean something, and make lengths longer or shorter."""
    full = np.flatnonzero(lengths)
    for share, change in (
        (0.15, lambda old: old ^ (np.uint8(1) << rng.integers(8, size=len(old), dtype=np.uint8))),
        (0.1, lambda old: _TELLING[rng.integers(len(_TELLING), size=len(old))]),
        (0.05, lambda old: rng.integers(256, size=len(old), dtype=np.uint8)),
    ):
        for _ in range(2):
            at = full[rng.random(len(full)) < share]
            places = starts[at] + (rng.random(len(at)) * lengths[at]).astype(np.int64)
            data[places] = change(data[places])
    has_length = np.flatnonzero(np.isin(data[:-1], _TAGS_WITH_LENGTH)) + 1
    places = has_length[rng.random(len(has_length)) < 0.03]
    data[places] += rng.choice(np.array([1, 2, 255, 254, 0x80], np.uint8), size=len(places))


def _placed(data: Bytes, starts: Ints, ends: Ints, gaps: Bytes) -> Frames:
    """Messages in one buffer, with bytes around each that are none of its own."""
    shift = GAP_BYTES * np.arange(1, len(starts) + 1)
    placed_starts, placed_ends = starts + shift, ends + shift
    buffer = np.empty(len(data) + len(gaps), np.uint8)
    is_gap = np.ones(len(buffer), np.bool_)
    is_gap[_indexes(placed_starts, placed_ends)] = False
    buffer[~is_gap] = data
    buffer[is_gap] = gaps
    return Frames(buffer.tobytes(), placed_starts, placed_ends)


def _indexes(starts: Ints, ends: Ints) -> Ints:
    """The indexes of many slices, one behind the other."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


def _extents(parts: Iterable[bytes]) -> tuple[Ints, Ints]:
    lengths = np.array([len(part) for part in parts], np.int64)
    ends = np.cumsum(lengths)
    return ends - lengths, ends
