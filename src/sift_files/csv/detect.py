"""What is in a CSV file: looked at from the beginning to the end, so that types fit every row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift_files.csv.blocks import blocks_of
from sift_files.csv.guess import TypeGuess
from sift_files.csv.layout import layout_of
from sift_files.csv.misfits import bad_cell
from sift_files.csv.parse import BlockParser, CellType
from sift_files.csv.source import HEAD_BYTES, head_of, open_text, text_encoding
from sift_files.csv.start import begin
from sift_files.csv.time_columns import bad_times, clock_column, find_time, time_texts
from sift_files.hints import NO_HINTS, names_of, require_column
from sift_files.names import name_and_unit, unique
from sift_files.plan import ColumnPlan, DataType, FileFormat, FilePlan, TablePlan, TimePlan
from sift_files.times.column import ns_of_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from sift_files.csv.blocks import Block
    from sift_files.csv.layout import Headed
    from sift_files.csv.parse import Misfit, Parsed
    from sift_files.hints import Hints

__all__ = ["BAD_CELLS_TOLD_MAX", "detect_csv"]

BAD_CELLS_TOLD_MAX = 20
FIRST_BLOCK_BYTES = 256 * 1024
"""Types are guessed from so much, and corrected by the rest."""
SCAN_BYTES_MAX = 8 * 1024**3
"""Of a file that is longer, the rest is taken for what the beginning is."""
EXAMPLES_MAX = 3


def detect_csv(
    path: Path,
    hints: Hints = NO_HINTS,
    on_bytes: Callable[[int], object] | None = None,
) -> FilePlan:
    """Find out what is in a CSV file.

    Args:
        path: The file; it may be compressed with gzip, bzip2 or xz.
        hints: What is known of it.
        on_bytes: Is told how much more of the text was looked at.

    Raises:
        UnreadableFileError: It is empty, damaged, or no CSV file.
        PlanError: It has no such columns as the hints name.
        OSError: It can't be read.
    """
    head = head_of(path)
    notes: list[str] = []
    encoding = hints.encoding
    if not encoding:
        encoding, note = text_encoding(path, head)
        notes += [note] if note else []
    with open_text(path, encoding) as source:
        data = source.read(HEAD_BYTES)
    if len(data) == HEAD_BYTES:
        data = data[: data.rfind(b"\n") + 1] or data
    text = data.decode("utf-8", "replace")
    headed = layout_of(path, text, encoding, hints.delimiter)
    headed = replace(headed, layout=replace(headed.layout, no_value=hints.no_value))
    notes += headed.notes
    scan = _Scan(path, headed, hints)
    scan.run(on_bytes)
    return scan.plan(notes)


class _Scan:
    """Looks at every block, with the types that fit the blocks before."""

    def __init__(self, path: Path, headed: Headed, hints: Hints) -> None:
        self._path = path
        self._headed = headed
        self._columns = range(1, headed.layout.columns + 1)
        named = [name_and_unit(header) for header in headed.headers]
        self._names = unique(name for name, _ in named)
        self._units = [
            unit or below
            for (_, unit), below in zip(named, headed.units or [""] * len(named), strict=True)
        ]
        self._guesses = {number: TypeGuess() for number in self._columns}
        self._types: dict[int, DataType] = {}
        goes_by = [
            names_of(str(number), header, name)
            for number, header, name in zip(self._columns, headed.headers, self._names, strict=True)
        ]
        self._chosen = {
            require_column(wanted, goes_by) + 1: data_type
            for wanted, data_type in hints.types.items()
        }
        self._hints = hints
        self._times_named = tuple(require_column(wanted, goes_by) for wanted in hints.time)
        self._notes: dict[int, str] = {}
        self._bad: list[Misfit] = []
        self._bad_counts: dict[int, int] = {}
        self._time: TimePlan | None = None
        self._time_note = ""
        self._rows = 0
        self._last_ns: int | None = None
        self._falling = 0
        self._same = 0
        self._is_whole = True

    def run(self, on_bytes: Callable[[int], object] | None) -> None:
        layout = self._headed.layout
        parser: BlockParser | None = None
        seen = 0
        with open_text(self._path, layout.encoding) as source:
            begun = begin(source, layout)
            for block in blocks_of(
                begun, layout.delimiter, begun.start, begun.first_line, FIRST_BLOCK_BYTES
            ):
                if parser is None:
                    parser = self._first_parser(block)
                self._add(parser, block)
                seen += len(block.data)
                if on_bytes is not None:
                    on_bytes(len(block.data))
                if seen > SCAN_BYTES_MAX:
                    self._is_whole = False
                    break

    def plan(self, notes: list[str]) -> FilePlan:
        headed = self._headed
        columns = []
        time_columns = set(self._time.columns) if self._time else set()
        doubled = [
            f"{name!r} is the name of more than one column; they become"
            f" {', '.join(self._names[at] for at in places)}"
            for name, places in _places(name_and_unit(each)[0] for each in headed.headers).items()
            if len(places) > 1
        ]
        for number in self._columns:
            if str(number) in time_columns:
                continue
            data_type = self._types.get(number, DataType.STRING)
            if note := self._notes.get(number):
                notes.append(f"column {number} ({self._names[number - 1]!r}): {note}")
            columns.append(
                ColumnPlan(
                    path=str(number),
                    name=headed.headers[number - 1],
                    channel=self._names[number - 1],
                    data_type=data_type,
                    unit=self._units[number - 1],
                    # What is empty all over says nothing.
                    is_wanted=bool(self._guesses[number].values) or not self._rows,
                    examples=tuple(self._guesses[number].examples),
                )
            )
        empty = [one.channel for one in columns if not one.is_wanted]
        if empty:
            shown = ", ".join(empty[:5])
            if len(empty) > 5:  # noqa: PLR2004
                shown += f", ... ({len(empty)} in all)"
            notes.append(f"columns without values are left out: {shown}")
        notes += self._notes_of_times()
        if not self._is_whole:
            notes.append(
                f"only the first {SCAN_BYTES_MAX // 1024**3} GiB were looked at:"
                f" {self._rows:,} rows"
            )
        kept = [one for one in self._bad if one.column in {0, *self._bad_counts}]
        table = TablePlan(
            self._path.name.split(".")[0] or self._path.name,
            self._time,
            tuple(columns),
            self._rows if self._is_whole else None,
        )
        return FilePlan(
            FileFormat.CSV,
            (table,),
            tuple(notes + doubled),
            csv=headed.layout,
            bad_cells=tuple(
                bad_cell(self._path, one, headed.headers) for one in kept[:BAD_CELLS_TOLD_MAX]
            ),
            bad_count=sum(self._bad_counts.values()),
        )

    def _notes_of_times(self) -> Iterator[str]:
        if not self._rows:
            yield "there are no rows"
        elif self._time is None:
            yield "no column of times was found: name one (--time)"
            if (clock := clock_column(self._headed)) is not None:
                yield f"{clock!r} has times of day without a date: dates are needed, too"
        elif self._time_note:
            yield self._time_note
        if self._falling:
            yield f"{self._falling:,} times are earlier than the one before"
        if self._same > self._rows // 2:
            yield (
                f"{self._same:,} times are the same as the one before: is a column of times"
                " missing (--time, twice for a date and a time)?"
            )

    def _first_parser(self, block: Block) -> BlockParser:
        """Times and types by the texts of the first block."""
        layout = self._headed.layout
        if (found := find_time(self._headed, self._times_named, self._hints)) is not None:
            self._time, self._time_note = found
        as_text = {number: CellType(DataType.STRING) for number in self._columns}
        parsed = BlockParser(layout, as_text).parse(block)
        for number in self._columns:
            guess = TypeGuess()
            guess.add_texts(parsed.arrays[number], EXAMPLES_MAX, layout.decimal)
            self._types[number], self._notes[number] = guess.decide()
            if number in self._chosen:
                self._types[number], self._notes[number] = self._chosen[number], ""
            self._guesses[number].examples += guess.examples
        return BlockParser(layout, self._cell_types())

    def _cell_types(self) -> dict[int, CellType]:
        times = set(self._time.columns) if self._time else set()
        return {
            number: CellType(data_type, is_time=str(number) in times)
            for number, data_type in self._types.items()
        }

    def _add(self, parser: BlockParser, block: Block) -> None:
        parsed = parser.parse(block)
        self._rows += parsed.rows_read
        misfits: dict[int, list[Misfit]] = {}
        for misfit in parsed.misfits:
            misfits.setdefault(misfit.column, []).append(misfit)
        for misfit in misfits.pop(0, []):
            self._add_bad(misfit)
        times = set(self._time.columns) if self._time else set()
        for number, guess in self._guesses.items():
            if str(number) in times:
                continue
            wrong = misfits.get(number, [])
            if wrong and number in parsed.texts:
                wrong = self._reconsider(parser, number, parsed, wrong)
            elif self._types[number] is DataType.STRING and not guess.values:
                # Nothing was there until now, so that the first values say what it is.
                as_texts = replace(parsed, texts={number: parsed.arrays[number]})
                self._reconsider(parser, number, as_texts, [])
                if self._types[number] is DataType.STRING and not guess.values:
                    # Empty texts, which are values.
                    guess.add_values(parsed.arrays[number], DataType.STRING)
            else:
                guess.add_values(parsed.arrays[number], self._types[number])
            for misfit in wrong:
                self._add_bad(misfit)
        if self._time is not None:
            self._add_times(parser, parsed, block, self._time)

    def _reconsider(
        self, parser: BlockParser, number: int, parsed: Parsed, wrong: list[Misfit]
    ) -> list[Misfit]:
        """Another type, or words for no value, where cells do not fit; what does not even then."""
        guess = self._guesses[number]
        guess.add_texts(parsed.texts[number], decimal=self._headed.layout.decimal)
        data_type, note = guess.decide()
        if number in self._chosen:
            data_type, note = self._chosen[number], ""
        words = set(guess.no_value) - set(self._headed.layout.no_value)
        if data_type is not DataType.STRING and words:
            layout = self._headed.layout
            layout = replace(layout, no_value=(*layout.no_value, *sorted(words)))
            self._headed = replace(self._headed, layout=layout)
            parser.relayout(layout)
            self._notes[number] = f"{', '.join(map(repr, sorted(words)))} is taken for no value"
        if data_type is self._types[number]:
            return [one for one in wrong if one.text.strip() not in guess.no_value]
        self._types[number], self._notes[number] = data_type, note
        parser.retype(number, CellType(data_type))
        self._bad = [one for one in self._bad if one.column != number]
        self._bad_counts.pop(number, None)
        return []

    def _add_bad(self, misfit: Misfit) -> None:
        self._bad_counts[misfit.column] = self._bad_counts.get(misfit.column, 0) + 1
        if self._bad_counts[misfit.column] <= BAD_CELLS_TOLD_MAX:
            self._bad.append(misfit)

    def _add_times(self, parser: BlockParser, parsed: Parsed, block: Block, time: TimePlan) -> None:
        texts = time_texts(parsed, time)
        times, bad = ns_of_texts(texts, replace(time, start_ns=time.start_ns or 0))
        if bad.any():
            for misfit in bad_times(texts, bad, parsed, parser.lines(parsed, block), time):
                self._add_bad(misfit)
            times = times[~bad]
        if len(times):
            if self._last_ns is not None:
                self._falling += int(times[0] < self._last_ns)
                self._same += int(times[0] == self._last_ns)
            self._falling += int((times[1:] < times[:-1]).sum())
            self._same += int((times[1:] == times[:-1]).sum())
            self._last_ns = int(times[-1])


def _places(names: Iterable[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        places.setdefault(name, []).append(at)
    return places
