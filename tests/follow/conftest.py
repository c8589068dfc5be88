"""A server, and somebody who streams to it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.service import IngestionService
from sift_server.server import Server, ServerSettings
from support.numbered_rows import telemetry, times_ns


@pytest.fixture
def bench(tmp_path):
    """A server, and `send(first, count)`: rows numbered so, of `a`, `b.x` and `b.y`."""
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as server:
        config = {"uri": f"http://{server.address}", "apikey": server.api_key}
        with use_sift_channel(config) as channel:
            service = IngestionService(channel, telemetry("a", "b.x", "b.y"))

            def send(first, count, **columns):
                numbers = np.arange(first, first + count, dtype=np.float64)
                named = columns or dict.fromkeys(("a", "b.x", "b.y"), numbers)
                service.ingest_columns("flow", times_ns(first, count), named)

            yield SimpleNamespace(
                folder=tmp_path / "telemetry",
                server=server,
                channel=channel,
                service=service,
                asset_id=service.ingestion_config.asset_id,
                send=send,
            )
