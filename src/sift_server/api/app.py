"""One ASGI app for everything that comes in at the port."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sift_server.api.asgi import header, send_body
from sift_server.api.auth import requires_key
from sift_server.api.connect import ConnectApplication
from sift_server.api.refusal import answers_failures
from sift_server.api.registry import Registry
from sift_server.api.rest import RestApplication

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from sift_server.api.asgi import ASGIApp, Receive, Scope, Send

HTTP_VERSION_NOT_SUPPORTED = 505
INGEST_PATH = "/sift.ingest.v1.IngestService/IngestWithConfigDataStream"


def build_app(
    services: Sequence[object],
    threads: Executor,
    api_key: str,
    ingest: ASGIApp,
    is_ready: Callable[[], bool],
) -> ASGIApp:
    """Put the doors together.

    Args:
        services: Service objects, see `sift_server.api.services`.
        threads: Where their methods run.
        api_key: What callers must send.
        ingest: Handler of the ingest stream.
        is_ready: Whether calls can be answered, for `/readyz`.
    """
    registry = Registry(services, threads)
    connect: ASGIApp = ConnectApplication(registry)
    rest = RestApplication(registry)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        content_type = header(scope, b"content-type")
        is_grpc = content_type.partition("+")[0].strip() == "application/grpc"
        if is_grpc and scope["http_version"] != "2":
            # There is no way to answer: gRPC's status is in trailers.
            message = b"gRPC needs HTTP/2. Connect, JSON and REST calls may use HTTP/1.1.\n"
            await send_body(send, HTTP_VERSION_NOT_SUPPORTED, "text/plain", message)
        elif path == INGEST_PATH and is_grpc:
            await ingest(scope, receive, send)
        elif path.startswith("/api/"):
            await rest(scope, receive, send)
        else:
            await connect(scope, receive, send)

    with_key = requires_key(answers_failures(dispatch), api_key)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"], scope.get("path"):
            case "http", "/healthz":
                await _send_health(send, ok=True)
            case "http", "/readyz":
                await _send_health(send, ok=is_ready())
            case "http", _:
                await with_key(scope, receive, send)
            case other, _:
                raise NotImplementedError(f"this server does not speak {other}")

    return app


async def _send_health(send: Send, *, ok: bool) -> None:
    body = json.dumps({"status": "ok" if ok else "not ready"}).encode()
    await send_body(send, 200 if ok else 503, "application/json", body)
