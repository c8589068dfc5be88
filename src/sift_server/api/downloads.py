"""The door of exported files: `GET /exports/v1/{ticket}/{name}`, without a key.

Whoever has the URL may fetch the file: so a ticket can't be guessed, and is good for a while only.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from sift_server.api.asgi import send_body
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from typing import BinaryIO

    from sift_server.api.asgi import Receive, Scope, Send
    from sift_server.catalog import Catalog
    from sift_server.exports import ExportFolder, Tickets

DOWNLOADS_PREFIX = "/exports/v1/"
DOWNLOAD_THREADS = 2
"""Threads that read files."""
CHUNK_BYTES = 256 * 1024

_GONE = b"There is nothing here, or not any more. GetDownloadUrl gives a new URL.\n"
_TYPES = {
    ".csv": b"text/csv; charset=utf-8",
    ".parquet": b"application/vnd.apache.parquet",
    ".zip": b"application/zip",
}


class DownloadDoor:
    """The ASGI app of the door. For one event loop."""

    def __init__(
        self, catalog: Catalog, folder: ExportFolder, tickets: Tickets, threads: Executor
    ) -> None:
        self._exports = catalog.data_exports
        self._folder = folder
        self._tickets = tickets
        self._threads = threads
        self._under_way = 0

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Give a file."""
        if scope["method"] not in ("GET", "HEAD"):
            await send_body(send, 405, "text/plain", b"Files are fetched with GET.\n")
            return
        if self._under_way >= self._folder.limits.downloads_max:
            message = (
                f"downloads_max = {self._folder.limits.downloads_max} files are being fetched,"
                " which is the limit; try again when one is done\n"
            )
            await send_body(send, 429, "text/plain", message.encode())
            return
        self._under_way += 1
        try:
            await self._give(scope, send)
        finally:
            self._under_way -= 1

    async def _give(self, scope: Scope, send: Send) -> None:
        loop = asyncio.get_running_loop()
        ticket = scope["path"].removeprefix(DOWNLOADS_PREFIX).partition("/")[0]
        try:
            file, name, size = await loop.run_in_executor(self._threads, self._opened, ticket)
        except (FileNotFoundError, NotFoundError):
            await send_body(send, 404, "text/plain", _GONE)
            return
        try:
            suffix = f".{name.rpartition('.')[2]}"
            disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
            headers = [
                (b"content-type", _TYPES.get(suffix, b"application/octet-stream")),
                (b"content-length", str(size).encode()),
                (b"content-disposition", disposition.encode()),
                (b"cache-control", b"no-store"),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            missing = size if scope["method"] == "GET" else 0
            while missing:
                chunk = await loop.run_in_executor(
                    self._threads, file.read, min(CHUNK_BYTES, missing)
                )
                missing -= len(chunk)
                if not chunk:
                    break
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await loop.run_in_executor(self._threads, file.close)

    def _opened(self, ticket: str) -> tuple[BinaryIO, str, int]:
        """The file of a ticket, its name and size. It can be read to its end once it is open."""
        job_id = self._tickets.job_of(ticket)
        if job_id is None:
            raise FileNotFoundError
        name = self._exports.get(job_id).file_name
        file = self._folder.path_of(job_id).open("rb")
        size = file.seek(0, 2)
        file.seek(0)
        return file, name, size
