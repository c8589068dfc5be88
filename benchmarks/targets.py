"""What the project wants to reach, and what was reached in this run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.report import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

NOISE = 0.1
"""A cost that "does not grow" may be measured this part higher than the other."""


@dataclass(frozen=True)
class Target:
    """A figure and its bound.

    Attributes:
        figure: Name of a figure of a section.
        bound: The least or the most it may be.
        unit: Behind the number.
        is_most: Whether the bound is the most; else it is the least.
    """

    figure: str
    bound: float
    unit: str = ""
    is_most: bool = False

    def row(self, reached: float) -> list[str]:
        """Cells for the table."""
        met = reached <= self.bound if self.is_most else reached >= self.bound
        word = "at most" if self.is_most else "at least"
        return [
            self.figure,
            f"{word} {self.bound:g}{self.unit}",
            f"{reached:.3g}{self.unit}",
            "yes" if met else "NO",
        ]


def _rows_against_python(sender: str, bounds: dict[int, float]) -> list[Target]:
    return [
        Target(f"{sender} / published Python, {channels} channels, {kind}", bound, " x")
        for kind, (channels, bound) in itertools.product(("double", "mixed"), bounds.items())
    ]


TARGETS = (
    *_rows_against_python("ours, buffered", {1: 8, 10: 8, 100: 4}),
    *_rows_against_python("ours, ordered", {1: 8, 10: 8, 100: 5}),
    Target("ours, buffered, plain values, 10 channels, double", 1, " M values/s"),
    Target("ours, ordered, plain values, 10 channels, double", 1, " M values/s"),
    Target("ours, columns, 10 channels, double", 5, " M values/s"),
    Target("ours, columns, 100 channels, double", 10, " M values/s"),
    Target("ours, columns / published Python, 10 channels, double", 30, " x"),
    Target("ours, columns / published Python, 100 channels, double", 30, " x"),
    Target("ours, columns / published Rust, 10 channels, double", 1.3, " x"),
    Target("ours, columns / published Rust, 100 channels, double", 1.3, " x"),
    Target("server / throw-away server, fed by published Rust, 10 channels", 0.6),
    Target("server / throw-away server, fed by published Rust, 100 channels", 0.6),
    Target("commit / plain Parquet write, 10 channels, double", 0.4),
    Target("commit / plain Parquet write, 100 channels, double", 0.4),
    Target("commit / plain Parquet write, 10 channels, mixed", 0.4),
    Target("commit / plain Parquet write, 100 channels, mixed", 0.4),
    Target("bytes a value, rounded to 4 decimals", 8, is_most=True),
    Target("bytes a value, full precision", 8, is_most=True),
    Target("a small batch, p50", 5, " ms", is_most=True),
    Target("a small batch, p99", 25, " ms", is_most=True),
    Target("a small batch, part readable when acknowledged", 1),
    Target("memory of the server, most of all runs", 1_024, " MiB", is_most=True),
    Target("cost a value, 10,000 / 100 channels a flow", 1 + NOISE, " x", is_most=True),
    Target("cost a value, 5,000 flows / one", 1 + NOISE, " x", is_most=True),
    Target("cost a value, last / first part of a growing lake", 1 + NOISE, " x", is_most=True),
    Target("an annotation readable, p99", 250, " ms", is_most=True),
    Target("ingesting, 100 rules / none", 0.8),
    Target("a comparison on what is stored", 20, " M values/s"),
    Target("10 million points into Arrow", 0.5, " s", is_most=True),
    Target("reading points / pyarrow, a file as pyarrow writes it", 0.5),
    Target("reading points / pyarrow, a file as our table is written", 0.5),
    Target("overview of 2,000 pixels, many points", 300, " ms", is_most=True),
    Target("overview, part by which it grew / part by which points did", 0.5, is_most=True),
    Target("first byte of hot points, p99", 20, " ms", is_most=True),
    Target("first byte of stored points, p99", 20, " ms", is_most=True),
    Target("points readable when acknowledged, part", 1),
    Target("a point there for who follows, p99", 20, " ms", is_most=True),
    Target("200 clients, an open stream each", 0.25, " cores", is_most=True),
    Target("200 clients, a stream a second each", 0.25, " cores", is_most=True),
    Target("200 clients, a stream a row each", 0.25, " cores", is_most=True),
)


def judge(sections: Sequence[Section]) -> Section:
    """A table of the targets whose figures are in these sections."""
    judged = Section(
        "What is to be reached, and what was",
        "Ratios and figures of the tables below. A cost that is not to grow may be measured up to"
        f" {NOISE:.0%} higher: no two runs of one thing agree better.",
        ["figure", "wanted", "reached", "met"],
    )
    figures = {name: value for each in sections for name, value in each.figures.items()}
    memory = [each.peak_memory_bytes / 2**20 for each in sections if each.peak_memory_bytes]
    if memory:
        figures["memory of the server, most of all runs"] = max(memory)
    judged.rows = [
        target.row(figures[target.figure]) for target in TARGETS if target.figure in figures
    ]
    return judged
