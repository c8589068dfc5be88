"""A recording server, a channel to it, and a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from support.certificates import make_certificate
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
    return make_certificate(tmp_path / "key.pem", tmp_path / "certificate.pem", is_authority=False)


@pytest.fixture
def authority_certificate(tmp_path: Path) -> tuple[Path, Path]:
    """The same, of an authority: what `openssl req -x509` makes when it is told nothing."""
    return make_certificate(tmp_path / "key.pem", tmp_path / "certificate.pem", is_authority=True)
