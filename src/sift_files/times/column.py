"""A time column as a plan reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_files.errors import PlanError
from sift_files.plan import TimeFormat
from sift_files.times.dates import ns_of_dates
from sift_files.times.decimals import ns_of_decimals
from sift_files.times.numbers import ns_of_numbers, plus
from sift_files.times.start import start_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sift_files.plan import TimePlan

__all__ = ["ns_of_array", "ns_of_texts"]


def ns_of_texts(texts: Any, time: TimePlan) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:  # noqa: ANN401 (of Arrow)
    """Nanoseconds of texts, and which of them are no times.

    Raises:
        PlanError: The plan lacks a start, or has a zone or pattern that can't be used.
    """
    if time.format.is_text:
        return ns_of_dates(
            texts,
            time.timezone,
            time.pattern,
            needs_zone=time.format is TimeFormat.ABSOLUTE_RFC3339,
        )
    times, bad = ns_of_decimals(texts, time.format.unit_ns)
    return _from_start(times, bad, time)


def ns_of_array(values: Any, time: TimePlan) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:  # noqa: ANN401 (of Arrow, or NumPy)
    """Nanoseconds of an array of any kind, and which of its values are no times.

    Times that Arrow or NumPy know as such are taken as they are, whatever the plan's format is.

    Raises:
        PlanError: As in `ns_of_texts`; or the values are of no kind that could be times.
    """
    array = pa.array(values) if isinstance(values, np.ndarray) else values
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return ns_of_texts(array.cast(pa.string()), time)
    if pa.types.is_timestamp(kind):
        return _of_timestamps(array, time)
    if pa.types.is_date(kind):
        return _of_timestamps(array.cast(pa.timestamp("ms")), time)
    if pa.types.is_decimal(kind):
        return ns_of_texts(array.cast(pa.string()), time)
    if pa.types.is_duration(kind):
        array, time_unit_ns = array.cast(pa.duration("ns")).cast(pa.int64()), 1
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        time_unit_ns = 0
    else:
        raise PlanError(f"a column of {kind} has no times")
    if time.format.is_text:
        raise PlanError(f"the times are numbers and no {time.format.value.replace('_', ' ')}")
    missing = array.is_null().to_numpy(zero_copy_only=False)
    numbers = array.fill_null(0).to_numpy(zero_copy_only=False)
    times, bad = ns_of_numbers(numbers, time_unit_ns or time.format.unit_ns)
    return _from_start(times, bad | missing, time)


def _of_timestamps(array: Any, time: TimePlan) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:  # noqa: ANN401 (of Arrow)
    if array.type.tz is None and time.timezone:
        return ns_of_dates(array.cast(pa.string()), time.timezone)
    units_ns = {"s": 10**9, "ms": 10**6, "us": 1_000, "ns": 1}
    missing = array.is_null().to_numpy(zero_copy_only=False)
    numbers = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    times, bad = ns_of_numbers(numbers, units_ns[array.type.unit])
    return times, bad | missing


def _from_start(
    times: NDArray[np.int64], bad: NDArray[np.bool_], time: TimePlan
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    start_ns = start_of(time)
    if start_ns:
        times, beyond = plus(times, start_ns)
        bad = bad | beyond
    return times, bad
