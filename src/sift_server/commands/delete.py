"""`sift delete`: deletes points for good."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from sift.server.v1 import retention_pb2
from sift.server.v1.retention_pb2_grpc import RetentionServiceStub
from sift_server.catalog.moments import timestamp_ns
from sift_server.commands.connection import (
    DEFAULT_DATA_DIR,
    FAILED,
    WRONG_USE,
    DataDir,
    Uri,
    connected,
    end,
)
from sift_server.commands.selection import asset_of, runs_of
from sift_server.doctor.findings import counted, sized
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from sift_py.grpc.transport import SiftChannel

_COMMAND = "sift delete"


def delete(
    run: Annotated[str, typer.Option(help="Run to delete whole: its name, id or client key.")] = "",
    asset: Annotated[str, typer.Option(help="Asset to delete points of.")] = "",
    channel: Annotated[
        list[str] | None, typer.Option(help="Channel of the asset; all without it.")
    ] = None,
    start: Annotated[
        str, typer.Option(metavar="TIME", help="Earliest time, such as 2026-11-25T10:00:00Z.")
    ] = "",
    end_time: Annotated[
        str, typer.Option("--end", metavar="TIME", help="Time that is no longer included.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say only what would be deleted.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Delete points for good, and free the disk.

    A run is deleted whole: the points of all assets in it, its annotations, and the run itself. Of
    an asset the points are deleted; annotations and channels stay. There is no way back but a
    backup.
    """
    if bool(run) == bool(asset):
        end(_COMMAND, "name either a --run or an --asset", WRONG_USE)
    if run and (channel or start or end_time):
        end(
            _COMMAND,
            "a run is deleted whole; --channel, --start and --end go with --asset",
            WRONG_USE,
        )
    request = retention_pb2.DeletePointsRequest(channel_names=channel or [], validate_only=True)
    for option, text, field in (("--start", start, "start_time"), ("--end", end_time, "end_time")):
        if text:
            getattr(request, field).FromNanoseconds(_moment(option, text))
    with connected(_COMMAND, data_dir, uri) as server:
        what = _name(server, request, run, asset)
        stub: Any = RetentionServiceStub(server)
        found = stub.DeletePoints(request)
        if not dry_run:
            if found.points and not yes:
                _ask(what, found)
            request.validate_only = False
            with _working():
                found = stub.DeletePoints(request)
    if as_json:
        document = {
            "points": found.points,
            "bytes": found.size_bytes,
            "annotations": found.annotations,
            "deleted": not dry_run,
        }
        typer.echo(json.dumps(document))
        return
    typer.echo(f"{'would delete' if dry_run else 'deleted'} {_words(found)} of {what}")


def _name(
    server: SiftChannel, request: retention_pb2.DeletePointsRequest, run: str, asset: str
) -> str:
    """Put the ids into a request; gives words for what they stand for."""
    if asset:
        request.asset_id = asset_of(server, _COMMAND, asset).asset_id
        return f"the asset {asset!r}"
    found = runs_of(server, _COMMAND, run)
    if len(found) > 1:
        ids = ", ".join(one.run_id for one in found)
        end(_COMMAND, f"there are {len(found)} runs {run!r}; name one by its id: {ids}", FAILED)
    request.run_id = found[0].run_id
    return f"the run {found[0].name!r}, of all assets"


def _ask(what: str, found: retention_pb2.DeletePointsResponse) -> None:
    if not sys.stdin.isatty():
        end(_COMMAND, f"this deletes {_words(found)} of {what} for good; say --yes", WRONG_USE)
    if not typer.confirm(f"Delete {_words(found)} of {what} for good?"):
        end(_COMMAND, "nothing was deleted", FAILED)


def _words(found: retention_pb2.DeletePointsResponse) -> str:
    words = f"{counted(found.points, 'point')} (about {sized(found.size_bytes)})"
    if found.annotations:
        words += f" and {counted(found.annotations, 'annotation')}"
    return words


def _moment(option: str, text: str) -> int:
    try:
        return timestamp_ns(text)
    except InvalidArgumentError as error:
        end(_COMMAND, f"{option}: {error}", WRONG_USE)


def _working() -> AbstractContextManager[object]:
    """Says on a terminal that it takes a while."""
    console = Console(stderr=True)
    return console.status("deleting") if console.is_terminal else nullcontext()
