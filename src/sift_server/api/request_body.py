"""The whole body of a request that is not large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.api.asgi import header
from sift_server.api.connect import REQUEST_BYTES_MAX
from sift_server.errors import InvalidArgumentError, ResourceExhaustedError
from sift_wire.frames import FrameCompressionError, FrameTooLargeError, gunzip

if TYPE_CHECKING:
    from sift_server.api.asgi import Receive, Scope


async def read_body(
    receive: Receive,
    bytes_max: int = REQUEST_BYTES_MAX,
    limit: str = "REQUEST_BYTES_MAX",
    advice: str = "send it in parts",
) -> bytes:
    """Receive a body of a limited size.

    Args:
        receive: Of the request.
        bytes_max: The limit.
        limit: What the limit is called.
        advice: What to do with a larger one.

    Raises:
        ResourceExhaustedError: It is larger.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise ResourceExhaustedError(
                f"the request is larger than {limit} = {bytes_max} bytes; {advice}"
            )
        chunks.append(chunk)
        if not event.get("more_body", False):
            return b"".join(chunks)


def inflated(scope: Scope, body: bytes) -> bytes:
    """The body of a request as it was before its content-encoding.

    Raises:
        InvalidArgumentError: It is said to be gzip, and is not.
        ResourceExhaustedError: It is larger than `REQUEST_BYTES_MAX`.
    """
    if header(scope, b"content-encoding").lower() not in ("gzip", "x-gzip"):
        # Published clients write types of content there, of bodies that are as they are.
        return body
    try:
        return gunzip(body, REQUEST_BYTES_MAX)
    except FrameCompressionError:
        raise InvalidArgumentError(
            "the body is said to be gzip by its content-encoding, and is not, or is cut off"
        ) from None
    except FrameTooLargeError:
        raise ResourceExhaustedError(
            f"the body inflates to more than REQUEST_BYTES_MAX = {REQUEST_BYTES_MAX} bytes"
        ) from None
