"""`sift tail`: points as they come."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from sift_py.errors import DataError
from sift_server.commands.connection import DEFAULT_DATA_DIR, ServedDir, Uri, connected
from sift_server.commands.tail_output import PointLines, json_line, points_of
from sift_server.commands.tail_rate import LineRate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_py.data import Following, Readings

TERMINAL_RATE = 10
"""Lines a second of a channel on a terminal, unless something else is asked for."""

NOTE_INTERVAL_S = 1.0
"""How often it is said what was left out, at the most."""

_COMMAND = "sift tail"
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}


def tail(
    asset: Annotated[str, typer.Argument(metavar="ASSET", help="The asset.")],
    channels: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CHANNEL",
            help="Only these; *, ? and [...] stand for what they do in a shell. Put them in"
            " quotes.",
        ),
    ] = None,
    data_dir: ServedDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    run: Annotated[
        str, typer.Option(metavar="RUN", help="Of this run: its name, id or client key.")
    ] = "",
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Begin with what is there since then: 2026-01-31T12:00:00Z, or 30s, 5m, 2h, 1d"
            " ago.",
        ),
    ] = "",
    rate: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Lines a second of each channel, at most: the latest ones. 0 is all. On a terminal"
            f" {TERMINAL_RATE} if you don't say, else all.",
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop after so many seconds, not at Ctrl-C.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Print the points of an asset as they come: time in UTC, channel, value, unit.

    Points are there some milliseconds after they were acknowledged, in the order of arrival. New
    channels are among them as soon as they have points. The folder has to be served.
    """
    since_ns = _since_ns(since) if since else None
    is_terminal = sys.stdout.isatty()
    if rate is None:
        rate = TERMINAL_RATE if is_terminal and not as_json else 0
    lines = PointLines(in_colour=is_terminal and not os.environ.get("NO_COLOR"))
    with connected(_COMMAND, data_dir, uri, must_be_served=True) as channel:
        from sift_py.data import follow  # noqa: PLC0415 (Arrow only when used)

        shown = LineRate(rate)
        note_due_s = 0.0
        with follow(
            asset, channels or "*", run=run or None, since=since_ns, source=channel
        ) as live:
            try:
                for readings in _until(live, seconds):
                    now_s = time.monotonic()
                    counts = [shown.allow(each.name, len(each), now_s) for each in readings]
                    for point in points_of(readings, counts):
                        typer.echo(json_line(point) if as_json else lines.line(point))
                    if now_s >= note_due_s:
                        _note(shown, rate)
                        note_due_s = now_s + NOTE_INTERVAL_S
            finally:
                _note(shown, rate)


def _until(live: Following, seconds: float | None) -> Iterator[Readings]:
    """What comes in some time; without end if that is None."""
    due_s = None if seconds is None else time.monotonic() + seconds
    while due_s is None or time.monotonic() < due_s:
        readings = live.next(None if due_s is None else max(due_s - time.monotonic(), 0))
        if readings is not None:
            yield readings


def _note(shown: LineRate, rate: int) -> None:
    left_out = shown.take_left_out()
    if left_out:
        typer.echo(f"... {left_out:,} points left out (--rate {rate})", err=True)


def _since_ns(text: str) -> int:
    from sift_py.data._moments import to_ns  # noqa: PLC0415 (Arrow only when used)

    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return time.time_ns() - int(float(ago[1]) * _NS[ago[2]])
    try:
        return to_ns(text, "--since")
    except DataError as error:
        raise typer.BadParameter(f"{error} Or how long ago: 30s, 5m, 2h, 1d.") from None
