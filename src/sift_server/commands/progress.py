"""A bar on a terminal for work that takes long."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress_bar(
    what: str, total: int | None, unit: str = "bytes"
) -> Iterator[Callable[[int], None]]:
    """Show how many bytes, or others, are done; gives what is told of more of them.

    Without a total there is no end in sight. Nothing is shown if standard error is no terminal.
    """
    console = Console(stderr=True)
    done = DownloadColumn(binary_units=True) if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), done)
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal,
        transient=True,
    ) as progress:  # fmt: skip
        task = progress.add_task(what, total=total)
        yield lambda size: progress.advance(task, size)
