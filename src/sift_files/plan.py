"""What is in a file, and what becomes of it: plain data that a person can look at and correct."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (documents reads the types)
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sift_files.batch import BadCell  # noqa: TC001 (documents reads the types)

__all__ = [
    "ColumnPlan",
    "CsvLayout",
    "DataType",
    "FileFormat",
    "FilePlan",
    "LongLayout",
    "TablePlan",
    "TimeFormat",
    "TimePlan",
]


class FileFormat(StrEnum):
    """The formats that are read."""

    CSV = "csv"
    PARQUET = "parquet"
    HDF5 = "hdf5"
    TDMS = "tdms"
    ULOG = "ulog"
    MCAP = "mcap"
    ROSBAG = "rosbag"


class DataType(StrEnum):
    """The data type of a channel, spelled as in telemetry configs."""

    DOUBLE = "double"
    FLOAT = "float"
    INT_32 = "int32"
    INT_64 = "int64"
    UINT_32 = "uint32"
    UINT_64 = "uint64"
    BOOL = "bool"
    STRING = "string"
    ENUM = "enum"
    BIT_FIELD = "bit_field"


class TimeFormat(StrEnum):
    """What the values of a time column mean; named as `TimeFormat` of `sift.data_imports.v2`."""

    RELATIVE_NANOSECONDS = "relative_nanoseconds"
    RELATIVE_MICROSECONDS = "relative_microseconds"
    RELATIVE_MILLISECONDS = "relative_milliseconds"
    RELATIVE_SECONDS = "relative_seconds"
    RELATIVE_MINUTES = "relative_minutes"
    RELATIVE_HOURS = "relative_hours"
    ABSOLUTE_RFC3339 = "absolute_rfc3339"
    ABSOLUTE_DATETIME = "absolute_datetime"
    ABSOLUTE_UNIX_SECONDS = "absolute_unix_seconds"
    ABSOLUTE_UNIX_MILLISECONDS = "absolute_unix_milliseconds"
    ABSOLUTE_UNIX_MICROSECONDS = "absolute_unix_microseconds"
    ABSOLUTE_UNIX_NANOSECONDS = "absolute_unix_nanoseconds"

    @property
    def is_relative(self) -> bool:
        """Whether the values count from a start that is not in the column."""
        return self.value.startswith("relative_")

    @property
    def is_text(self) -> bool:
        """Whether the values are dates in words and not numbers."""
        return self in {TimeFormat.ABSOLUTE_RFC3339, TimeFormat.ABSOLUTE_DATETIME}

    @property
    def unit_ns(self) -> int:
        """How many nanoseconds one is, of numbers."""
        return _UNITS_NS[self.value.rpartition("_")[2]]


_UNITS_NS = {
    "nanoseconds": 1,
    "microseconds": 1_000,
    "milliseconds": 1_000_000,
    "seconds": 1_000_000_000,
    "minutes": 60_000_000_000,
    "hours": 3_600_000_000_000,
}


@dataclass(frozen=True, slots=True)
class TimePlan:
    """Where the times of a table's rows are.

    Attributes:
        columns: Paths of columns. Of two or more, the texts are joined by a blank: a date, and a
            time of day. Empty where the format itself has the times: TDMS waveforms, MCAP, ROS.
        format: What the values mean.
        start_ns: What relative times count from, in nanoseconds since 1970 in UTC; of formats with
            times of their own, what the first time becomes.
        timezone: Name of the zone of dates that name none, such as `Europe/Berlin`; empty for UTC.
        pattern: How dates are written where it is not as ISO 8601 has it, as for `strptime`.
        names: What the file calls the columns, where that is not their paths.
    """

    columns: tuple[str, ...]
    format: TimeFormat
    start_ns: int | None = None
    timezone: str = ""
    pattern: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """A column, and the channel that it becomes.

    Attributes:
        path: Where it is in the file: in CSV the number of the column, counted from 1; the path of
            a dataset, group and channel, message and field elsewhere.
        name: As the file calls it.
        channel: Name of the channel.
        data_type: Of the channel.
        unit: Of the channel.
        description: Of the channel.
        enum: Keys by name, of an enum.
        is_wanted: Whether it is imported.
        examples: Its first values, as text.
    """

    path: str
    name: str
    channel: str
    data_type: DataType
    unit: str = ""
    description: str = ""
    enum: Mapping[str, int] = field(default_factory=dict)
    is_wanted: bool = True
    examples: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """Columns that share their times: a flow.

    Attributes:
        name: Of the flow.
        time: None if no times were found: some column has to be named.
        columns: All but those that `time` names.
        rows: How many, if that is known.
    """

    name: str
    time: TimePlan | None
    columns: tuple[ColumnPlan, ...]
    rows: int | None = None

    @property
    def wanted(self) -> tuple[ColumnPlan, ...]:
        """The columns that are imported."""
        return tuple(column for column in self.columns if column.is_wanted)


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """How a CSV file is written.

    Attributes:
        delimiter: Between cells.
        encoding: Of its text.
        columns: How many cells a row has.
        first_row: Line of the first row of data, counted from 1.
        decimal: The decimal point.
        is_padded: Whether blanks around cells are no part of them.
        no_value: Texts that stand for no value, besides nothing.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    columns: int = 0
    first_row: int = 2
    decimal: str = "."
    is_padded: bool = False
    no_value: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LongLayout:
    """A table with a point of one channel a row.

    Attributes:
        name: Path of the column with the names of channels.
        value: Path of the column with the values.
    """

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What is in a file, and what becomes of it.

    Attributes:
        format: Of the file.
        tables: What is in it.
        notes: What somebody should know who decides whether this is right.
        bad_cells: The first cells that do not fit the plan.
        bad_count: How many cells do not fit it, of those that were looked at.
        csv: How a CSV file is written.
        long: Set if a Parquet file has a point a row: then the paths of its columns are the names
            of channels.
    """

    format: FileFormat
    tables: tuple[TablePlan, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)
    csv: CsvLayout | None = None
    long: LongLayout | None = None
    bad_cells: tuple[BadCell, ...] = field(default=(), compare=False)
    bad_count: int = field(default=0, compare=False)

    @property
    def rows(self) -> int | None:
        """Rows of all tables, if that is known."""
        counts = [table.rows for table in self.tables]
        return None if None in counts else sum(count or 0 for count in counts)

    def with_tables(self, tables: tuple[TablePlan, ...]) -> FilePlan:
        """The plan with other tables."""
        return replace(self, tables=tables)
