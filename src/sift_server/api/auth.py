"""The key in front of every door but health."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from sift_server.api.asgi import header
from sift_server.api.grpc_status import GrpcCode
from sift_server.api.refusal import send_refusal

if TYPE_CHECKING:
    from sift_server.api.asgi import ASGIApp, Receive, Scope, Send

_HINT = (
    "Send it as 'authorization: Bearer KEY'. It is the SIFT_API_KEY of the server, or else in the"
    " file api_key of the server's data folder."
)


def requires_key(app: ASGIApp, api_key: str) -> ASGIApp:
    """Let only requests with the key through to an app."""
    expected = f"Bearer {api_key}".encode()

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        sent = header(scope, b"authorization")
        if hmac.compare_digest(sent.encode("latin-1"), expected):
            await app(scope, receive, send)
        else:
            problem = "the API key is wrong" if sent else "the call has no API key"
            await send_refusal(scope, send, GrpcCode.UNAUTHENTICATED, f"{problem}. {_HINT}")

    return checked
