"""What came back, as a table."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.readback import Series

_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARKLINE_CHARACTERS = 24
_TEXT_CHARACTERS_MAX = 34
_PREFIXES = ((1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"))
_DIGITS = 4
_ROUNDED_FROM, _ROUNDED_TO = 10**_DIGITS, 10**12


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


def table_of(series: Sequence[Series], title: str) -> Table:
    """A table with a row for each series."""
    table = Table(title=title, title_justify="left", header_style="bold", expand=False)
    table.add_column("channel", no_wrap=True)
    for heading in ("points", "first", "last", "min", "mean", "max"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in series:
        table.add_row(*_row(one))
    return table


def _row(series: Series) -> list[str]:
    values = series.values
    count = f"{len(values):,}"
    if not values:
        return [series.name, count, *[""] * 6]
    if isinstance(values[0], str):
        last = values[-1]
        if len(last) > _TEXT_CHARACTERS_MAX:
            last = last[: _TEXT_CHARACTERS_MAX - 1] + "…"
        return [series.name, count, "", "", "", "", "", last]

    def shown(value: float) -> str:
        return format_value(value, series.unit, series.state_names)

    mean = math.fsum(values) / len(values)
    average = "" if series.state_names else shown(mean)
    return [
        series.name,
        count,
        shown(values[0]),
        shown(values[-1]),
        shown(min(values)),
        average,
        shown(max(values)),
        sparkline(values),
    ]


def format_value(value: float, unit: str = "", state_names: dict[int, str] | None = None) -> str:
    """A value for people: four digits, bytes with a binary prefix, states by their name."""
    if state_names:
        return state_names.get(int(value), str(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit.startswith("B"):
        for size, prefix in _PREFIXES:
            if abs(value) >= size:
                return f"{value / size:.3g} {prefix}{unit}"
    return f"{_number(value)} {unit}".rstrip()


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if _ROUNDED_FROM <= abs(value) < _ROUNDED_TO:
        return f"{value:,.0f}"
    return f"{value:.{_DIGITS}g}"
