"""Where a call reached this server, for answers that name a URL of it.

The server may be known by many names, of which it knows none: the caller's is right for the caller.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from sift_server.api.asgi import header

if TYPE_CHECKING:
    from sift_server.api.asgi import Scope

_base_url: ContextVar[str] = ContextVar("base_url", default="")


def remember_call(scope: Scope) -> None:
    """Remember where a call came in, for the handlers that it leads to."""
    # A proxy that ends TLS says so; a caller who says so without one misleads only itself.
    scheme = "https" if header(scope, b"x-forwarded-proto") == "https" else scope["scheme"]
    _base_url.set(f"{scheme}://{header(scope, b'host')}")


def url_of(path: str) -> str:
    """The URL of a path of this server, as whoever made this call can reach it."""
    return _base_url.get() + path
