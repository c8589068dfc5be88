"""Pictures for a terminal: dots of braille characters for numbers, words and blocks for states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sift_server.plotting.curves import Kind
from sift_server.plotting.ticks import time_ticks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sift_server.plotting.curves import Curve
    from sift_server.plotting.panels import Plot

ROWS = 8
"""Lines of a panel of numbers."""
MARGIN = 11
"""Characters left of the picture."""
COLUMNS_MIN = 20

# Bits of the dots of a cell, 4 rows of 2. Source: Unicode, Braille Patterns.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_BRAILLE = 0x2800
_TICK_CHARACTERS = 16


def drawing(plot: Plot, columns: int) -> Iterator[str]:
    """Lines of a picture that is so many characters wide."""
    width = max(columns - MARGIN - 2, COLUMNS_MIN)
    yield plot.title
    for panel in plot.panels:
        match panel.kind:
            case Kind.NUMBER:
                for curve in panel.curves:
                    yield from _numbers(plot, curve, width)
            case Kind.STATE:
                for curve in panel.curves:
                    yield f"{plot.label(curve)}"
                    names = [curve.state(int(each)) for each in _held(plot, curve, width)]
                    yield f"{'':>{MARGIN}} {_words(names)}"
            case Kind.SWITCH:
                for curve in panel.curves:
                    blocks = ["█" if each > 0 else "·" for each in _held(plot, curve, width)]
                    before = _before(plot, curve, width)
                    line = " " * before + "".join(blocks[before:])
                    yield f"{_cut(plot.label(curve), MARGIN):>{MARGIN}} {line}"
    yield from _times(plot, width)
    yield from _marks(plot, width)


def _numbers(plot: Plot, curve: Curve, width: int) -> Iterator[str]:
    finite = curve.values[np.isfinite(curve.values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    unit = f" in {curve.unit}" if curve.unit else ""
    yield f"{plot.label(curve)}{unit}"
    for number, line in enumerate(_braille(_filled(plot, curve, width, low, high))):
        value = {0: f"{high:.5g}", ROWS - 1: f"{low:.5g}"}.get(number, "")
        yield f"{value:>{MARGIN}} {line}".rstrip()


def _filled(plot: Plot, curve: Curve, width: int, low: float, high: float) -> NDArray[np.bool_]:
    """Which dots are set: of each column those between its smallest and largest value."""
    dots = np.zeros((4 * ROWS, 2 * width), np.bool_)
    mine = np.isfinite(curve.values)
    places = _places(plot, curve.times_ns[mine], 2 * width)
    scale = (high - low) or 1.0
    # By halves, as the difference of two numbers may be larger than any number.
    parts = (curve.values[mine] / 2 - low / 2) / (scale / 2 if np.isfinite(scale) else high / 2)
    heights = np.clip(np.round(parts * (4 * ROWS - 1)), 0, 4 * ROWS - 1).astype(int)
    for number, (place, height) in enumerate(zip(places, heights, strict=True)):
        if not 0 <= place < 2 * width:
            continue
        bottom = top = height
        if number and place - places[number - 1] <= 1:
            # Joined to the point before.
            bottom, top = sorted((height, heights[number - 1]))
        dots[4 * ROWS - 1 - top : 4 * ROWS - bottom, place] = True
    return dots


def _braille(dots: NDArray[np.bool_]) -> Iterator[str]:
    rows, columns = dots.shape
    cells = dots.reshape(rows // 4, 4, columns // 2, 2).transpose(0, 2, 1, 3)
    for row in (cells * _DOTS).sum(axis=(2, 3)):
        yield "".join(chr(_BRAILLE + int(cell)) if cell else " " for cell in row)


def _held(plot: Plot, curve: Curve, width: int) -> NDArray[np.float64]:
    """The value that holds at the end of each column."""
    step = (plot.end_ns - plot.start_ns) / width
    ends = plot.start_ns + ((np.arange(width) + 1) * step).astype(np.int64)
    places = np.searchsorted(curve.times_ns, ends, side="right") - 1
    held: NDArray[np.float64] = curve.values[np.maximum(places, 0)]
    return held


def _before(plot: Plot, curve: Curve, width: int) -> int:
    """How many columns there are before the first point."""
    place = int(_places(plot, curve.times_ns[:1], width)[0])
    return min(max(place, 0), width)


def _places(plot: Plot, times_ns: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    span = plot.end_ns - plot.start_ns
    places = (times_ns - plot.start_ns) * (width / span)
    # The end belongs to the last column.
    whole: NDArray[np.int64] = np.minimum(np.floor(places), width - 1).astype(np.int64)
    return whole


def _words(names: list[str]) -> str:
    """Stretches of equal names, each with as much of its name as there is room for."""
    line, first = "", 0
    for place in range(1, len(names) + 1):
        if place == len(names) or names[place] != names[first]:
            room = place - first - 1
            line += "▏" + _cut(names[first], room).ljust(room, "·")
            first = place
    return line


def _times(plot: Plot, width: int) -> Iterator[str]:
    ticks = time_ticks(plot.start_ns, plot.end_ns, width // _TICK_CHARACTERS)
    marks, words = [" "] * (width + _TICK_CHARACTERS), [" "] * (width + _TICK_CHARACTERS)
    for time_ns, label in zip(ticks.times_ns, ticks.labels, strict=True):
        place = (time_ns - plot.start_ns) * (width - 1) // (plot.end_ns - plot.start_ns)
        marks[place] = "╵"
        words[place : place + len(label)] = label.replace("\n", " ")
    yield f"{'':>{MARGIN}} {''.join(marks).rstrip()}"
    yield f"{'':>{MARGIN}} {''.join(words).rstrip()}  {ticks.caption}"


def _marks(plot: Plot, width: int) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for mark in plot.marks:
        line = names.setdefault(mark.name, [" "] * width)
        times = np.array([mark.start_ns, mark.end_ns])
        first, last = np.clip(_places(plot, times, width), 0, width - 1).tolist()
        line[first : last + 1] = "▒" * (last + 1 - first)
    for name, line in names.items():
        yield f"{_cut(name, MARGIN):>{MARGIN}} {''.join(line).rstrip()}"


def _cut(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    return text[: characters - 1] + "…" if characters > 1 else "…"[:characters]
