"""`sift plot`: channels over time, as a picture."""

from __future__ import annotations

import shutil
from itertools import chain, islice
from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import TYPE_CHECKING, Annotated

import typer

from sift_files.writers import whole_or_nothing
from sift_py._internal.lists import quoted
from sift_py.data import iter_channels, read_overview
from sift_py.errors import DataError, MissingExtraError
from sift_server.commands.connection import (
    DEFAULT_DATA_DIR,
    FAILED,
    WRONG_USE,
    DataDir,
    Uri,
    connected,
    end,
)
from sift_server.commands.plot_output import plot_json
from sift_server.commands.selection import asset_of, run_of, sample_ms, time_ns
from sift_server.commands.text import shown
from sift_server.doctor.findings import counted
from sift_server.plotting import (
    Mark,
    Plot,
    TooManyCurvesError,
    curve_of,
    drawing,
    gathered,
    is_number,
)
from sift_server.plotting.curves import CURVES_MAX
from sift_server.readback import list_annotations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_py.data import Readings
    from sift_py.grpc.transport import SiftChannel
    from sift_server.plotting import Curve

PIXELS = 2_000
"""Stretches of time of which an overview has the smallest and the largest value."""

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
            metavar="CHANNEL",
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
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print a JSON object of what is drawn; nothing is, without --output."
        ),
    ] = False,
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
        try:
            curves, left_out = _curves(channel, asset, names, run, start_ns, end_ns, sampled_ms)
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
        if output is not None:
            _save(picture, output, file_format)
        if as_json:
            typer.echo(plot_json(picture, output))
        elif output is not None:
            typer.echo(f"{counted(len(picture.curves), 'curve')} in {output}.")
        else:
            for line in drawing(picture, min(shutil.get_terminal_size().columns, _COLUMNS_MAX)):
                typer.echo(line)


def _curves(
    channel: SiftChannel,
    asset: str,
    names: list[str],
    run: str | None,
    start_ns: int | None,
    end_ns: int | None,
    sampled_ms: int | None,
) -> tuple[list[Curve], int]:
    """The curves, and how many channels have none.

    Where there are many points, the server gives overviews of numbers; all else is read.
    """

    def read(wanted: list[str]) -> Iterator[Readings]:
        return iter_channels(
            asset, wanted, start_ns, end_ns, run=run, sample=sampled_ms, source=channel
        )

    spans = read(names)
    begun = list(islice(spans, 2))
    if len(begun) < 2 or run is None or sampled_ms is not None:  # noqa: PLR2004 (one span is all)
        # Of several runs, each has a curve of its own.
        return gathered(chain(begun, spans))
    order = begun[0].names
    numbers = [each.name for each in begun[0] if is_number(each)]
    rest = {each.channel: None for each in begun[0] if not is_number(each)}
    del begun, spans
    curves = []
    for name in numbers:
        try:
            seen = read_overview(
                asset, name, start_ns, end_ns, run=run, pixels=PIXELS, source=channel
            )
        except DataError:
            # A calculated channel has none.
            rest[name] = None
        else:
            curves.append(curve_of(seen, run))
    others, left_out = gathered(read(list(rest))) if rest else ([], 0)
    if len(curves) + len(others) > CURVES_MAX:
        raise TooManyCurvesError(f"there are more than {CURVES_MAX} curves; name fewer")
    return sorted([*curves, *others], key=lambda curve: order.index(curve.name)), left_out


def _save(picture: Plot, output: Path, file_format: str) -> None:
    try:
        from sift_server.plotting.picture import save_picture  # noqa: PLC0415 (of an extra)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"pictures need Matplotlib: pip install 'sift-py[plot]' ({error})."
        ) from None
    with whole_or_nothing(output) as beside:
        save_picture(picture, beside, file_format)


def _marks(channel: SiftChannel, asset: str, run: str | None) -> list[Mark]:
    wanted = f"asset_id == {quoted(asset_of(channel, _COMMAND, asset).asset_id)}"
    if run:
        wanted += f" && run_id == {quoted(run_of(channel, _COMMAND, run).run_id)}"
    return [
        Mark(each.name, each.start_time.ToNanoseconds(), each.end_time.ToNanoseconds())
        for each in list_annotations(channel, wanted)[:MARKS_MAX]
    ]
