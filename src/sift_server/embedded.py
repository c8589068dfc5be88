"""The server inside the user's process: what an `embedded:PATH` URI opens.

The same server on the same folder as `sift serve --data-dir PATH`, on a free port of the loopback
interface. All users of a folder in a process share one server; the last one to close it stops it,
and what is still open when the process ends is stopped then, so that the log is short at the next
start.
"""

from __future__ import annotations

import atexit
import threading
from pathlib import Path

from sift_server.server import Server, ServerSettings

_lock = threading.Lock()
_running: dict[Path, EmbeddedServer] = {}


class EmbeddedServer:
    """One use of a folder's server. Made by `open_embedded`.

    Attributes:
        address: `HOST:PORT` on the loopback interface.
        api_key: The key that callers must send.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._server = Server(ServerSettings(path, port=0))
        self._server.start()
        self._uses = 0
        self.address = self._server.address
        self.api_key = self._server.api_key

    def acquire(self) -> None:
        """Count one more use; with the module's lock held."""
        self._uses += 1

    def close(self) -> None:
        """End one use; the last one stops the server and flushes its data into the table."""
        with _lock:
            self._uses -= 1
            if self._uses == 0:
                del _running[self._path]
                self._server.stop()

    def stop(self) -> None:
        """Stop the server, whoever still uses it."""
        self._server.stop()


def open_embedded(path: str) -> EmbeddedServer:
    """Serve the folder `path` from this process, or share the server that already does.

    Each call is matched by one `close`. Safe from many threads.

    Raises:
        DataDirectoryError: The folder can't be used, for example because another process serves it.
    """
    folder = Path(path).expanduser().resolve()
    with _lock:
        server = _running.get(folder)
        if server is None:
            server = _running[folder] = EmbeddedServer(folder)
        server.acquire()
        return server


@atexit.register
def _stop_all() -> None:
    with _lock:
        servers = list(_running.values())
        _running.clear()
    for server in servers:
        server.stop()
