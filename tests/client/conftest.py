"""A recording server, and a channel to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from support.recording_server import API_KEY, RecordingServer

if TYPE_CHECKING:
    from collections.abc import Iterator

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
