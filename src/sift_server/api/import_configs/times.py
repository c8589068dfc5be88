"""Formats of time as configs of imports have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_files import TimeFormat, TimePlan
from sift_server.api.services.convert import from_timestamp
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_PREFIX = "TIME_FORMAT_"
_FORMATS = {pb.TimeFormat.Value(f"{_PREFIX}{one.name}"): one for one in TimeFormat}
_NUMBERS = {one: number for number, one in _FORMATS.items()}


def time_plan(column: pb.CsvTimeColumn | pb.ParquetTimeColumn, *paths: str) -> TimePlan:
    """How the times of a column at a path are read.

    Raises:
        InvalidArgumentError: It says no format, or not what relative times count from.
    """
    start = column.relative_start_time if column.HasField("relative_start_time") else None
    return plan_of_format(column.format, start, *paths)


def plan_of_format(
    number: pb.TimeFormat.ValueType, start: Timestamp | None, *paths: str
) -> TimePlan:
    """How times of a format are read; raises as `time_plan`."""
    known = _FORMATS.get(number)
    if known is None:
        raise InvalidArgumentError(
            f"the times have the format {number}; give them one of"
            f" {', '.join(pb.TimeFormat.Name(each) for each in _FORMATS)}"
        )
    start_ns = None if start is None else from_timestamp(start, "relative_start_time")
    if known.is_relative and start_ns is None:
        raise InvalidArgumentError(
            f"times of the format {_PREFIX}{known.name} need a relative_start_time to count from"
        )
    return TimePlan(paths, known, start_ns if known.is_relative else None)


def number_of(time_format: TimeFormat) -> pb.TimeFormat.ValueType:
    """The number of a format on the wire."""
    return _NUMBERS[time_format]
