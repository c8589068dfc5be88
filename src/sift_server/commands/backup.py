"""`sift backup` and `sift restore`: copies of a folder, and folders of copies."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import Annotated, Any, NoReturn

import typer

from sift_server.backup import (
    BackupError,
    Manifest,
    bytes_to_copy,
    check_backup,
    make_backup,
    restore_backup,
)
from sift_server.backup.manifest import read_manifest
from sift_server.commands.progress import progress_bar
from sift_server.data_dir import DataDirectoryError
from sift_server.doctor import require_data_folder
from sift_server.doctor.findings import counted, sized
from sift_server.errors import is_disk_full

_FAILED = 1

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def backup(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of 'sift serve', served or not.")
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET", help="Folder to make; its disk is best not the one of DIR."
        ),
    ],
    since: Annotated[
        Path | None,
        typer.Option(
            metavar="BACKUP",
            help="An earlier backup on the disk of TARGET: files of the table that both have are"
            " there once, under two names. Each can be deleted without the other.",
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Copy a folder, also while a server writes to it: everything acknowledged is in the copy.

    The copy is checked, and gets its name when it is whole and on disk. What stops on the way
    leaves nothing, or a folder TARGET.partial.
    """
    try:
        require_data_folder(folder)
        with progress_bar("copying", bytes_to_copy(folder)) as advance:
            made = make_backup(folder, target, since, advance)
    except (BackupError, DataDirectoryError, OSError) as error:
        _fail("backup", error, target)
    if as_json:
        typer.echo(
            json.dumps({**_document(target, made.manifest), "shared_bytes": made.shared_bytes})
        )
        return
    shared = f", {sized(made.shared_bytes)} of them shared" if made.shared_bytes else ""
    typer.echo(f"{target}: {_words(made.manifest)}{shared}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="What 'sift backup' made.")],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder to make, which 'sift serve' can serve then."),
    ] = None,
    only_checks: Annotated[
        bool, typer.Option("--check", help="Only read the backup, every byte of it.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Make a folder of a backup, and check every byte on the way.

    The folder gets its name when it is whole and on disk. What stops on the way leaves nothing, or
    a folder DIR.partial. Never serve a restored folder beside the one that it is a copy of, under
    the same address: clients would not know which one has what.
    """
    if only_checks != (folder is None):
        raise typer.BadParameter("give a folder to make, or --check")
    try:
        with progress_bar("reading", read_manifest(source).size_bytes) as advance:
            if folder is None:
                manifest = check_backup(source, advance)
            else:
                manifest = restore_backup(source, folder, advance)
    except (BackupError, OSError) as error:
        _fail("restore", error, folder or source)
    if as_json:
        typer.echo(json.dumps(_document(folder or source, manifest)))
    else:
        typer.echo(f"{folder or source}: {_words(manifest)}, as of {manifest.made}")


def _words(manifest: Manifest) -> str:
    return (
        f"{counted(len(manifest.entries), 'file')}, {sized(manifest.size_bytes)},"
        f" {counted(manifest.points, 'point')} in the table, up to position {manifest.position}"
    )


def _document(folder: Path, manifest: Manifest) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "made": manifest.made,
        "position": manifest.position,
        "points": manifest.points,
        "files": len(manifest.entries),
        "bytes": manifest.size_bytes,
    }


def _fail(command: str, error: Exception, target: Path) -> NoReturn:
    message = str(error)
    if is_disk_full(error):
        message = f"the disk of {target} is full; nothing was left on it"
    typer.echo(f"sift {command}: {message}", err=True)
    raise typer.Exit(_FAILED) from None
