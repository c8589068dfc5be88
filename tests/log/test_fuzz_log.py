"""Logs that are almost right; `make fuzz` makes hundreds of thousands of them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from fuzz.log import target
from fuzz.log_damage import CHANGED, KINDS, RAW, STEP_BYTES, whole_log

if TYPE_CHECKING:
    from pathlib import Path

LOGS = 400


@pytest.mark.parametrize("kind", range(KINDS))
def test_a_damaged_log_has_what_checks_or_is_refused(tmp_path: Path, kind: int):
    """Each kind of damage, alone and after others, as a reader finds that knows the format only."""
    feed = target(tmp_path / "log")
    rng = random.Random(kind)
    for _ in range(LOGS // KINDS):
        others = rng.randbytes(STEP_BYTES * rng.randrange(4))
        feed(bytes((CHANGED,)) + others + bytes((kind,)) + rng.randbytes(STEP_BYTES - 1))


def test_any_bytes_may_be_a_segment(tmp_path: Path):
    """Of a file that is none, and of one of which any byte is another."""
    feed = target(tmp_path / "log")
    feed(bytes((RAW,)))
    segment = next(iter(whole_log().values()))
    for at in range(len(segment)):
        feed(bytes((RAW,)) + segment[:at] + bytes((segment[at] ^ 0x81,)) + segment[at + 1 :])
        feed(bytes((RAW,)) + segment[:at])
