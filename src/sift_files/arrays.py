"""Arrays of Arrow as values of channels, for formats that know their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_files.batch import BadCell, Batch
from sift_files.errors import PlanError
from sift_files.plan import DataType
from sift_files.texts import ARROW_TYPES, REASONS, cast_rows, values_of
from sift_files.times.column import ns_of_array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sift_files.judge import Judge
    from sift_files.plan import ColumnPlan, TablePlan

__all__ = ["batch_of", "data_type_of", "fitted", "rows_at_once"]

BATCH_BYTES = 16 * 1024 * 1024
BATCH_ROWS_MAX = 64 * 1024

_DATA_TYPES = {
    pa.int8(): DataType.INT_32,
    pa.int16(): DataType.INT_32,
    pa.int32(): DataType.INT_32,
    pa.int64(): DataType.INT_64,
    pa.uint8(): DataType.UINT_32,
    pa.uint16(): DataType.UINT_32,
    pa.uint32(): DataType.UINT_32,
    pa.uint64(): DataType.UINT_64,
    pa.float16(): DataType.FLOAT,
    pa.float32(): DataType.FLOAT,
    pa.float64(): DataType.DOUBLE,
    pa.bool_(): DataType.BOOL,
    pa.string(): DataType.STRING,
    pa.large_string(): DataType.STRING,
    pa.string_view(): DataType.STRING,
}
_VALUE_BYTES = 8


def rows_at_once(columns: int) -> int:
    """How many rows to read at once of so many columns."""
    return max(1, min(BATCH_ROWS_MAX, BATCH_BYTES // (_VALUE_BYTES * max(columns, 1))))


def data_type_of(kind: Any) -> DataType | None:  # noqa: ANN401 (a type of Arrow)
    """The data type that keeps every value of a type; None if there is none.

    Times and exact decimals become text.
    """
    if pa.types.is_dictionary(kind):
        return data_type_of(kind.value_type)
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        return DataType.STRING
    return _DATA_TYPES.get(kind)


def fitted(array: Any, column: ColumnPlan) -> tuple[Any, list[int]]:  # noqa: ANN401 (of Arrow)
    """An array as values of a column's data type, and the rows of those that do not fit.

    Raises:
        PlanError: Values of that kind can't be of that data type.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind, data_type = array.type, column.data_type
    if data_type_of(kind) is DataType.STRING and kind not in _DATA_TYPES:
        array = array.cast(pa.string())
        kind = array.type
    if _DATA_TYPES.get(kind) is DataType.STRING:
        return values_of(array.cast(pa.string()), data_type, (), column.enum)
    if kind not in _DATA_TYPES:
        raise PlanError(f"column {column.name!r} is of {kind}, which no channel can be of")
    if data_type is DataType.BOOL and kind != pa.bool_():
        wrong = pc.invert(pc.is_in(array, value_set=pa.array([0, 1]).cast(kind), skip_nulls=True))
        bad = pc.indices_nonzero(pc.and_(array.is_valid(), wrong)).to_pylist()
        return array.cast(pa.bool_()), bad
    if data_type is DataType.FLOAT:
        if kind == pa.float32():
            return array, []
        numbers, bad = cast_rows(array, pa.float64())
        large = pc.greater(pc.abs(numbers), float(np.finfo(np.float32).max))
        large = pc.and_(large, pc.is_finite(numbers))
        more = pc.indices_nonzero(large).to_pylist()
        mask = pc.fill_null(large, fill_value=False)
        numbers = pc.if_else(mask, pa.scalar(None, pa.float64()), numbers)
        return numbers.cast(pa.float32()), sorted({*bad, *more})
    if data_type is DataType.BIT_FIELD:
        raise PlanError(f"column {column.name!r} is of {kind}, which is no bit field")
    target = pa.uint32() if data_type is DataType.ENUM else ARROW_TYPES[data_type]
    return (array, []) if kind == target else cast_rows(array, target)


def batch_of(
    judge: Judge,
    file: str,
    table: TablePlan,
    times: Any,  # noqa: ANN401 (of Arrow or NumPy)
    arrays: Mapping[str, Any],
    first_row: int,
    place: int,
) -> Batch:
    """A batch of rows.

    Args:
        judge: Of what does not fit.
        file: Name of the file, for messages.
        table: The plan of the table, with times.
        times: Values of the time column.
        arrays: Values of the wanted columns, by their paths.
        first_row: How many rows of the table were before.
        place: Of the batch.

    Raises:
        PlanError: The plan does not fit the columns.
        BadCellError: A value does not fit its column.
    """
    if table.time is None:
        raise PlanError(f"{table.name}: no times were found: name a column (--time)")
    times_ns, bad_times = ns_of_array(times, table.time)
    cells: list[tuple[BadCell, str, int | None]] = []
    time_name = " ".join(table.time.columns)
    for row in np.flatnonzero(bad_times).tolist():
        value = times[row].as_py() if hasattr(times[row], "as_py") else times[row]
        text = "" if value is None else str(value)
        cell = BadCell(file, first_row + row + 1, time_name, text, "is no time", path=time_name)
        cells.append((cell, "", None))
    columns = {}
    for column in table.wanted:
        array = arrays[column.path]
        columns[column.channel], wrong = fitted(array, column)
        for row in wrong:
            text = str(array[row].as_py())
            cell = BadCell(
                file, first_row + row + 1, column.name, text, REASONS[column.data_type],
                path=column.path,
            )  # fmt: skip
            time_ns = None if bad_times[row] else int(times_ns[row])
            cells.append((cell, column.channel, time_ns))
    cells.sort(key=lambda each: each[0].line)
    kept = judge.take(cells)
    rows = len(times_ns)
    if bad_times.any():
        good = pa.array(~bad_times)
        times_ns = times_ns[~bad_times]
        columns = {channel: array.filter(good) for channel, array in columns.items()}
    return Batch(table.name, times_ns, columns, rows, place, kept)
