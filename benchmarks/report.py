"""Tables: printed as they come, and written to RESULTS.md in the end."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGES = ("sift-py", "numpy", "numba", "pyarrow", "deltalake", "hypercorn", "pyqwest", "grpcio")
RESULTS = Path(__file__).parent / "RESULTS.md"

WIDTH = 150
"""Columns of text that the widest table takes."""

console = Console(width=WIDTH)


@dataclass
class Section:
    """A table of results.

    Attributes:
        title: Its heading.
        notes: What a reader must know, in sentences.
        columns: Headings; the first column is a name, the others are numbers.
        rows: Cells, as text.
        figures: What `targets` judges, by name.
        peak_memory_bytes: Most memory that a server had meanwhile; 0 where none ran.
    """

    title: str
    notes: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0

    def note_memory(self, peak_bytes: int) -> None:
        """Remember what a server had at the most."""
        self.peak_memory_bytes = max(self.peak_memory_bytes, peak_bytes)

    def show(self) -> None:
        """Print it."""
        table = Table(
            title=self.title,
            title_justify="left",
            title_style="bold",
            box=SIMPLE,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="right" if index else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        console.print(table)

    def markdown(self) -> str:
        """The same for RESULTS.md."""
        lines = [
            f"## {self.title}",
            "",
            self.notes,
            "",
            "| " + " | ".join(self.columns) + " |",
            "|" + "---|" + "---:|" * (len(self.columns) - 1),
            *("| " + " | ".join(row) + " |" for row in self.rows),
            "",
        ]
        return "\n".join(lines)


def write(sections: Sequence[Section], peers: Sequence[str]) -> None:
    """Write RESULTS.md: machine, versions, command, tables."""
    command = "make bench"
    if options := " ".join(sys.argv[1:]):
        command += f" OPTIONS='{options}'"
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    head = [
        "# Results of the benchmarks",
        "",
        f"`{command}` on {dt.datetime.now(dt.UTC):%Y-%m-%d}. Compare figures of one table with each"
        " other: another machine, and the same machine at another time, gives other ones. A figure"
        " is the median of its rounds.",
        "",
        f"- machine: {os.cpu_count()} cores ({_processor()}),"
        f" {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}"
        f" {platform.release()}, benchmark folders on {_filesystem()}",
        f"- Python {platform.python_version()}, {versions}",
        f"- others: {', '.join(peers) or 'none'}",
        "",
    ]
    RESULTS.write_text("\n".join(head) + "\n" + "\n".join(each.markdown() for each in sections))


def rate(per_second: float) -> str:
    """Values a second, in thousands or millions."""
    if per_second < 1e6:
        return f"{per_second / 1e3:.0f} k/s"
    return f"{per_second / 1e6:.1f} M/s" if per_second < 1e8 else f"{per_second / 1e6:.0f} M/s"


def ratio(of: float, to: float | None) -> str:
    """One figure against another; a dash where there is none."""
    if not to:
        return "-"
    return f"{of / to:.2f} x" if of < 10 * to else f"{of / to:.0f} x"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return re.sub(r"\s+", " ", line.partition(":")[2]).strip()
    return platform.machine()


def _filesystem() -> str:
    shown = subprocess.run(
        ["df", "--output=fstype", os.environ.get("TMPDIR", "/tmp")],
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout.split()[-1] if shown.returncode == 0 else "an unknown file system"
