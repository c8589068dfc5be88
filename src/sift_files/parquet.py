"""Parquet files: a column a channel, or a point a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from sift_files.arrays import batch_of, data_type_of, rows_at_once
from sift_files.batch import Batch, OnError
from sift_files.errors import PlanError, UnreadableFileError
from sift_files.hints import NO_HINTS
from sift_files.judge import Judge
from sift_files.names import name_and_unit, unique
from sift_files.plan import ColumnPlan, FileFormat, FilePlan, LongLayout, TablePlan
from sift_files.times.array import best_time
from sift_files.told import as_told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_files.batch import OnBadCell
    from sift_files.hints import Hints
    from sift_files.plan import TimePlan

__all__ = ["detect_parquet", "read_parquet"]

EXAMPLES_MAX = 3
_TIMES_LOOKED_AT = 200
_NAME_COLUMNS = ("channel", "channel_name", "signal", "signal_name", "parameter", "variable",
                 "sensor", "name", "key", "topic", "tag")  # fmt: skip
_VALUE_COLUMNS = ("value", "val", "data", "reading", "measurement")
_LONG_COLUMNS_MAX = 4


def detect_parquet(path: Path, hints: Hints = NO_HINTS) -> FilePlan:
    """Find out what is in a Parquet file.

    Raises:
        UnreadableFileError: It is damaged, or none.
        PlanError: It has no such columns as the hints name.
        OSError: It can't be read.
    """
    file = _opened(path)
    fields = dict(_leaves(file.schema_arrow))
    head = _head(file, fields)
    notes: list[str] = []
    time, note = best_time(head, hints)
    notes += [note] if note else []
    best = None if time is None else time.columns[0]
    others = {name: field for name, field in fields.items() if name != best}
    long = _long(others)
    if time is not None and long is not None:
        tables = _long_tables(file, long, others, time)
        notes.append(f"a row has a point: {long.name!r} is its channel, {long.value!r} its value")
        return FilePlan(FileFormat.PARQUET, tables, tuple(notes), long=long)
    columns = _columns(others, head, notes)
    if "channel" in others and any(name.startswith("value_") for name in others):
        notes.append(
            "this looks like points of channels of several types, a row each ('sift export"
            " --layout long'): each column is taken for a channel, 'channel' too. Export the wide"
            " layout"
        )
    rows = file.metadata.num_rows
    name = path.name.split(".")[0] or path.name
    return FilePlan(FileFormat.PARQUET, (TablePlan(name, time, columns, rows),), tuple(notes))


def read_parquet(
    path: Path,
    plan: FilePlan,
    start: int = 0,
    on_error: OnError = OnError.STOP,
    on_bad_cell: OnBadCell | None = None,
) -> Iterator[Batch]:
    """Read a file; its places are rows. Raises as `read`."""
    file = _opened(path)
    fields = dict(_leaves(file.schema_arrow))
    for table in plan.tables:
        paths = [] if plan.long else [column.path for column in table.wanted]
        for name in (*paths, *(table.time.columns if table.time else ())):
            if name not in fields:
                raise PlanError(f"{path} has no column {name!r}")
    judge = Judge(on_error, on_bad_cell)
    if plan.long is not None:
        yield from _read_long(path, file, plan, plan.long, start, judge)
        return
    for table in plan.tables:
        if table.time is None or len(table.time.columns) != 1:
            raise PlanError(f"{path}: no column of times was found: name one (--time)")
        (time_path,) = table.time.columns
        wanted = {time_path, *(column.path for column in table.wanted)}
        for first, rows in _rows(path, file, wanted, start):
            arrays = {column.path: rows[column.path] for column in table.wanted}
            yield batch_of(
                judge, path.name, table, rows[time_path], arrays, first,
                first + len(rows[time_path]),
            )  # fmt: skip


def _opened(path: Path) -> Any:  # noqa: ANN401 (of Arrow)
    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UnreadableFileError(f"{path} is damaged, or no Parquet file: {error}") from None


def _leaves(fields: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (of Arrow)
    """The columns, and the fields of those that are structs."""
    for field in fields:
        name = f"{prefix}{field.name}"
        if pa.types.is_struct(field.type):
            yield from _leaves(field.type, f"{name}.")
        else:
            yield name, field


def _rows(
    path: Path,
    file: Any,  # noqa: ANN401 (of Arrow)
    wanted: set[str],
    start: int,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Columns of some rows at a time, from a row on, with the number of the first."""
    top = sorted({name if _has(file, name) else name.partition(".")[0] for name in wanted})
    first = 0
    try:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if first + rows <= start:
                first += rows
                continue
            for batch in file.iter_batches(rows_at_once(len(wanted)), [group], top):
                skipped = min(max(start - first, 0), len(batch))
                if skipped < len(batch):
                    rest = batch.slice(skipped)
                    yield first + skipped, {name: _column(rest, name) for name in wanted}
                first += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"{path} is damaged behind row {first:,}: {error}") from None


