"""The door for files: the body of a request is a file, and goes to disk as it comes."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from sift_server.api.access import require_scope
from sift_server.api.asgi import header, send_body
from sift_server.api.auth import grant_of
from sift_server.api.grpc_status import HTTP_STATUS, code_of
from sift_server.catalog import Scope as KeyScope
from sift_server.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
    ServerError,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from sift_server.api.asgi import Event, Receive, Scope, Send
    from sift_server.catalog import Catalog
    from sift_server.imports import ImportWorker, Upload, UploadFolder

UPLOADS_PREFIX = "/uploads/v1/"

UPLOAD_THREADS = 2
"""Threads that write files."""

WRITE_BYTES = 1024 * 1024
"""What is received is written when there is so much of it."""

FILE_NAME_CHARS_MAX = 255

DROPPED_BYTES_MAX = 256 * 1024 * 1024
"""What is received of a file that is refused, and dropped, before the connection is closed."""

DROPPING_MS_MAX = 10_000
"""How long that may take."""

_FILE_NAME = re.compile(r"filename=(?:\"([^\"]*)\"|([^;\s]*))")
_AS_IT_IS = frozenset({"", "identity", "application/octet-stream"})
"""Published clients write a type of content where encodings belong."""
_GZIP = frozenset({"gzip", "x-gzip"})


class _ClientGoneError(Exception):
    """Nobody is there any more who could be answered."""


class _SilentError(ResourceExhaustedError):
    """Nothing comes any more, so that there is nothing to wait for."""


class _Body:
    """What a caller sends."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_over = False

    async def receive(self) -> Event:
        """Receive some more."""
        event = await self._receive()
        self._is_over = not event.get("more_body", False)
        return event

    async def drop_rest(self) -> None:
        """Receive and drop what comes, within limits: many callers read no answer before."""
        dropped = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DROPPING_MS_MAX / 1_000):
                while not self._is_over and dropped <= DROPPED_BYTES_MAX:
                    dropped += len((await self.receive()).get("body", b""))


class UploadDoor:
    """The ASGI app of the door. For one event loop."""

    def __init__(
        self, catalog: Catalog, uploads: UploadFolder, worker: ImportWorker, threads: Executor
    ) -> None:
        """Take the catalog, where files go, who reads them, and where they are written."""
        self._imports = catalog.data_imports
        self._uploads = uploads
        self._worker = worker
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a file."""
        file = _Body(receive)
        try:
            job_id, data_import_id = await self._take(scope, file.receive)
        except _ClientGoneError:
            return
        except ServerError as error:
            if not isinstance(error, _SilentError):
                await file.drop_rest()
            code = code_of(error)
            body = json.dumps({"code": int(code), "message": str(error)}).encode()
            await send_body(send, HTTP_STATUS[code], "application/json", body)
            return
        body = json.dumps({"jobId": job_id, "dataImportId": data_import_id}).encode()
        await send_body(send, 200, "application/json", body)

    async def _take(self, scope: Scope, receive: Receive) -> tuple[str, str]:
        if scope["method"] not in ("POST", "PUT"):
            raise InvalidArgumentError(
                f"{scope['path']} takes a file as the body of a POST, not a {scope['method']}"
            )
        require_scope(grant_of(scope), KeyScope.WRITE, "sending a file")
        encoding = header(scope, b"content-encoding").lower()
        if encoding not in _AS_IT_IS | _GZIP:
            raise InvalidArgumentError(
                f"the content-encoding {encoding!r} is not known; send the file as it is, or gzip"
            )
        limit = self._uploads.limits.upload_bytes_max
        length = header(scope, b"content-length")
        if length.isdecimal() and int(length) > limit:
            raise ResourceExhaustedError(
                f"the file has {int(length):,} bytes, and upload_bytes_max = {limit:,}; import it"
                " in parts"
            )
        data_import_id = scope["path"].removeprefix(UPLOADS_PREFIX)
        loop = asyncio.get_running_loop()
        # An id that is known is a name that this server made: no path.
        known = await loop.run_in_executor(self._threads, self._imports.get, data_import_id)
        if known.source_url:
            raise FailedPreconditionError(
                f"the file of the data import {data_import_id!r} is fetched from a URL"
            )
        upload = await loop.run_in_executor(
            self._threads,
            lambda: self._uploads.begin(known.data_import_id, is_gzip=encoding in _GZIP),
        )
        try:
            await self._receive(receive, upload)
            job_id = await loop.run_in_executor(
                self._threads, self._finish, upload, data_import_id, _file_name(scope)
            )
        finally:
            await loop.run_in_executor(self._threads, upload.__exit__)
        self._worker.wake()
        return job_id, data_import_id

    async def _receive(self, receive: Receive, upload: Upload) -> None:
        loop = asyncio.get_running_loop()
        silence_ms = self._uploads.limits.silence_ms_max
        waiting: list[bytes] = []
        size = 0
        is_done = False
        while not is_done:
            try:
                event = await asyncio.wait_for(receive(), silence_ms / 1_000)
            except TimeoutError:
                raise _SilentError(
                    f"nothing of the file came for silence_ms_max = {silence_ms:,} ms; nothing"
                    " of it is kept. Send it again"
                ) from None
            if event["type"] == "http.disconnect":
                raise _ClientGoneError
            body = event.get("body", b"")
            waiting.append(body)
            size += len(body)
            is_done = not event.get("more_body", False)
            if size >= WRITE_BYTES or (is_done and size):
                await loop.run_in_executor(self._threads, upload.write, b"".join(waiting))
                waiting.clear()
                size = 0

    def _finish(self, upload: Upload, data_import_id: str, file_name: str) -> str:
        """Keep the file, and return the id of its job."""
        digest = upload.digest()
        known = self._imports.get(data_import_id)
        if known.job_id:
            # The same file again is from a client that did not hear the answer.
            if known.file_digest == digest:
                return known.job_id
            raise AlreadyExistsError(
                f"the data import {data_import_id!r} has another file; create another data import"
                " for this one"
            )
        upload.keep()
        try:
            return self._imports.receive(data_import_id, file_name, digest).job_id
        except BaseException:
            upload.discard()
            raise


def _file_name(scope: Scope) -> str:
    """What the client calls the file: the last part of it, for messages only."""
    found = _FILE_NAME.search(header(scope, b"content-disposition"))
    if found is None:
        return ""
    name = (found[1] or found[2] or "").encode("latin-1", "replace").decode("utf-8", "replace")
    name = re.split(r"[/\\]", name)[-1]
    return "".join(one for one in name if one.isprintable())[:FILE_NAME_CHARS_MAX]
