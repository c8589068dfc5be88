"""Elements of bit fields: some neighbouring bits of a value that is a string of bytes.

An element is the bits `index` to `index + bit_count - 1`, bit 0 being the lowest bit of the first
byte. Bits behind the end are 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ELEMENT_BITS_MAX = 32
"""Largest element that is read; of a larger one its first bits."""

_BITS_PER_BYTE = 8


def element_values(fields: Any, index: int, bit_count: int) -> NDArray[np.int64]:  # noqa: ANN401
    """The numbers that an element of some bit fields has.

    Args:
        fields: Arrow array of large_binary without nulls.
        index: The lowest bit of the element.
        bit_count: How many bits it has.
    """
    # Catalogs of earlier versions hold elements of any size, and with indices below 0.
    index, bit_count = max(index, 0), min(bit_count, ELEMENT_BITS_MAX)
    _, offsets_buffer, data_buffer = fields.buffers()
    found = np.zeros(len(fields), np.int64)
    if data_buffer is None or not len(fields):
        return found
    offsets = np.frombuffer(offsets_buffer, np.int64)[fields.offset :][: len(fields) + 1]
    data = np.frombuffer(data_buffer, np.uint8)
    first, shift = divmod(index, _BITS_PER_BYTE)
    for number in range((shift + bit_count + _BITS_PER_BYTE - 1) // _BITS_PER_BYTE):
        places = offsets[:-1] + first + number
        is_there = places < offsets[1:]
        found[is_there] |= data[places[is_there]].astype(np.int64) << (_BITS_PER_BYTE * number)
    return (found >> shift) & ((1 << bit_count) - 1)
