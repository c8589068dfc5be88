"""Plans as a person corrects them."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping  # noqa: TC003 (a field of a dataclass)
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from sift_files.errors import PlanError
from sift_files.hints import names_of, require_column
from sift_files.times.date_text import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sift_files.plan import ColumnPlan, DataType, FilePlan, TablePlan

__all__ = ["Corrections", "corrected"]


@dataclass(frozen=True, slots=True)
class Corrections:
    """What to change in a plan.

    Columns are named by their path, their name in the file, or their channel.

    Attributes:
        start_ns: What relative times count from; where the format has times of its own, what
            becomes of the first.
        timezone: Of dates that name no zone.
        types: Data types by column.
        units: Units by column.
        channels: Names of channels by column.
        only: The columns to import, if not all; `*` and `?` stand for any letters.
        flow: Name of the table, of a file with one.
    """

    start_ns: int | None = None
    timezone: str = ""
    types: Mapping[str, DataType] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    flow: str = ""


def corrected(plan: FilePlan, corrections: Corrections) -> FilePlan:
    """The plan with corrections.

    Raises:
        PlanError: There is no such column or zone; or two columns would be one channel.
    """
    zone_of(corrections.timezone)
    columns = [column for table in plan.tables for column in table.columns]
    named = [names_of(one.path, one.name, one.channel) for one in columns]
    changes: dict[int, ColumnPlan] = dict(enumerate(columns))
    for wanted, data_type in corrections.types.items():
        at = require_column(wanted, named)
        changes[at] = replace(changes[at], data_type=data_type)
    for wanted, unit in corrections.units.items():
        at = require_column(wanted, named)
        changes[at] = replace(changes[at], unit=unit)
    for wanted, channel in corrections.channels.items():
        at = require_column(wanted, named)
        changes[at] = replace(changes[at], channel=channel)
    if corrections.only:
        chosen = _chosen(corrections.only, named)
        for at, column in changes.items():
            changes[at] = replace(column, is_wanted=at in chosen)
    made = iter(changes.values())
    tables = tuple(_table(table, made, corrections) for table in plan.tables)
    if corrections.flow:
        if len(tables) != 1:
            raise PlanError("a flow's name can be chosen for files with one table only")
        tables = (replace(tables[0], name=corrections.flow),)
    for table in tables:
        _require_unique(table)
    return plan.with_tables(tables)


def _table(table: TablePlan, made: Iterator[ColumnPlan], corrections: Corrections) -> TablePlan:
    columns = tuple(islice(made, len(table.columns)))
    time = table.time
    if time is not None:
        if corrections.start_ns is not None:
            time = replace(time, start_ns=corrections.start_ns)
        if corrections.timezone:
            time = replace(time, timezone=corrections.timezone)
    return replace(table, columns=columns, time=time)


def _chosen(only: Iterable[str], named: list[tuple[str, ...]]) -> set[int]:
    chosen: set[int] = set()
    for wanted in only:
        found = {
            at
            for at, names in enumerate(named)
            if wanted in names or any(fnmatch.fnmatchcase(name, wanted) for name in names)
        }
        if not found:
            require_column(wanted, named)
        chosen |= found
    return chosen


def _require_unique(table: TablePlan) -> None:
    seen: dict[str, str] = {}
    for column in table.wanted:
        if column.channel in seen:
            raise PlanError(
                f"{table.name}: the columns {seen[column.channel]!r} and {column.name!r} would both"
                f" be the channel {column.channel!r}"
            )
        seen[column.channel] = column.name
