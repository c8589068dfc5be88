"""Errors in the words of whoever called: gRPC, Connect or REST."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from sift_server.api.asgi import header, is_grpc, send_body
from sift_server.api.grpc_status import HTTP_STATUS, GrpcCode, send_grpc_error, send_grpc_trailers
from sift_server.api.unread_answers import AnswerDroppedError

if TYPE_CHECKING:
    from sift_server.api.asgi import ASGIApp, Event, Receive, Scope, Send

_logger = logging.getLogger(__name__)


async def send_refusal(scope: Scope, send: Send, code: GrpcCode, message: str) -> None:
    """Answer a call with a status other than OK."""
    if header(scope, b"content-type").startswith("application/grpc"):
        await send_grpc_error(send, code, message)
        return
    # Connect names its codes, REST and the Arrow door number them.
    body: dict[str, Any]
    if scope["path"].startswith(("/api/", "/arrow/")):
        body = {"code": int(code), "message": message, "details": []}
    else:
        body = {"code": code.name.lower(), "message": message}
    await send_body(send, HTTP_STATUS[code], "application/json", json.dumps(body).encode())


def answers_failures(app: ASGIApp) -> ASGIApp:
    """Answer INTERNAL where an app fails before it answered anything; the log says why."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        is_started = False

        async def watched(event: Event) -> None:
            nonlocal is_started
            is_started = True
            try:
                await send(event)
            except AnswerDroppedError as error:
                if not is_grpc(scope):
                    raise
                # What waits is not sent, but trailers need no room.
                await send_grpc_trailers(send, GrpcCode.RESOURCE_EXHAUSTED, str(error))

        try:
            await app(scope, receive, watched)
        except Exception:
            if is_started:
                raise
            _logger.exception("a call of %s failed", scope["path"])
            message = "the call failed inside the server; its log says why"
            await send_refusal(scope, send, GrpcCode.INTERNAL, message)

    return guarded
