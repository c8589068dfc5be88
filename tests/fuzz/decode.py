"""Decodes messages that are almost right, by the million: `make fuzz`.

For every message: nothing crashes; it becomes a row or is rejected; and what surrounds it in memory
makes no difference, so nothing outside of it was read. For one batch in `--check-every`, also: it
is taken or rejected as the protobuf library would, and the row is what that library reads.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fuzz.mutation import corpus, mutate
from sift_wire.decode import DecodedBatch, _decode, decode
from sift_wire.frames import Frames
from sift_wire.kernels import gather_bytes
from support.decoding import expected_row, layout_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BATCH_MESSAGES = 10_000
SLICE_MESSAGES = 500
"""What is decoded at a time: a message that ends its stream makes the decoder begin anew."""


@dataclass(slots=True)
class Result:
    """What became of the messages.

    Attributes:
        n_messages: How many there were.
        n_rows: How many became rows.
        n_compared: How many were compared with what the protobuf library makes of them.
        digest: Of everything that was decoded; the same seed gives the same.
    """

    n_messages: int = 0
    n_rows: int = 0
    n_compared: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)


def run(count: int, seed: int, check_every: int, *, alone: bool = False) -> Result:
    """Decode `count` mutated messages.

    Args:
        count: How many.
        seed: Gives the same messages again.
        check_every: One batch in so many is compared with the protobuf library.
        alone: Decode each message once more in a buffer that ends where it ends, where checks of
            array bounds see what reads on.

    Raises:
        AssertionError: The decoder did something else than it must; names the messages.
    """
    rng = np.random.default_rng(seed)
    seeds = corpus(rng)
    result = Result()
    while result.n_messages < count:
        size = min(BATCH_MESSAGES, count - result.n_messages)
        mutated = mutate(seeds, rng, size)
        _assert_surroundings_do_not_matter(mutated.frames, mutated.elsewhere)
        is_compared = rng.integers(check_every) == 0
        for first in range(0, size, SLICE_MESSAGES):
            part = mutated.frames.select(first, min(first + SLICE_MESSAGES, size))
            batches, rejected = _decode_all(part)
            rows = sum(len(batch.rows.timestamps_ns) for batch in batches)
            assert rows + len(rejected) == len(part)
            result.n_rows += rows
            _digest(result.digest, batches, rejected)
            if is_compared:
                _assert_as_the_library(part, batches, rejected)
                _assert_the_small_kernels_agree(part, batches)
                result.n_compared += len(part)
        if alone:
            for index in range(size):
                message = mutated.frames.message(index)
                decode(Frames(message, np.array([0]), np.array([len(message)])), layout_of)
        result.n_messages += size
    return result


def _decode_all(frames: Frames) -> tuple[list[DecodedBatch], list[int]]:
    """Decode all messages, also those behind one that ends its stream."""
    batches: list[DecodedBatch] = []
    rejected: list[int] = []
    at = 0
    while at < len(frames):
        decoded = decode(frames.select(at, len(frames)), layout_of)
        batches += decoded.batches
        rejected += [at + message.index for message in decoded.rejected]
        at += decoded.n_messages
    return batches, rejected


def _assert_surroundings_do_not_matter(frames: Frames, elsewhere: Frames) -> None:
    batches, misfits = _decode(frames, layout_of)
    other_batches, other_misfits = _decode(elsewhere, layout_of)
    assert misfits == other_misfits
    assert len(batches) == len(other_batches)
    for batch, other in zip(batches, other_batches, strict=True):
        assert list(_parts(batch)) == list(_parts(other))


def _assert_as_the_library(
    frames: Frames, batches: Sequence[DecodedBatch], rejected: Sequence[int]
) -> None:
    messages = [frames.message(index) for index in range(len(frames))]
    expected = [expected_row(message) for message in messages]
    taken = {index for index, row in enumerate(expected) if row is not None}
    disagreed = taken ^ (set(range(len(messages))) - set(rejected))
    assert not disagreed, [messages[index].hex() for index in sorted(disagreed)]
    rows = sorted(rows_of(batches), key=repr)
    expected_rows = sorted((row for row in expected if row is not None), key=repr)
    for row, expected_one in zip(rows, expected_rows, strict=True):
        assert row == expected_one


def _assert_the_small_kernels_agree(frames: Frames, batches: Sequence[DecodedBatch]) -> None:
    """Those that cut frames, and the one that gathers strings, against what Python does."""
    messages = [frames.message(index) for index in range(len(frames))]
    framed = Frames.from_messages(messages)
    assert [framed.message(index) for index in range(len(framed))] == messages
    for batch in batches:
        heap = np.frombuffer(batch.rows.heap, np.uint8)
        for words, data_type in zip(batch.rows.words, batch.rows.layout.data_types, strict=True):
            if data_type.is_variable_width:
                extents = [(word >> 32, word & 0xFFFFFFFF) for word in words.tolist()]
                expected = b"".join(batch.rows.heap[at : at + length] for at, length in extents)
                out = np.empty(len(expected), np.uint8)
                gather_bytes(heap, words, out)
                assert out.tobytes() == expected


def _parts(batch: DecodedBatch) -> Iterator[bytes]:
    """Everything in a batch, as bytes."""
    yield f"{batch.ingestion_config_id}|{batch.flow_name}|{batch.rows.run_id}".encode()
    yield batch.rows.timestamps_ns.tobytes()
    yield np.where(batch.rows.present, batch.rows.words, 0).tobytes()
    yield batch.rows.present.tobytes()
    yield batch.rows.heap


def _digest(
    digest: hashlib._Hash, batches: Sequence[DecodedBatch], rejected: Sequence[int]
) -> None:
    for batch in batches:
        for part in _parts(batch):
            digest.update(part)
    digest.update(np.array(rejected, np.int64).tobytes())


def main() -> None:
    """Run from the command line, and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check-every", type=int, default=20)
    parser.add_argument("--alone", action="store_true")
    arguments = parser.parse_args()
    begin = time.monotonic()
    result = run(arguments.count, arguments.seed, arguments.check_every, alone=arguments.alone)
    sys.stdout.write(
        f"seed {arguments.seed}: {result.n_messages} messages, {result.n_rows} became rows,"
        f" {result.n_compared} compared with protobuf, in {time.monotonic() - begin:.0f} s;"
        f" digest {result.digest.hexdigest()[:16]}\n"
    )


if __name__ == "__main__":
    main()
