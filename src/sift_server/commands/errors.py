"""`sift errors`: reads what a server could not take, of a folder that is served or not."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy.exc import DatabaseError

from sift_server.catalog import Catalog, CatalogSchemaError, ListRequest
from sift_server.commands.error_output import (
    count_document,
    count_lines,
    detail_lines,
    entry_document,
    entry_lines,
    hex_lines,
    message_document,
    totals_document,
    totals_lines,
)
from sift_server.data_dir import catalog_path
from sift_server.errors import InvalidArgumentError, ServerError
from sift_wire.messages import frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sift_server.catalog import ErrorQueue, RejectedEntry

FOUND = 3
"""Exit status of `--check` when there are rejected messages."""

_FAILED = 1
_WRONG_USE = 2
_PAGE_SIZE = 1_000
_ID = re.compile(r"([0-9]{1,18})/([0-9]{1,18})")

app = typer.Typer(
    help="Read the messages that did not fit their flow: count them, list them, show or export"
    " their bytes. The folder may be served meanwhile; nothing in it is changed.",
    epilog="Exit status: 0 if all went well, 1 if not, 2 for a wrong option or filter.",
    no_args_is_help=True,
)

_DataDir = Annotated[Path, typer.Option(help="Folder of 'sift serve'.")]
_Filter = Annotated[
    str,
    typer.Option(
        metavar="CEL",
        help="Which messages: by asset_name, flow_name, channel_name, cause, reason,"
        " ingestion_config_id, received_date, message_date, position.",
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_DEFAULT_DATA_DIR = Path("telemetry")


@app.command(
    epilog="Example:  sift errors count --data-dir ./telemetry --filter 'asset_name == \"rover\"'"
)
def count(
    data_dir: _DataDir = _DEFAULT_DATA_DIR,
    filter: _Filter = "",  # noqa: A002 (the option's name)
    as_json: _Json = False,
    check: Annotated[
        bool,
        typer.Option("--check", help=f"Exit with {FOUND} if messages were rejected, kept or not."),
    ] = False,
) -> None:
    """Count the messages by asset, flow, channel and cause, and say how many were dropped.

    The server drops the oldest messages when there are more than it has room for: see --errors-mib
    and --errors-messages of 'sift serve'. A filter applies to the counts, not to the sums below.
    """
    with _error_queue(data_dir) as queue:
        found = queue.counts(filter)
        totals = queue.totals()
    if as_json:
        document = {
            "counts": [count_document(one) for one in found.counts],
            "has_more": found.has_more,
            **totals_document(totals),
        }
        typer.echo(json.dumps(document))
    else:
        if found.counts:
            _print(count_lines(found.counts))
            typer.echo("    ... and others, of fewer messages\n" if found.has_more else "")
        _print(totals_lines(totals))
    if check and (found.counts or (not filter and totals.dropped_messages)):
        raise typer.Exit(FOUND)


@app.command("list", epilog="Example:  sift errors list --filter 'cause == \"wrong type\"' --json")
def list_(
    data_dir: _DataDir = _DEFAULT_DATA_DIR,
    filter: _Filter = "",  # noqa: A002 (the option's name)
    order_by: Annotated[
        str, typer.Option(help="Fields of the filter, each with asc or desc, comma separated.")
    ] = "position desc",
    limit: Annotated[int, typer.Option(min=1, help="How many messages, at most.")] = 50,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, with the bytes in base 64.")
    ] = False,
) -> None:
    """List messages, the newest first."""
    with _error_queue(data_dir) as queue:
        entries = _entries(queue, filter, order_by)
        if as_json:
            _print(json.dumps(entry_document(entry)) for entry in islice(entries, limit))
            return
        listed = list(islice(entries, limit))
        has_more = next(entries, None) is not None
    if listed:
        _print(entry_lines(listed))
    if has_more:
        typer.echo(f"There are more than {limit:,}: see --limit and --filter.", err=True)


@app.command(epilog="Example:  sift errors show 1042/0 --hex")
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="As 'sift errors list' has it.")],  # noqa: A002
    data_dir: _DataDir = _DEFAULT_DATA_DIR,
    as_json: _Json = False,
    as_hex: Annotated[bool, typer.Option("--hex", help="Print the bytes in hexadecimal.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the bytes alone, as they came.")
    ] = False,
) -> None:
    """Show a message: why it was rejected, and what it says.

    What it says is printed as JSON, or in hexadecimal if it can't be read.
    """
    if as_json + as_hex + raw > 1:
        raise typer.BadParameter("--json, --hex and --raw exclude each other: give one of them")
    found = _ID.fullmatch(id)
    if found is None:
        raise typer.BadParameter(
            f"{id!r} is not POSITION/INDEX, such as 1042/0; 'sift errors list' has them"
        )
    with _error_queue(data_dir) as queue:
        entry = queue.get(int(found[1]), int(found[2]))
    content = message_document(entry.message)
    if raw:
        sys.stdout.buffer.write(entry.message)
        sys.stdout.buffer.flush()
    elif as_json:
        typer.echo(json.dumps({**entry_document(entry), "message": content}))
    else:
        _print(detail_lines(entry))
        typer.echo()
        if as_hex or content is None:
            _print(hex_lines(entry.message))
        else:
            typer.echo(json.dumps(content, indent=2))


@app.command(epilog="Example:  sift errors export rejected.bin --filter 'flow_name == \"motor\"'")
def export(
    file: Annotated[Path, typer.Argument(help="File to write; it must not be there yet.")],
    data_dir: _DataDir = _DEFAULT_DATA_DIR,
    filter: _Filter = "",  # noqa: A002 (the option's name)
) -> None:
    """Write the bytes of messages to a file, the oldest first.

    Each message has a zero byte and its length in front, four bytes, big-endian: what the body of
    an ingest call is made of, so that the file can be sent again once the cause is gone.
    """
    with _error_queue(data_dir) as queue:
        count = _write_frames(file, _entries(queue, filter, "position"))
    typer.echo(f"{count:,} {'message' if count == 1 else 'messages'} written to {file}")


def _write_frames(file: Path, entries: Iterable[RejectedEntry]) -> int:
    count = 0
    with file.open("xb") as written:
        try:
            for count, entry in enumerate(entries, 1):  # noqa: B007
                written.write(frame(entry.message))
        except BaseException:
            file.unlink()
            raise
    return count


def _entries(queue: ErrorQueue, filter: str, order_by: str) -> Iterator[RejectedEntry]:  # noqa: A002
    token = ""
    while True:
        page = queue.list(ListRequest(filter, order_by, _PAGE_SIZE, token))
        yield from page.items
        token = page.next_token
        if not token:
            return


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


@contextmanager
def _error_queue(data_dir: Path) -> Iterator[ErrorQueue]:
    """The error queue of a folder; what goes wrong ends the command, in words."""
    path = catalog_path(data_dir)
    if not path.is_file():
        _end(f"{data_dir} is not the folder of a server: it has no {path.name}", _FAILED)
    try:
        with Catalog.open_to_read(path) as catalog:
            yield catalog.error_queue
    except InvalidArgumentError as error:
        _end(str(error), _WRONG_USE)
    except FileExistsError as error:
        _end(f"{error.filename} is there already; name another file", _FAILED)
    except DatabaseError as error:
        _end(f"{path} can't be read: {error.orig}", _FAILED)
    except BrokenPipeError:
        raise
    except (ServerError, CatalogSchemaError, OSError) as error:
        _end(str(error), _FAILED)


def _end(words: str, status: int) -> None:
    typer.echo(f"sift errors: {words}", err=True)
    raise typer.Exit(status) from None
