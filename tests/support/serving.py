"""A server to test against: in this process, or `sift serve` as a process that can be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

READY_TIMEOUT_S = 60


class ServeProcess:
    """`sift serve` on a folder and a free port, ready for calls."""

    def __init__(self, data_dir: Path, *options: str, **environment: str) -> None:
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            serve_command(data_dir, *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        killer = threading.Timer(READY_TIMEOUT_S, self.process.kill)
        killer.start()
        line = self.process.stdout.readline()
        killer.cancel()
        if not line.startswith("ready on "):
            self.process.kill()
            _, errors = self.process.communicate()
            raise AssertionError(f"sift serve did not get ready: {line!r}\n{errors}")
        self.address = line.removeprefix("ready on ").strip()
        self.log = ""
        """What it logged, once it ended."""
        self._errors = threading.Thread(target=self._read_log, daemon=True)
        self._errors.start()

    @property
    def api_key(self) -> str:
        return (self.data_dir / "api_key").read_text().strip()

    def _read_log(self) -> None:
        self.log = self.process.stderr.read()

    def kill(self) -> None:
        """`kill -9`: no goodbye."""
        self.process.kill()
        self.ended()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait until it ended, for whatever reason; returns the exit status."""
        status = self.process.wait(READY_TIMEOUT_S)
        self._errors.join(READY_TIMEOUT_S)
        self.process.stdout.close()
        self.process.stderr.close()
        return status


def serve_command(data_dir: Path, *options: str) -> Sequence[str]:
    """The command line of `sift serve`, run by this interpreter."""
    return (
        sys.executable,
        "-c",
        "from sift_server.commands import main; main()",
        "serve",
        "--data-dir",
        str(data_dir),
        "--listen",
        "127.0.0.1:0",
        *options,
    )


@contextlib.contextmanager
def serving(data_dir: Path, *options: str, **environment: str) -> Iterator[ServeProcess]:
    """A `ServeProcess` that is killed in the end if it still runs."""
    server = ServeProcess(data_dir, *options, **environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


class _BearerKey(
    grpc.UnaryUnaryClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
):
    def __init__(self, api_key: str) -> None:
        self._metadata = [("authorization", f"Bearer {api_key}")]

    def _with_key(self, details: grpc.ClientCallDetails) -> grpc.ClientCallDetails:
        return details._replace(metadata=[*(details.metadata or []), *self._metadata])

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(self._with_key(details), request)

    def intercept_stream_unary(self, continuation, details, requests):
        return continuation(self._with_key(details), requests)


def plain_channel(address: str, api_key: str, *options: tuple[str, object]) -> grpc.Channel:
    """A channel of the gRPC library, nothing of ours in it."""
    return grpc.intercept_channel(grpc.insecure_channel(address, options), _BearerKey(api_key))
