"""Writing words of eight bytes at any position, for all rows at once.

That is the fastest way for NumPy to put values of different sizes one behind the other. A word may
be longer than what it has to say; what comes behind is written later, over the rest of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORD_BYTES = 8
LONG_BYTES = 256
"""Strings of more bytes are copied one by one, shorter ones a word of all rows at a time."""

_LOW_GROUPS = 5
_LOW_BITS = 7 * _LOW_GROUPS


class Page:
    """Bytes that are written to at any position, in words and in blocks."""

    def __init__(self, size: int) -> None:
        """Make a page; what is in it, is what was in memory."""
        self.bytes = np.empty(size + 2 * WORD_BYTES, np.uint8)
        self._words = self.view(np.dtype("<u8"))

    def put(self, positions: NDArray[np.int64], words: NDArray[np.uint64] | int) -> None:
        """Write a word of eight bytes at each position."""
        self._words[positions] = words

    def view(self, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """Return an array whose item at each position begins at that byte."""
        count = max(len(self.bytes) - dtype.itemsize + 1, 0)
        return np.ndarray((count,), dtype, self.bytes.data, strides=(1,))


class Varints(NamedTuple):
    """Numbers as varints, in words.

    Attributes:
        lengths: int64. Bytes of each.
        low: uint64. The first five bytes of each, or fewer; zero behind them.
        wide: Which have more than five; None for none.
        high: uint64. The further bytes of those.
    """

    lengths: NDArray[np.int64]
    low: NDArray[np.uint64]
    wide: NDArray[np.int64] | None
    high: NDArray[np.uint64] | None


def varints(numbers: NDArray[np.uint64]) -> Varints:
    """Serialise numbers."""
    largest = int(numbers.max(initial=0))
    lengths, low = _spread(numbers, largest)
    if largest >> _LOW_BITS == 0:
        return Varints(lengths, low, None, None)
    wide = np.flatnonzero(numbers >> np.uint64(_LOW_BITS))
    beyond = numbers[wide] >> np.uint64(_LOW_BITS)
    more, high = _spread(beyond, int(beyond.max()))
    lengths[wide] = _LOW_GROUPS + more
    low[wide] |= np.uint64(1 << (8 * _LOW_GROUPS - 1))
    return Varints(lengths, low, wide, high)


def _spread(
    numbers: NDArray[np.uint64], largest: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Put seven bits into each byte, and say in all but the last that another one follows.

    The bits behind the fifth group are left out.
    """
    low = numbers & np.uint64(0x7F)
    lengths = np.ones(len(numbers), np.int64)
    for group in range(1, _LOW_GROUPS):
        if largest >> 7 * group == 0:
            break
        follows = numbers >= np.uint64(1 << 7 * group)
        lengths += follows
        low |= (numbers & np.uint64(0x7F << 7 * group)) << np.uint64(group)
        low |= follows.astype(np.uint64) << np.uint64(8 * group - 1)
    return lengths, low


def copy_strings(
    text: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    page: Page,
    positions: NDArray[np.int64],
) -> None:
    """Copy strings of bytes.

    Positions ascend. Strings may be one directly behind the other: the last words are written
    first and the first ones last, row by row, so that each string begins over what the one before
    it has written too much; the long ones, which write nothing too much, come at the end.

    Args:
        text: What they are in, and a word behind them.
        starts: Where each begins there.
        lengths: Bytes of each.
        page: Where to.
        positions: Where each begins there.
    """
    source = np.ndarray((len(text) - WORD_BYTES + 1,), "<u8", text.data, strides=(1,))
    longest = int(lengths.max(initial=0))
    last_word = (min(longest, LONG_BYTES) - 1) // WORD_BYTES * WORD_BYTES
    is_short = lengths <= LONG_BYTES
    for done in range(last_word, -1, -WORD_BYTES):
        left = np.flatnonzero((lengths > done) & is_short)
        page.put(positions[left] + done, source[starts[left] + done])
    for row in np.flatnonzero(~is_short):
        start, at, length = starts[row], positions[row], lengths[row]
        page.bytes[at : at + length] = text[start : start + length]
