"""Columns of a block of rows.

Arrow reads a block at once, each column as its data type. Where a cell does not fit, the columns
that have such cells are read again as texts, from then on at once. A block whose rows are not all
equally long, or not UTF-8, is read as bytes, and its rows are counted.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from sift_files.csv.layout import CELL_CHARACTERS_MAX
from sift_files.errors import UnreadableFileError
from sift_files.plan import DataType
from sift_files.texts import (
    ARROW_TYPES,
    REASONS,
    cast_rows,
    exact_up_to,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sift_files.csv.blocks import Block
    from sift_files.plan import CsvLayout

__all__ = ["BlockParser", "CellType", "Misfit", "Parsed"]

_FLOATING = frozenset({DataType.DOUBLE, DataType.FLOAT})
_SIGNED = frozenset({DataType.INT_32, DataType.INT_64})


@dataclass(frozen=True, slots=True)
class CellType:
    """What the cells of a column are read as.

    Attributes:
        data_type: The data type.
        enum: Keys by name, of an enum.
        is_time: Whether to give the texts, for times.
    """

    data_type: DataType
    enum: Mapping[str, int] = field(default_factory=dict)
    is_time: bool = False


@dataclass(frozen=True, slots=True)
class Misfit:
    """A cell that does not fit, or, without a column, a row.

    Attributes:
        row: Of the block's rows that are as long as others; -1 for a row that is not.
        line: In the file, counted from 1.
        column: Number of the column, counted from 1; 0 for a row.
        text: What is there.
        reason: What is wrong.
    """

    row: int
    line: int
    column: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """The columns of a block.

    Attributes:
        arrays: Values of Arrow, by the number of the column, counted from 1; texts of times.
        texts: Of columns that were read as texts first.
        rows: How many rows, but for those that are too long or too short.
        misfits: What did not fit.
        line_of: The line of each row, if the rows had to be counted.
    """

    arrays: dict[int, Any]
    texts: dict[int, Any]
    rows: int
    misfits: list[Misfit]
    line_of: list[int] | None

    @property
    def rows_read(self) -> int:
        """How many rows there are, with those that are too long or too short."""
        return self.rows + sum(misfit.column == 0 for misfit in self.misfits)


class BlockParser:
    """Reads blocks of a file, in any order; remembers what columns have to be read as texts."""

    def __init__(self, layout: CsvLayout, types: Mapping[int, CellType]) -> None:
        """Take how the file is written, and the columns to read by their numbers from 1 on."""
        self._layout = layout
        self._types = dict(types)
        self._by_text: set[int] = {
            number for number, one in types.items() if one.data_type is DataType.ENUM
        }
        self._names = [str(number) for number in range(1, layout.columns + 1)]

    def retype(self, number: int, cell_type: CellType) -> None:
        """Read a column as something else from now on."""
        self._types[number] = cell_type

    def relayout(self, layout: CsvLayout) -> None:
        """Take other words for no value from now on."""
        self._layout = layout

    def lines(self, parsed: Parsed, block: Block) -> list[int]:
        """The line of each row of a block."""
        return parsed.line_of or _lines_of_rows(block, self._layout)

    def parse(self, block: Block) -> Parsed:
        """The columns of a block.

        Raises:
            UnreadableFileError: It can't be cut into cells.
        """
        try:
            return self._of_table(block, self._table(block, self._by_text))
        except pa.ArrowInvalid:
            pass
        try:
            texts = self._table(block, self._types)
        except pa.ArrowInvalid:
            return self._uneven(block)
        for number, one in self._types.items():
            if number not in self._by_text and not one.is_time:
                try:
                    texts[str(number)].cast(ARROW_TYPES[one.data_type])
                except pa.ArrowInvalid:
                    self._by_text.add(number)
        return self._of_table(block, texts)

    def _table(self, block: Block, by_text: Iterable[int], *, even_uneven: bool = False) -> Any:  # noqa: ANN401 (of Arrow)
        """Read a block, some columns as texts; as bytes where uneven rows are left out."""
        by_text = set(by_text)
        text = pa.binary() if even_uneven else pa.string()
        types = {
            str(number): text if one.is_time or number in by_text else ARROW_TYPES[one.data_type]
            for number, one in self._types.items()
        }
        return arrow_csv.read_csv(
            _owned_by_arrow(block.data),
            read_options=arrow_csv.ReadOptions(
                column_names=self._names,
                block_size=max(len(block.data) + 1, 2),
                # The handler is Python's, see `_owned_by_arrow`.
                use_threads=not even_uneven,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._layout.delimiter,
                newlines_in_values=block.has_newlines,
                invalid_row_handler=(lambda _: "skip") if even_uneven else None,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=[""],
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                decimal_point=self._layout.decimal,
            ),
        ).combine_chunks()

    def _of_table(self, block: Block, table: Any) -> Parsed:  # noqa: ANN401 (of Arrow)
        arrays = {}
        texts = {}
        for number, one in self._types.items():
            column = table[str(number)]
            array = column.chunk(0) if column.num_chunks else pa.array([], column.type)
            if array.type == pa.string() and (one.is_time or one.data_type is not DataType.STRING):
                texts[number] = array
            elif not self._needs_texts(block, array, one):
                arrays[number] = self._finished(array, one)
        lacking = [number for number in self._types if number not in arrays and number not in texts]
        if lacking:
            again = self._table(block, self._types)
            texts |= {number: again[str(number)].chunk(0) for number in lacking}
        return self._of_texts(block, arrays, texts, table.num_rows, [], None)

    def _needs_texts(self, block: Block, array: Any, one: CellType) -> bool:  # noqa: ANN401 (of Arrow)
        """Whether values may not be what their texts say."""
        if one.data_type in _FLOATING:
            most = pc.max(pc.abs(pc.if_else(pc.is_nan(array), 0.0, array))).as_py()
            return most is not None and most >= exact_up_to(one.data_type)
        if one.data_type in _SIGNED:
            least = pc.min(array).as_py()
            # One letter is looked for a lot faster than "0x" is.
            return least is not None and least < 0 and (b"x" in block.data or b"X" in block.data)
        return False

    def _finished(self, array: Any, one: CellType) -> Any:  # noqa: ANN401 (of Arrow)
        if one.data_type is DataType.FLOAT and array.type != pa.float32():
            return array.cast(pa.float32())
        if one.data_type is DataType.STRING and self._layout.is_padded:
            trimmed = pc.utf8_trim_whitespace(array)
            return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
        return array

    def _of_texts(
        self,
        block: Block,
        arrays: dict[int, Any],
        texts: dict[int, Any],
        rows: int,
        misfits: list[Misfit],
        line_of: list[int] | None,
    ) -> Parsed:
        layout = self._layout
        for number, column in texts.items():
            one = self._types[number]
            if one.is_time:
                # A decimal comma is one in times, too.
                dotted = layout.decimal != "." and pc.replace_substring(column, layout.decimal, ".")
                arrays[number] = pc.utf8_trim_whitespace(dotted or column)
                continue
            array, bad = values_of(column, one.data_type, layout.no_value, one.enum, layout.decimal)
            arrays[number] = self._finished(array, one)
            if bad and line_of is None:
                line_of = _lines_of_rows(block, layout)
            for row in bad:
                text = column[row].as_py()
                misfits.append(
                    Misfit(
                        row, line_of[row] if line_of else 0, number, text, REASONS[one.data_type]
                    )
                )
        ordered = {number: arrays[number] for number in self._types}
        return Parsed(ordered, texts, rows, misfits, line_of)

    def _uneven(self, block: Block) -> Parsed:
        columns = self._layout.columns
        line_of: list[int] = []
        misfits: list[Misfit] = []
        for line, cells in _rows_of(block, self._layout):
            if len(cells) == columns:
                line_of.append(line)
            else:
                text = self._layout.delimiter.join(cells)
                reason = f"has {len(cells):,} cells, and {columns:,} were expected"
                misfits.append(Misfit(-1, line, 0, _printable(text), reason))
        try:
            table = self._table(block, self._types, even_uneven=True)
        except pa.ArrowInvalid as error:
            raise UnreadableFileError(
                f"the rows from line {block.first_line:,} on can't be cut into cells: {error}"
            ) from None
        if table.num_rows != len(line_of):
            raise UnreadableFileError(
                f"the quotes in the rows from line {block.first_line:,} on can't be made sense of"
            )
        texts, arrays = {}, {}
        for number, one in self._types.items():
            raw = table[str(number)].chunk(0) if line_of else pa.array([], pa.binary())
            column, broken = cast_rows(raw, pa.string())
            for row in broken:
                shown = raw[row].as_py().decode("latin-1")
                reason = f"{REASONS[DataType.STRING]} (--encoding)"
                misfits.append(Misfit(row, line_of[row], number, shown, reason))
            if one.data_type is DataType.STRING and not one.is_time:
                arrays[number] = self._finished(column, one)
            else:
                texts[number] = column
        return self._of_texts(block, arrays, texts, len(line_of), misfits, line_of)


def _owned_by_arrow(data: bytes) -> Any:  # noqa: ANN401 (of Arrow)
    """A copy of bytes that Arrow's threads can drop without Python.

    A thread of theirs may be the last that lets go of a block, a moment after it was read. If that
    is Python's it asks for Python's lock, and aborts the process if that is ending just then.
    """
    buffer = pa.allocate_buffer(len(data))
    np.frombuffer(buffer, np.uint8)[:] = np.frombuffer(data, np.uint8)
    return buffer


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _rows_of(block: Block, layout: CsvLayout) -> Iterable[tuple[int, list[str]]]:
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    text = block.data.decode("utf-8", "surrogateescape")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter)
    line = block.first_line
    try:
        for cells in reader:
            # Arrow knows no blank lines either.
            if cells:
                yield line, cells
            line = block.first_line + reader.line_num
    except csv.Error as error:
        raise UnreadableFileError(f"line {line:,} can't be cut into cells: {error}") from None


def _lines_of_rows(block: Block, layout: CsvLayout) -> list[int]:
    return [line for line, _ in _rows_of(block, layout)]
