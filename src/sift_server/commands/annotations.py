"""`sift annotations`: what rules and people marked."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sift.annotations.v1.annotations_pb2 import ListAnnotationsRequest
from sift.annotations.v1.annotations_pb2_grpc import AnnotationServiceStub
from sift_py._internal.lists import paged
from sift_server.commands.annotation_output import (
    Names,
    annotation_document,
    annotation_lines,
    event_line,
)
from sift_server.commands.connection import (
    DEFAULT_DATA_DIR,
    DataDir,
    ServedDir,
    Uri,
    connected,
)
from sift_server.commands.selection import annotation_filter
from sift_server.commands.text import rfc_3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift.annotations.v1.annotations_pb2 import Annotation
    from sift_py.grpc.transport import SiftChannel

POLL_INTERVAL_S = 0.25
"""How often `tail` asks for news."""

OVERLAP_NS = 2_000_000_000
"""How far `tail` looks back at every turn: what was written last need not have the latest date."""

_COMMAND = "sift annotations"

app = typer.Typer(
    help="List annotations, and watch them come: what rules found, and what people marked.",
    epilog="Exit status: 0 if all went well, 1 if not, 2 for a wrong option or filter.",
    no_args_is_help=True,
)

_Assets = Annotated[
    list[str] | None, typer.Option("--asset", metavar="NAME", help="Of this asset; repeatable.")
]
_Run = Annotated[str, typer.Option(metavar="RUN", help="Of this run: its name, id or client key.")]
_Rules = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="NAME", help="Made by rules of this name; repeatable."),
]
_Filter = Annotated[
    str,
    typer.Option(
        metavar="CEL",
        help="Which annotations: by name, pending, start_time, tag_name, assignee and others.",
    ),
]


class ReviewState(StrEnum):
    """How far the review of an annotation is."""

    OPEN = "open"
    FLAGGED = "flagged"
    RESOLVED = "resolved"


class _Event(StrEnum):
    BEGAN = "began"
    ENDED = "ended"
    CHANGED = "changed"


@app.command(
    "list",
    epilog="Example:  sift annotations list --asset rover --state open"
    " --filter 'tag_name == \"motor\"'",
)
def list_(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    asset: _Assets = None,
    run: _Run = "",
    rule: _Rules = None,
    state: Annotated[
        ReviewState | None, typer.Option(help="Only those to review that are in this state.")
    ] = None,
    filter: _Filter = "",  # noqa: A002 (the option's name)
    order_by: Annotated[
        str, typer.Option(help="Fields of the filter, each with asc or desc, comma separated.")
    ] = "start_time",
    limit: Annotated[int, typer.Option(min=1, help="How many annotations, at most.")] = 1_000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, with all that is known.")
    ] = False,
) -> None:
    """List annotations, the earliest first. Times are in UTC."""
    with connected(f"{_COMMAND} list", data_dir, uri) as channel:
        parts = [f"({filter})"] if filter else []
        if state is not None:
            parts.append(f"state == 'ANNOTATION_STATE_{state.name}'")
        more = " && ".join(parts)
        wanted = annotation_filter(channel, f"{_COMMAND} list", asset or [], run, rule or [], more)
        found, has_more = _first(channel, wanted, order_by, limit)
        names = Names(channel)
        names.load(found)
    if as_json:
        for one in found:
            typer.echo(json.dumps(annotation_document(one, names)))
    elif found:
        for line in annotation_lines(found, names):
            typer.echo(line)
    else:
        typer.echo("There are no such annotations.", err=True)
    if has_more:
        typer.echo(f"There are more than {limit:,}: see --limit and --filter.", err=True)


@app.command(epilog="Example:  sift annotations tail --asset rover")
def tail(
    data_dir: ServedDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    asset: _Assets = None,
    run: _Run = "",
    rule: _Rules = None,
    filter: _Filter = "",  # noqa: A002 (the option's name)
    last: Annotated[
        int, typer.Option(min=0, help="How many of those that are there to begin with.")
    ] = 10,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop after so many seconds, not at Ctrl-C.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Print a line whenever an annotation begins, ends, or is changed by somebody.

    The folder has to be served: what goes on is told by its server.
    """
    command = f"{_COMMAND} tail"
    with connected(command, data_dir, uri, must_be_served=True) as channel:
        wanted = annotation_filter(channel, command, asset or [], run, rule or [], filter)
        due_s = None if seconds is None else time.monotonic() + seconds
        names = Names(channel)
        for event, one in _events(channel, wanted, last, due_s):
            names.load([one])
            if as_json:
                typer.echo(json.dumps({"event": event, **annotation_document(one, names)}))
            else:
                typer.echo(event_line(event, one, names))


def _first(
    channel: SiftChannel, wanted: str, order_by: str, limit: int
) -> tuple[list[Annotation], bool]:
    """The first annotations, and whether there are more."""
    stub: Any = AnnotationServiceStub(channel)
    request = ListAnnotationsRequest(filter=wanted, order_by=order_by)
    found: list[Annotation] = []
    for one in paged(stub.ListAnnotations, request, "annotations"):
        if len(found) == limit:
            return found, True
        found.append(one)
    return found, False


def _events(
    channel: SiftChannel, wanted: str, last: int, due_s: float | None
) -> Iterator[tuple[_Event, Annotation]]:
    """What happens to annotations, from the last ones on."""
    stub: Any = AnnotationServiceStub(channel)
    newest, _ = _first(channel, wanted, "modified_date desc", max(last, 1))
    began_ns = since_ns = max((one.modified_date.ToNanoseconds() for one in newest), default=0)
    known = {one.annotation_id: _shape(one) for one in newest}
    for one in reversed(newest[:last]):
        yield (_Event.BEGAN if one.pending else _Event.ENDED), one
    while due_s is None or time.monotonic() < due_s:
        time.sleep(POLL_INTERVAL_S)
        # What is written at once has one date, and is there as a whole.
        from_ns = max(began_ns, since_ns - OVERLAP_NS)
        newer = f'modified_date > timestamp("{rfc_3339(from_ns)}")'
        request = ListAnnotationsRequest(
            filter=f"({wanted}) && {newer}" if wanted else newer, order_by="modified_date"
        )
        for one in paged(stub.ListAnnotations, request, "annotations"):
            since_ns = max(since_ns, one.modified_date.ToNanoseconds())
            before, now = known.get(one.annotation_id), _shape(one)
            known[one.annotation_id] = now
            if before is None:
                yield _Event.BEGAN, one
            if not one.pending and (before is None or before[0]):
                yield _Event.ENDED, one
            elif before is not None and before[1:] != now[1:]:
                yield _Event.CHANGED, one


def _shape(one: Annotation) -> tuple[bool, int, int, int]:
    """What is worth a line if it is another one: the end of one that goes on is not."""
    end_ns = 0 if one.pending else one.end_time.ToNanoseconds()
    return one.pending, one.start_time.ToNanoseconds(), end_ns, one.state
