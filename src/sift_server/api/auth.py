"""The key in front of every door but health."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING

from sift_server.api.asgi import header, send_body
from sift_server.api.grpc_status import HTTP_STATUS, GrpcCode, send_grpc_error

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
            await _refuse(scope, send, f"{problem}. {_HINT}")

    return checked


async def _refuse(scope: Scope, send: Send, message: str) -> None:
    code = GrpcCode.UNAUTHENTICATED
    content_type = header(scope, b"content-type")
    if content_type.startswith("application/grpc"):
        await send_grpc_error(send, code, message)
        return
    # Connect names its codes, REST numbers them.
    is_rest = scope["path"].startswith("/api/")
    body = {"code": int(code) if is_rest else code.name.lower(), "message": message}
    await send_body(send, HTTP_STATUS[code], "application/json", json.dumps(body).encode())
