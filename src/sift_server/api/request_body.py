"""The whole body of a request that is not large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.api.connect import REQUEST_BYTES_MAX
from sift_server.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from sift_server.api.asgi import Receive


async def read_body(receive: Receive) -> bytes:
    """Receive a body of up to `REQUEST_BYTES_MAX`.

    Raises:
        ResourceExhaustedError: It is larger.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > REQUEST_BYTES_MAX:
            raise ResourceExhaustedError(
                f"the request is larger than REQUEST_BYTES_MAX = {REQUEST_BYTES_MAX} bytes; send"
                " it in parts"
            )
        chunks.append(chunk)
        if not event.get("more_body", False):
            return b"".join(chunks)
