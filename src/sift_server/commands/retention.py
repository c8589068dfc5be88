"""`sift retention`: says how long the points of assets are kept."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sift.server.v1 import retention_pb2
from sift.server.v1.retention_pb2_grpc import RetentionServiceStub
from sift_server.commands.connection import (
    DEFAULT_DATA_DIR,
    WRONG_USE,
    DataDir,
    Uri,
    connected,
    end,
)
from sift_server.commands.selection import asset_of
from sift_server.commands.sizes import bytes_of
from sift_server.commands.text import shown, table
from sift_server.doctor.findings import sized

if TYPE_CHECKING:
    from sift.server.v1.retention_pb2 import RetentionPolicy

_COMMAND = "sift retention"
_AGE = re.compile(r"([1-9]\d{0,6})([hdw])")
_SECONDS = {"h": 3_600, "d": 86_400, "w": 7 * 86_400}

app = typer.Typer(
    help="Say how long, and how much of, the points of assets are kept. A server deletes what is"
    " beyond it, a minute later at the most.",
    no_args_is_help=True,
)

_Asset = Annotated[str, typer.Option(help="The asset.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("set", epilog="Example:  sift retention set --asset rover --age 30d --size 20GiB")
def set_(
    asset: _Asset,
    age: Annotated[
        str,
        typer.Option(metavar="30d", help="Keep points for so many h, d or w; for ever without."),
    ] = "",
    size: Annotated[
        str, typer.Option(metavar="20GiB", help="Keep so much on disk, the newest; all without.")
    ] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    as_json: _Json = False,
) -> None:
    """Give an asset a policy, instead of the one that it may have."""
    request = retention_pb2.SetRetentionPolicyRequest(
        age_seconds=_seconds(age), size_bytes=_bytes(size)
    )
    with connected(_COMMAND, data_dir, uri) as server:
        request.asset_id = asset_of(server, _COMMAND, asset).asset_id
        policy = _stub(server).SetRetentionPolicy(request).retention_policy
    if as_json:
        typer.echo(json.dumps(_document(policy)))
        return
    typer.echo(f"of {policy.asset_name} is kept: {_kept(policy)}")


@app.command("list", epilog="Example:  sift retention list --json")
def list_(data_dir: DataDir = DEFAULT_DATA_DIR, uri: Uri = "", as_json: _Json = False) -> None:
    """List the policies. Assets that have none are kept whole."""
    request = retention_pb2.ListRetentionPoliciesRequest()
    with connected(_COMMAND, data_dir, uri) as server:
        policies = _stub(server).ListRetentionPolicies(request).retention_policies
    if as_json:
        typer.echo(json.dumps([_document(policy) for policy in policies]))
        return
    rows = [
        (shown(policy.asset_name), _age(policy) or "-", _size(policy) or "-") for policy in policies
    ]
    for line in table(("ASSET", "AGE", "SIZE"), rows):
        typer.echo(line)


@app.command(epilog="Example:  sift retention remove --asset rover")
def remove(
    asset: _Asset, data_dir: DataDir = DEFAULT_DATA_DIR, uri: Uri = "", as_json: _Json = False
) -> None:
    """Keep all of an asset again."""
    with connected(_COMMAND, data_dir, uri) as server:
        asset_id = asset_of(server, _COMMAND, asset).asset_id
        _stub(server).RemoveRetentionPolicy(
            retention_pb2.RemoveRetentionPolicyRequest(asset_id=asset_id)
        )
    typer.echo(json.dumps({"asset": asset}) if as_json else f"of {asset} all is kept")


def _stub(server: Any) -> Any:  # noqa: ANN401 (its types want a channel of the library)
    return RetentionServiceStub(server)


def _seconds(age: str) -> int:
    if not age:
        return 0
    match = _AGE.fullmatch(age)
    if match is None:
        end(_COMMAND, f"--age takes a number and h, d or w, such as 30d, not {age!r}", WRONG_USE)
    return int(match[1]) * _SECONDS[match[2]]


def _bytes(size: str) -> int:
    if not size:
        return 0
    found = bytes_of(size)
    if not found:
        end(
            _COMMAND,
            f"--size takes a number and a unit of bytes, such as 512MiB or 20GiB, not {size!r}",
            WRONG_USE,
        )
    return found


def _kept(policy: RetentionPolicy) -> str:
    age, size = _age(policy), _size(policy)
    return " and ".join(
        filter(None, (age and f"what is younger than {age}", size and f"the newest {size}"))
    )


def _age(policy: RetentionPolicy) -> str:
    if not policy.age_seconds:
        return ""
    unit = "d" if policy.age_seconds % _SECONDS["d"] == 0 else "h"
    return f"{policy.age_seconds / _SECONDS[unit]:g}{unit}"


def _size(policy: RetentionPolicy) -> str:
    return sized(policy.size_bytes) if policy.size_bytes else ""


def _document(policy: RetentionPolicy) -> dict[str, Any]:
    return {
        "asset": policy.asset_name,
        "asset_id": policy.asset_id,
        "age_s": policy.age_seconds or None,
        "size_bytes": policy.size_bytes or None,
    }
