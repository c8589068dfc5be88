"""Servers in processes of their own, on folders that are thrown away."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

API_KEY = "benchmark"
STOP_TIMEOUT_S = 120
STOP_POLL_S = 0.02
HERE = Path(__file__).resolve().parent


class BenchmarkServer:
    """A running server, and what it used.

    Attributes:
        address: `HOST:PORT`.
    """

    def __init__(self, address: str, process: subprocess.Popen[str]) -> None:
        self.address = address
        self._process = process
        self._usage = psutil.Process(process.pid)
        self._final_cpu_s: float | None = None
        self._peak_memory_bytes = 0

    def cpu_s(self) -> float:
        """Seconds of processor time so far, of user and system; in all, once it stopped."""
        if self._final_cpu_s is not None:
            return self._final_cpu_s
        times = self._usage.cpu_times()
        return times.user + times.system

    def peak_memory_bytes(self) -> int:
        """Largest resident size so far; in all, once it stopped."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self._peak_memory_bytes = int(line.split()[1]) * 1024
        return self._peak_memory_bytes

    def stop(self) -> None:
        """Stop it, which writes everything to the table; what it used can be asked for still."""
        if self._final_cpu_s is not None:
            return
        os.kill(self._process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        # A process that ended, and was not waited for yet, still tells its times.
        while os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            self.peak_memory_bytes()
            if time.monotonic() > deadline:
                self._process.kill()
            time.sleep(STOP_POLL_S)
        self._final_cpu_s = self.cpu_s()
        self._process.wait()


@contextlib.contextmanager
def sift_serve() -> Iterator[BenchmarkServer]:
    """`sift serve`, durable, on a free port."""
    with tempfile.TemporaryDirectory(prefix="sift-benchmark-") as folder:
        command = ["-c", "from sift_server.commands import main; main()", "serve"]
        with _running(*command, "--data-dir", folder, "--listen", "127.0.0.1:0") as server:
            yield server


@contextlib.contextmanager
def throwaway() -> Iterator[BenchmarkServer]:
    """The same server, but with an ingest handler that reads bytes and forgets them."""
    with (
        tempfile.TemporaryDirectory(prefix="sift-benchmark-") as folder,
        _running(str(HERE / "throwaway.py"), folder) as server,
    ):
        yield server


@contextlib.contextmanager
def _running(*arguments: str) -> Iterator[BenchmarkServer]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SIFT_API_KEY": API_KEY},
    )
    server: BenchmarkServer | None = None
    try:
        line = process.stdout.readline()
        if not line.startswith("ready on "):
            raise RuntimeError(f"the server did not get ready: {line!r}")
        server = BenchmarkServer(line.removeprefix("ready on ").strip(), process)
        yield server
    finally:
        if server is None:
            process.kill()
            process.wait()
        else:
            server.stop()
        process.stdout.close()
