"""A running server, and its doors for files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sift_server.server import Server, ServerSettings
from support.imports import ImportDoors
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def settings() -> dict[str, object]:
    """Settings of the server that are not as usual."""
    return {}


@pytest.fixture
def server(tmp_path: Path, settings: dict[str, object]) -> Iterator[Server]:
    """A server on an empty folder and a free port."""
    with Server(ServerSettings(tmp_path / "telemetry", port=0, **settings)) as running:
        yield running


@pytest.fixture
def doors(server: Server) -> Iterator[ImportDoors]:
    with plain_channel(server.address, server.api_key) as channel:
        yield ImportDoors(server.address, server.api_key, channel)
