"""A recording server, a channel to it, and a certificate."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from support.recording_server import API_KEY, RecordingServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_py.grpc.transport import SiftChannel


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A server that records, with nothing on it."""
    with RecordingServer() as running:
        yield running


@pytest.fixture
def channel(server: RecordingServer) -> Iterator[SiftChannel]:
    """A channel to the recording server, with its key."""
    config = SiftChannelConfig(uri=f"http://{server.address}", apikey=API_KEY)
    with use_sift_channel(config) as opened:
        yield opened


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A key and a self-signed certificate for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        f" -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=CA:FALSE"
        f" -keyout {key} -out {certificate}",
        shell=True,
        check=True,
        capture_output=True,
    )
    return key, certificate
