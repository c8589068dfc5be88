"""`sift keys`: makes, lists and revokes the API keys of a folder, served or not."""

from __future__ import annotations

import json
import re
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sift_server.catalog import Catalog, CatalogSchemaError, Scope
from sift_server.data_dir import (
    DataDirectory,
    DataDirectoryError,
    DataDirectoryInUseError,
    catalog_path,
)
from sift_server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_server.catalog import ApiKey, ApiKeys

_NS_PER_S = 1_000_000_000
_LIFETIME = re.compile(r"([1-9]\d{0,5})([mhdw])")
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}

app = typer.Typer(
    help="Make, list and revoke the API keys of a data folder. A server that serves it follows"
    " within a second.",
    no_args_is_help=True,
)

_DataDir = Annotated[Path, typer.Option(help="Folder of 'sift serve'.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_DEFAULT_DATA_DIR = Path("telemetry")
_DEFAULT_SCOPES = [Scope.READ, Scope.WRITE]


@app.command(
    epilog="Example:  KEY=$(sift keys create stand-3 --scope write --scope read --expires 30d)"
)
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What to call it: who or what will use it.")
    ],
    scope: Annotated[
        list[Scope],
        typer.Option(
            help="What it is good for; give it again for more. Programs that stream with sift_py"
            " need read and write. admin is everything."
        ),
    ] = _DEFAULT_SCOPES,
    expires: Annotated[
        str, typer.Option(metavar="30d", help="Ends after so many m, h, d or w; never if not said.")
    ] = "",
    data_dir: _DataDir = _DEFAULT_DATA_DIR,
    as_json: _Json = False,
) -> None:
    """Make a key and print it. It is shown this once: the folder keeps its hash only."""
    expires_ns = time.time_ns() + _lifetime_s(expires) * _NS_PER_S if expires else None
    with _api_keys(data_dir) as keys:
        made, key = keys.create(name, scope, expires_ns)
    if as_json:
        typer.echo(json.dumps({**_document(made), "key": key}))
        return
    typer.echo(key)
    typer.echo(
        f"This is the key {made.key_id}, {name!r}, for {_scopes(made)}. Keep it: it can't be shown"
        " again.",
        err=True,
    )


@app.command("list", epilog="Example:  sift keys list --json")
def list_(data_dir: _DataDir = _DEFAULT_DATA_DIR, as_json: _Json = False) -> None:
    """List the keys, those that ended too. The keys themselves are not there to be shown."""
    with _api_keys(data_dir) as keys:
        found = keys.all()
    if as_json:
        typer.echo(json.dumps([_document(key) for key in found]))
        return
    table = Table("id", "name", "scopes", "made", "expires", "state", box=None, pad_edge=False)
    for key in found:
        document = _document(key)
        cells = (
            key.key_id,
            key.name,
            _scopes(key),
            document["created"],
            document["expires"] or "never",
            document["state"],
        )
        table.add_row(*map(Text, cells))
    Console().print(table)


@app.command(epilog="Example:  sift keys revoke stand-3")
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID_OR_NAME", help="As 'sift keys list' has it.")],
    data_dir: _DataDir = _DEFAULT_DATA_DIR,
) -> None:
    """End a key: calls with it are refused, and streams that are open end with their next chunk."""
    with _api_keys(data_dir) as keys:
        revoked = keys.revoke(key)
    typer.echo(f"revoked {revoked.key_id}, {revoked.name!r}", err=True)


@contextmanager
def _api_keys(data_dir: Path) -> Iterator[ApiKeys]:
    """The keys of a folder; what goes wrong is told, and ends the command."""
    path = catalog_path(data_dir)
    if not path.is_file():
        _fail(f"{data_dir} is no data folder; 'sift serve --data-dir {data_dir}' makes one")
    try:
        with ExitStack() as opened:
            try:
                opened.enter_context(DataDirectory.open(data_dir))
            except DataDirectoryInUseError:
                is_served = True
            else:
                is_served = False
            catalog = opened.enter_context(Catalog.open(path, upgrades=not is_served))
            yield catalog.api_keys
    except (ServerError, CatalogSchemaError, DataDirectoryError, OSError) as error:
        _fail(str(error))


def _fail(message: str) -> None:
    typer.echo(f"sift keys: {message}", err=True)
    raise typer.Exit(1)


def _lifetime_s(text: str) -> int:
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise typer.BadParameter(
            f"--expires takes a number and m, h, d or w, such as 30d, not {text!r}"
        )
    return int(match[1]) * _SECONDS[match[2]]


def _scopes(key: ApiKey) -> str:
    return " ".join(sorted(scope.value for scope in key.scopes))


def _document(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "name": key.name,
        "scopes": sorted(scope.value for scope in key.scopes),
        "created": _moment(key.created_ns),
        "expires": _moment(key.expires_ns),
        "revoked": _moment(key.revoked_ns),
        "state": key.end(time.time_ns()).removeprefix("was ") or "good",
    }


def _moment(time_ns: int | None) -> str | None:
    if time_ns is None:
        return None
    return datetime.fromtimestamp(time_ns // _NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
