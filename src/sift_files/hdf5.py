"""HDF5 files: datasets that are as long as a dataset of times beside or above them.

A path of a column is that of its dataset, with `#field` behind it for one field of a compound type
and `[3]` for one column of two dimensions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import h5py

from sift_files.arrays import batch_of, rows_at_once
from sift_files.batch import Batch, OnError
from sift_files.damage import told_as_damage
from sift_files.errors import PlanError
from sift_files.hints import NO_HINTS
from sift_files.judge import Judge
from sift_files.names import name_and_unit, unique
from sift_files.numpy_arrays import arrow_of, data_type_of_dtype
from sift_files.plan import ColumnPlan, DataType, FileFormat, FilePlan, TablePlan, TimePlan
from sift_files.times.array import best_time
from sift_files.times.since import since_of
from sift_files.told import as_told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from sift_files.batch import OnBadCell
    from sift_files.hints import Hints

__all__ = ["detect_hdf5", "read_hdf5"]

EXAMPLES_MAX = 3
COLUMNS_OF_A_DATASET_MAX = 64
"""A dataset of two dimensions with more columns is taken for a picture and not for channels."""

NAMES_SHOWN_MAX = 5

_TIMES_LOOKED_AT = 200
_PATH = re.compile(r"(?P<dataset>.*?)(?:#(?P<field>[^#\[\]]+))?(?:\[(?P<index>\d+)\])?")


@dataclass(frozen=True, slots=True)
class _Part:
    """A column: a dataset, or a part of one."""

    path: str
    dataset: str
    field: str
    index: int | None
    rows: int
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class _Times:
    """A column of times, and the group that it is for."""

    path: str
    group: str
    rows: int
    plan: TimePlan
    note: str


def detect_hdf5(path: Path, hints: Hints = NO_HINTS) -> FilePlan:
    """Find out what is in an HDF5 file.

    Raises:
        UnreadableFileError: It is damaged, or none.
        PlanError: It has no such columns as the hints name.
        OSError: It can't be read.
    """
    notes: list[str] = []
    with _opened(path) as file, told_as_damage(path, "HDF5"):
        parts = list(_parts(file, notes))
        times = _times(file, parts, hints)
        groups: dict[_Times | None, list[_Part]] = {}
        for part in parts:
            if all(part.path != one.path for one in times):
                groups.setdefault(_time_of(part, times), []).append(part)
        if times and (lost := groups.pop(None, [])):
            names = ", ".join(part.path for part in lost[:NAMES_SHOWN_MAX])
            more = ", ..." if len(lost) > NAMES_SHOWN_MAX else ""
            notes.append(
                f"{len(lost)} have no times that are as long, and are left out: {names}{more}"
            )
        if not times:
            notes.append("no dataset of times was found: name one (--time)")
        notes += dict.fromkeys(one.note for one in times if one.note)
        names_of_tables = unique(_table_name(path, time) for time in groups)
        tables = [
            TablePlan(
                name, None if time is None else time.plan, _columns(file, group), group[0].rows
            )
            for name, (time, group) in zip(names_of_tables, groups.items(), strict=True)
        ]
    return FilePlan(FileFormat.HDF5, tuple(tables), tuple(notes))


def read_hdf5(
    path: Path,
    plan: FilePlan,
    start: int = 0,
    on_error: OnError = OnError.STOP,
    on_bad_cell: OnBadCell | None = None,
) -> Iterator[Batch]:
    """Read a file, table by table; its places are rows of all tables. Raises as `read`."""
    judge = Judge(on_error, on_bad_cell)
    before = 0
    with _opened(path) as file:
        for table in plan.tables:
            if table.time is None or len(table.time.columns) != 1:
                raise PlanError(f"{path}: {table.name}: name a column of times (--time)")
            time_part = _part_of(path, file, table.time.columns[0])
            parts = {one.path: _part_of(path, file, one.path) for one in table.wanted}
            if uneven := [one for one in parts.values() if one.rows != time_part.rows]:
                raise PlanError(
                    f"{path}: {uneven[0].path} has {uneven[0].rows:,} values, and its times"
                    f" {time_part.path} are {time_part.rows:,}"
                )
            size = rows_at_once(len(parts))
            for first in range(max(0, start - before), time_part.rows, size):
                end = min(first + size, time_part.rows)
                with told_as_damage(path, "HDF5"):
                    loaded: dict[tuple[str, str], NDArray[Any]] = {}
                    arrays = {
                        name: arrow_of(_slice(file, part, first, end, loaded))
                        for name, part in parts.items()
                    }
                    times = arrow_of(_slice(file, time_part, first, end, loaded))
                yield batch_of(judge, path.name, table, times, arrays, first, before + end)
            before += time_part.rows


def _opened(path: Path) -> Any:  # noqa: ANN401 (of h5py)
    with told_as_damage(path, "HDF5"):
        try:
            return h5py.File(path, "r")
        except OSError as error:
            # What is wrong with its bytes has a number of the system, too.
            if path.is_file():
                raise ValueError(str(error)) from None
            raise


def _parts(file: Any, notes: list[str]) -> Iterator[_Part]:  # noqa: ANN401 (of h5py)
    """Every column that can be a channel or have times."""
    found: list[Any] = []
    file.visititems(lambda _, one: found.append(one) if isinstance(one, h5py.Dataset) else None)
    for dataset in found:
        made = list(_parts_of(dataset))
        if not made:
            shape = "x".join(map(str, dataset.shape or ()))
            notes.append(f"{dataset.name} is left out: {dataset.dtype}, {shape or 'one value'}")
        yield from made


def _parts_of(dataset: Any) -> Iterator[_Part]:  # noqa: ANN401 (of h5py)
    name, dtype = dataset.name, dataset.dtype
    if not dataset.shape:
        return
    rows = dataset.shape[0]
    if dtype.names is not None:
        if len(dataset.shape) == 1:
            for field in dtype.names:
                kind, shape = dtype[field].base, dtype[field].shape
                for index in _indices(shape):
                    if _type_of(kind) is not None:
                        path = f"{name}#{field}" + ("" if index is None else f"[{index}]")
                        yield _Part(path, name, field, index, rows, kind)
    elif _type_of(dtype) is not None:
        for index in _indices(dataset.shape[1:]):
            path = name if index is None else f"{name}[{index}]"
            yield _Part(path, name, "", index, rows, dtype)


def _indices(shape: tuple[int, ...]) -> list[int | None]:
    if not shape or shape == (1,):
        return [None] if not shape else [0]
    if len(shape) == 1 and shape[0] <= COLUMNS_OF_A_DATASET_MAX:
        return list(range(shape[0]))
    return []


def _type_of(dtype: np.dtype[Any]) -> DataType | None:
    if h5py.check_enum_dtype(dtype) is not None:
        return DataType.ENUM
    if dtype.kind == "O" and h5py.check_string_dtype(dtype) is None:
        return None
    return data_type_of_dtype(dtype)


def _times(
    file: Any,  # noqa: ANN401 (of h5py)
    parts: list[_Part],
    hints: Hints,
) -> list[_Times]:
    """The best column of times of each group and length."""
    by_path = {part.path: part for part in parts}
    heads = {part.path: arrow_of(_slice(file, part, 0, _TIMES_LOOKED_AT, {})) for part in parts}
    units = {part.path: _attribute(file[part.dataset], "units", "unit") for part in parts}
    if hints.time:
        time, note = best_time(heads, hints, units)
        return [] if time is None else [_as_times(by_path[time.columns[0]], time, note, "/")]
    places: dict[tuple[str, int], list[_Part]] = {}
    for part in parts:
        if part.index is None:
            places.setdefault((_group(part), part.rows), []).append(part)
    found = []
    for (group, _), near in places.items():
        paths = {_name(part): part.path for part in near}
        time, note = best_time(
            {name: heads[path] for name, path in paths.items()},
            hints,
            {name: units[path] for name, path in paths.items()},
        )
        if time is not None:
            part = by_path[paths[time.columns[0]]]
            since = since_of(units[part.path])
            if since is not None and hints.time_format is None:
                time, note = replace(time, format=since[0], start_ns=since[1]), ""
            found.append(_as_times(part, time, note, group))
    return found


def _as_times(part: _Part, time: TimePlan, note: str, group: str) -> _Times:
    return _Times(part.path, group, part.rows, replace(time, columns=(part.path,)), note)


def _time_of(part: _Part, times: list[_Times]) -> _Times | None:
    """The times nearest to a column that could be those of its rows."""
    group = part.dataset
    while True:
        for one in times:
            if one.group == group and one.rows == part.rows:
                return one
        if group == "/":
            return None
        group = _parent(group)


def _columns(file: Any, parts: list[_Part]) -> tuple[ColumnPlan, ...]:  # noqa: ANN401 (of h5py)
    columns = []
    named = [name_and_unit(_channel(part)) for part in parts]
    channels = unique(name for name, _ in named)
    for part, channel, (_, unit) in zip(parts, channels, named, strict=True):
        dataset = file[part.dataset]
        data_type = _type_of(part.dtype)
        if data_type is None:
            continue
        head = arrow_of(_slice(file, part, 0, EXAMPLES_MAX, {}))
        enum = h5py.check_enum_dtype(part.dtype) or {}
        told = {name: _attribute(dataset, name) for name in ("channel", "data_type", "enum_types")}
        column = ColumnPlan(
            path=part.path,
            name=part.path,
            channel=channel,
            data_type=data_type,
            unit=_attribute(dataset, "unit", "units") or unit,
            description=_attribute(dataset, "description", "long_name"),
            enum={str(name): int(key) for name, key in enum.items()},
            examples=tuple(str(value) for value in head.to_pylist() if value is not None),
        )
        columns.append(as_told(column, {name: text for name, text in told.items() if text}))
    return tuple(columns)


def _slice(
    file: Any,  # noqa: ANN401 (of h5py)
    part: _Part,
    first: int,
    end: int,
    loaded: dict[tuple[str, str], NDArray[Any]],
) -> NDArray[Any]:
    """Some rows of a column; what is loaded of a dataset serves its other columns, too."""
    key = (part.dataset, part.field)
    if key not in loaded:
        dataset = file[part.dataset]
        loaded[key] = dataset[part.field, first:end] if part.field else dataset[first:end]
    values = loaded[key]
    return values if part.index is None else values[:, part.index]


def _part_of(path: Path, file: Any, name: str) -> _Part:  # noqa: ANN401 (of h5py)
    found = _PATH.fullmatch(name)
    dataset = file.get(name)
    if dataset is None and found is not None:
        dataset = file.get(found["dataset"])
    if not isinstance(dataset, h5py.Dataset):
        raise PlanError(f"{path} has no dataset {name!r}")
    for part in _parts_of(dataset):
        if part.path in {name, f"/{name}"}:
            return part
    raise PlanError(f"{path} has no column {name!r}")


def _group(part: _Part) -> str:
    """Where a column's neighbours are: in its dataset, or in the group of that."""
    return part.dataset if part.field else _parent(part.dataset)


def _name(part: _Part) -> str:
    return part.field or part.dataset.rpartition("/")[2]


def _parent(name: str) -> str:
    return name.rpartition("/")[0] or "/"


def _channel(part: _Part) -> str:
    name = part.dataset.strip("/").replace("/", ".")
    name += f".{part.field}" if part.field else ""
    return name if part.index is None else f"{name}[{part.index}]"


def _table_name(path: Path, time: _Times | None) -> str:
    group = "" if time is None else time.group.strip("/").replace("/", ".")
    return group or path.name.split(".")[0] or path.name


def _attribute(dataset: Any, *names: str) -> str:  # noqa: ANN401 (of h5py)
    for name in names:
        value = dataset.attrs.get(name)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, str):
            return value
    return ""
