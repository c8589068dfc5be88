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

from fuzz.checks import (
    INDEX,
    assert_as_the_library,
    assert_surroundings_do_not_matter,
    assert_the_small_kernels_agree,
    decode_all,
    parts_of,
)
from fuzz.mutation import corpus, mutate
from sift_wire.decode import decode
from sift_wire.frames import Frames
from sift_wire.kernels import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.checks import Blocks

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
        assert_surroundings_do_not_matter(mutated.frames, mutated.elsewhere)
        is_compared = rng.integers(check_every) == 0
        for first in range(0, size, SLICE_MESSAGES):
            part = mutated.frames.select(first, min(first + SLICE_MESSAGES, size))
            blocks, rejected = decode_all(part)
            rows = sum(int(block.groups[:, ROWS].sum()) for block in blocks)
            assert rows + len(rejected) == len(part)
            result.n_rows += rows
            _digest(result.digest, blocks, rejected)
            if is_compared:
                assert_as_the_library(part, blocks, rejected)
                assert_the_small_kernels_agree(part, blocks)
                result.n_compared += len(part)
        if alone:
            for index in range(size):
                message = mutated.frames.message(index)
                decode(Frames(message, np.array([0]), np.array([len(message)])), INDEX)
        result.n_messages += size
    return result


def _digest(digest: hashlib._Hash, blocks: Blocks, rejected: Sequence[int]) -> None:
    for part in parts_of(blocks):
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
