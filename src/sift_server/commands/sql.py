"""`sift sql`: asks a server by SQL."""

from __future__ import annotations

import enum
import sys
import time
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003 (typer looks at it)
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sift_py.data.statements import statement_batches
from sift_server.commands import sql_output
from sift_server.commands.connection import (
    DEFAULT_DATA_DIR,
    WRONG_USE,
    DataDir,
    Uri,
    connected,
    end,
)

if TYPE_CHECKING:
    from sift_py.data.statements import StatementBatches

_COMMAND = "sift sql"


class Format(enum.StrEnum):
    """How the answer is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"


_WRITERS = {
    Format.CSV: sql_output.write_csv,
    Format.JSON: sql_output.write_json,
    Format.PARQUET: sql_output.write_parquet,
    Format.ARROW: sql_output.write_arrow,
}
_BINARY = (Format.PARQUET, Format.ARROW)


def sql(
    statement: Annotated[
        str,
        typer.Argument(
            metavar="STATEMENT",
            help="The statement; '-' reads it from standard input. SHOW TABLES lists tables.",
        ),
    ] = "-",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    output_format: Annotated[
        Format | None,
        typer.Option(
            "--format", help="How to write it; as the name of --output says, else a table."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write; replaced if it is there.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Most rows of a table.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Ask a server by SQL: its points, hot and stored, and what it knows of them.

    Tables are points, channels, runs, annotations, assets and flows, and a wide one for each flow:
    "asset"."flow". Nothing can be changed. docs/sql.md has the columns.
    """
    chosen = _chosen(output_format, output, as_json=as_json)
    if chosen in _BINARY and output is None and sys.stdout.isatty():
        end(_COMMAND, f"{chosen} is nothing for a terminal; name a file with --output", WRONG_USE)
    if statement == "-":
        if sys.stdin.isatty():
            end(_COMMAND, "give a statement, such as 'SHOW TABLES'", WRONG_USE)
        statement = sys.stdin.read()
    begun_s = time.monotonic()
    console = Console(stderr=True)
    with ExitStack() as opened:
        channel = opened.enter_context(connected(_COMMAND, data_dir, uri))
        with console.status("working") if console.is_terminal else ExitStack():
            batches = opened.enter_context(statement_batches(channel, statement))
        if chosen is Format.TABLE:
            _show(batches, rows, begun_s)
        else:
            _write(batches, chosen, output)
    if output is not None:
        typer.echo(f"wrote {output} in {time.monotonic() - begun_s:.2f} s", err=True)


def _chosen(asked: Format | None, output: Path | None, *, as_json: bool) -> Format:
    if as_json:
        if asked not in (None, Format.JSON):
            end(_COMMAND, f"--json and --format {asked} contradict each other", WRONG_USE)
        return Format.JSON
    if asked is not None:
        chosen = asked
    elif output is None:
        return Format.TABLE
    else:
        by_suffix = {".csv": Format.CSV, ".json": Format.JSON, ".parquet": Format.PARQUET}
        by_suffix |= dict.fromkeys((".arrow", ".arrows", ".ipc"), Format.ARROW)
        found = by_suffix.get(output.suffix.lower())
        if found is None:
            end(
                _COMMAND,
                f"the name {output.name} does not say what to write; --format csv, json, parquet or"
                " arrow does",
                WRONG_USE,
            )
        chosen = found
    if chosen is Format.TABLE and output is not None:
        end(_COMMAND, "a table is for the terminal; write a file by another --format", WRONG_USE)
    return chosen


def _show(batches: StatementBatches, rows: int, begun_s: float) -> None:
    shown, has_more = sql_output.first_rows(batches, rows)
    typer.echo("\n".join(sql_output.table_lines(shown)))
    what = f"the first {rows} rows; --rows shows more" if has_more else _count(len(shown))
    typer.echo(f"{what}, {time.monotonic() - begun_s:.2f} s", err=True)


def _count(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows:,} rows"


def _write(batches: StatementBatches, chosen: Format, output: Path | None) -> None:
    """Write the answer whole, or no file."""
    if output is None:
        _WRITERS[chosen](batches, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    partial = output.with_name(f"{output.name}.part")
    try:
        with partial.open("wb") as file:
            _WRITERS[chosen](batches, file)
        partial.replace(output)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
