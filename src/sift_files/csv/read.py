"""The rows of a CSV file, as a plan has them."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import pyarrow as pa

from sift_files.batch import Batch, OnError
from sift_files.csv.blocks import blocks_of
from sift_files.csv.misfits import bad_cell
from sift_files.csv.parse import BlockParser, CellType
from sift_files.csv.source import open_text
from sift_files.csv.start import begin
from sift_files.csv.time_columns import bad_times, time_texts
from sift_files.errors import PlanError, UnreadableFileError
from sift_files.judge import Judge
from sift_files.plan import DataType
from sift_files.times.column import ns_of_texts
from sift_files.times.start import start_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from sift_files.batch import KeptText, OnBadCell
    from sift_files.csv.blocks import Block
    from sift_files.csv.parse import Misfit
    from sift_files.plan import ColumnPlan, CsvLayout, FilePlan, TablePlan, TimePlan

__all__ = ["read_csv"]


def read_csv(
    path: Path,
    plan: FilePlan,
    start: int = 0,
    on_error: OnError = OnError.STOP,
    on_bad_cell: OnBadCell | None = None,
) -> Iterator[Batch]:
    """Read a file.

    Args:
        path: The file.
        plan: What is in it.
        start: Place of a batch, to go on behind it.
        on_error: What to do with cells that do not fit.
        on_bad_cell: Is told of each of them that does not stop the reading.

    Raises:
        PlanError: The plan lacks times, or what they count from; or does not fit the file.
        BadCellError: A cell does not fit, and `on_error` is to stop.
        UnreadableFileError: The file is damaged.
        OSError: It can't be read.
    """
    reader = _Reader(path, plan, on_error, on_bad_cell)
    return reader.batches(start)


class _Reader:
    def __init__(
        self, path: Path, plan: FilePlan, on_error: OnError, on_bad_cell: OnBadCell | None
    ) -> None:
        if plan.csv is None or len(plan.tables) != 1:
            raise PlanError("the plan of a CSV file needs how it is written (csv), and one table")
        self._path = path
        self._layout: CsvLayout = plan.csv
        self._table: TablePlan = plan.tables[0]
        if self._table.time is None:
            raise PlanError("no column of times was found: name one (--time)")
        self._time: TimePlan = self._table.time
        start_of(self._time)
        self._judge = Judge(on_error, on_bad_cell)
        self._columns: dict[int, ColumnPlan] = {
            self._number(one.path): one for one in self._table.wanted
        }
        self._names = [f"column_{number}" for number in range(1, self._layout.columns + 1)]
        for one in self._table.columns:
            self._names[self._number(one.path) - 1] = one.name
        types = {number: CellType(one.data_type, one.enum) for number, one in self._columns.items()}
        for path_of_time, name in zip_longest(self._time.columns, self._time.names):
            number = self._number(path_of_time)
            self._names[number - 1] = name or self._names[number - 1]
            if number in types:
                raise PlanError(f"column {number} is both a time and a channel; choose one")
            types[number] = CellType(DataType.STRING, is_time=True)
        self._parser = BlockParser(self._layout, types)

    def batches(self, start: int) -> Iterator[Batch]:
        layout = self._layout
        with open_text(self._path, layout.encoding) as source:
            begun = begin(source, layout, start)
            try:
                for block in blocks_of(begun, layout.delimiter, begun.start, begun.first_line):
                    yield self._batch(block)
            except UnreadableFileError as error:
                raise UnreadableFileError(f"{self._path}: {error}") from None

    def _batch(self, block: Block) -> Batch:
        parsed = self._parser.parse(block)
        texts = time_texts(parsed, self._time)
        times, bad = ns_of_texts(texts, self._time)
        misfits = list(parsed.misfits)
        if bad.any():
            lines = self._parser.lines(parsed, block)
            misfits += bad_times(texts, bad, parsed, lines, self._time)
        kept = self._taken(misfits, times, bad) if misfits else ()
        columns = {one.channel: parsed.arrays[number] for number, one in self._columns.items()}
        if bad.any():
            good = pa.array(~bad)
            times = times[~bad]
            columns = {channel: array.filter(good) for channel, array in columns.items()}
        return Batch(self._table.name, times, columns, parsed.rows_read, block.end, kept)

    def _taken(
        self, misfits: list[Misfit], times: NDArray[np.int64], bad: NDArray[np.bool_]
    ) -> tuple[KeptText, ...]:
        cells = []
        for misfit in sorted(misfits, key=lambda one: (one.line, one.column)):
            column = self._columns.get(misfit.column)
            is_known = misfit.row >= 0 and not bad[misfit.row]
            cells.append(
                (
                    bad_cell(self._path, misfit, self._names),
                    column.channel if column is not None else "",
                    int(times[misfit.row]) if is_known else None,
                )
            )
        return self._judge.take(cells)

    def _number(self, path: str) -> int:
        if not path.isdecimal() or not 1 <= int(path) <= self._layout.columns:
            raise PlanError(
                f"the columns of a CSV file are numbers from 1 to {self._layout.columns}, and the"
                f" plan has {path!r}"
            )
        return int(path)
