"""`sift doctor`: says in words what is wrong with a folder, and mends it."""

from __future__ import annotations

import json
import sqlite3
import textwrap
from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import TYPE_CHECKING, Annotated, Any

import typer
from deltalake.exceptions import DeltaError
from sqlalchemy.exc import SQLAlchemyError

from sift_server.commands.progress import progress_bar
from sift_server.data_dir import DataDirectoryError, DataDirectoryInUseError, held
from sift_server.doctor import (
    LaterCatalogError,
    Level,
    bytes_to_read,
    examine,
    repair,
    require_data_folder,
)
from sift_server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_server.doctor import Examination, Finding, Repair

WRONG = 3
"""Exit status if something is wrong with the folder in the end."""

_FAILED = 1
_COLUMNS = 100
_FAILURES = (
    DataDirectoryError,
    LaterCatalogError,
    ServerError,
    SQLAlchemyError,
    sqlite3.Error,
    DeltaError,
    OSError,
)


def doctor(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of 'sift serve'.")],
    mends: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Mend what can be mended without inventing data. What is damaged is set aside in"
            " DIR/damaged, never deleted.",
        ),
    ] = False,
    is_quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Read of the table's files what they say of themselves, and not all bytes.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a folder that is not served: log, table and catalog, and whether they agree.

    Without --repair nothing is changed. A folder that is sound is not changed by --repair either.
    """
    if mends and is_quick:
        raise typer.BadParameter("--repair has to read everything: leave --quick out")
    try:
        require_data_folder(folder)
        with held(folder):
            with progress_bar("reading", bytes_to_read(folder)) as advance:
                found = examine(folder, is_quick=is_quick, advance=advance)
            mended = None
            if mends:
                with progress_bar("mending", bytes_to_read(folder)) as advance:
                    mended = repair(folder, found, advance)
    except DataDirectoryInUseError as error:
        _fail(
            f"{error} What is being written would look damaged. 'sift backup' checks what it"
            " copies, also while the folder is served."
        )
    except _FAILURES as error:
        _fail(str(error).partition("\n")[0])
    last = mended.after if mended is not None else found
    if as_json:
        typer.echo(json.dumps(_document(folder, found, mended)))
    else:
        for line in _lines(found, mended):
            typer.echo(line)
    if not last.report.is_sound:
        raise typer.Exit(WRONG)


def _lines(found: Examination, mended: Repair | None) -> Iterator[str]:
    for part, amount in found.report.amounts.items():
        yield f"{part:<9}{amount}"
    for finding in found.report.findings:
        yield ""
        yield from _finding_lines(finding)
    yield ""
    if mended is None or not mended.done:
        yield _verdict(found, may_mend=mended is None)
        return
    yield "Mended:"
    for line in mended.done:
        yield from _wrapped(line, "    ")
    if mended.set_aside is not None:
        yield f"    What was taken out is in {mended.set_aside}."
    for finding in mended.after.report.problems:
        yield ""
        yield from _finding_lines(finding)
    yield ""
    yield _verdict(mended.after, may_mend=False)


def _finding_lines(finding: Finding) -> Iterator[str]:
    label = "PROBLEM" if finding.level is Level.PROBLEM else "note"
    yield f"{label}  {finding.where}"
    for text in (finding.what, finding.means, finding.remedy):
        yield from _wrapped(text, "    ")


def _wrapped(text: str, indent: str) -> list[str]:
    # Names of files stay in one piece, to be copied.
    return textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verdict(examination: Examination, *, may_mend: bool) -> str:
    count = len(examination.report.problems)
    if not count:
        return "The folder is sound."
    problems = "1 problem" if count == 1 else f"{count} problems"
    return f"{problems}. 'sift doctor --repair' mends what can be mended." if may_mend else problems


def _document(folder: Path, found: Examination, mended: Repair | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "folder": str(folder),
        "sound": (mended.after if mended is not None else found).report.is_sound,
        "amounts": found.report.amounts,
        "findings": [_finding_document(each) for each in found.report.findings],
    }
    if mended is not None:
        document["repair"] = {
            "done": list(mended.done),
            "set_aside": str(mended.set_aside) if mended.set_aside is not None else None,
            "findings": [_finding_document(each) for each in mended.after.report.findings],
        }
    return document


def _finding_document(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level.value,
        "where": finding.where,
        "what": finding.what,
        "means": finding.means,
        "remedy": finding.remedy,
    }


def _fail(message: str) -> None:
    typer.echo(f"sift doctor: {message}", err=True)
    raise typer.Exit(_FAILED) from None
