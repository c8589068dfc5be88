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
from sift_wire.decode import _Asked, decode, decode_understood
from sift_wire.frames import Frames
from sift_wire.kernels import ROWS, gather_bytes
from support.decoding import KnownFlow, expected_row, index_of, layout_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift_wire.block import RowBlock
    from sift_wire.columns import FlowRows

    Blocks = Sequence[RowBlock[KnownFlow]]

BATCH_MESSAGES = 10_000
SLICE_MESSAGES = 500
"""What is decoded at a time: a message that ends its stream makes the decoder begin anew."""
INDEX = index_of(layout_of)


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
            blocks, rejected = _decode_all(part)
            rows = sum(int(block.groups[:, ROWS].sum()) for block in blocks)
            assert rows + len(rejected) == len(part)
            result.n_rows += rows
            _digest(result.digest, blocks, rejected)
            if is_compared:
                _assert_as_the_library(part, blocks, rejected)
                _assert_the_small_kernels_agree(part, blocks)
                result.n_compared += len(part)
        if alone:
            for index in range(size):
                message = mutated.frames.message(index)
                decode(Frames(message, np.array([0]), np.array([len(message)])), INDEX)
        result.n_messages += size
    return result


def _decode_all(frames: Frames) -> tuple[Blocks, list[int]]:
    """Decode all messages, also those behind one that ends its stream."""
    blocks: list[RowBlock[KnownFlow]] = []
    rejected: list[int] = []
    at = 0
    while at < len(frames):
        decoded = decode(frames.select(at, len(frames)), INDEX)
        blocks += decoded.blocks
        rejected += [at + message.index for message in decoded.rejected]
        at += decoded.n_messages
    return blocks, rejected


def _assert_surroundings_do_not_matter(frames: Frames, elsewhere: Frames) -> None:
    blocks, misfits = decode_understood(frames, _Asked(INDEX), INDEX)
    other_blocks, other_misfits = decode_understood(elsewhere, _Asked(INDEX), INDEX)
    assert misfits == other_misfits
    assert list(_parts(blocks)) == list(_parts(other_blocks))


def _assert_as_the_library(frames: Frames, blocks: Blocks, rejected: Sequence[int]) -> None:
    messages = [frames.message(index) for index in range(len(frames))]
    expected = [expected_row(message) for message in messages]
    taken = {index for index, row in enumerate(expected) if row is not None}
    disagreed = taken ^ (set(range(len(messages))) - set(rejected))
    assert not disagreed, [messages[index].hex() for index in sorted(disagreed)]
    rows = sorted(rows_of(blocks), key=repr)
    expected_rows = sorted((row for row in expected if row is not None), key=repr)
    for row, expected_one in zip(rows, expected_rows, strict=True):
        assert row == expected_one


def _assert_the_small_kernels_agree(frames: Frames, blocks: Blocks) -> None:
    """Those that cut frames, and the one that gathers strings, against what Python does."""
    messages = [frames.message(index) for index in range(len(frames))]
    framed = Frames.from_messages(messages)
    assert [framed.message(index) for index in range(len(framed))] == messages
    for rows in _groups(blocks):
        heap = np.frombuffer(rows.heap, np.uint8)
        for words, data_type in zip(rows.words, rows.layout.data_types, strict=True):
            if data_type.is_variable_width:
                extents = [(word >> 32, word & 0xFFFFFFFF) for word in words.tolist()]
                expected = b"".join(rows.heap[at : at + length] for at, length in extents)
                out = np.empty(len(expected), np.uint8)
                gather_bytes(heap, words, out)
                assert out.tobytes() == expected


def _groups(blocks: Blocks) -> Iterator[FlowRows]:
    for block in blocks:
        yield from map(block.rows, range(len(block)))


def _parts(blocks: Blocks) -> Iterator[bytes]:
    """Everything in blocks, as bytes."""
    for block in blocks:
        for group in range(len(block)):
            rows = block.rows(group)
            config = block.flow(group).ingestion_config_id
            yield f"{config}|{rows.layout.flow_name}|{rows.run_id}".encode()
            yield rows.timestamps_ns.tobytes()
            yield np.where(rows.present, rows.words, 0).tobytes()
            yield rows.present.tobytes()
        yield block.heap


def _digest(digest: hashlib._Hash, blocks: Blocks, rejected: Sequence[int]) -> None:
    for part in _parts(blocks):
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
