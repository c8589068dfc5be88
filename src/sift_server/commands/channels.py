"""`sift channels`: the signals of an asset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf import json_format

from sift_py.ingestion.channel import ChannelDataType, ChannelDataTypeStrRep
from sift_server.commands.connection import DEFAULT_DATA_DIR, DataDir, Uri, connected
from sift_server.commands.patterns import Patterns, matches
from sift_server.commands.selection import asset_of, run_of
from sift_server.commands.text import rfc_3339, shown, shown_time, table
from sift_server.readback import Extent, channel_extents, channels_with_points, list_channels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift.channels.v3.channels_pb2 import Channel
    from sift_py.grpc.transport import SiftChannel

_COMMAND = "sift channels"


def channels(
    asset: Annotated[str, typer.Option(metavar="NAME", help="Of this asset.")],
    names: Patterns = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    run: Annotated[
        str,
        typer.Option(metavar="RUN", help="With points in this run: its name, id or client key."),
    ] = "",
    data_type: Annotated[
        list[ChannelDataTypeStrRep] | None,
        typer.Option("--type", help="Of this data type; repeatable."),
    ] = None,
    unit: Annotated[str | None, typer.Option(metavar="UNIT", help="Of this unit.")] = None,
    points: Annotated[
        bool,
        typer.Option(
            "--points", help="Count points, with first and last time. Reads them: it takes a while."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, with all that is known.")
    ] = False,
) -> None:
    """List the channels of an asset: data types, units, states of enums, elements of bit fields."""
    with connected(_COMMAND, data_dir, uri) as channel:
        asset_id = asset_of(channel, _COMMAND, asset).asset_id
        found = [
            each
            for each in list_channels(channel, asset_id)
            if matches(each.name, names)
            and (not data_type or _type(each) in data_type)
            and unit in (None, each.unit_id)
        ]
        run_id = None
        if run:
            run_id = run_of(channel, _COMMAND, run).run_id
            found = _in_run(channel, found, run_id)
        extents = None
        if points:
            extents = channel_extents(channel, [each.channel_id for each in found], run_id)
    if as_json:
        for number, each in enumerate(found):
            typer.echo(json.dumps(_document(each, asset, extents[number] if extents else None)))
    elif found:
        for line in _lines(found, extents):
            typer.echo(line)
    else:
        typer.echo(f"The asset {asset!r} has no such channels.", err=True)


def _in_run(channel: SiftChannel, found: Sequence[Channel], run_id: str) -> list[Channel]:
    ids = [each.channel_id for each in found]
    present = set(channels_with_points(channel, ids, run_id))
    return [each for each in found if each.channel_id in present]


def _lines(found: Sequence[Channel], extents: Sequence[Extent] | None) -> Iterator[str]:
    head = ["NAME", "TYPE", "UNIT", "DESCRIPTION"]
    rows = [
        [shown(each.name), shown(_spelled(each)), *map(shown, (each.unit_id, each.description))]
        for each in found
    ]
    if extents is not None:
        head[3:3] = ["POINTS", "FIRST", "LAST"]
        for row, extent in zip(rows, extents, strict=True):
            row[3:3] = [
                f"{extent.points:,}".rjust(len("POINTS")),
                shown_time(extent.first_ns),
                shown_time(extent.last_ns),
            ]
    return table(head, rows, [_parts(each) for each in found])


def _parts(channel: Channel) -> str:
    """States of an enum, or elements of a bit field, in a line."""
    states = [f"{state.key} = {state.name}" for state in channel.enum_types]
    elements = [
        f"{element.name}: bit {element.index}"
        if element.bit_count == 1
        else f"{element.name}: bits {element.index} to {element.index + element.bit_count - 1}"
        for element in channel.bit_field_elements
    ]
    return ", ".join(states + elements)


def _document(channel: Channel, asset: str, extent: Extent | None) -> dict[str, Any]:
    document: dict[str, Any] = json_format.MessageToDict(
        channel, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    document |= {"asset_name": asset, "type": _spelled(channel), "unit": channel.unit_id}
    if extent is not None:
        document |= {
            "points": extent.points,
            "first": rfc_3339(extent.first_ns),
            "last": rfc_3339(extent.last_ns),
        }
    return document


def _type(channel: Channel) -> ChannelDataTypeStrRep | None:
    try:
        return ChannelDataTypeStrRep[ChannelDataType.from_pb(channel.data_type).name]
    except ValueError:
        # Of a newer server, or raw bytes, which telemetry configs don't have.
        return None


def _spelled(channel: Channel) -> str:
    found = _type(channel)
    return "other" if found is None else found.value
