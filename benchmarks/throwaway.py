"""Our server, but ingest streams are read and forgotten: what a sender can reach at the most.

python throwaway.py DATA_DIR
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import sift_server.server
from sift_server.api.grpc_status import send_grpc_response
from sift_server.server import Server, ServerSettings

if TYPE_CHECKING:
    from sift_server.api.asgi import Receive, Scope, Send


class Forget:
    """An ingest handler that acknowledges what it does not keep."""

    def __init__(self, *_: object) -> None:
        pass

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body", False):
            pass
        await send_grpc_response(send, b"")

    def end_all(self) -> None:
        """Nothing: a stream ends when its sender does."""


sift_server.server.IngestStream = Forget

if __name__ == "__main__":
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Server(ServerSettings(Path(sys.argv[1]), port=0)) as server:
        print(f"ready on {server.address}", flush=True)
        stop.wait()
