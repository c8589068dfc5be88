"""One time axis for several channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Alignment:
    """Rows for the points of several series: one for each time, or as many as a series has there.

    Attributes:
        times_ns: int64, shape (rows,). Sorted.
        places: For each series the row of each of its points; None if it has a point in every row.
    """

    times_ns: NDArray[np.int64]
    places: list[NDArray[np.int64] | None]

    @classmethod
    def of(cls, series: Sequence[NDArray[np.int64]]) -> Alignment:
        """Align series of sorted times."""
        if not series:
            return cls(np.empty(0, np.int64), [])
        first = series[0]
        if all(times is first or np.array_equal(times, first) for times in series):
            return cls(first, [None] * len(series))
        axis = np.unique(np.concatenate(series))
        counts = np.ones(len(axis), np.int64)
        on_axis = [np.searchsorted(axis, times) for times in series]
        repeated = [_repeats(times) for times in series]
        for places, repeats in zip(on_axis, repeated, strict=True):
            if repeats is not None:
                np.maximum.at(counts, places, repeats + 1)
        if int(counts.max(initial=1)) == 1:
            rows, times_ns = on_axis, axis
        else:
            starts = np.cumsum(counts) - counts
            rows = [
                starts[places] + (0 if repeats is None else repeats)
                for places, repeats in zip(on_axis, repeated, strict=True)
            ]
            times_ns = np.repeat(axis, counts)
        return cls(times_ns, [None if len(each) == len(times_ns) else each for each in rows])

    def spread(self, number: int, values: Any) -> Any:  # noqa: ANN401 (pyarrow has no types)
        """The values of a series, one for each row, null where it has none."""
        places = self.places[number]
        if places is None:
            return values
        indices = np.zeros(len(self.times_ns), np.int64)
        missing = np.ones(len(self.times_ns), np.bool_)
        indices[places] = np.arange(len(places))
        missing[places] = False
        return values.take(pa.array(indices, mask=missing))


def _repeats(times: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """How many points of the same time are before each; None if no time is there twice."""
    same = times[1:] == times[:-1]
    if not same.any():
        return None
    numbers = np.arange(len(times))
    is_first = np.ones(len(times), np.bool_)
    is_first[1:] = ~same
    firsts: NDArray[np.int64] = numbers - np.maximum.accumulate(np.where(is_first, numbers, 0))
    return firsts
