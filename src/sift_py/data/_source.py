"""Where to read from: a channel, or what one can be opened from."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import grpc

from sift_py.errors import DataError, EmbeddedServerError
from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_py.grpc.transport import SiftChannel

    Source: TypeAlias = SiftChannel | SiftChannelConfig | str | os.PathLike[str]

URI_VARIABLE = "SIFT_URI"
KEY_VARIABLE = "SIFT_API_KEY"


@contextmanager
def connected(source: Source | None) -> Iterator[SiftChannel]:
    """A channel to a source; closed at the end if it was opened here.

    Args:
        source: A channel, or what `use_sift_channel` takes, or a URI (the environment variable
            `SIFT_API_KEY` has the key), or the folder of a server, which may be running or not;
            None is the URI in `SIFT_URI`.

    Raises:
        DataError: There is no source.
        ChannelUriError: It makes no sense.
        EmbeddedServerError: The folder can't be served.
    """
    if isinstance(source, grpc.Channel):
        yield source
        return
    if source is None:
        source = os.environ.get(URI_VARIABLE, "")
        if not source:
            raise DataError(
                "there is nothing to read from: pass source=, such as the folder of a server"
                f" ('./telemetry'), a URI or a channel, or set {URI_VARIABLE} and {KEY_VARIABLE}."
            )
    with _open(source) as channel:
        yield channel


def _open(source: SiftChannelConfig | str | os.PathLike[str]) -> SiftChannel:
    if isinstance(source, dict):
        return use_sift_channel(source)
    text = os.fspath(source)
    folder = Path(text).expanduser()
    if isinstance(source, os.PathLike) or folder.is_dir():
        return _open_folder(folder)
    if text.startswith("embedded:"):
        return use_sift_channel({"uri": text})
    key = os.environ.get(KEY_VARIABLE, "").strip()
    return use_sift_channel({"uri": text, "apikey": key})


def _open_folder(folder: Path) -> SiftChannel:
    """Serve a folder from here, or connect to who serves it."""
    if not (folder / "format").is_file():
        raise DataError(f"{folder} is not the folder of a server, which has a file 'format'.")
    try:
        return use_sift_channel({"uri": f"embedded:{folder}"})
    except EmbeddedServerError:
        try:
            uri = (folder / "address").read_text(encoding="utf-8").strip()
            key = os.environ.get(KEY_VARIABLE) or (folder / "api_key").read_text(encoding="utf-8")
        except OSError:
            uri = key = ""
        if not uri:
            raise
        return use_sift_channel({"uri": uri, "apikey": key.strip()})
