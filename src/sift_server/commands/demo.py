"""`sift demo`: see it work, with this machine's own telemetry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sift_server.commands.connection import INTERRUPTED


def demo(
    seconds: Annotated[float, typer.Option(min=1, help="How long to stream.")] = 20.0,
    data_dir: Annotated[
        Path, typer.Option(help="Folder to keep the telemetry in; made when missing.")
    ] = Path("telemetry-demo"),
) -> None:
    """Stream this machine's own telemetry into a folder, and read it back."""
    try:
        from sift_py.errors import SiftError  # noqa: PLC0415 (the client only when used)
        from sift_server.demo import run_demo  # noqa: PLC0415 (psutil too)

        try:
            status = run_demo(seconds, data_dir, Console())
        except (SiftError, OSError) as error:
            typer.echo(f"sift demo: {error}", err=True)
            status = 1
    except KeyboardInterrupt:
        typer.echo(f"sift demo: stopped; what was sent is in {data_dir}", err=True)
        status = INTERRUPTED
    raise typer.Exit(status)
