"""What has to be right before `sift import` sends anything."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from sift_files import PlanError
from sift_files.times.start import start_of
from sift_server.commands.connection import FAILED, WRONG_USE, end
from sift_server.commands.import_output import plan_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sift_files import FilePlan

__all__ = ["ask", "require_complete", "require_fitting"]


def require_complete(command: str, path: Path, plan: FilePlan) -> None:
    """End the command if a file lacks what can't be guessed."""
    for table in plan.tables:
        words = f"{path}: flow {table.name}: "
        if plan.rows == 0 or not table.wanted:
            continue
        if table.time is None:
            words += "no column of times was found: name one (--time); --dry-run shows them"
            end(command, words, WRONG_USE)
        try:
            start_of(table.time)
        except PlanError as error:
            end(command, words + str(error), WRONG_USE)
    if not any(table.wanted for table in plan.tables):
        end(command, f"{path}: there is nothing to import", FAILED)


def require_fitting(command: str, path: Path, plan: FilePlan) -> None:
    """End the command if it is known that cells do not fit."""
    if not plan.bad_count:
        return
    for cell in plan.bad_cells:
        typer.echo(f"{command}: {cell}", err=True)
    end(
        command,
        f"{path}: {plan.bad_count:,} cells or rows do not fit, and nothing was sent. Leave them out"
        " with --on-error skip, keep them with --on-error text, or choose another type with"
        " --type COLUMN=string",
        FAILED,
    )


def ask(command: str, plans: Sequence[tuple[Path, FilePlan]], into: str) -> None:
    """Show what would be sent, and end the command unless somebody says yes."""
    if not sys.stdin.isatty():
        end(command, "nobody can be asked here: say --yes, or --dry-run to look", WRONG_USE)
    for path, plan in plans:
        for line in plan_lines(path, plan):
            typer.echo(line, err=True)
    if not typer.confirm(f"Import into {into}?", err=True):
        end(command, "nothing was sent", FAILED)
