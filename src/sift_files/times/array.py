"""Whether an array of a file has times, by its type, its name and its first values."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa

from sift_files.plan import TimeFormat
from sift_files.times.detect import (
    TimeFormatGuess,
    format_of_numbers,
    format_of_texts,
    name_score,
)

__all__ = ["ArrayTimes", "time_of_array"]

_OF_THE_TYPE = 4
_OF_THE_TEXTS = 2


@dataclass(frozen=True, slots=True)
class ArrayTimes:
    """What an array seems to be the times of.

    Attributes:
        score: How sure that is, to choose among others.
        guess: What the values mean.
    """

    score: int
    guess: TimeFormatGuess


def time_of_array(name: str, array: Any, unit: str = "") -> ArrayTimes | None:  # noqa: ANN401 (of Arrow)
    """What an array's first values mean as times; None if they are none."""
    kind, score = array.type, name_score(name)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        guess = (
            TimeFormatGuess(TimeFormat.ABSOLUTE_RFC3339)
            if zoned
            else TimeFormatGuess(
                TimeFormat.ABSOLUTE_DATETIME,
                note="the times name no time zone and are taken for UTC",
            )
        )
        return ArrayTimes(score + _OF_THE_TYPE, guess)
    present = array.drop_null()
    if pa.types.is_duration(kind):
        return ArrayTimes(score + 1, TimeFormatGuess(TimeFormat.RELATIVE_NANOSECONDS))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = format_of_texts(present.to_pylist())
        return None if texts is None else ArrayTimes(score + _OF_THE_TEXTS, texts)
    if not score or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    numbers = present.to_pylist()
    if score == 1 and any(one > other for one, other in pairwise(numbers)):
        return None
    first, last = (numbers[0], numbers[-1]) if numbers else (0.0, 0.0)
    return ArrayTimes(score, format_of_numbers(first, last, name, unit))
