"""What to read: questions, and their answers channel by channel.

The names are those of published releases; `sift_py.data.read_channels` asks the same in one call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NotRequired, TypeAlias, TypedDict

from sift_py.data._moments import to_ns
from sift_py.errors import DataError
from sift_py.ingestion.channel import ChannelDataType  # noqa: TC001 - of a TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from sift_py.data._moments import Moment

__all__ = [
    "CalculatedChannelQuery",
    "ChannelQuery",
    "DataQuery",
    "DataQueryResult",
    "DataQueryResultSet",
    "ExpressionChannelReference",
]


@dataclass(frozen=True)
class ChannelQuery:
    """A channel by its name.

    Attributes:
        channel_name: Name of the channel, with its component or without.
        component: Its component, if the name does not have it.
        run_name: Name, id or client key of a run; None for everything, an empty string for what has
            no run.
    """

    channel_name: str
    component: str | None = None
    run_name: str | None = None

    def fqn(self) -> str:
        """Its fully qualified name."""
        return f"{self.component}.{self.channel_name}" if self.component else self.channel_name


class ExpressionChannelReference(TypedDict):
    """What a reference of an expression stands for.

    Attributes:
        reference: As the expression has it, such as `$1`.
        channel_name: Name of the channel, with its component or without.
        component: Its component, if the name does not have it.
        data_type: Its type, if several channels have the name.
    """

    reference: str
    channel_name: str
    component: NotRequired[str]
    data_type: NotRequired[ChannelDataType]


@dataclass(frozen=True)
class CalculatedChannelQuery:
    """An expression over channels, which is read as a channel is.

    Attributes:
        channel_key: What to call it in the answer.
        expression: The expression.
        expression_channel_references: What its references stand for.
        run_name: As in `ChannelQuery`.
    """

    channel_key: str
    expression: str
    expression_channel_references: Sequence[ExpressionChannelReference]
    run_name: str | None = None


@dataclass(frozen=True, init=False)
class DataQuery:
    """Channels of one asset, between two times.

    Attributes:
        asset_name: The asset.
        start_time: Earliest time, in nanoseconds since 1970.
        end_time: Time that is no longer included, in nanoseconds since 1970.
        sample_ms: Time that one point stands for, in milliseconds, chosen so that the curve keeps
            its shape; 0 for every point.
        channels: What to read.
    """

    asset_name: str
    start_time: int
    end_time: int
    channels: list[ChannelQuery | CalculatedChannelQuery]
    sample_ms: int

    DEFAULT_PAGE_SIZE = 100_000

    def __init__(
        self,
        asset_name: str,
        start_time: Moment,
        end_time: Moment,
        channels: Sequence[ChannelQuery | CalculatedChannelQuery],
        sample_ms: int = 0,
        _: int = DEFAULT_PAGE_SIZE,
    ) -> None:
        """Take what to read.

        Args:
            asset_name: The asset.
            start_time: Earliest time: see `sift_py.data.read_channels`.
            end_time: Time that is no longer included.
            channels: What to read.
            sample_ms: Milliseconds that one point stands for, or 0.
            _: Not used any more.

        Raises:
            DataError: A time can't be used, or the end is before the start.
        """
        start_ns, end_ns = to_ns(start_time, "start_time"), to_ns(end_time, "end_time")
        if end_ns < start_ns:
            raise DataError(f"end_time, {end_time!r}, is before start_time, {start_time!r}.")
        if not 0 <= sample_ms < 2**32:
            raise DataError(f"sample_ms must be 0 or a number of milliseconds, got {sample_ms!r}.")
        for name, value in (
            ("asset_name", asset_name),
            ("start_time", start_ns),
            ("end_time", end_ns),
            ("channels", list(channels)),
            ("sample_ms", sample_ms),
        ):
            object.__setattr__(self, name, value)


ChannelLookup: TypeAlias = str | ChannelQuery | CalculatedChannelQuery


class DataQueryResultSet:
    """The points of a channel, or of an element of a bit-field channel, sorted by time.

    Attributes:
        identifier: Name of the channel; `channel.element` for a bit field.
    """

    def __init__(self, identifier: str, timestamps: list[Any], values: list[Any]) -> None:
        self.identifier = identifier
        self._timestamps: list[Any] | NDArray[np.int64] = timestamps
        self._values: list[Any] | NDArray[Any] = values

    @classmethod
    def of(
        cls, identifier: str, timestamps_ns: NDArray[np.int64], values: NDArray[Any]
    ) -> DataQueryResultSet:
        """Points in arrays, which become lists when somebody looks."""
        made = cls(identifier, [], [])
        made._timestamps, made._values = timestamps_ns, values
        return made

    @property
    def timestamps(self) -> list[Any]:
        """`pandas.Timestamp`s in UTC; `datetime64[ns]` of NumPy where pandas is not installed."""
        if not isinstance(self._timestamps, list):
            self._timestamps = _moments(self._timestamps)
        return self._timestamps

    @property
    def values(self) -> list[Any]:
        """One for each timestamp. Enums are numbers."""
        values = self._values
        if not isinstance(values, list):
            values = self._values = values.tolist()
        return values

    def value_column(self, column_name: str | None = None) -> dict[str, list[Any]]:
        """The values as a column of a data frame, by default called as the channel is."""
        return {column_name or self.identifier: self.values}

    def time_column(self, column_name: str | None = None) -> dict[str, list[Any]]:
        """The timestamps as a column of a data frame, by default called `time`."""
        return {column_name or "time": self.timestamps}

    def columns(
        self, time_column_name: str | None = None, value_column_name: str | None = None
    ) -> dict[str, list[Any]]:
        """Both columns: `pandas.DataFrame(result_set.columns())`."""
        return {**self.time_column(time_column_name), **self.value_column(value_column_name)}


@dataclass(frozen=True)
class DataQueryResult:
    """What a `DataQuery` found, by channel. Channels without points are not there."""

    _sets: dict[str, list[DataQueryResultSet]] = field(default_factory=dict)

    def channel(self, lookup: ChannelLookup) -> DataQueryResultSet | None:
        """The points of a channel; None if there are none.

        Args:
            lookup: The query that asked for it, or its name.

        Raises:
            DataError: It is a bit field, or had several data types: `channels` gives all.
        """
        found = self.channels(lookup)
        if len(found) > 1:
            names = ", ".join(each.identifier for each in found)
            raise DataError(f"{_key(lookup)!r} is several: {names}. Ask for one, or `channels`.")
        return found[0] if found else None

    def channels(self, *lookup: ChannelLookup) -> list[DataQueryResultSet]:
        """The points of some channels, in that order; a bit field gives one set an element."""
        found = []
        for each in lookup:
            key = _key(each)
            sets = self._sets.get(key)
            if sets is None:
                # An element by its own name.
                sets = [one for one in self.all_channels() if one.identifier == key]
            found += sets
        return found

    def all_channels(self) -> list[DataQueryResultSet]:
        """The points of every channel."""
        return [each for sets in self._sets.values() for each in sets]


def _moments(timestamps_ns: NDArray[np.int64]) -> list[Any]:
    moments = timestamps_ns.view("datetime64[ns]")
    try:
        import pandas  # noqa: ICN001, PLC0415 - not needed for anything else
    except ModuleNotFoundError:
        return list(moments)
    return list(pandas.DatetimeIndex(moments, tz="UTC"))


def _key(lookup: ChannelLookup) -> str:
    if isinstance(lookup, ChannelQuery):
        return lookup.fqn()
    return lookup.channel_key if isinstance(lookup, CalculatedChannelQuery) else lookup
