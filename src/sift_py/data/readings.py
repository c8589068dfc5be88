"""Points of channels in memory, and the shapes that people want them in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

from sift_files.states import StateTexts
from sift_py.data._alignment import Alignment
from sift_py.data._labels import labels_of
from sift_py.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["ChannelReadings", "Layout", "Readings"]

Layout: TypeAlias = Literal["wide", "long"]

TIME = pa.timestamp("ns", tz="UTC")
_NAME = pa.dictionary(pa.int32(), pa.string())
_LOOKUP_KEYS_MAX = 65_536


@dataclass(frozen=True, eq=False)
class ChannelReadings:
    """Points of one channel, or of one element of a bit-field channel, in one run.

    Attributes:
        name: Name of the channel; `channel.element` for a bit field.
        channel: Name of the channel.
        channel_id: Its id; for an expression its key.
        data_type: Name of its data type, such as `DOUBLE`.
        unit: Its unit, or an empty string.
        states: Names of an enum's states, by key.
        asset: Name of its asset.
        run: Name of the run, or an empty string.
        run_id: Id of the run; empty for what has none.
        sampled_ms: Milliseconds that one point stands for, or 0 if every point is there.
        times: Arrow chunked array, timestamp[ns, UTC]: sorted.
        values: Arrow chunked array, one for each time; an enum's are its keys, uint32.
    """

    name: str
    channel: str
    channel_id: str
    data_type: str
    unit: str
    states: dict[int, str]
    asset: str
    run: str
    run_id: str
    sampled_ms: int
    times: Any
    values: Any

    def __len__(self) -> int:
        return len(self.times)

    @property
    def timestamps_ns(self) -> NDArray[np.int64]:
        """Nanoseconds since 1970 in UTC: int64, shape (points,)."""
        return _numpy(self.times.cast(pa.int64()))

    def named_values(self) -> Any:  # noqa: ANN401 (pyarrow has no types)
        """The values, those of an enum by name, or by number if the state has none.

        Where that could mean two states, the number is behind it: `on (7)`.
        """
        if self.data_type != "ENUM":
            return self.values
        chunks = [_states(_numpy(self.values), self.states)]
        return pa.chunked_array(chunks, type=_NAME)


class Readings:
    """What was read: points of channels, each with its type, unit and nanoseconds.

    To whatever takes Arrow data it is a table in the wide layout: `pyarrow.table(readings)`,
    `polars.DataFrame(readings)`, `duckdb.sql("SELECT * FROM readings")`.

    Two layouts:

    - *wide*: a row for each time, a column for each channel. Where a channel has no point at a time
      it is null. A channel with two values at one time gives that time a second row. If there is
      more than one run, a column `run` says which.
    - *long*: a row for each point: `time`, `channel`, `run`, and `value`; if the channels have
      several types, a column for each: `value_double`, `value_string`, ...

    A channel that is called `time`, or `run` where there is such a column, has the column `time_2`.
    Enums are names (`named_values`). Columns of the wide layout carry metadata of their channel:
    `unit`, `data_type`, `channel_id`, of an enum `enum_types`, a JSON object
    of keys by name, and `channel` where the column is not called like it.

    Example:
        ```python
        readings = read_channels("test-stand-3", ["chamber_pressure", "state"], run="hot fire 12")
        frame = readings.to_pandas()
        pressure = readings["chamber_pressure"].timestamps_ns
        ```
    """

    def __init__(
        self, channels: Sequence[ChannelReadings], *, has_runs: bool | None = None
    ) -> None:
        """Take points; those of one channel in several runs are several.

        Args:
            channels: The points.
            has_runs: Whether the wide layout has the column `run`; None if there is more than one.
        """
        self._channels = tuple(channels)
        self._has_runs = has_runs
        self._labels = labels_of([_identity(each) for each in self._channels])
        """What each of the channels is called here."""

    @property
    def channels(self) -> tuple[ChannelReadings, ...]:
        """The points, channel by channel and run by run, in the order that was asked for."""
        return self._channels

    @property
    def names(self) -> list[str]:
        """Names of the channels, each once: of two with one name, the second is `name_2`."""
        return list(dict.fromkeys(self._labels))

    @property
    def points(self) -> int:
        """How many points there are."""
        return sum(map(len, self._channels))

    def __iter__(self) -> Iterator[ChannelReadings]:
        return iter(self._channels)

    def __len__(self) -> int:
        return len(self._channels)

    def __getitem__(self, name: str) -> ChannelReadings:
        """The points of a channel, by one of `names`.

        Raises:
            KeyError: There are none.
            DataError: They are of several runs; iterate over `channels`.
        """
        found = self._of(name)
        if not found:
            raise KeyError(name)
        if len(found) > 1:
            runs = ", ".join(repr(each.run or "no run") for each in found)
            raise DataError(
                f"{name!r} was read from {len(found)} runs: {runs}. Name one to read, or go through"
                " `channels`."
            )
        return found[0]

    def __repr__(self) -> str:
        return f"<Readings: {self.points:,} points of {len(self.names)} channels>"

    def to_arrow(self, layout: Layout = "wide") -> Any:  # noqa: ANN401
        """A `pyarrow.Table`, with the times as timestamp[ns, UTC]."""
        if layout not in ("wide", "long"):
            raise DataError(f"layout is 'wide' or 'long', not {layout!r}.")
        return self._wide() if layout == "wide" else self._long()

    def to_pandas(self, layout: Layout = "wide") -> pd.DataFrame:
        """A data frame; `time` is its index in the wide layout. Enums are categorical.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas  # noqa: F401, ICN001, PLC0415
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"to_pandas needs pandas: pip install pandas ({error})."
            ) from None
        frame: pd.DataFrame = self.to_arrow(layout).to_pandas()
        return frame.set_index("time") if layout == "wide" else frame

    def to_polars(self, layout: Layout = "wide") -> pl.DataFrame:
        """A data frame of Polars.

        Raises:
            MissingExtraError: Polars is not installed.
        """
        try:
            import polars  # noqa: ICN001, PLC0415
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"to_polars needs Polars: pip install polars ({error})."
            ) from None
        frame = polars.from_arrow(self.to_arrow(layout))
        assert isinstance(frame, polars.DataFrame)  # noqa: S101 - of a table
        return frame

    def to_numpy(self) -> dict[str, tuple[NDArray[np.int64], NDArray[Any]]]:
        """Nanoseconds since 1970, int64, and values, both of shape (points,), by channel.

        Points of several runs are joined and sorted by time. Enums are their keys; strings and
        bytes are arrays of objects.
        """
        found = {}
        for name in self.names:
            mine = self._of(name)
            times = np.concatenate([each.timestamps_ns for each in mine])
            values = np.concatenate([_numpy(each.values) for each in mine])
            if len(mine) > 1:
                order = np.argsort(times, kind="stable")
                times, values = times[order], values[order]
            found[name] = times, values
        return found

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The wide layout, for libraries that take Arrow data (its PyCapsule interface)."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _of(self, name: str) -> list[ChannelReadings]:
        return [
            each for each, label in zip(self._channels, self._labels, strict=True) if label == name
        ]

    def _wide(self) -> Any:  # noqa: ANN401
        by_run: dict[str, dict[str, ChannelReadings]] = {}
        run_ids = {each.run_id for each in self._channels if len(each)}
        has_runs = len(run_ids) > 1 if self._has_runs is None else self._has_runs
        fields = [pa.field("time", TIME, nullable=False)]
        if has_runs:
            fields.append(pa.field("run", _NAME))
        columns = labels_of(self._labels, taken=[field.name for field in fields])
        about: dict[str, Any] = {}
        for column, label, each in zip(columns, self._labels, self._channels, strict=True):
            if column not in about:
                about[column] = _field(column, label, each)
            if len(each):
                by_run.setdefault(each.run_id, {})[column] = each
        fields += about.values()
        schema = pa.schema(fields)
        tables = [self._wide_run(schema, mine, has_runs) for mine in by_run.values()]
        return pa.concat_tables(tables) if tables else schema.empty_table()

    def _wide_run(self, schema: Any, by_column: dict[str, ChannelReadings], has_runs: bool) -> Any:  # noqa: ANN401
        channels = list(by_column.values())
        if len(channels) == 1:
            # As it is, whatever it has twice.
            aligned = Alignment(np.empty(0, np.int64), [None])
            times, n_rows = channels[0].times, len(channels[0])
        else:
            aligned = Alignment.of([each.timestamps_ns for each in channels])
            times, n_rows = pa.array(aligned.times_ns).cast(TIME), len(aligned.times_ns)
        columns = {"time": times}
        if has_runs:
            columns["run"] = _repeated(channels[0].run, n_rows)
        for number, (column, each) in enumerate(by_column.items()):
            columns[column] = aligned.spread(number, each.named_values())
        arrays = [
            columns[field.name] if field.name in columns else pa.nulls(n_rows, field.type)
            for field in schema
        ]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _long(self) -> Any:  # noqa: ANN401
        types = {each.data_type: each.named_values().type for each in self._channels}
        columns = {kind: f"value_{kind.lower()}" for kind in types}
        if len(types) == 1:
            columns = dict.fromkeys(types, "value")
        fields = [
            pa.field("time", TIME, nullable=False),
            pa.field("channel", _NAME),
            pa.field("run", _NAME),
            *[pa.field(columns[kind], types[kind]) for kind in types],
        ]
        schema = pa.schema(fields)
        tables = []
        for each in self._channels:
            n_rows = len(each)
            known = {
                "time": each.times,
                "channel": _repeated(each.name, n_rows),
                "run": _repeated(each.run, n_rows),
                columns[each.data_type]: each.named_values(),
            }
            arrays = [
                known[field.name] if field.name in known else pa.nulls(n_rows, field.type)
                for field in schema
            ]
            tables.append(pa.Table.from_arrays(arrays, schema=schema))
        return pa.concat_tables(tables).unify_dictionaries() if tables else schema.empty_table()


