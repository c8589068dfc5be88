"""`kill -9` in mid-stream loses no acknowledged point."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import grpc
import pytest

from support.serving import ServeProcess, plain_channel, serving
from support.telemetry import Type, find_or_create_config, ingest, read_points

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_700_000_000_000_000_000
STREAMS = 3
ROWS_PER_REQUEST = 50
ROUNDS = 4


FLOWS = {
    "readings": {"x": Type.CHANNEL_DATA_TYPE_DOUBLE, "log": Type.CHANNEL_DATA_TYPE_STRING},
}


class Sender(threading.Thread):
    """Sends stream after stream until the server is gone, and knows what was acknowledged."""

    def __init__(self, server: ServeProcess, number: int, first: int) -> None:
        super().__init__()
        self._server = server
        self._number = number
        self.acknowledged = first

    def run(self) -> None:
        with plain_channel(self._server.address, self._server.api_key) as channel:
            config = find_or_create_config(channel, FLOWS, f"asset {self._number}")
            while True:
                first = self.acknowledged
                rows = [
                    config.row("readings", T0 + i, [float(i), f"line {i}"])
                    for i in range(first, first + ROWS_PER_REQUEST)
                ]
                try:
                    ingest(channel, rows, timeout=30)
                except grpc.RpcError:
                    return
                self.acknowledged = first + ROWS_PER_REQUEST


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path):
    """Streaming and killing in turns on one folder; every acknowledged point is read in the end."""
    acknowledged = [0] * STREAMS
    for round_number in range(ROUNDS):
        server = ServeProcess(tmp_path / "data")
        senders = [Sender(server, i, acknowledged[i]) for i in range(STREAMS)]
        for sender in senders:
            sender.start()
        target = [each + ROWS_PER_REQUEST * (3 + 7 * round_number) for each in acknowledged]
        deadline = time.monotonic() + 60
        while any(s.acknowledged < t for s, t in zip(senders, target, strict=True)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.kill()
        for sender in senders:
            sender.join()
        acknowledged = [sender.acknowledged for sender in senders]
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(tmp_path / "data"))
        channel = stack.enter_context(plain_channel(server.address, server.api_key))
        for number, count in enumerate(acknowledged):
            config = find_or_create_config(channel, FLOWS, f"asset {number}")
            points = read_points(channel, config.asset_id, "x")
            assert points[:count] == [(T0 + i, float(i)) for i in range(count)]
            # What was under way may be there as well, whole and once.
            assert len(points) <= count + ROWS_PER_REQUEST
            lines = read_points(channel, config.asset_id, "log")
            assert lines[:count] == [(T0 + i, f"line {i}") for i in range(count)]
