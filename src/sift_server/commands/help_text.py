"""Help texts as wide as the terminal: lines run on, wherever the source broke them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

__all__ = ["let_lines_run_on"]


def let_lines_run_on(app: typer.Typer) -> None:
    """Take the breaks of lines out of the help of all commands, also those of groups."""
    for command in app.registered_commands:
        text = inspect.cleandoc(command.help or getattr(command.callback, "__doc__", None) or "")
        paragraphs = text.split("\n\n")
        command.help = "\n\n".join(" ".join(each.split()) for each in paragraphs)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            let_lines_run_on(group.typer_instance)
