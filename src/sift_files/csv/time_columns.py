"""The times of rows: which columns have them, and what is no time."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_files.csv.parse import Misfit
from sift_files.plan import TimePlan
from sift_files.times.detect import format_of_numbers, format_of_texts, name_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sift_files.csv.layout import Headed
    from sift_files.csv.parse import Parsed
    from sift_files.times.detect import TimeFormatGuess

__all__ = ["bad_times", "find_time", "guess_time", "time_texts"]

_TIME_OF_DAY = re.compile(r"\d\d?:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s*[AaPp][Mm])?")
_SURE = 2


def find_time(headed: Headed) -> tuple[TimePlan, str] | None:
    """The columns of times by their names and first rows, and a note if that is not sure."""
    texts = [
        [row[at].strip() for row in headed.rows if len(row) == len(headed.headers)]
        for at in range(len(headed.headers))
    ]
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
                        return _plan((at, other), both)
    for at in order:
        guess = guesses[at]
        if guess is None:
            continue
        if scores[at] == _SURE or guess.format.is_text or (scores[at] and _rises(texts[at])):
            return _plan((at,), guess)
    return None


def guess_time(headed: Headed, at: int, texts: Sequence[str]) -> TimeFormatGuess | None:
    """What the times of a column mean; None if they are none."""
    present = [text for text in texts if text]
    if not present:
        return None
    if headed.layout.decimal != ".":
        dotted = [text.replace(headed.layout.decimal, ".") for text in present]
    else:
        dotted = present
    try:
        first, last = float(dotted[0]), float(dotted[-1])
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
    words = [time.pattern, f"zone {time.timezone}" if time.timezone else ""]
    return "".join(f", {word}" for word in words if word)


def _plan(columns: tuple[int, ...], guess: TimeFormatGuess) -> tuple[TimePlan, str]:
    paths = tuple(str(at + 1) for at in columns)
    return TimePlan(paths, guess.format, pattern=guess.pattern), guess.note


def _are_times_of_day(texts: Sequence[str]) -> bool:
    present = [text for text in texts if text]
    return bool(present) and all(map(_TIME_OF_DAY.fullmatch, present))


def _rises(texts: Sequence[str]) -> bool:
    try:
        numbers = [float(text.replace(",", ".")) for text in texts if text]
    except ValueError:
        return False
    return all(one <= other for one, other in pairwise(numbers))
