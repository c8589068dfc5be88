"""Starts the processes that answer statements, and ends them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING

from sift_server.sql.channel import Channel

if TYPE_CHECKING:
    from sift_server.sql.channel import Frame

END_S_MAX = 5
"""How long a process that was killed may take to be gone."""

_PROGRAM = "sift_server.sql.worker"


class WorkerProcess:
    """A process that waits for a statement. For one thread, but for `kill`."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: It can't be started.
        """
        ours, theirs = socket.socketpair()
        self.spill_folder = tempfile.mkdtemp(prefix="sift-sql-")
        """Where it may write what its memory has no room for; removed with it."""
        try:
            self._process = subprocess.Popen(  # noqa: S603 (this program's own)
                [sys.executable, "-P", "-m", _PROGRAM, self.spill_folder],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=self.spill_folder,
                # What ends or interrupts this program from a terminal is not for that one.
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            shutil.rmtree(self.spill_folder, ignore_errors=True)
            raise
        finally:
            theirs.close()
        self._socket = ours
        self.channel = Channel(ours)

    def receive(self, timeout_s: float) -> tuple[Frame, bytearray]:
        """Wait for a frame.

        Raises:
            ChannelClosedError: The process ended.
            ChannelTimeoutError: It did not come in time.
        """
        frame, data, _ = self.channel.receive(timeout_s)
        return frame, data

    def kill(self) -> None:
        """Let it end at once. Called from any thread; whoever waits for it is told."""
        self._process.kill()

    def status(self) -> int:
        """Wait until it is gone; gives its exit status."""
        status: int = self._process.wait(END_S_MAX)
        return status

    def end(self) -> None:
        """End it, wait until it is gone, and remove what it left."""
        self._socket.close()
        self._process.kill()
        self._process.wait(END_S_MAX)
        shutil.rmtree(self.spill_folder, ignore_errors=True)


class WorkerPool:
    """Has a process ready for the next statement, once there was one. Safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spare: WorkerProcess | None = None
        self._is_closed = False

    def take(self) -> WorkerProcess:
        """A process; start the next one.

        Raises:
            OSError: None can be started.
        """
        with self._lock:
            taken, self._spare = self._spare, None
        if taken is None:
            taken = WorkerProcess()
        try:
            spare = WorkerProcess()
        except BaseException:
            taken.end()
            raise
        with self._lock:
            if self._spare is None and not self._is_closed:
                self._spare, spare = spare, None  # type: ignore[assignment]
        if spare is not None:
            spare.end()
        return taken

    def close(self) -> None:
        """End the process that is ready; no more are kept."""
        with self._lock:
            self._is_closed = True
            spare, self._spare = self._spare, None
        if spare is not None:
            spare.end()
