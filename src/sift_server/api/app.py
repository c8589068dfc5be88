"""One ASGI app for everything that comes in at the port."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sift_server.api.access import require
from sift_server.api.arrow import PREFIX, ArrowDoor
from sift_server.api.asgi import is_grpc, send_body
from sift_server.api.auth import Keys, grant_of, requires_key
from sift_server.api.called_at import remember_call
from sift_server.api.calls import limited
from sift_server.api.connect import ConnectApplication
from sift_server.api.grpc_status import GrpcCode
from sift_server.api.json_ingest import JSON_INGEST_PATH
from sift_server.api.refusal import answers_failures, send_refusal
from sift_server.api.registry import Registry
from sift_server.api.request_bytes import RequestBytes
from sift_server.api.rest import RestApplication
from sift_server.api.turns import Turns
from sift_server.errors import PermissionDeniedError, ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    from sift_server.api.arrow import Questions
    from sift_server.api.asgi import ASGIApp, Receive, Scope, Send

HTTP_VERSION_NOT_SUPPORTED = 505
INGEST_PATH = "/sift.ingest.v1.IngestService/IngestWithConfigDataStream"
LARGE_ANSWER_PATHS = frozenset(
    {"/sift.data.v1.DataService/GetData", "/sift.data.v2.DataService/GetData"}
)


def build_app(
    services: Sequence[object],
    threads: Executor,
    keys: Keys,
    ingest: ASGIApp,
    json_ingest: ASGIApp,
    is_ready: Callable[[], bool],
    questions: Questions,
    doors: Mapping[str, ASGIApp] | None = None,
    open_doors: Mapping[str, ASGIApp] | None = None,
) -> ASGIApp:
    """Put the doors together.

    Args:
        services: Service objects, see `sift_server.api.services`.
        threads: Where their methods run.
        keys: Which calls are let in.
        ingest: Handler of the ingest stream.
        json_ingest: Handler of rows without a schema.
        is_ready: Whether calls can be answered, for `/readyz`.
        questions: What the Arrow door answers.
        doors: Handlers of further paths, by what these begin with.
        open_doors: The same, of paths that need no key.
    """
    registry = Registry(services, threads)
    request_bytes = RequestBytes()
    rpc = _rpc(registry, ConnectApplication(registry, request_bytes), ingest)
    by_prefix: dict[str, ASGIApp] = {
        "/api/": _rest(RestApplication(registry, request_bytes), json_ingest, request_bytes),
        PREFIX: ArrowDoor(questions, request_bytes),
        **(doors or {}),
    }

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        remember_call(scope)
        if is_grpc(scope) and scope["http_version"] != "2":
            # There is no way to answer: gRPC's status is in trailers.
            message = b"gRPC needs HTTP/2. Connect, JSON and REST calls may use HTTP/1.1.\n"
            await send_body(send, HTTP_VERSION_NOT_SUPPORTED, "text/plain", message)
        else:
            found = (door for prefix, door in by_prefix.items() if path.startswith(prefix))
            await next(found, rpc)(scope, receive, send)

    with_key = requires_key(limited(answers_failures(dispatch)), keys)

    without_key = {
        prefix: limited(answers_failures(door)) for prefix, door in (open_doors or {}).items()
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"], scope.get("path"):
            case "http", "/healthz":
                await _send_health(send, ok=True)
            case "http", "/readyz":
                await _send_health(send, ok=is_ready())
            case "http", str(path):
                found = (door for prefix, door in without_key.items() if path.startswith(prefix))
                await next(found, with_key)(scope, receive, send)
            case other, _:
                raise NotImplementedError(f"this server does not speak {other}")

    return app


def _rest(
    application: RestApplication, json_ingest: ASGIApp, request_bytes: RequestBytes
) -> ASGIApp:
    """The door of REST: the methods of the protocol, and the one that is none of them."""

    async def rest(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != JSON_INGEST_PATH:
            await application(scope, receive, send)
            return
        with request_bytes.counted(ResourceExhaustedError) as held:
            await json_ingest(scope, held.receiving(receive), send)

    return rest


def _rpc(registry: Registry, connect: ASGIApp, ingest: ASGIApp) -> ASGIApp:
    """The doors of gRPC and Connect, open to keys that are good for the method."""
    methods = {method.path: method.descriptor for method in registry.methods}
    turns = Turns()

    async def rpc(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path not in methods:
            message = f"this server does not have {path}"
            await send_refusal(scope, send, GrpcCode.UNIMPLEMENTED, message)
            return
        grant = grant_of(scope)
        try:
            require(grant, methods[path])
        except PermissionDeniedError as error:
            await send_refusal(scope, send, GrpcCode.PERMISSION_DENIED, str(error))
            return
        if path == INGEST_PATH and is_grpc(scope):
            await ingest(scope, grant.guarded(receive), send)
        elif path in LARGE_ANSWER_PATHS:
            async with turns.turn(scope.get("client")):
                await connect(scope, receive, send)
        else:
            await connect(scope, receive, send)

    return rpc


async def _send_health(send: Send, *, ok: bool) -> None:
    body = json.dumps({"status": "ok" if ok else "not ready"}).encode()
    await send_body(send, 200 if ok else 503, "application/json", body)
