"""The check of keys in front of every door but health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sift_server.api.grpc_status import GrpcCode
from sift_server.api.refusal import send_refusal
from sift_server.errors import UnauthenticatedError

if TYPE_CHECKING:
    from sift_server.api.asgi import ASGIApp, Receive, Scope, Send
    from sift_server.api.key_ring import Grant

_GRANT = "sift.grant"


class Keys(Protocol):
    """Knows which calls are let in: `KeyRing`, or `OpenDoor`."""

    def admit(self, scope: Scope) -> Grant:
        """Return what the call of an ASGI scope may do.

        Raises:
            UnauthenticatedError: Nothing.
        """


def requires_key(app: ASGIApp, keys: Keys) -> ASGIApp:
    """Let only requests with a key that is good through to an app."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope[_GRANT] = keys.admit(scope)
        except UnauthenticatedError as error:
            await send_refusal(scope, send, GrpcCode.UNAUTHENTICATED, str(error))
        else:
            await app(scope, receive, send)

    return checked


def grant_of(scope: Scope) -> Grant:
    """What a call that was let through may do."""
    grant: Grant = scope[_GRANT]
    return grant
