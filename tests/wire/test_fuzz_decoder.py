"""Inputs of the decoder as `make fuzz` makes them, but not guided by what they reach."""

from __future__ import annotations

import random

from fuzz.coverage import TARGETS
from fuzz.decoder import feed
from fuzz.decoder_mutation import mutated

INPUTS = 600
INPUT_BYTES_MAX = 400


def test_what_fuzzing_begins_with_is_decoded_as_the_library_does():
    """Messages of all flows, and the same bytes as the body of a call."""
    for seed in TARGETS["decoder"].seeds():
        feed(seed)


def test_messages_that_are_changed_field_by_field_are_decoded_as_the_library_does():
    """Changed again and again, beginning anew now and then."""
    seeds = TARGETS["decoder"].seeds()
    rng = random.Random(1)
    data = b""
    for number in range(INPUTS):
        if number % 10 == 0:
            data = rng.choice(seeds)
        data = mutated(data, INPUT_BYTES_MAX, number, lambda old, size: changed(old, size, rng))
        feed(data)


def changed(data: bytes, size_max: int, rng: random.Random) -> bytes:
    """Bytes of which one is another, or is there twice, or is not there."""
    at = rng.randrange(len(data) + 1)
    middle = (b"", data[at : at + 1] * 2, rng.randbytes(1))[rng.randrange(3)]
    return (data[:at] + middle + data[at + 1 :])[:size_max]
