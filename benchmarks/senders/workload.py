"""What is streamed: a flow's channels and their values, the same for every client.

Uses nothing but the standard library, so that programs in any environment can import it. Values are
like those of sensors: a slow sine under noise, rounded to four decimals.
"""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z, the time of the first row."""

STEP_NS = 1_000_000
"""Time from row to row."""

ABSENT_PART = 1 / 3
"""How many values of the mixed workload are absent."""

MIX = ("DOUBLE", "FLOAT", "INT_32", "ENUM", "BOOL", "BIT_FIELD", "STRING")
"""Types of the mixed workload's channels, in turn."""

ENUM_TYPES = (("idle", 0), ("armed", 1), ("firing", 2), ("safe", 300))
BIT_FIELD_ELEMENTS = (("valve", 0, 1), ("pump", 1, 3), ("heater", 4, 4))

_TEXTS = ("", "ok", "WARN: pressure above limit", "chamber purge started, valve 7 reports “öffen”")
_WIDE = 100
"""Channels above which fewer rows are different, so that making them takes no longer."""


@dataclass(frozen=True)
class Workload:
    """A flow, and how many rows of it.

    Attributes:
        channels: Number of channels.
        kind: "double", or "mixed" for a mix of types with a third of the values absent.
        rows: Number of rows.
    """

    channels: int
    kind: str
    rows: int

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.channels}"

    @property
    def values(self) -> int:
        """How many values the rows have, absent ones included."""
        return self.channels * self.rows

    def types(self) -> list[str]:
        """Data type of each channel."""
        if self.kind == "double":
            return ["DOUBLE"] * self.channels
        return [MIX[index % len(MIX)] for index in range(self.channels)]

    def names(self) -> list[str]:
        """Name of each channel."""
        return [f"sensor.{index:04d}" for index in range(self.channels)]

    def timestamps_ns(self) -> range:
        """Time of each row."""
        return range(START_NS, START_NS + self.rows * STEP_NS, STEP_NS)

    @property
    def distinct_rows(self) -> int:
        """After so many, values repeat; a prime, so that no pattern fits a buffer."""
        return min(self.rows, 997 if self.channels <= _WIDE else 97)

    def column(self, index: int) -> list:
        """Values of a channel in the distinct rows, `None` for absent ones."""
        data_type = self.types()[index]
        chance = random.Random(index)
        values = [_value(data_type, row, chance) for row in range(self.distinct_rows)]
        absent_part = ABSENT_PART if self.kind == "mixed" else 0.0
        return [None if chance.random() < absent_part else value for value in values]

    def columns(self) -> list[list]:
        """The column of each channel."""
        return [self.column(index) for index in range(self.channels)]

    def repeated_rows(self) -> Iterator[tuple]:
        """Values of one row after the other."""
        rows = list(zip(*self.columns(), strict=True))
        return itertools.islice(itertools.cycle(rows), self.rows)


def _value(data_type: str, index: int, chance: random.Random) -> float | str | bytes:
    number = round(20 + 5 * math.sin(index / 50) + chance.gauss(0, 0.05), 4)
    return {
        "DOUBLE": number,
        "FLOAT": number,
        "INT_32": int(number * 100) - 2000,
        "ENUM": ENUM_TYPES[chance.randrange(4)][1],
        "BOOL": number > 20,
        "BIT_FIELD": bytes((int(number * 7) & 0xFF,)),
        "STRING": _TEXTS[chance.randrange(4)],
    }[data_type]
