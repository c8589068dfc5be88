"""What a server process holds, and how it serves a client that does no harm, while others do."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
from h2.exceptions import StreamClosedError

from support.serving import plain_channel, serving
from support.telemetry import Config, Type, create_config, ingest, read_points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import grpc

    from support.http2_client import Client
    from support.serving import ServeProcess

MIB = 1024 * 1024
FLOWS = {"readings": {"x": Type.CHANNEL_DATA_TYPE_DOUBLE}}
INGEST = "/sift.ingest.v1.IngestService/IngestWithConfigDataStream"
PROCESS_MIB_MAX = 1024
"""What docs/limits.md says of a server with the limits it has if nobody says otherwise."""

WAIT_S_MAX = 5.0
"""How long a client that does no harm waits at most, on a machine that has other work, too."""
T0 = 1_700_000_000_000_000_000
_SAMPLE_S = 0.02
_PAUSE_S = 0.05


@dataclass
class Watch:
    """A server under load, and what was seen of it.

    Attributes:
        server: The process.
        channel: For whatever else a test asks.
        config: The config of the client that does no harm.
        before_mib: What the process held before the load.
        peak_mib: The most that it held since then.
        waits_s: How long each call of the client took that does no harm.
        failures: What went wrong in them.
    """

    server: ServeProcess
    channel: grpc.Channel
    config: Config
    before_mib: float
    peak_mib: float = 0
    waits_s: list[float] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    @property
    def grown_mib(self) -> float:
        """How much more the process held than before."""
        return self.peak_mib - self.before_mib

    def wait_s(self, share: float) -> float:
        """How long that share of the calls took at most."""
        return sorted(self.waits_s)[int(share * (len(self.waits_s) - 1))]


@contextmanager
def watched(data_dir: Path, *options: str) -> Iterator[Watch]:
    """Serve a folder, with a client that sends a row every now and then.

    In the end it is checked that the client was served in time, that everything it was told OK for
    can be read, and that the process stayed within its memory.
    """
    with (
        serving(data_dir, *options) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        config = create_config(channel, FLOWS, "healthy", "healthy")
        process = psutil.Process(server.process.pid)
        sent = 0

        def call(watch: Watch) -> None:
            nonlocal sent
            start = time.perf_counter()
            ingest(channel, [config.row("readings", T0 + sent, [float(sent)])], timeout=30)
            sent += 1
            watch.waits_s.append(time.perf_counter() - start)

        warm = Watch(server, channel, config, 0)
        for _ in range(20):
            call(warm)
        read_points(channel, config.asset_id, "x")
        watch = Watch(server, channel, config, process.memory_info().rss / MIB)
        ending = threading.Event()

        def sample() -> None:
            while not ending.wait(_SAMPLE_S):
                watch.peak_mib = max(watch.peak_mib, process.memory_info().rss / MIB)

        def stay_healthy() -> None:
            while not ending.wait(_PAUSE_S):
                try:
                    call(watch)
                except Exception as error:  # noqa: BLE001 (told in the end)
                    watch.failures.append(error)

        threads = [threading.Thread(target=each) for each in (sample, stay_healthy)]
        for thread in threads:
            thread.start()
        try:
            yield watch
        finally:
            ending.set()
            for thread in threads:
                thread.join()
        assert not watch.failures
        assert watch.wait_s(0.9) < WAIT_S_MAX / 2
        assert watch.wait_s(1) < WAIT_S_MAX
        assert watch.peak_mib < PROCESS_MIB_MAX
        points = read_points(channel, config.asset_id, "x")
        assert points == [(T0 + i, float(i)) for i in range(sent)]


def part_of_body(client: Client, stream_id: int, body: bytes) -> int:
    """Send of the body of a call what the server takes; returns how much that was.

    Less than all if the server answers before.
    """
    at = 0
    try:
        while at < len(body):
            room = min(
                client.h2.local_flow_control_window(stream_id),
                client.h2.max_outbound_frame_size,
                len(body) - at,
            )
            if room > 0:
                client.h2.send_data(stream_id, body[at : at + room])
                at += room
            client.flush()
            if room <= 0:
                client.waiting += client.h2.receive_data(client.socket.recv(65_536))
    except StreamClosedError:
        pass
    return at
