"""Pictures as files, by Matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sift_server.plotting.curves import Kind
from sift_server.plotting.gaps import bridges, interrupted
from sift_server.plotting.ticks import time_ticks

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from sift_server.plotting.panels import Panel, Plot
    from sift_server.plotting.reduction import Numbers

WIDTH_IN = 12.8
DPI = 125
TICKS = 8
COLORS = ("#0b6fb8", "#d1495b", "#2e8b57", "#8d5fb5", "#c77d0a", "#2a9d9d", "#7a5c3e", "#c2569b")
SHADES = ("#f2b134", "#e4572e", "#4aa3df", "#76b041", "#b07cc6", "#8a9ba8")
_NUMBER_IN, _LANE_IN, _EDGES_IN = 2.1, 0.3, 1.25
_GREY = "#8a8f98"
_LEGEND_MAX = 12
_DRAWABLE_MAX = 1e300
_EVENT_PART = 0.002
"""What is shorter than this part of the picture is drawn as a line: it could not be seen."""


def save_picture(plot: Plot, path: Path, file_format: str) -> None:
    """Draw a picture into a file.

    Args:
        plot: What to draw.
        path: The file.
        file_format: `png`, `svg` or `pdf`.
    """
    # Names are no formulas.
    with rc_context({"text.parse_math": False}):
        figure = _figure(plot)
        figure.savefig(path, format=file_format)


def _figure(plot: Plot) -> Figure:
    panels = plot.panels
    heights = [_height(each) for each in panels]
    figure = Figure(figsize=(WIDTH_IN, sum(heights) + _EDGES_IN), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[
        :, 0
    ]
    used = 0
    for axes, panel in zip(all_axes, panels, strict=True):
        _draw_panel(axes, panel, plot, used)
        used += len(panel.curves)
    shades = _draw_marks(list(all_axes), plot)
    _draw_times(all_axes[-1], plot)
    figure.suptitle(plot.title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    if shades:
        handles = [
            Patch(color=shade, alpha=0.45, label=_shown(name)) for name, shade in shades.items()
        ]
        figure.legend(
            handles=handles[:_LEGEND_MAX], loc="outside lower left", ncols=4, frameon=False,
            fontsize=9, title="annotations", title_fontsize=9, alignment="left",
        )  # fmt: skip
    return figure


def _height(panel: Panel) -> float:
    match panel.kind:
        case Kind.NUMBER:
            return _NUMBER_IN
        case Kind.STATE:
            keys = {key for curve in panel.curves for key in curve.keys}
            return 0.35 + _LANE_IN * max(len(keys), 2)
        case Kind.SWITCH:
            return 0.35 + _LANE_IN * max(len(panel.curves), 2)


def _draw_panel(axes: Axes, panel: Panel, plot: Plot, used: int) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GREY)
    axes.tick_params(color=_GREY, labelsize=9)
    axes.grid(visible=True, color="#e3e5e8", linewidth=0.7)
    axes.set_axisbelow(True)
    match panel.kind:
        case Kind.NUMBER:
            _draw_numbers(axes, panel, plot, used)
        case Kind.STATE:
            _draw_states(axes, panel, plot, used)
        case Kind.SWITCH:
            _draw_switches(axes, panel, plot, used)


def _draw_numbers(axes: Axes, panel: Panel, plot: Plot, used: int) -> None:
    for number, curve in enumerate(panel.curves, used):
        is_alone = len(curve.times_ns) <= 2  # noqa: PLR2004 (points that hardly make a line)
        times, values = curve.times_ns - plot.start_ns, _drawable(curve.values)
        color = COLORS[number % len(COLORS)]
        axes.plot(
            *interrupted(times, values), linewidth=1.1, color=color,
            label=_shown(plot.label(curve)), marker="o" if is_alone else "", markersize=4,
        )  # fmt: skip
        axes.plot(*bridges(times, values), linewidth=0.8, color=color, linestyle=(0, (1, 3)))
    axes.set_ylabel(panel.unit, fontsize=10)
    axes.margins(y=0.08)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    _legend(axes, len(panel.curves))


def _drawable(values: Numbers) -> Numbers:
    """Numbers that Matplotlib can compute with; what is not finite leaves a gap."""
    return np.where(np.isfinite(values), np.clip(values, -_DRAWABLE_MAX, _DRAWABLE_MAX), np.nan)


def _shown(text: str) -> str:
    """A text as it is: Matplotlib leaves labels out that begin with an underscore."""
    return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text


def _draw_states(axes: Axes, panel: Panel, plot: Plot, used: int) -> None:
    keys = sorted({key for curve in panel.curves for key in curve.keys})
    places = {key: place for place, key in enumerate(keys)}
    for number, curve in enumerate(panel.curves, used):
        heights = np.array([places[int(each)] for each in curve.values])
        axes.step(
            curve.times_ns - plot.start_ns, heights, where="post", linewidth=1.6,
            color=COLORS[number % len(COLORS)], label=_shown(plot.label(curve)),
        )  # fmt: skip
    axes.set_yticks(list(places.values()), [_shown(panel.curves[0].state(key)) for key in keys])
    axes.set_ylim(-0.5, max(len(keys) - 0.5, 0.5))
    _legend(axes, len(panel.curves))


def _draw_switches(axes: Axes, panel: Panel, plot: Plot, used: int) -> None:
    """A lane for each: off below, on above, and filled while it is on."""
    lanes = range(len(panel.curves) - 1, -1, -1)
    for number, (lane, curve) in enumerate(zip(lanes, panel.curves, strict=True), used):
        color = COLORS[number % len(COLORS)]
        times = curve.times_ns - plot.start_ns
        heights = lane + 0.6 * curve.values
        axes.step(times, heights, where="post", color=color, linewidth=1.4)
        axes.fill_between(times, lane, heights, step="post", color=color, alpha=0.25, linewidth=0)
    labels = [_shown(plot.label(curve)) for curve in panel.curves]
    axes.set_yticks([lane + 0.3 for lane in lanes], labels)
    axes.set_ylim(-0.2, len(panel.curves) - 0.1)
    axes.grid(visible=False, axis="y")


def _legend(axes: Axes, curves: int) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.005, 0.99), ncols=min(curves, 5), frameon=False,
        fontsize=9, handlelength=1.4, borderaxespad=0.1, columnspacing=1.4,
    )  # fmt: skip


def _draw_marks(all_axes: list[Axes], plot: Plot) -> dict[str, str]:
    """Shade annotations; gives the colour of each name."""
    shades: dict[str, str] = {}
    short_ns = (plot.end_ns - plot.start_ns) * _EVENT_PART
    for mark in plot.marks:
        shade = shades.setdefault(mark.name, SHADES[len(shades) % len(SHADES)])
        start = max(mark.start_ns - plot.start_ns, 0)
        end = min(mark.end_ns, plot.end_ns) - plot.start_ns
        for axes in all_axes:
            if end - start < short_ns:
                axes.axvline(start, color=shade, linewidth=1.6, alpha=0.8, zorder=0)
            else:
                axes.axvspan(start, end, color=shade, alpha=0.28, linewidth=0, zorder=0)
    return shades


def _draw_times(axes: Axes, plot: Plot) -> None:
    ticks = time_ticks(plot.start_ns, plot.end_ns, TICKS)
    axes.set_xticks([each - plot.start_ns for each in ticks.times_ns], ticks.labels)
    axes.set_xlim(0, plot.end_ns - plot.start_ns)
    axes.set_xlabel(ticks.caption, fontsize=9, loc="right")