def _has(file: Any, name: str) -> bool:  # noqa: ANN401 (of Arrow)
    return bool(file.schema_arrow.get_field_index(name) >= 0)


def _column(batch: Any, name: str) -> Any:  # noqa: ANN401 (of Arrow)
    if (at := batch.schema.get_field_index(name)) >= 0:
        return batch.column(at)
    head, *rest = name.split(".")
    array = batch.column(head)
    for part in rest:
        # Of a struct that is null the fields are null, too.
        array = pc.struct_field(array, part)
    return array


def _head(file: Any, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 (of Arrow)
    """The first rows of the columns that can be channels."""
    names = {name for name, field in fields.items() if data_type_of(field.type) is not None}
    top = sorted({name if _has(file, name) else name.partition(".")[0] for name in names})
    try:
        batch = next(file.iter_batches(_TIMES_LOOKED_AT, columns=top), None)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"the file is damaged: {error}") from None
    if batch is None:
        return {name: pa.array([], fields[name].type) for name in fields if name in names}
    return {name: _column(batch, name) for name in fields if name in names}


def _columns(
    fields: dict[str, Any], head: dict[str, Any], notes: list[str]
) -> tuple[ColumnPlan, ...]:
    named = [name_and_unit(name) for name in fields]
    columns = []
    for (path, field), (_, unit), channel in zip(
        fields.items(), named, unique(name for name, _ in named), strict=True
    ):
        data_type = data_type_of(field.type)
        if data_type is None:
            notes.append(f"column {path!r} is of {field.type}, which no channel can be of")
            continue
        metadata = {
            key.decode("utf-8", "replace").lower(): value.decode("utf-8", "replace")
            for key, value in (field.metadata or {}).items()
        }
        column = ColumnPlan(
            path=path,
            name=path,
            channel=channel,
            data_type=data_type,
            unit=metadata.get("unit", metadata.get("units", unit)),
            description=metadata.get("description", ""),
            examples=tuple(str(value.as_py()) for value in head[path].drop_null()[:EXAMPLES_MAX]),
        )
        columns.append(as_told(column, {"channel": path, **metadata}))
    return tuple(columns)


def _long(fields: dict[str, Any]) -> LongLayout | None:
    """Which columns have names and values, if a row has a point of one channel."""
    if not 2 <= len(fields) <= _LONG_COLUMNS_MAX:  # noqa: PLR2004 (name and value)
        return None
    lower = {name.lower(): name for name in fields}
    name = next((lower[each] for each in _NAME_COLUMNS if each in lower), None)
    value = next((lower[each] for each in _VALUE_COLUMNS if each in lower), None)
    if name is None or value is None:
        return None
    kind = fields[name].type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return LongLayout(name, value) if is_text and data_type_of(fields[value].type) else None


def _long_tables(
    file: Any,  # noqa: ANN401 (of Arrow)
    long: LongLayout,
    fields: dict[str, Any],
    time: TimePlan,
) -> tuple[TablePlan, ...]:
    counts: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    for batch in file.iter_batches(rows_at_once(2), columns=[long.name, long.value]):
        names = batch.column(long.name).cast(pa.string())
        for one in pc.value_counts(names.drop_null()).to_pylist():
            name = one["values"]
            counts[name] = counts.get(name, 0) + one["counts"]
            if name not in examples:
                rows = batch.column(long.value).filter(pc.equal(names, name)).drop_null()
                examples[name] = [str(value.as_py()) for value in rows[:EXAMPLES_MAX]]
    data_type = data_type_of(fields[long.value].type)
    if data_type is None:
        return ()
    made = []
    for name in sorted(counts):
        channel, unit = name_and_unit(name)
        column = ColumnPlan(name, name, channel, data_type, unit, examples=tuple(examples[name]))
        made.append(TablePlan(channel, time, (column,), counts[name]))
    return tuple(made)


def _read_long(
    path: Path,
    file: Any,  # noqa: ANN401 (of Arrow)
    plan: FilePlan,
    long: LongLayout,
    start: int,
    judge: Judge,
) -> Iterator[Batch]:
    times = {table.time.columns for table in plan.tables if table.time is not None}
    if len(times) != 1 or len(next(iter(times))) != 1:
        raise PlanError(f"{path}: the channels of a file with a point a row have one time column")
    ((time_path,),) = times
    for first, rows in _rows(path, file, {time_path, long.name, long.value}, start):
        names = rows[long.name].cast(pa.string())
        end = first + len(names)
        present = set(pc.unique(names).to_pylist())
        found = [table for table in plan.tables if table.wanted and table.wanted[0].path in present]
        for table in found:
            (column,) = table.wanted
            at = pc.indices_nonzero(pc.equal(names, column.path))
            is_last = table is found[-1]
            arrays = {column.path: rows[long.value].take(at)}
            yield batch_of(
                judge, path.name, table, rows[time_path].take(at), arrays, first,
                end if is_last else first,
            )  # fmt: skip
