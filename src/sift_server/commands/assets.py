"""`sift assets`: what is measured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf import json_format

from sift_server.commands.connection import DEFAULT_DATA_DIR, DataDir, Uri, connected
from sift_server.commands.patterns import Patterns, matches
from sift_server.commands.text import shown, shown_time, table
from sift_server.readback import list_assets, list_channels

if TYPE_CHECKING:
    from sift.assets.v1.assets_pb2 import Asset

_COMMAND = "sift assets"


def assets(
    names: Patterns = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, with all that is known.")
    ] = False,
) -> None:
    """List assets, by name, with how many channels they have. Times are in UTC."""
    with connected(_COMMAND, data_dir, uri) as channel:
        found = [each for each in list_assets(channel) if matches(each.name, names)]
        counts = [len(list_channels(channel, each.asset_id)) for each in found]
    if as_json:
        for asset, count in zip(found, counts, strict=True):
            typer.echo(json.dumps(_document(asset, count)))
    elif found:
        for line in table(
            ("NAME", "CHANNELS", "CREATED", "TAGS"),
            [
                (
                    shown(asset.name),
                    f"{count:,}".rjust(len("CHANNELS")),
                    shown_time(asset.created_date.ToNanoseconds()),
                    shown(", ".join(asset.tags)),
                )
                for asset, count in zip(found, counts, strict=True)
            ],
        ):
            typer.echo(line)
    else:
        typer.echo("There are no such assets." if names else "There are no assets.", err=True)


def _document(asset: Asset, channels: int) -> dict[str, Any]:
    document: dict[str, Any] = json_format.MessageToDict(
        asset, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {**document, "channels": channels}
