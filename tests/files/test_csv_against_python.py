"""Whatever cells Python writes to a CSV file, each is read as what it says."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from sift_files import DataType, Hints, OnError, TimeFormat, detect, read

if TYPE_CHECKING:
    from pathlib import Path

CELLS = st.one_of(
    st.integers(-(2**66), 2**66).map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.sampled_from(["", "0x1F", "007", "true", "FALSE", "N/A", "1e5", "+3", " 4 ", "-0", "1_0"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
)
HINTS = Hints(time=("1",), time_format=TimeFormat.ABSOLUTE_UNIX_NANOSECONDS, delimiter=",")
KINDS = {DataType.INT_64: int, DataType.UINT_64: int, DataType.DOUBLE: float}


@settings(max_examples=200)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=30))
def test_every_cell_is_what_it_says(tmp_path_factory, rows):
    """A number is that number, a text that text; what is left out is no value."""
    path: Path = tmp_path_factory.mktemp("cells") / "log.csv"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["time", "a", "b"])
    writer.writerows([at, *cells] for at, cells in enumerate(rows))
    path.write_bytes(text.getvalue().encode())
    plan = detect(path, HINTS)
    found: dict[str, dict[int, object]] = {}
    bad = set()
    for batch in read(
        path,
        plan,
        on_error=OnError.SKIP,
        on_bad_cell=lambda cell: bad.add((cell.value, cell.path)),
    ):
        for name, values in batch.columns.items():
            times = batch.times_ns.tolist()
            found.setdefault(name, {}).update(zip(times, values.to_pylist(), strict=True))
    for column in plan.tables[0].wanted:
        at = int(column.path) - 2
        for row, cells in enumerate(rows):
            check(cells[at], found[column.channel][row], column, plan, bad)


def check(cell, value, column, plan, bad):
    """A value is what its cell says."""
    text = cell.strip() if plan.csv.is_padded else cell
    if value is None:
        nothing = {"", *plan.csv.no_value}
        assert cell.strip() in nothing or (cell, column.path) in bad
    elif column.data_type is DataType.STRING:
        assert value == text
    elif column.data_type is DataType.BOOL:
        assert value == (cell.strip().lower() in {"true", "1", "yes", "on"})
    elif isinstance(value, float) and math.isnan(value):
        assert "nan" in cell.lower()
    else:
        words = cell.strip()
        kind = (lambda each: int(each, 0)) if "x" in words.lower() else KINDS[column.data_type]
        assert value == kind(words)
