"""The door for rows without a schema: `POST /api/v2/ingest`, which is no RPC of the protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sift.ingest.v1 import ingest_pb2
from sift_server.api.access import require
from sift_server.api.asgi import send_body
from sift_server.api.auth import grant_of
from sift_server.api.grpc_status import GrpcCode, code_of
from sift_server.api.refusal import send_refusal
from sift_server.api.request_body import read_body
from sift_server.errors import ResourceExhaustedError, ServerError
from sift_server.ingest.json_rows import read_rows
from sift_server.log import LogFailedError, LogFullError

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from sift_server.api.asgi import Receive, Scope, Send
    from sift_server.ingest import SchemalessIngest

JSON_INGEST_PATH = "/api/v2/ingest"

JSON_INGEST_BYTES_MAX = 8 * 1024 * 1024
"""Largest request. As objects it takes about ten times as much while it is taken."""

_METHOD = ingest_pb2.DESCRIPTOR.services_by_name["IngestService"].methods_by_name[
    "IngestWithConfigDataStream"
]
"""What a key must be good for."""


class JsonIngest:
    """An ASGI handler that answers when all rows are on disk and readable."""

    def __init__(self, schemaless: SchemalessIngest, threads: Executor) -> None:
        """Take what takes rows, and the threads on which it does."""
        self._schemaless = schemaless
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            message = f"{JSON_INGEST_PATH} takes POST, not {scope['method']}"
            await send_refusal(scope, send, GrpcCode.UNIMPLEMENTED, message)
            return
        loop = asyncio.get_running_loop()
        try:
            require(grant_of(scope), _METHOD)
            body = await read_body(
                receive,
                JSON_INGEST_BYTES_MAX,
                "JSON_INGEST_BYTES_MAX",
                "send it in parts, or stream",
            )
            durable = await loop.run_in_executor(self._threads, self._take, body)
            for one in durable:
                await asyncio.wrap_future(one)
        except (ResourceExhaustedError, LogFullError) as error:
            await send_refusal(scope, send, GrpcCode.RESOURCE_EXHAUSTED, str(error))
        except ServerError as error:
            await send_refusal(scope, send, code_of(error), str(error))
        except LogFailedError as error:
            # What failed is this server, not the data: it may be sent again.
            await send_refusal(scope, send, GrpcCode.UNAVAILABLE, str(error))
        else:
            await send_body(send, 200, "application/json", b"{}")

    def _take(self, body: bytes) -> list[Future[int]]:
        return self._schemaless.take(read_rows(body))
