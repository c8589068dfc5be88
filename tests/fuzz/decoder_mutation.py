"""Changes messages field by field, so that lengths stay right: what mutating bytes rarely does."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from fuzz.decoder import input_of, messages_of
from fuzz.mutation import EXTRA_FIELDS
from sift_wire.messages import bytes_field

if TYPE_CHECKING:
    from collections.abc import Callable

    Mutate = Callable[[bytes, int], bytes]

_FIXED_BYTES = {1: 8, 5: 4}
_LENGTH = 2
_LONGER_BYTES = 8
_MESSAGE_BYTES_MAX = 255
_FIELDS = (
    *EXTRA_FIELDS,
    b"\x5a\x00",
    b"\x1d\x00\x00\x80\x3f",
    b"\x11" + bytes(8),
    b"\x20\x01",
    b"\x28" + b"\xff" * 9 + b"\x01",
    b"\x28" + b"\xff" * 9 + b"\x02",
    b"\x0a\x03\xed\xa0\x80",
    b"\x22\x02\x5a\x00",
)


def mutated(data: bytes, size_max: int, seed: int, mutate: Mutate) -> bytes:
    """Change an input of the decoder: one time in two its bytes, else a field of a message.

    Args:
        data: The input.
        size_max: How many bytes it may get.
        seed: Decides what is changed.
        mutate: Changes bytes, up to a length.
    """
    rng = random.Random(seed)
    messages = messages_of(data)
    if not messages or rng.randrange(2):
        return mutate(data, size_max)
    at = rng.randrange(len(messages))
    kind = rng.randrange(8)
    if kind == 0:
        messages.insert(at, messages[rng.randrange(len(messages))])
    else:
        messages[at] = _changed(messages[at], rng, mutate)[:_MESSAGE_BYTES_MAX]
    return input_of(messages)[:size_max]


def _changed(message: bytes, rng: random.Random, mutate: Mutate) -> bytes:
    fields = _fields_of(message)
    at = rng.randrange(len(fields)) if fields else 0
    kind = rng.randrange(8)
    if not fields or kind == 0:
        fields.insert(at, rng.choice(_FIELDS))
    elif kind == 1:
        fields.insert(rng.randrange(len(fields) + 1), fields[at])
    elif kind == 2:
        other = rng.randrange(len(fields))
        fields[at], fields[other] = fields[other], fields[at]
    elif kind == 3:
        del fields[at]
    else:
        fields[at] = _field_changed(fields[at], rng, mutate)
    return b"".join(fields)


def _field_changed(field: bytes, rng: random.Random, mutate: Mutate) -> bytes:
    if field[0] & 7 != _LENGTH or rng.randrange(4) == 0:
        return mutate(field, len(field) + _LONGER_BYTES)
    content = field[2:]
    if rng.randrange(3):
        content = _changed(content, rng, mutate)
    else:
        content = mutate(content, len(content) + _LONGER_BYTES)
    return bytes_field(field[0], content)


def _fields_of(message: bytes) -> list[bytes]:
    """Cut a message into fields as far as they are of the ordinary kind; the rest is one."""
    fields = []
    at = 0
    while at < len(message):
        kind = message[at] & 7
        end = at + 1
        if kind == 0:
            while end < len(message) and message[end] >= 0x80:
                end += 1
            end += 1
        elif kind == _LENGTH and end < len(message) and message[end] < 0x80:
            end += 1 + message[end]
        else:
            end += _FIXED_BYTES.get(kind, len(message))
        fields.append(message[at:end])
        at = end
    return fields
