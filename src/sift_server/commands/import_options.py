"""The options of `sift import` as hints and corrections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sift_files import DataType, PlanError, TimeFormat
from sift_files.times.date_text import ns_of_iso

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["data_types", "pairs", "start_ns", "time_format"]

_SHORT_UNITS = {
    "ns": "nanoseconds",
    "us": "microseconds",
    "ms": "milliseconds",
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
}


def time_format(text: str) -> tuple[TimeFormat | None, str]:
    """The format and the pattern of `--time-format`.

    Raises:
        typer.BadParameter: There is no such format.
    """
    if not text:
        return None, ""
    if "%" in text:
        return TimeFormat.ABSOLUTE_DATETIME, text
    name = text.lower().replace("-", "_").removeprefix("time_format_")
    head, _, unit = name.rpartition("_")
    long = f"{head}_{_SHORT_UNITS.get(unit, unit)}" if head else name
    for each in (long, f"absolute_{long}"):
        if each in list(TimeFormat):
            return TimeFormat(each), ""
    known = ", ".join(each.value.removeprefix("absolute_") for each in TimeFormat)
    raise typer.BadParameter(
        f"there is no time format {text!r}; there are {known}, relative_ms and the like, and"
        " patterns such as '%d.%m.%Y %H:%M:%S.%f'"
    )


def start_ns(text: str, timezone: str) -> int | None:
    """Nanoseconds of `--start-time`.

    Raises:
        typer.BadParameter: It is no time.
    """
    if not text:
        return None
    try:
        found = ns_of_iso(text, timezone)
    except PlanError as error:
        raise typer.BadParameter(str(error)) from None
    if found is None:
        raise typer.BadParameter(
            f"--start-time takes a time such as 2026-11-25T12:00:00Z, not {text!r}"
        )
    return found


def pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Columns and what is said of them, of options of the form COLUMN=WHAT.

    Raises:
        typer.BadParameter: One has another form.
    """
    found = {}
    for text in texts:
        column, equals, what = text.rpartition("=")
        if not equals or not column:
            raise typer.BadParameter(f"{option} takes COLUMN=..., not {text!r}")
        found[column] = what
    return found


def data_types(texts: Iterable[str]) -> dict[str, DataType]:
    """Data types by column, of `--type`.

    Raises:
        typer.BadParameter: There is no such type.
    """
    found = {}
    for column, name in pairs("--type", texts).items():
        if name not in list(DataType) or name == DataType.BIT_FIELD:
            known = ", ".join(each.value for each in DataType if each is not DataType.BIT_FIELD)
            raise typer.BadParameter(
                f"there is no data type {name!r} for a column; there are {known}"
            )
        found[column] = DataType(name)
    return found
