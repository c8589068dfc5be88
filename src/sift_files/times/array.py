"""Whether an array of a file has times, by its type, its name and its first values."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sift_files.errors import PlanError
from sift_files.hints import names_of, require_column
from sift_files.plan import TimeFormat, TimePlan
from sift_files.times.detect import (
    NO_ZONE,
    TimeFormatGuess,
    format_of_numbers,
    format_of_texts,
    name_score,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sift_files.hints import Hints

__all__ = ["ArrayTimes", "best_time", "time_of_array"]

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


def time_of_array(
    name: str,
    array: Any,  # noqa: ANN401 (of Arrow)
    unit: str = "",
    *,
    is_named: bool = False,
) -> ArrayTimes | None:
    """What an array's first values mean as times; None if they are none.

    `is_named` says that somebody knows that they are times.
    """
    kind, score = array.type, name_score(name)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        guess = (
            TimeFormatGuess(TimeFormat.ABSOLUTE_RFC3339)
            if zoned
            else TimeFormatGuess(
                TimeFormat.ABSOLUTE_DATETIME,
                note=NO_ZONE,
            )
        )
        return ArrayTimes(score + _OF_THE_TYPE, guess)
    present = array.drop_null()
    if pa.types.is_duration(kind):
        return ArrayTimes(score + 1, TimeFormatGuess(TimeFormat.RELATIVE_NANOSECONDS))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = format_of_texts(present.to_pylist())
        return None if texts is None else ArrayTimes(score + _OF_THE_TEXTS, texts)
    if not (score or is_named) or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    numbers = present.to_pylist()
    if score == 1 and not is_named and any(one > other for one, other in pairwise(numbers)):
        return None
    first, last = (numbers[0], numbers[-1]) if numbers else (0.0, 0.0)
    return ArrayTimes(score, format_of_numbers(first, last, name, unit))


def best_time(
    arrays: Mapping[str, Any], hints: Hints, units: Mapping[str, str] | None = None
) -> tuple[TimePlan | None, str]:
    """The array that has the times of others, and a note; None if there is none.

    Args:
        arrays: First values, by path.
        hints: What is known of the times.
        units: Of arrays, by path.

    Raises:
        PlanError: There is none of the name in the hints, or it has no times.
    """
    units = units or {}
    times: dict[str, ArrayTimes] = {}
    if len(hints.time) > 1:
        raise PlanError("times that are in more than one column are read of CSV files only")
    if hints.time:
        paths = list(arrays)
        path = paths[require_column(hints.time[0], [names_of(each, each) for each in paths])]
        if hints.time_format is not None:
            return TimePlan((path,), hints.time_format, pattern=hints.pattern), ""
        found = time_of_array(path, arrays[path], units.get(path, ""), is_named=True)
        if found is None:
            raise PlanError(
                f"column {path!r} has no times of a format that is known (--time-format)"
            )
        times[path] = found
    else:
        for path, array in arrays.items():
            if (found := time_of_array(path, array, units.get(path, ""))) is not None:
                times[path] = found
    best = max(times, key=lambda each: times[each].score, default=None)
    if best is None:
        return None, "no column of times was found: name one (--time)"
    if hints.time_format is not None:
        return TimePlan((best,), hints.time_format, pattern=hints.pattern), ""
    guess = times[best].guess
    return TimePlan((best,), guess.format, pattern=guess.pattern), guess.note
