"""`sift import`: files of telemetry into an asset."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sift_files import (
    Corrections,
    FilesError,
    Hints,
    OnError,
    PlanError,
    corrected,
    detect,
    load_plan,
    save_plan,
)
from sift_server.commands.connection import (
    DEFAULT_DATA_DIR,
    FAILED,
    INTERRUPTED,
    WRONG_USE,
    DataDir,
    Uri,
    connected,
    end,
)
from sift_server.commands.import_checks import ask, require_complete, require_fitting
from sift_server.commands.import_options import data_types, pairs, start_ns, time_format
from sift_server.commands.import_output import file_document, plan_lines
from sift_server.commands.import_running import Importer, result_line
from sift_server.commands.progress import progress_bar
from sift_server.importing import NoteFolder, common_flow_names

if TYPE_CHECKING:
    from sift_files import FilePlan
    from sift_py.grpc.transport import SiftChannel

_COMMAND = "sift import"
_Texts = list[str] | None


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Files to import, each of a format of its own."),
    ],
    asset: Annotated[str, typer.Option(metavar="NAME", help="Asset that the data belongs to.")],
    run: Annotated[
        str, typer.Option(metavar="NAME", help="Run that it belongs to; made when missing.")
    ] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    time_: Annotated[
        _Texts,
        typer.Option(
            "--time", metavar="COLUMN", help="Column with the times; twice for a date and a time."
        ),
    ] = None,
    time_format_: Annotated[
        str,
        typer.Option(
            "--time-format",
            metavar="FORMAT",
            help="What the times mean: unix_s, unix_ms, unix_us, unix_ns, relative_s, relative_ms"
            " and so on to relative_h, rfc3339, datetime, or a pattern: '%d.%m.%Y %H:%M:%S.%f'.",
        ),
    ] = "",
    start_time: Annotated[
        str, typer.Option(metavar="TIME", help="What relative times count from, as RFC 3339.")
    ] = "",
    timezone: Annotated[
        str,
        typer.Option(metavar="ZONE", help="Of times that name none: Europe/Berlin; else UTC."),
    ] = "",
    type_: Annotated[
        _Texts, typer.Option("--type", metavar="COLUMN=TYPE", help="Another data type; repeatable.")
    ] = None,
    unit: Annotated[
        _Texts, typer.Option(metavar="COLUMN=UNIT", help="Another unit; repeatable.")
    ] = None,
    rename: Annotated[
        _Texts, typer.Option(metavar="COLUMN=CHANNEL", help="Another name; repeatable.")
    ] = None,
    only: Annotated[
        _Texts,
        typer.Option(metavar="COLUMN", help="Import this column only, or 'gyro_*'; repeatable."),
    ] = None,
    flow: Annotated[str, typer.Option(metavar="NAME", help="Name of the flow.")] = "",
    no_value: Annotated[
        _Texts,
        typer.Option(metavar="TEXT", help="What stands for no value in CSV; repeatable."),
    ] = None,
    delimiter: Annotated[str, typer.Option(metavar="CHARACTER", help="Of CSV.")] = "",
    encoding: Annotated[str, typer.Option(metavar="NAME", help="Of CSV, such as cp1252.")] = "",
    on_error: Annotated[
        OnError,
        typer.Option(
            help="Where a cell does not fit: stop, leave it out, or keep it as text in a channel"
            " NAME.text."
        ),
    ] = OnError.STOP,
    plan: Annotated[
        Path | None, typer.Option(metavar="YAML", help="A plan of --save-plan, corrected.")
    ] = None,
    save_plan_: Annotated[
        Path | None,
        typer.Option("--save-plan", metavar="YAML", help="Write the plan, and import nothing."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be imported, and nothing more.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    from_start: Annotated[
        bool,
        typer.Option("--from-start", help="Send what an import before had acknowledged, too."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Import files of telemetry: looked through first, shown, and sent once you say so.

    Reads CSV (also gzip, bzip2, xz), Parquet, HDF5, TDMS, PX4 ULog, MCAP and ROS bags. Columns,
    types, units and times are found out; options correct them, or a file of --save-plan. The folder
    of the server is made when missing. An import that was broken off goes on where it was if it is
    started again, and nothing is there twice.
    """
    formats = time_format(time_format_)
    hints = Hints(
        encoding, _delimiter(delimiter), tuple(no_value or ()), tuple(time_ or ()), *formats,
        data_types(type_ or ()),
    )  # fmt: skip
    corrections = Corrections(
        start_ns(start_time, timezone), timezone, {}, pairs("--unit", unit or ()),
        pairs("--rename", rename or ()), tuple(only or ()), flow,
    )  # fmt: skip
    if plan is not None and (time_ or time_format_ or type_):
        raise typer.BadParameter("--time, --time-format and --type belong into the file of --plan")
    given = _loaded(plan) if plan is not None else None
    found = [(path, _plan_of(path, given, hints, corrections)) for path in files]
    if save_plan_ is not None:
        _save(found, save_plan_)
    elif dry_run:
        _show(found, as_json=as_json)
    else:
        for path, one in found:
            require_complete(_COMMAND, path, one)
            if on_error is OnError.STOP:
                require_fitting(_COMMAND, path, one)
        if not yes:
            ask(_COMMAND, found, f"asset {asset}" + (f", run {run}" if run else ""))
        with connected(_COMMAND, data_dir, uri, may_be_made=True) as channel:
            results = _import(channel, found, asset, run, on_error, goes_on=not from_start)
        if as_json:
            typer.echo(json.dumps({"asset": asset, "run": run or None, "files": results}))
        else:
            for result in results:
                typer.echo(result_line(result))


