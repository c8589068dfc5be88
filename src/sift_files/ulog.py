"""PX4 ULog files: a table for each message and instance, in the time of the day if GPS told it.

A path of a column is `message.field`, of instances behind the first `message_1.field`. pyulog reads
a file as a whole, so that a log has to fit memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pyulog import ULog

from sift_files.arrays import batch_of, rows_at_once
from sift_files.batch import Batch, OnError
from sift_files.damage import told_as_damage
from sift_files.errors import PlanError, UnreadableFileError
from sift_files.hints import NO_HINTS
from sift_files.judge import Judge
from sift_files.numpy_arrays import arrow_of, data_type_of_dtype
from sift_files.plan import (
    ColumnPlan,
    DataType,
    FileFormat,
    FilePlan,
    TablePlan,
    TimeFormat,
    TimePlan,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from sift_files.batch import OnBadCell
    from sift_files.hints import Hints

__all__ = ["detect_ulog", "read_ulog"]

EXAMPLES_MAX = 3
TIMESTAMP = "timestamp"
LOGGED_MESSAGES = "logged_messages"
"""Table of the texts that the autopilot logged."""

_GPS_MESSAGES = ("vehicle_gps_position", "sensor_gps")
_UTC_US_MIN = 1_000_000_000_000_000
"""A clock that was never set is far below."""
_NS_PER_US = 1_000
_LEVELS = {
    "emergency": 48, "alert": 49, "critical": 50, "error": 51, "warning": 52, "notice": 53,
    "info": 54, "debug": 55,
}  # fmt: skip
"""Levels are digits as letters."""


def detect_ulog(path: Path, hints: Hints = NO_HINTS) -> FilePlan:
    """Find out what is in a ULog file.

    Raises:
        UnreadableFileError: It is damaged, or none.
        PlanError: The hints name columns of times: a log has one for each message.
        OSError: It can't be read.
    """
    if hints.time or hints.time_format is not None:
        raise PlanError(
            "times of a ULog file are those of its messages; only their start can be set"
        )
    log = _opened(path)
    notes = []
    if log.file_corruption:
        notes.append("parts of the file are damaged; what is whole is read")
    if log.dropouts:
        lost_ms = sum(one.duration for one in log.dropouts)
        notes.append(f"the logger dropped messages {len(log.dropouts)} times, {lost_ms} ms in all")
    start_ns = _boot_ns(log)
    if start_ns is None:
        notes.append("GPS told no time of day: say when the autopilot started (--start-time)")
    time = TimePlan((TIMESTAMP,), TimeFormat.RELATIVE_MICROSECONDS, start_ns)
    tables = [
        TablePlan(name, time, columns, len(data[TIMESTAMP]))
        for name, (data, types) in _tables(log).items()
        if (columns := _columns(name, data, types))
    ]
    if not tables:
        raise UnreadableFileError(f"{path} has no messages")
    return FilePlan(FileFormat.ULOG, tuple(tables), tuple(notes))


def read_ulog(
    path: Path,
    plan: FilePlan,
    start: int = 0,
    on_error: OnError = OnError.STOP,
    on_bad_cell: OnBadCell | None = None,
) -> Iterator[Batch]:
    """Read a file, table by table; its places are rows of all tables. Raises as `read`."""
    judge = Judge(on_error, on_bad_cell)
    log = _opened(path)
    fields = {
        f"{name}.{field}": (data[field], data[TIMESTAMP])
        for name, (data, _) in _tables(log).items()
        for field in data
    }
    before = 0
    for table in plan.tables:
        if table.time is None:
            raise PlanError(f"{path}: {table.name} has no times")
        if missing := [one.path for one in table.wanted if one.path not in fields]:
            raise PlanError(f"{path} has no field {missing[0]!r}")
        if not table.wanted:
            before += table.rows or 0
            continue
        times = fields[table.wanted[0].path][1]
        size = rows_at_once(len(table.wanted))
        for first in range(max(0, start - before), len(times), size):
            rows = slice(first, first + size)
            arrays = {one.path: arrow_of(fields[one.path][0][rows]) for one in table.wanted}
            place = before + min(first + size, len(times))
            yield batch_of(judge, path.name, table, arrow_of(times[rows]), arrays, first, place)
        before += len(times)


def _opened(path: Path) -> Any:  # noqa: ANN401 (of pyulog)
    with told_as_damage(path, "ULog"):
        return ULog(str(path), disable_str_exceptions=True)


def _tables(log: Any) -> dict[str, tuple[Mapping[str, NDArray[Any]], Mapping[str, str]]]:  # noqa: ANN401 (of pyulog)
    """Fields of each message and instance, and the types that the log gives them."""
    made: dict[str, tuple[Mapping[str, NDArray[Any]], Mapping[str, str]]] = {}
    for one in sorted(log.data_list, key=lambda each: (each.name, each.multi_id)):
        name = one.name if not one.multi_id else f"{one.name}_{one.multi_id}"
        made[name] = one.data, {field.field_name: field.type_str for field in one.field_data}
    if log.logged_messages:
        messages = log.logged_messages
        made[LOGGED_MESSAGES] = (
            {
                TIMESTAMP: np.array([one.timestamp for one in messages], np.uint64),
                "level": np.array([one.log_level for one in messages], np.uint32),
                "message": np.array([one.message for one in messages], object),
            },
            {"level": "level"},
        )
    return made


def _columns(
    name: str, data: Mapping[str, NDArray[Any]], types: Mapping[str, str]
) -> tuple[ColumnPlan, ...]:
    columns = []
    for field, values in data.items():
        data_type = data_type_of_dtype(values.dtype)
        if field == TIMESTAMP or field.startswith("_padding") or data_type is None:
            continue
        if types.get(field) == "bool":
            data_type = DataType.BOOL
        is_level = types.get(field) == "level"
        columns.append(
            ColumnPlan(
                path=f"{name}.{field}",
                name=f"{name}.{field}",
                channel=f"{name}.{field}",
                data_type=DataType.ENUM if is_level else data_type,
                enum=_LEVELS if is_level else {},
                examples=tuple(str(value) for value in values[:EXAMPLES_MAX].tolist()),
            )
        )
    return tuple(columns)


def _boot_ns(log: Any) -> int | None:  # noqa: ANN401 (of pyulog)
    """When the autopilot's clock was 0, by the first time of day that GPS told."""
    for one in log.data_list:
        utc = one.data.get("time_utc_usec") if one.name in _GPS_MESSAGES else None
        if utc is None:
            continue
        told = np.flatnonzero(utc >= _UTC_US_MIN)
        if len(told):
            at = int(told[0])
            return (int(utc[at]) - int(one.data[TIMESTAMP][at])) * _NS_PER_US
    return None
