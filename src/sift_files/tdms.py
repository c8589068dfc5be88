"""TDMS files: the channels of groups, with times of their own or of a channel beside them.

A path of a column is `group/channel`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from nptdms import TdmsFile

from sift_files.arrays import batch_of, rows_at_once
from sift_files.batch import Batch, OnError
from sift_files.damage import told_as_damage
from sift_files.errors import PlanError, UnreadableFileError
from sift_files.hints import NO_HINTS, names_of, require_column
from sift_files.judge import Judge
from sift_files.names import name_and_unit, unique
from sift_files.numpy_arrays import arrow_of, data_type_of_dtype
from sift_files.plan import (
    ColumnPlan,
    FileFormat,
    FilePlan,
    TablePlan,
    TimeFormat,
    TimePlan,
)
from sift_files.times.array import best_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from sift_files.batch import OnBadCell
    from sift_files.hints import Hints

__all__ = ["detect_tdms", "read_tdms"]

EXAMPLES_MAX = 3
_TIMES_LOOKED_AT = 200
_NS_PER_S = 1_000_000_000
_1904_S = 2_082_844_800
"""From the epoch of TDMS to 1970."""


@dataclass(frozen=True, slots=True)
class _Wave:
    """The times of a waveform: a start, if the file has one, and seconds between values."""

    start_ns: int | None
    offset_s: float
    increment_s: float
    rows: int


def detect_tdms(path: Path, hints: Hints = NO_HINTS) -> FilePlan:
    """Find out what is in a TDMS file.

    Raises:
        UnreadableFileError: It is damaged, or none.
        PlanError: It has no such channels as the hints name.
        OSError: It can't be read.
    """
    notes: list[str] = []
    tables: list[TablePlan] = []
    with told_as_damage(path, "TDMS"), TdmsFile.open(path, raw_timestamps=True) as file:
        for group in file.groups():
            channels = {_path(one): one for one in group.channels() if len(one)}
            tables += _tables(channels, hints, notes, is_one=len(file.groups()) == 1)
        if file.file_status.incomplete_final_segment:
            notes.append("the file is cut off: what is left of its last segment is read")
    if not tables:
        raise UnreadableFileError(f"{path} has no channels with values")
    if hints.time:
        times = [(column,) for table in tables if table.time for column in table.time.columns]
        require_column(hints.time[0], [names_of(each, each.partition("/")[2]) for (each,) in times])
    names = unique(table.name for table in tables)
    named = zip(tables, names, strict=True)
    tables = [TablePlan(name, one.time, one.columns, one.rows) for one, name in named]
    return FilePlan(FileFormat.TDMS, tuple(tables), tuple(dict.fromkeys(notes)))


def read_tdms(
    path: Path,
    plan: FilePlan,
    start: int = 0,
    on_error: OnError = OnError.STOP,
    on_bad_cell: OnBadCell | None = None,
) -> Iterator[Batch]:
    """Read a file, table by table; its places are rows of all tables. Raises as `read`."""
    judge = Judge(on_error, on_bad_cell)
    before = 0
    with told_as_damage(path, "TDMS"), TdmsFile.open(path, raw_timestamps=True) as file:
        channels = {_path(one): one for group in file.groups() for one in group.channels()}
        for table in plan.tables:
            if table.time is None:
                raise PlanError(f"{path}: {table.name}: name a channel of times (--time)")
            wanted = [one.path for one in table.wanted]
            if missing := [one for one in (*wanted, *table.time.columns) if one not in channels]:
                raise PlanError(f"{path} has no channel {missing[0]!r}")
            if not wanted:
                before += table.rows or 0
                continue
            rows = len(channels[wanted[0]])
            size = rows_at_once(len(wanted))
            for first in range(max(0, start - before), rows, size):
                count = min(size, rows - first)
                arrays = {one: _values(channels[one], first, count) for one in wanted}
                times = _times(path, table.time, channels, wanted[0], first, count)
                place = before + first + count
                yield batch_of(judge, path.name, _own(table), times, arrays, first, place)
            before += rows


def _tables(
    channels: Mapping[str, Any], hints: Hints, notes: list[str], *, is_one: bool
) -> list[TablePlan]:
    """The tables of a group: of channels with the same times."""
    heads = {
        path: _values(one, 0, min(len(one), _TIMES_LOOKED_AT))
        for path, one in channels.items()
        if _is_plain(one)
    }
    notes += [
        f"{path} is left out: {channels[path].dtype}" for path in channels if path not in heads
    ]
    names = {path: path.partition("/")[2] for path in heads}
    time = _time_channel(channels, heads, names, hints, notes)
    found: dict[_Wave | str | None, list[str]] = {}
    for path in heads:
        if time is not None and path == time.columns[0]:
            continue
        wave = _wave(channels[path])
        if time is not None and len(channels[path]) == len(channels[time.columns[0]]):
            found.setdefault(time.columns[0], []).append(path)
        else:
            found.setdefault(wave, []).append(path)
    if None in found and len(found[None]):
        notes.append(f"{', '.join(found[None][:5])}: no times were found: name a channel (--time)")
    tables = []
    for key, paths in found.items():
        if isinstance(key, _Wave):
            plan: TimePlan | None = TimePlan(
                (),
                TimeFormat.RELATIVE_SECONDS
                if key.start_ns is None
                else TimeFormat.ABSOLUTE_UNIX_NANOSECONDS,
            )
        else:
            plan = time if key is not None else None
        columns = _columns(channels, heads, paths, is_one=is_one)
        name = paths[0].partition("/")[0]
        tables.append(TablePlan(name, plan, columns, len(channels[paths[0]])))
    return tables


def _time_channel(
    channels: Mapping[str, Any],
    heads: Mapping[str, Any],
    names: Mapping[str, str],
    hints: Hints,
    notes: list[str],
) -> TimePlan | None:
    by_name = {names[path]: head for path, head in heads.items()}
    paths = {name: path for path, name in names.items()}
    if hints.time:
        wanted = hints.time[0]
        if wanted not in by_name and wanted not in heads:
            return None
        hints = replace(hints, time=(names.get(wanted, wanted),))
    units = {name: _property(channels[path], *_UNITS) for name, path in paths.items()}
    time, note = best_time(by_name, hints, units)
    if time is None:
        return None
    notes += [note] if note else []
    return TimePlan((paths[time.columns[0]],), time.format, pattern=time.pattern)


_UNITS = ("unit_string", "NI_UnitDescription", "unit", "Unit", "units")


def _columns(
    channels: Mapping[str, Any], heads: Mapping[str, Any], paths: list[str], *, is_one: bool
) -> tuple[ColumnPlan, ...]:
    # Of a file with one group, the group's name says nothing.
    shown = [path.partition("/")[2] if is_one else path.replace("/", ".", 1) for path in paths]
    named = [name_and_unit(name) for name in shown]
    columns = []
    for path, channel, (_, unit) in zip(paths, unique(n for n, _ in named), named, strict=True):
        one = channels[path]
        data_type = data_type_of_dtype(_dtype(one))
        if data_type is None:
            continue
        examples = [str(value) for value in heads[path].to_pylist()[:EXAMPLES_MAX]]
        columns.append(
            ColumnPlan(
                path=path,
                name=path,
                channel=channel,
                data_type=data_type,
                unit=_property(one, *_UNITS) or unit,
                description=_property(one, "description", "NI_Description"),
                examples=tuple(examples),
            )
        )
    return tuple(columns)


def _own(table: TablePlan) -> TablePlan:
    """A table whose times are computed: they are nanoseconds since 1970, whatever they were."""
    if table.time is None or table.time.columns:
        return table
    time = TimePlan((), TimeFormat.ABSOLUTE_UNIX_NANOSECONDS)
    return TablePlan(table.name, time, table.columns, table.rows)


def _times(
    path: Path,
    time: TimePlan,
    channels: Mapping[str, Any],
    first_path: str,
    first: int,
    count: int,
) -> Any:  # noqa: ANN401 (of Arrow, or NumPy)
    if time.columns:
        return _values(channels[time.columns[0]], first, count)
    wave = _wave(channels[first_path])
    if wave is None:
        raise PlanError(f"{path}: {first_path} has no times of its own")
    start_ns = time.start_ns if time.start_ns is not None else wave.start_ns
    if start_ns is None:
        raise PlanError(f"{path}: {first_path} does not say when it began (--start-time)")
    # Long doubles: beyond a day of nanoseconds, doubles would round.
    seconds = np.longdouble(wave.offset_s) + np.arange(first, first + count) * np.longdouble(
        wave.increment_s
    )
    return start_ns + np.rint(seconds * _NS_PER_S).astype(np.int64)


def _wave(channel: Any) -> _Wave | None:  # noqa: ANN401 (of npTDMS)
    properties = channel.properties
    increment = properties.get("wf_increment")
    if not increment:
        return None
    start = properties.get("wf_start_time")
    start_ns = None
    if start is not None:
        start_ns = int(_ns_of(start.seconds, start.second_fractions))
    offset = float(properties.get("wf_start_offset", 0.0))
    return _Wave(start_ns, offset, float(increment), len(channel))


def _values(channel: Any, first: int, count: int) -> Any:  # noqa: ANN401 (of npTDMS, Arrow)
    data: Any = channel.read_data(first, count)
    if hasattr(data, "as_datetime64"):
        data = _ns_of(data.seconds, data.second_fractions).view("datetime64[ns]")
    return arrow_of(data)


def _ns_of(seconds: Any, fractions: Any) -> NDArray[np.int64]:  # noqa: ANN401 (numbers, or arrays)
    """Nanoseconds since 1970 of seconds since 1904 and 2⁻⁶⁴ of a second, to the nearest.

    npTDMS cuts the rest off, which makes 249,999,999 of a quarter of a second.
    """
    parts = np.asarray(fractions, np.uint64)
    half = np.uint64(32)
    low = (parts & np.uint64(0xFFFFFFFF)) * np.uint64(_NS_PER_S) >> half
    ns = (parts >> half) * np.uint64(_NS_PER_S) + low + np.uint64(2**31) >> half
    return (np.asarray(seconds, np.int64) - _1904_S) * _NS_PER_S + ns.astype(np.int64)


def _dtype(channel: Any) -> np.dtype[Any]:  # noqa: ANN401 (of npTDMS)
    data = channel.read_data(0, 1)
    if hasattr(data, "as_datetime64"):
        return np.dtype("datetime64[ns]")
    dtype: np.dtype[Any] = np.dtype(data.dtype)
    return dtype


def _is_plain(channel: Any) -> bool:  # noqa: ANN401 (of npTDMS)
    return data_type_of_dtype(_dtype(channel)) is not None


def _path(channel: Any) -> str:  # noqa: ANN401 (of npTDMS)
    return f"{channel.group_name}/{channel.name}"


def _property(channel: Any, *names: str) -> str:  # noqa: ANN401 (of npTDMS)
    for name in names:
        value = channel.properties.get(name)
        if isinstance(value, str) and value:
            return value
    return ""