def _delimiter(text: str) -> str:
    named = {"\\t": "\t", "tab": "\t"}
    text = named.get(text, text)
    if len(text) > 1:
        raise typer.BadParameter(f"--delimiter takes one character or 'tab', not {text!r}")
    return text


def _loaded(path: Path) -> FilePlan:
    try:
        plan = load_plan(path)
        # Those of the file that it was made of.
        return plan.with_tables(tuple(replace(table, rows=None) for table in plan.tables))
    except PlanError as error:
        end(_COMMAND, str(error), WRONG_USE)
    except OSError as error:
        end(_COMMAND, f"{path} can't be read: {error.strerror}", FAILED)


def _plan_of(
    path: Path, given: FilePlan | None, hints: Hints, corrections: Corrections
) -> FilePlan:
    try:
        if given is None:
            size = path.stat().st_size
            with progress_bar(f"Looking through {path.name}", size) as advance:
                given = detect(path, hints, advance)
        return corrected(given, corrections)
    except PlanError as error:
        end(_COMMAND, f"{path}: {error}", WRONG_USE)
    except FilesError as error:
        end(_COMMAND, str(error), FAILED)
    except OSError as error:
        end(_COMMAND, f"{path} can't be read: {error.strerror}", FAILED)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _save(found: list[tuple[Path, FilePlan]], path: Path) -> None:
    if len(found) > 1:
        raise typer.BadParameter("--save-plan takes one file: others of its kind share its plan")
    try:
        save_plan(found[0][1], path)
    except OSError as error:
        end(_COMMAND, f"{path} can't be written: {error.strerror}", FAILED)
    typer.echo(f"{path}: correct it, and import with --plan {path}")


def _show(found: list[tuple[Path, FilePlan]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"files": [file_document(path, plan) for path, plan in found]}))
        return
    for path, plan in found:
        for line in plan_lines(path, plan):
            typer.echo(line)


def _import(
    channel: SiftChannel,
    found: list[tuple[Path, FilePlan]],
    asset: str,
    run: str,
    on_error: OnError,
    *,
    goes_on: bool,
) -> list[dict[str, Any]]:
    notes = NoteFolder()
    notes.remove_old()
    plans = common_flow_names(plan for _, plan in found)
    importer = Importer(_COMMAND, channel, asset, run, notes, on_error)
    results = [
        importer.run(path, plan, goes_on=goes_on)
        for (path, _), plan in zip(found, plans, strict=True)
    ]
    importer.forget()
    return results
