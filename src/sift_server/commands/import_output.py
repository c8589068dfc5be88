"""What `sift import` shows: what is in files, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift_files import plan_document
from sift_server.commands.text import rfc_3339, shown, table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_files import ColumnPlan, FilePlan, TablePlan, TimePlan

__all__ = ["file_document", "plan_lines", "time_words"]

COLUMNS_SHOWN_MAX = 100
_HEAD = ("COLUMN", "CHANNEL", "TYPE", "UNIT", "FIRST VALUES")


def plan_lines(path: Path, plan: FilePlan) -> Iterator[str]:
    """What is in a file, for a person."""
    rows = "" if plan.rows is None else f", {plan.rows:,} rows"
    yield f"{path}: {plan.format.value}{rows}"
    left = COLUMNS_SHOWN_MAX
    for one in plan.tables:
        if left > 0:
            yield from _table_lines(one, left)
        left -= len(one.columns)
    if left < 0:
        yield f"  ... and {-left:,} columns more (--dry-run --json shows all)"
    for note in plan.notes:
        yield f"  note: {note}"
    for cell in plan.bad_cells[:5]:
        yield f"  does not fit: {cell}"
    if plan.bad_count > len(plan.bad_cells[:5]):
        yield f"  ... {plan.bad_count:,} cells and rows do not fit"


def time_words(time: TimePlan | None) -> str:
    """Where times are and what they mean."""
    if time is None:
        return "no times (--time)"
    words = " + ".join(time.names or time.columns) or "of the file"
    words += f", {time.format.value.replace('_', ' ')}"
    if time.pattern:
        words += f" {time.pattern!r}"
    if time.format.is_relative:
        words += f" from {rfc_3339(time.start_ns) or 'a time to be given (--start-time)'}"
    elif time.start_ns is not None:
        words += f", begins at {rfc_3339(time.start_ns)}"
    return words + (f", in {time.timezone}" if time.timezone else "")


def file_document(path: Path, plan: FilePlan) -> dict[str, Any]:
    """What is in a file, for a program."""
    return {
        "file": str(path),
        "rows": plan.rows,
        "plan": plan_document(plan),
        "bad": plan.bad_count,
        "bad_cells": [str(cell) for cell in plan.bad_cells],
    }


def _table_lines(one: TablePlan, columns_max: int) -> Iterator[str]:
    rows = "" if one.rows is None else f", {one.rows:,} rows"
    yield f"  flow {shown(one.name)}{rows}; time: {time_words(one.time)}"
    lines = table(_HEAD, [_row(column) for column in one.columns[:columns_max]])
    yield from (f"    {line}" for line in lines)


def _row(column: ColumnPlan) -> tuple[str, ...]:
    is_number = column.path.isdecimal()
    name = f"{column.path} {column.name}" if is_number else column.path
    return (
        shown(name),
        shown(column.channel) if column.is_wanted else "(left out)",
        column.data_type.value,
        shown(column.unit),
        shown(", ".join(shown(each, 20) for each in column.examples)),
    )
