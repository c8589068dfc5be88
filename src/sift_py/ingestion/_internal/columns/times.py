"""Columns of timestamps, as nanoseconds since 1970-01-01T00:00:00Z, exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.columns.given import Array
from sift_py.ingestion._internal.timestamps import NS_MAX, NS_MIN, timestamp_ns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sift_py.ingestion._internal.columns.given import Given

_NS_PER_UNIT = {
    "W": 604_800_000_000_000,
    "D": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_UNITS_PER_NS = {"ps": 1_000, "fs": 1_000_000, "as": 1_000_000_000}
_CALENDAR_UNITS = {"Y", "M"}


def timestamps_ns_of(flow_name: str, given: Given) -> NDArray[np.int64]:
    """Return a column of timestamps in nanoseconds.

    Times of NumPy, pandas, Polars and Arrow are instants, and taken as UTC if they have no zone.
    Objects are taken as in rows that are checked: a `datetime` must be in UTC.

    Raises:
        IngestionValidationError: A timestamp is missing, can't be used, or is not between the years
            1677 and 2262, which is what nanoseconds in 64 bits reach; names flow, row and value.
    """
    if not isinstance(given, Array):
        return _of_objects(flow_name, given.tolist())
    values = given.values
    if given.present is not None and not given.present.all():
        _refuse(flow_name, int(np.argmin(given.present)), None)
    if not len(values):
        return np.empty(0, np.int64)
    if values.dtype.kind in "iu":
        _refuse_any(flow_name, (values < NS_MIN) | (values > NS_MAX), values)
        return values.astype(np.int64, copy=False)
    if values.dtype.kind != "M":
        _refuse(flow_name, 0, values[0].item())
    return _of_datetimes(flow_name, values)


def _of_objects(flow_name: str, values: list[Any]) -> NDArray[np.int64]:
    return np.array(
        [
            timestamp_ns(value, flow_name, utc_only=True, row=row)
            for row, value in enumerate(values)
        ],
        np.int64,
    )


def _of_datetimes(flow_name: str, values: NDArray[Any]) -> NDArray[np.int64]:
    unit, count = np.datetime_data(values.dtype)
    if unit == "generic":
        raise IngestionValidationError(
            f"flow '{flow_name}': timestamps have the dtype datetime64 without a unit. Give it one,"
            " such as datetime64[ns]."
        )
    _refuse_any(flow_name, np.isnat(values), values)
    if unit in _CALENDAR_UNITS:
        # Days are more than enough for what nanoseconds reach.
        return _of_datetimes(flow_name, values.astype("M8[D]"))
    numbers = values.view(np.int64)
    if unit in _UNITS_PER_NS:
        # Within int64 whatever the unit: what is finer reaches less far.
        divisor = _UNITS_PER_NS[unit]
        if count != 1:
            return _of_objects(flow_name, list(values))
        _refuse_any(flow_name, numbers % divisor != 0, values)
        return numbers // divisor
    factor = _NS_PER_UNIT[unit] * count
    _refuse_any(flow_name, (numbers < -(-NS_MIN // factor)) | (numbers > NS_MAX // factor), values)
    return numbers if factor == 1 else numbers * factor


def _refuse_any(flow_name: str, wrong: NDArray[np.bool_], values: NDArray[Any]) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        value = values[row]
        _refuse(flow_name, row, value if values.dtype.kind == "M" else value.item())


def _refuse(flow_name: str, row: int, value: Any) -> NoReturn:  # noqa: ANN401 - anything
    timestamp_ns(value, flow_name, utc_only=True, row=row)
    raise AssertionError(f"{value!r} is a timestamp in a row and not in a column")
