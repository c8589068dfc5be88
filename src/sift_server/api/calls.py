"""How many calls a server answers at a time, of all connections together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.api.grpc_status import GrpcCode
from sift_server.api.refusal import send_refusal

if TYPE_CHECKING:
    from sift_server.api.asgi import ASGIApp, Receive, Scope, Send

CALLS_MAX = 10_000
"""Calls that are open at a time, ingest streams among them."""


def limited(app: ASGIApp, calls_max: int = CALLS_MAX) -> ASGIApp:
    """Refuse calls of an app beyond a number. For one event loop."""
    n_calls = 0

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal n_calls
        if n_calls >= calls_max:
            message = (
                f"the server answers CALLS_MAX = {calls_max} calls, which is the limit. Try again"
            )
            await send_refusal(scope, send, GrpcCode.RESOURCE_EXHAUSTED, message)
            return
        n_calls += 1
        try:
            await app(scope, receive, send)
        finally:
            n_calls -= 1

    return counted
