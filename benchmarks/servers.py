"""Servers in processes of their own, on folders that are thrown away."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

API_KEY = "benchmark"
STOP_TIMEOUT_S = 120
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class BenchmarkServer:
    """A running server.

    Attributes:
        address: `HOST:PORT`.
        data_dir: Its folder.
        process: Its process.
    """

    address: str
    data_dir: Path
    process: psutil.Process

    def cpu_s(self) -> float:
        """Seconds of processor time so far, of user and system."""
        times = self.process.cpu_times()
        return times.user + times.system

    def peak_memory_bytes(self) -> int:
        """Largest resident size so far."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0

    def table_bytes(self) -> int:
        """Bytes of the table's data files."""
        return sum(path.stat().st_size for path in self.data_dir.rglob("*.parquet"))


@contextlib.contextmanager
def sift_serve(data_dir: Path | None = None) -> Iterator[BenchmarkServer]:
    """`sift serve`, durable, on a free port."""
    with _folder(data_dir) as folder:
        command = [sys.executable, "-c", "from sift_server.commands import main; main()", "serve"]
        with _running(
            [*command, "--data-dir", str(folder), "--listen", "127.0.0.1:0"], folder
        ) as server:
            yield server


@contextlib.contextmanager
def throwaway() -> Iterator[BenchmarkServer]:
    """The same server, but with an ingest handler that reads bytes and forgets them."""
    with (
        _folder(None) as folder,
        _running([sys.executable, str(HERE / "throwaway.py"), str(folder)], folder) as server,
    ):
        yield server


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="sift-benchmark-") as made:
        yield Path(made)


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator[BenchmarkServer]:
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SIFT_API_KEY": API_KEY},
    )
    try:
        line = process.stdout.readline()
        if not line.startswith("ready on "):
            raise RuntimeError(f"the server did not get ready: {line!r}")
        address = line.removeprefix("ready on ").strip()
        yield BenchmarkServer(address, folder, psutil.Process(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        finally:
            process.kill()
            process.stdout.close()
