"""Many clients at once, each with a connection of its own, at a steady rate."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

from benchmarks.servers import API_KEY, BenchmarkServer
from benchmarks.services import connect, row_of, service_of
from sift.ingest.v1.ingest_pb2 import (
    IngestWithConfigDataChannelValue,
    IngestWithConfigDataStreamRequest,
)
from sift.ingest.v1.ingest_pb2_grpc import IngestServiceStub

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT_HZ = 10
CHANNELS = 10
START_S = 0.5
STOP_TIMEOUT_S = 60


class Clients:
    """Clients that stream rows of ten channels. `run` once, then `close`.

    Attributes:
        taken_s: Seconds that each stream took until it was acknowledged; empty for open streams.
        rows_sent: How many rows all sent together.
    """

    def __init__(self, server: BenchmarkServer, count: int, seconds: float) -> None:
        self.taken_s: list[float] = []
        self.rows_sent = 0
        self._address = server.address
        self._seconds = seconds
        self._lock = threading.Lock()
        self._begin_s = 0.0
        self._channels = [connect(server) for _ in range(count)]
        self._services = [service_of(channel, 1, CHANNELS) for channel in self._channels]
        for service in self._services:
            # Connections are opened by the first call.
            service.ingest_flows(row_of(0))

    def run(self, rows_per_stream: int | None) -> float:
        """Stream until the time is over, and everything is acknowledged; return the seconds.

        Args:
            rows_per_stream: Rows after which a client asks for the acknowledgement; None for one
                stream that stays open.
        """
        self._begin_s = time.perf_counter() + START_S
        with ThreadPoolExecutor(len(self._services)) as threads:
            running = [
                threads.submit(self._open_stream, number)
                if rows_per_stream is None
                else threads.submit(self._streams, number, rows_per_stream)
                for number in range(len(self._services))
            ]
            for each in running:
                each.result()
        return time.perf_counter() - self._begin_s

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            channel.close()

    def _moments(self, number: int, period_s: float) -> Iterator[None]:
        """Give control when it is time for the next row; clients don't all send at once."""
        due_s = self._begin_s + period_s * number / len(self._services)
        while due_s < self._begin_s + self._seconds:
            time.sleep(max(0.0, due_s - time.perf_counter()))
            yield
            due_s += period_s

    def _streams(self, number: int, rows_per_stream: int) -> None:
        service = self._services[number]
        for _ in self._moments(number, rows_per_stream / CLIENT_HZ):
            start = time.perf_counter()
            service.ingest_flows(*map(row_of, range(rows_per_stream)))
            self._note(rows_per_stream, time.perf_counter() - start)

    def _open_stream(self, number: int) -> None:
        config_id = self._services[number].ingestion_config.ingestion_config_id
        # Channels share connections otherwise.
        own = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self._address, own) as channel:
            IngestServiceStub(channel).IngestWithConfigDataStream(
                self._requests(number, config_id),
                metadata=[("authorization", f"Bearer {API_KEY}")],
                timeout=self._seconds + STOP_TIMEOUT_S,
            )

    def _requests(self, number: int, config_id: str) -> Iterator[IngestWithConfigDataStreamRequest]:
        for _ in self._moments(number, 1 / CLIENT_HZ):
            request = IngestWithConfigDataStreamRequest(
                ingestion_config_id=config_id,
                flow="flow.0",
                channel_values=[IngestWithConfigDataChannelValue(double=1.5)] * CHANNELS,
            )
            request.timestamp.GetCurrentTime()
            self._note(1)
            yield request

    def _note(self, rows: int, taken_s: float | None = None) -> None:
        with self._lock:
            self.rows_sent += rows
            if taken_s is not None:
                self.taken_s.append(taken_s)
