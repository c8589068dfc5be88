"""A running server for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sift_server.server import Server, ServerSettings
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import grpc


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on an empty folder and a free port."""
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as running:
        yield running


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    """A plain gRPC channel to the server, with its key."""
    with plain_channel(server.address, server.api_key) as opened:
        yield opened
