"""`sift runs`: named stretches of time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf import json_format

from sift_server.commands.connection import DEFAULT_DATA_DIR, DataDir, Uri, connected
from sift_server.commands.patterns import Patterns, matches
from sift_server.commands.selection import asset_of
from sift_server.commands.text import rfc_3339, shown, shown_length, shown_time, table
from sift_server.readback import (
    Extent,
    channel_extents,
    channels_with_points,
    list_assets,
    list_channels,
    list_runs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sift.assets.v1.assets_pb2 import Asset
    from sift.runs.v2.runs_pb2 import Run
    from sift_py.grpc.transport import SiftChannel

_COMMAND = "sift runs"


@dataclass(slots=True)
class _Found:
    """A run, and what was found out of it.

    Attributes:
        assets: Names of assets that have points in it; None if nobody looked.
        extent: Its points; None if nobody counted.
    """

    run: Run
    assets: list[str] | None = None
    extent: Extent | None = field(default=None)

    @property
    def start_ns(self) -> int | None:
        """When it began, as somebody said, or as its points say."""
        if self.run.HasField("start_time"):
            return self.run.start_time.ToNanoseconds()
        return self.extent.first_ns if self.extent else None

    @property
    def stop_ns(self) -> int | None:
        """When it ended, likewise."""
        if self.run.HasField("stop_time"):
            return self.run.stop_time.ToNanoseconds()
        return self.extent.last_ns if self.extent else None


def runs(
    names: Patterns = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    asset: Annotated[
        str, typer.Option(metavar="NAME", help="In which this asset has points.")
    ] = "",
    points: Annotated[
        bool,
        typer.Option(
            "--points",
            help="Count points, and say of which assets they are, from when to when. Reads them:"
            " it takes a while.",
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many runs, at most.")] = 1_000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, with all that is known.")
    ] = False,
) -> None:
    """List runs, the newest first. Times are in UTC.

    Starts and stops are those that were declared. With --points, those of the first and last point
    stand in for what was not.
    """
    with connected(_COMMAND, data_dir, uri) as channel:
        assets = [asset_of(channel, _COMMAND, asset)] if asset else []
        wanted: Iterable[_Found] = (
            _Found(run) for run in list_runs(channel) if matches(run.name, names)
        )
        if points:
            wanted = _counted(channel, wanted, assets or list_assets(channel))
        elif asset:
            wanted = _looked_at(channel, wanted, assets[0])
        if asset:
            wanted = (each for each in wanted if each.assets)
        found = list(islice(wanted, limit + 1))
    if as_json:
        for each in found[:limit]:
            typer.echo(json.dumps(_document(each)))
    elif found:
        for line in _lines(found[:limit]):
            typer.echo(line)
    else:
        typer.echo("There are no such runs." if names or asset else "There are no runs.", err=True)
    if len(found) > limit:
        typer.echo(f"There are more than {limit:,}: see --limit.", err=True)


def _looked_at(channel: SiftChannel, wanted: Iterable[_Found], asset: Asset) -> Iterator[_Found]:
    """Runs, with whether they have points of an asset."""
    ids = [each.channel_id for each in list_channels(channel, asset.asset_id)]
    for each in wanted:
        has_points = next(channels_with_points(channel, ids, each.run.run_id), None) is not None
        yield _Found(each.run, [asset.name] if has_points else [])


def _counted(
    channel: SiftChannel, wanted: Iterable[_Found], assets: Sequence[Asset]
) -> Iterator[_Found]:
    """Runs, with their points of some assets."""
    ids = {
        asset.name: [each.channel_id for each in list_channels(channel, asset.asset_id)]
        for asset in assets
    }
    for each in wanted:
        names, total = [], Extent()
        for name, mine in ids.items():
            present = list(channels_with_points(channel, mine, each.run.run_id))
            for extent in channel_extents(channel, present, each.run.run_id):
                total.add_all(extent)
            names += [name] if present else []
        yield _Found(each.run, names, total)


def _lines(found: Sequence[_Found]) -> Iterator[str]:
    head = ["NAME", "CREATED", "START", "DURATION"]
    rows = [
        [
            shown(each.run.name),
            shown_time(each.run.created_date.ToNanoseconds()),
            shown_time(each.start_ns),
            _duration(each),
        ]
        for each in found
    ]
    if any(each.extent is not None for each in found):
        head.append("POINTS")
        for row, each in zip(rows, found, strict=True):
            row.append(f"{each.extent.points if each.extent else 0:,}".rjust(len("POINTS")))
    if any(each.assets is not None for each in found):
        head.append("ASSETS")
        for row, each in zip(rows, found, strict=True):
            row.append(shown(", ".join(each.assets or [])))
    head.append("ID")
    for row, each in zip(rows, found, strict=True):
        row.append(each.run.run_id)
    return table(head, rows)


def _duration(found: _Found) -> str:
    if found.start_ns is None or found.stop_ns is None:
        return "-"
    return shown_length(found.stop_ns - found.start_ns)


def _document(found: _Found) -> dict[str, Any]:
    document: dict[str, Any] = json_format.MessageToDict(
        found.run, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    if found.assets is not None:
        document["asset_names"] = found.assets
    if found.extent is not None:
        document |= {
            "points": found.extent.points,
            "first": rfc_3339(found.extent.first_ns),
            "last": rfc_3339(found.extent.last_ns),
        }
    return document
