"""How commands reach a server: by its address, or by the folder that it keeps its data in."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import grpc
import typer

from sift_py.errors import EmbeddedServerError, SiftError
from sift_py.grpc.transport import use_sift_channel
from sift_server.api_key import ENVIRONMENT_VARIABLE
from sift_server.data_dir import DataDirectoryInUseError, api_key_path, held, served_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_py.grpc.transport import SiftChannel

FAILED = 1
"""Exit status of what did not work."""

WRONG_USE = 2
"""Exit status of a wrong option or filter."""

INTERRUPTED = 130
"""Exit status of a program that Ctrl-C ended, as shells have it."""

READY_TIMEOUT_S = 30
"""How long to wait for a server that is starting on the folder."""

DEFAULT_DATA_DIR = Path("telemetry")

DataDir = Annotated[
    Path, typer.Option(help="Folder of a server. It may be served meanwhile, or not.")
]
ServedDir = Annotated[Path, typer.Option(help="Folder of a server that is running.")]
Uri = Annotated[
    str,
    typer.Option(
        "--uri",
        envvar="SIFT_URI",
        help="Server to ask instead, such as http://HOST:50051; SIFT_API_KEY has the key.",
    ),
]


@contextmanager
def connected(
    command: str,
    data_dir: Path,
    uri: str,
    *,
    must_be_served: bool = False,
    may_be_made: bool = False,
) -> Iterator[SiftChannel]:
    """A channel to a server; what goes wrong ends the command, in words.

    Args:
        command: What to call it in messages.
        data_dir: The folder, if there is no URI.
        uri: The server, or empty.
        must_be_served: Whether to refuse a folder that nobody serves, not serve it meanwhile.
        may_be_made: Whether to make the folder if there is none.
    """
    try:
        with _channel(command, data_dir, uri, must_be_served, may_be_made) as channel:
            yield channel
    except grpc.RpcError as error:
        end(command, *_words(error, uri or str(data_dir)))
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except (SiftError, OSError) as error:
        end(command, str(error), FAILED)


def end(command: str, words: str, status: int) -> NoReturn:
    """End a command."""
    typer.echo(f"{command}: {words}", err=True)
    raise typer.Exit(status) from None


def _channel(
    command: str, data_dir: Path, uri: str, must_be_served: bool, may_be_made: bool
) -> SiftChannel:
    if uri:
        if uri.startswith("embedded:"):
            return use_sift_channel({"uri": uri})
        key = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
        if not key:
            end(command, f"set {ENVIRONMENT_VARIABLE} to a key of {uri}", WRONG_USE)
        return use_sift_channel({"uri": uri, "apikey": key})
    if may_be_made and not data_dir.exists():
        return use_sift_channel({"uri": f"embedded:{data_dir}"})
    if not (data_dir / "format").is_file():
        end(
            command,
            f"{data_dir} is not the folder of a server; name it with --data-dir, or a server with"
            " --uri",
            FAILED,
        )
    try:
        if not must_be_served:
            return use_sift_channel({"uri": f"embedded:{data_dir}"})
        with held(data_dir):
            end(
                command,
                f"nobody serves {data_dir}, so that nothing goes on there; start"
                f" `sift serve --data-dir {data_dir}`, or name a server with --uri",
                FAILED,
            )
    except DataDirectoryInUseError as in_use:
        uri = _served_uri(in_use, data_dir)
    except EmbeddedServerError as error:
        if not isinstance(error.__cause__, DataDirectoryInUseError):
            raise
        uri = _served_uri(error.__cause__, data_dir)
    return use_sift_channel({"uri": uri, "apikey": _key_of(command, data_dir)})


def _served_uri(in_use: DataDirectoryInUseError, data_dir: Path) -> str:
    """URI of the server of a folder, which may be starting."""
    due_s = time.monotonic() + READY_TIMEOUT_S
    while (uri := served_uri(data_dir)) is None:
        if time.monotonic() > due_s:
            raise EmbeddedServerError(str(in_use)) from None
        time.sleep(0.05)
    return uri


def _key_of(command: str, data_dir: Path) -> str:
    key = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if key:
        return key
    try:
        return api_key_path(data_dir).read_text(encoding="utf-8").strip()
    except OSError as error:
        end(
            command,
            f"the API key of {data_dir} can't be read: {error.strerror}; set"
            f" {ENVIRONMENT_VARIABLE}",
            FAILED,
        )


def _words(error: grpc.RpcError, where: str) -> tuple[str, int]:
    """What a call failed with, and the exit status."""
    code, details = error.code(), error.details() or error.code().name
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            return details, WRONG_USE
        case grpc.StatusCode.UNAVAILABLE:
            return f"{where} does not answer: {details}", FAILED
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return f"{details} ({ENVIRONMENT_VARIABLE} is the key that is sent)", FAILED
        case _:
            return details, FAILED
