"""The times of rows: which columns have them, and what is no time."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_files.csv.parse import Misfit
from sift_files.errors import PlanError
from sift_files.hints import NO_HINTS
from sift_files.plan import TimePlan
from sift_files.times.detect import (
    TimeFormatGuess,
    format_of_numbers,
    format_of_texts,
    name_score,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sift_files.csv.layout import Headed
    from sift_files.csv.parse import Parsed
    from sift_files.hints import Hints

__all__ = ["bad_times", "clock_column", "find_time", "guess_time", "time_texts"]

_TIME_OF_DAY = re.compile(r"\d\d?:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s*[AaPp][Mm])?")
_SURE = 2


def find_time(
    headed: Headed, named: Sequence[int] = (), hints: Hints = NO_HINTS
) -> tuple[TimePlan, str] | None:
    """The columns of times by their names and first rows, and a note if that is not sure.

    Args:
        headed: The head of the file.
        named: Places of the columns, if they are known.
        hints: What else is known of the times.

    Raises:
        PlanError: The columns that are named have no times that are known.
    """
    decimal = headed.layout.decimal
    if decimal != ".":
        # A decimal comma is one in times, too, and is read as a point.
        hints = replace(hints, pattern=hints.pattern.replace(f"{decimal}%f", ".%f"))
    texts = [
        [
            row[at].strip().replace(decimal, ".")
            for row in headed.rows
            if len(row) == len(headed.headers)
        ]
        for at in range(len(headed.headers))
    ]
    if named:
        return _named_time(headed, texts, named, hints)
    found = _found_time(headed, texts)
    if found is not None and hints.time_format is not None:
        time = replace(found[0], format=hints.time_format, pattern=hints.pattern)
        return time, ""
    return found


def _named_time(
    headed: Headed, texts: Sequence[Sequence[str]], named: Sequence[int], hints: Hints
) -> tuple[TimePlan, str] | None:
    if hints.time_format is not None:
        return _plan(headed, named, TimeFormatGuess(hints.time_format, hints.pattern))
    if len(named) > 1:
        joined = [" ".join(cells) for cells in zip(*(texts[at] for at in named), strict=True)]
        guess = format_of_texts(joined)
    else:
        guess = guess_time(headed, named[0], texts[named[0]])
    if guess is None and headed.rows:
        names = ", ".join(repr(headed.headers[at]) for at in named)
        raise PlanError(f"column {names} has no times of a format that is known (--time-format)")
    return None if guess is None else _plan(headed, named, guess)


def _found_time(headed: Headed, texts: Sequence[Sequence[str]]) -> tuple[TimePlan, str] | None:
    scores = [name_score(header) for header in headed.headers]
    order = sorted(range(len(texts)), key=lambda at: (-scores[at], at))
    of_dates = [at for at in order if scores[at]]
    guesses = {at: guess_time(headed, at, texts[at]) for at in order}
    for at in of_dates:
        guess = guesses[at]
        if guess is not None and guess.format.is_text and not any(":" in one for one in texts[at]):
            for other in of_dates:
                if other != at and _are_times_of_day(texts[other]):
                    joined = [" ".join(pair) for pair in zip(texts[at], texts[other], strict=True)]
                    both = format_of_texts(joined)
                    if both is not None:
                        return _plan(headed, (at, other), both)
    for at in order:
        guess = guesses[at]
        if guess is None:
            continue
        if scores[at] == _SURE or guess.format.is_text or (scores[at] and _rises(texts[at])):
            return _plan(headed, (at,), guess)
    return None


def clock_column(headed: Headed) -> str | None:
    """The first column that has times of day; None if there is none."""
    rows = [row for row in headed.rows if len(row) == len(headed.headers)]
    for at, header in enumerate(headed.headers):
        if _are_times_of_day([row[at].strip() for row in rows]):
            return header
    return None


def guess_time(headed: Headed, at: int, texts: Sequence[str]) -> TimeFormatGuess | None:
    """What the times of a column mean; None if they are none."""
    present = [text for text in texts if text]
    if not present:
        return None
    try:
        first, last = float(present[0]), float(present[-1])
    except ValueError:
        return format_of_texts(present)
    if any(re.fullmatch(r"\d{8}T?\d{0,6}", text) is None for text in present) or first < 19_000_101:  # noqa: PLR2004 (a date as a number)
        unit = headed.units[at] if headed.units else ""
        return format_of_numbers(first, last, headed.headers[at], unit)
    return format_of_texts(present) or format_of_numbers(first, last, headed.headers[at])


def time_texts(parsed: Parsed, time: TimePlan) -> Any:  # noqa: ANN401 (of Arrow)
    """Texts of the times of rows, those of more than one column joined."""
    columns = [parsed.arrays[int(path)] for path in time.columns]
    if len(columns) == 1:
        return columns[0]
    return pc.binary_join_element_wise(*columns, pa.scalar(" ", pa.string()))


def bad_times(
    texts: Any,  # noqa: ANN401 (of Arrow)
    bad: NDArray[np.bool_],
    parsed: Parsed,
    line_of: Sequence[int],
    time: TimePlan,
) -> list[Misfit]:
    """The rows whose times are none."""
    number = int(time.columns[0])
    reason = f"is no time ({time.format.value.replace('_', ' ')}{_zone_words(time)})"
    found = []
    for row in np.flatnonzero(bad).tolist():
        parts = [parsed.arrays[int(path)][row].as_py() or "" for path in time.columns]
        text = texts[row].as_py() or " ".join(parts).strip()
        found.append(Misfit(row, line_of[row], number, text, reason if text else "is no time"))
    return found


def _zone_words(time: TimePlan) -> str:
    zone = f"zone {time.timezone}, whose clocks may show it twice or never" if time.timezone else ""
    words = [time.pattern, zone]
    return "".join(f", {word}" for word in words if word)


def _plan(headed: Headed, columns: Sequence[int], guess: TimeFormatGuess) -> tuple[TimePlan, str]:
    paths = tuple(str(at + 1) for at in columns)
    names = tuple(headed.headers[at] for at in columns)
    return TimePlan(paths, guess.format, pattern=guess.pattern, names=names), guess.note


def _are_times_of_day(texts: Sequence[str]) -> bool:
    present = [text for text in texts if text]
    return bool(present) and all(map(_TIME_OF_DAY.fullmatch, present))


def _rises(texts: Sequence[str]) -> bool:
    try:
        numbers = [float(text.replace(",", ".")) for text in texts if text]
    except ValueError:
        return False
    return all(one <= other for one, other in pairwise(numbers))
