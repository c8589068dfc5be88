"""What came back, as a table."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from sift_py.data import ChannelReadings

_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARKLINE_CHARACTERS = 24
_COURSE_CHARACTERS_MIN, _COURSE_CHARACTERS_MAX = 8, 40
_PREFIXES = ((1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"))
_DIGITS = 4
_ROUNDED_FROM, _ROUNDED_TO = 10**_DIGITS, 10**7


def sparkline(values: Sequence[float], characters: int = _SPARKLINE_CHARACTERS) -> str:
    """The course of values, drawn with block characters.

    Neighbours that share a character are drawn as their mean. Values that are not finite are left
    out. All equal values are drawn at half height.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    width = min(characters, len(finite))
    edges = [index * len(finite) // width for index in range(width + 1)]
    means = [
        math.fsum(finite[first:last]) / (last - first) for first, last in itertools.pairwise(edges)
    ]
    low, high = min(means), max(means)
    if low == high:
        return _BLOCKS[len(_BLOCKS) // 2 - 1] * width
    step = (high - low) / (len(_BLOCKS) - 1)
    return "".join(_BLOCKS[round((mean - low) / step)] for mean in means)


class Course:
    """A cell: the sparkline of a series, or its last text; as much as there is room for."""

    def __init__(self, values: Sequence[float] | Sequence[str]) -> None:
        self._values = values

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        """Take what is left, within bounds."""
        width = min(options.max_width, _COURSE_CHARACTERS_MAX)
        return Measurement(min(width, _COURSE_CHARACTERS_MIN), width)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        last = self._values[-1]
        if isinstance(last, str):
            text = last
        else:
            text = sparkline(
                [value for value in self._values if not isinstance(value, str)],
                min(options.max_width, _SPARKLINE_CHARACTERS),
            )
        yield Text(text, no_wrap=True, overflow="ellipsis")


def plain_table(title: str) -> Table:
    """A table without rows and columns, with as few lines as will do."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 0),
        pad_edge=False,
    )


def table_of(series: Sequence[ChannelReadings], title: str) -> Table:
    """A table with a row for each series; 80 columns of a terminal are enough for most."""
    table = plain_table(title)
    table.add_column("channel", no_wrap=True)
    for heading in ("points", "first", "last", "min", "mean", "max"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, style="dim")
    table.add_column("")
    for one in series:
        table.add_row(*_row(one))
    return table


def _row(series: ChannelReadings) -> list[RenderableType]:
    values = series.values.to_pylist()
    count = f"{len(values):,}"
    if not values or isinstance(values[0], str):
        return [series.name, count, *[""] * 6, Course(values) if values else ""]
    mean = math.fsum(values) / len(values)
    divisor, unit = _scale(max(abs(value) for value in values), series.unit)

    def shown(value: float) -> str:
        if series.states or isinstance(value, bool):
            return format_value(value, state_names=series.states)
        return _number(value if divisor == 1 else value / divisor)

    return [
        series.name,
        count,
        shown(values[0]),
        shown(values[-1]),
        shown(min(values)),
        "" if series.states else shown(mean),
        shown(max(values)),
        unit,
        Course(values),
    ]


def format_value(value: float, unit: str = "", state_names: dict[int, str] | None = None) -> str:
    """A value for people: four digits, bytes with a binary prefix, states by their name."""
    if state_names:
        return state_names.get(int(value), str(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    divisor, unit = _scale(abs(value), unit)
    return f"{_number(value if divisor == 1 else value / divisor)} {unit}".rstrip()


def _scale(largest: float, unit: str) -> tuple[int, str]:
    """What to divide values by, and their unit then."""
    if unit.startswith("B"):
        for size, prefix in _PREFIXES:
            if largest >= size:
                return size, f"{prefix}{unit}"
    return 1, unit


def _number(value: float) -> str:
    if isinstance(value, int) and abs(value) < _ROUNDED_TO:
        return f"{value:,}"
    if _ROUNDED_FROM <= abs(value) < _ROUNDED_TO:
        return f"{value:,.0f}"
    return f"{value:.{_DIGITS}g}"
