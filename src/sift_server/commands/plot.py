"""`sift plot`: channels over time, as a picture."""

from __future__ import annotations

import shutil
from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import TYPE_CHECKING, Annotated

import typer

from sift_files.writers import whole_or_nothing
from sift_py._internal.lists import quoted
from sift_py.data import iter_channels
from sift_py.errors import MissingExtraError
from sift_server.commands.connection import (
    DEFAULT_DATA_DIR,
    FAILED,
    WRONG_USE,
    DataDir,
    Uri,
    connected,
    end,
)
from sift_server.commands.selection import asset_of, run_of, sample_ms, time_ns
from sift_server.commands.text import shown
from sift_server.plotting import Mark, Plot, TooManyCurvesError, drawing, gathered
from sift_server.readback import list_annotations

if TYPE_CHECKING:
    from sift_py.grpc.transport import SiftChannel

MARKS_MAX = 500
"""Annotations of a picture."""

_COMMAND = "sift plot"
_FORMATS = ("png", "svg", "pdf")
_COLUMNS_MAX = 160


def plot(
    asset: Annotated[str, typer.Option(metavar="NAME", help="Of this asset.")],
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="CHANNEL...",
            help="Channels; *, ? and [...] stand for what they do in a shell. Put them in quotes.",
        ),
    ],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Of this run: its name, id or client key; '' for none. Without, of all.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Earliest time, such as 2026-01-31T12:00Z.")
    ] = None,
    end_: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="Time that is no longer included.")
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Draw points that stand for so much time, such as 1s."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Picture to write, .png, .svg or .pdf. Without, it is drawn in the terminal.",
        ),
    ] = None,
    annotations: Annotated[
        bool, typer.Option(help="Shade what rules found and people marked.")
    ] = True,
) -> None:
    """Draw channels over time: numbers in a panel for each unit, enums and bools as steps.

    Times are in UTC. However many points there are, no peak is lost.
    """
    file_format = "" if output is None else output.suffix.lower().removeprefix(".")
    if output is not None and file_format not in _FORMATS:
        end(_COMMAND, f"{output} can't be drawn: it is to end with .png, .svg or .pdf", WRONG_USE)
    start_ns = time_ns(_COMMAND, "--start", start)
    end_ns = time_ns(_COMMAND, "--end", end_)
    sampled_ms = sample_ms(_COMMAND, sample)
    with connected(_COMMAND, data_dir, uri) as channel:
        spans = iter_channels(
            asset, names, start_ns, end_ns, run=run, sample=sampled_ms, source=channel
        )
        try:
            curves, left_out = gathered(spans)
        except TooManyCurvesError as error:
            end(_COMMAND, str(error), WRONG_USE)
        marks = _marks(channel, asset, run) if annotations else []
        if not curves:
            texts = "; texts and bytes can't be drawn" if left_out else ""
            end(_COMMAND, f"there are no such points{texts}", FAILED)
        if left_out:
            typer.echo(f"{left_out} channels of texts or bytes are left out.", err=True)
        title = shown(asset) + (f", {shown(run)}" if run else "")
        picture = Plot.of(title, curves, marks)
        if output is None:
            for line in drawing(picture, min(shutil.get_terminal_size().columns, _COLUMNS_MAX)):
                typer.echo(line)
        else:
            _save(picture, output, file_format)


def _save(picture: Plot, output: Path, file_format: str) -> None:
    try:
        from sift_server.plotting.picture import save_picture  # noqa: PLC0415 (of an extra)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"pictures need Matplotlib: pip install 'sift-py[plot]' ({error})."
        ) from None
    with whole_or_nothing(output) as beside:
        save_picture(picture, beside, file_format)
    typer.echo(f"{len(picture.curves)} curves in {output}.")


def _marks(channel: SiftChannel, asset: str, run: str | None) -> list[Mark]:
    wanted = f"asset_id == {quoted(asset_of(channel, _COMMAND, asset).asset_id)}"
    if run:
        wanted += f" && run_id == {quoted(run_of(channel, _COMMAND, run).run_id)}"
    return [
        Mark(each.name, each.start_time.ToNanoseconds(), each.end_time.ToNanoseconds())
        for each in list_annotations(channel, wanted)[:MARKS_MAX]
    ]
