"""What all upload services do: create an import, and send its file."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from sift_py._internal.rest_client import RestClient, chunks_of
from sift_py.data_import.status import DataImportService
from sift_py.errors import DataImportConfigError, DataImportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sift_py.rest import SiftRestConfig

CHUNK_BYTES = 1024 * 1024

_QUIET_S = 1.0
"""What is sent faster shows nothing."""
_EVERY_S = 0.2


class Uploads:
    """Creates imports by REST, and sends their files."""

    UPLOAD_PATH = "/api/v1/data-imports:upload"
    URL_PATH = "/api/v1/data-imports:url"

    def __init__(self, rest_conf: SiftRestConfig) -> None:
        """Take where the server is, and the key.

        Raises:
            KeyError: `uri` or `apikey` is missing.
            ChannelUriError: The URI makes no sense.
        """
        self._rest_conf = rest_conf
        self._rest = RestClient(rest_conf)

    def _upload_file(
        self, path: str | Path, config: dict[str, Any], *, show_progress: bool
    ) -> DataImportService:
        """Create an import, and send the file at a path."""
        file = Path(path)
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        size = file.stat().st_size

        def chunks() -> Iterator[bytes]:
            with _Progress(file.name, size, shows=show_progress) as progress:
                for chunk in chunks_of(file, CHUNK_BYTES):
                    yield chunk
                    progress.add(len(chunk))

        return self._upload_chunks(chunks, config, file.name)

    def _upload_chunks(
        self,
        chunks: Callable[[], Iterator[bytes]],
        config: dict[str, Any],
        file_name: str = "",
        *,
        is_gzip: bool = False,
    ) -> DataImportService:
        created = self._rest.call("POST", self.UPLOAD_PATH, config)
        try:
            url, data_import_id = created["uploadUrl"], created["dataImportId"]
        except KeyError as error:
            raise DataImportError.unreadable(f"the answer has no {error}") from None
        self._rest.send_file(url, chunks, file_name, is_gzip=is_gzip)
        return DataImportService(self._rest_conf, data_import_id)

    def _from_url(self, url: str, config: dict[str, Any]) -> DataImportService:
        scheme = urlsplit(url).scheme
        if scheme not in ("http", "https", "s3"):
            raise DataImportConfigError(
                f"the URL {url!r} is of the scheme {scheme!r}; servers fetch files from http, https"
                " or s3"
            )
        created = self._rest.call("POST", self.URL_PATH, {"url": url, **config})
        try:
            return DataImportService(self._rest_conf, created["dataImportId"])
        except KeyError as error:
            raise DataImportError.unreadable(f"the answer has no {error}") from None


class _Progress:
    """How much was sent, on the last line of a terminal."""

    def __init__(self, name: str, size: int, *, shows: bool) -> None:
        self._name, self._size = name, size
        self._shows = shows and sys.stderr.isatty()
        self._due_s = time.monotonic() + _QUIET_S
        self._sent = 0
        self._is_shown = False

    def add(self, count: int) -> None:
        self._sent += count
        now_s = time.monotonic()
        if self._shows and now_s >= self._due_s:
            self._due_s = now_s + _EVERY_S
            self._show()

    def _show(self) -> None:
        self._is_shown = True
        percent = 100 * self._sent // max(self._size, 1)
        sys.stderr.write(
            f"\r{self._name}: sent {self._sent:,} of {self._size:,} bytes, {percent} %"
        )
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            self._show()
            sys.stderr.write("\n")
