"""`sift export`: points into a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pyarrow as pa
import typer

from sift_files.errors import FilesError
from sift_files.writers import WrittenFormat, table_format, writing
from sift_py.data import iter_channels
from sift_server.commands.connection import (
    DEFAULT_DATA_DIR,
    FAILED,
    WRONG_USE,
    DataDir,
    Uri,
    connected,
    end,
)
from sift_server.commands.patterns import Patterns  # noqa: TC001 (typer reads it)
from sift_server.commands.selection import sample_ms, time_ns
from sift_server.commands.text import rfc_3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_py.data import Readings

_COMMAND = "sift export"
_KIB = 1024


class Layout(StrEnum):
    """What a row is."""

    WIDE = "wide"
    LONG = "long"


@dataclass(slots=True)
class _Written:
    """What is in a file.

    Attributes:
        points: How many; each element of a bit field counts as one.
        rows: Of its tables.
        channels: How many.
        first_ns: Time of the first point.
        last_ns: Time of the last one.
    """

    points: int = 0
    rows: int = 0
    channels: int = 0
    first_ns: int | None = None
    last_ns: int | None = None

    def add(self, readings: Readings, rows: int) -> None:
        """Count more of it."""
        times = [each.timestamps_ns for each in readings if len(each)]
        first_ns = min(int(each[0]) for each in times)
        self.points += readings.points
        self.rows += rows
        self.channels = len(readings.names)
        self.first_ns = first_ns if self.first_ns is None else self.first_ns
        self.last_ns = max(int(each[-1]) for each in times)


def export(
    asset: Annotated[str, typer.Option(metavar="NAME", help="Of this asset.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write. Its name says the format: .csv, .parquet, .arrow, .h5, .mcap.",
        ),
    ],
    names: Patterns = None,
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
        typer.Option(
            metavar="TIME",
            help="Time that a point is to stand for, such as 100ms or 1m: of numbers those that"
            " keep the shape of the curve.",
        ),
    ] = None,
    format: Annotated[  # noqa: A002 (the option's name)
        WrittenFormat | None, typer.Option(help="Format of the file, if its name does not say.")
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(help="A row for each time, or a row for each point: of CSV, Parquet, Arrow."),
    ] = Layout.WIDE,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written as a JSON object.")
    ] = False,
) -> None:
    """Write points to a file, with the nanoseconds, types, units and states that it has room for.

    What is there at the end is complete: the file is written beside its place and renamed.
    """
    file_format = _format_of(output, format, layout)
    if output.exists() and not force:
        end(_COMMAND, f"{output} is there; replace it with --force", FAILED)
    bounds = time_ns(_COMMAND, "--start", start), time_ns(_COMMAND, "--end", end_)
    sampled_ms = sample_ms(_COMMAND, sample)
    with connected(_COMMAND, data_dir, uri) as channel:
        spans = iter_channels(
            asset, names or "*", *bounds, run=run, sample=sampled_ms, source=channel
        )
        try:
            written = _write(output, file_format, layout, asset, spans)
        except FilesError as error:
            end(_COMMAND, str(error), FAILED)
    if written is None:
        end(_COMMAND, "there are no such points, so no file was written", FAILED)
    size_bytes = output.stat().st_size
    if as_json:
        typer.echo(json.dumps(_document(output, file_format, written, size_bytes)))
    else:
        channels = "channel" if written.channels == 1 else "channels"
        typer.echo(
            f"{written.points:,} points of {written.channels:,} {channels} in {output},"
            f" {-(-size_bytes // _KIB):,} KiB."
        )


def _format_of(output: Path, wanted: WrittenFormat | None, layout: Layout) -> WrittenFormat:
    try:
        file_format = wanted or table_format(output)
    except FilesError as error:
        end(_COMMAND, f"{error} with --format", WRONG_USE)
    if layout is Layout.LONG and not file_format.has_rows:
        end(
            _COMMAND,
            f"--layout is of files with rows; {file_format.value} has times for each channel",
            WRONG_USE,
        )
    return file_format


def _write(
    output: Path,
    file_format: WrittenFormat,
    layout: Layout,
    asset: str,
    spans: Iterator[Readings],
) -> _Written | None:
    """Write spans; None if there are none, and no file then."""
    first = next(spans, None)
    if first is None:
        return None
    shape: Literal["wide", "long"] = layout.value
    schema = _schema(first, shape, asset)
    written = _Written()
    with writing(output, file_format, schema) as writer:
        readings: Readings | None = first
        del first  # Two spans need not be in memory.
        while readings is not None:
            table = pa.Table.from_arrays(readings.to_arrow(shape).columns, schema=schema)
            writer.write(table)
            written.add(readings, table.num_rows)
            del table
            readings = next(spans, None)
    return written


def _schema(readings: Readings, layout: Literal["wide", "long"], asset: str) -> Any:  # noqa: ANN401
    """The schema of all tables, with what a file is of; of long tables, what channels are, too."""
    document: dict[str, Any] = {"asset": asset, "layout": layout}
    if layout == "long":
        document["channels"] = {
            each.name: {
                "data_type": each.data_type,
                "unit": each.unit,
                "enum_types": {state: key for key, state in each.states.items()},
            }
            for each in readings
        }
    text = json.dumps(document, ensure_ascii=False)
    return readings.to_arrow(layout).schema.with_metadata({b"sift": text.encode()})


def _document(
    output: Path, file_format: WrittenFormat, written: _Written, size_bytes: int
) -> dict[str, Any]:
    return {
        "file": str(output),
        "format": file_format.value,
        "points": written.points,
        "rows": written.rows,
        "channels": written.channels,
        "first": rfc_3339(written.first_ns),
        "last": rfc_3339(written.last_ns),
        "bytes": size_bytes,
    }
