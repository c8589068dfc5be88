"""Points whose values say which they are: a function of writer, channel and row number.

So what is read back can be judged without keeping what was sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from support.telemetry import Type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

T0_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_003
DAY_NS = 86_400_000_000_000
DAYS = 3
"""Rows take turns between days, so that every flush writes some files."""

CHANNELS = {
    "double": Type.CHANNEL_DATA_TYPE_DOUBLE,
    "int": Type.CHANNEL_DATA_TYPE_INT_64,
    "text": Type.CHANNEL_DATA_TYPE_STRING,
    "flag": Type.CHANNEL_DATA_TYPE_BOOL,
    "sometimes": Type.CHANNEL_DATA_TYPE_UINT_64,
}
SOMETIMES = "sometimes"
"""The channel that has no value in one row of seven."""

_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def times_ns(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Timestamps of rows."""
    return T0_NS + rows * STEP_NS + rows % DAYS * DAY_NS


def rows_at(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows that have timestamps; -1 for a timestamp that no row has."""
    days, rest = np.divmod(times - T0_NS, DAY_NS)
    rows = rest // STEP_NS
    return np.where((rest % STEP_NS == 0) & (rows % DAYS == days), rows, -1)


def has_value(channel: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows have a value for a channel."""
    return (rows % 7 != 3) if channel == SOMETIMES else np.ones(len(rows), np.bool_)


def values(writer: int, channel: str, rows: NDArray[np.int64]) -> list[Any]:
    """Values of a channel, one a row, as Python has them."""
    place = list(CHANNELS).index(channel)
    words = rows.astype(np.uint64) * np.uint64(64) + np.uint64(writer * 8 + place)
    with np.errstate(over="ignore"):
        words = (words + np.uint64(1)) * _MIX
        words = (words ^ (words >> np.uint64(30))) * _MIX_1
        words = (words ^ (words >> np.uint64(27))) * _MIX_2
    words ^= words >> np.uint64(31)
    match channel:
        case "double":
            listed: list[Any] = ((words >> np.uint64(11)).astype(np.float64) * 2.0**-20).tolist()
        case "int":
            listed = words.view(np.int64).tolist()
        case "text":
            listed = [f"{word:x}" * (word % 4) for word in words.tolist()]
        case "flag":
            listed = (words % np.uint64(2) == 1).tolist()
        case _:
            listed = words.tolist()
    return listed


@dataclass(slots=True)
class Verdict:
    """What is wrong with what was read; nothing, if all are zero.

    Attributes:
        acknowledged: Points that must be there.
        lost: Acknowledged points that are not.
        twice: Points that are there more than once.
        altered: Points that nobody sent, or with another value.
        in_part: Rows that are there, and not with all of their channels.
        words: The first of each, in words.
    """

    acknowledged: int = 0
    lost: int = 0
    twice: int = 0
    altered: int = 0
    in_part: int = 0
    words: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.twice or self.altered or self.in_part)

    def add(self, other: Verdict) -> None:
        """Count another's as well."""
        self.acknowledged += other.acknowledged
        self.lost += other.lost
        self.twice += other.twice
        self.altered += other.altered
        self.in_part += other.in_part
        self.words += other.words

    def say(self, what: str, rows: NDArray[np.int64]) -> int:
        """Note rows that something is wrong with; returns how many there are."""
        if len(rows):
            self.words.append(f"{what}: {len(rows)}, the first {rows[:5].tolist()}")
        return len(rows)


def judge(
    writer: int,
    read: Mapping[str, Sequence[tuple[int, Any]]],
    acknowledged_rows: int,
    sent_rows: int,
) -> Verdict:
    """Compare what was read with what was sent.

    Args:
        writer: Who sent it.
        read: All points of each channel, `(nanoseconds, value)`.
        acknowledged_rows: Rows from 0 on that were acknowledged.
        sent_rows: Rows from 0 on that were sent, or began to be.
    """
    verdict = Verdict()
    must = np.arange(acknowledged_rows)
    there: dict[str, NDArray[np.bool_]] = {}
    for channel in CHANNELS:
        name = f"writer {writer}, channel {channel!r}"
        points = read.get(channel, ())
        times = np.array([time for time, _ in points], np.int64)
        rows = rows_at(times)
        known = (rows >= 0) & (rows < sent_rows)
        known[known] &= has_value(channel, rows[known])
        verdict.altered += verdict.say(f"{name}, points nobody sent", times[~known])
        rows = rows[known]
        found = [value for (_, value), is_known in zip(points, known, strict=True) if is_known]
        expected = values(writer, channel, rows)
        wrong = [one != other for one, other in zip(found, expected, strict=True)]
        verdict.altered += verdict.say(f"{name}, altered rows", rows[np.array(wrong, np.bool_)])
        counts = np.bincount(rows, minlength=sent_rows)
        verdict.twice += verdict.say(f"{name}, rows twice", np.flatnonzero(counts > 1))
        mine = must[has_value(channel, must)]
        verdict.acknowledged += len(mine)
        verdict.lost += verdict.say(f"{name}, rows lost", mine[counts[mine] == 0])
        there[channel] = counts > 0
    sent = np.arange(sent_rows)
    always = [there[channel] for channel in CHANNELS if channel != SOMETIMES]
    whole = np.all(always, axis=0) & (there[SOMETIMES] | ~has_value(SOMETIMES, sent))
    none = ~np.any([*always, there[SOMETIMES]], axis=0)
    verdict.in_part += verdict.say(f"writer {writer}, rows in part", sent[~(whole | none)])
    return verdict