def _identity(channel: ChannelReadings) -> tuple[str, ...]:
    """What tells a channel from others; the first is its name."""
    return channel.name, channel.channel, channel.channel_id


def _field(column: str, name: str, channel: ChannelReadings) -> Any:  # noqa: ANN401
    about = {"data_type": channel.data_type, "unit": channel.unit, "channel_id": channel.channel_id}
    if column != name:
        about["channel"] = name
    if channel.states:
        about["enum_types"] = json.dumps(StateTexts(channel.states).keys(), ensure_ascii=False)
    kind = channel.named_values().type
    return pa.field(column, kind, metadata={key: text for key, text in about.items() if text})


def _repeated(text: str, count: int) -> Any:  # noqa: ANN401
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([text]))


def _states(keys: NDArray[Any], names: dict[int, str]) -> Any:  # noqa: ANN401
    """Keys of an enum as a dictionary of names."""
    if len(keys) and int(keys.max()) < _LOOKUP_KEYS_MAX:
        found = np.flatnonzero(np.bincount(keys))
    else:
        found = np.unique(keys)
    used = found.tolist()
    numbers = np.searchsorted(found, keys).astype(np.int32)
    of_states = StateTexts(names)
    texts = pa.array([of_states.of(key) for key in used], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(numbers), texts)


def _numpy(values: Any) -> NDArray[Any]:  # noqa: ANN401
    array: NDArray[Any] = values.to_numpy()
    return array
