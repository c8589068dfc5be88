"""What streams hold in memory while the server is busy."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from sift_server.api.ingest_stream import IngestStream
from sift_server.ingest import IngestLimits, Taken
from sift_wire.messages import frame

STREAMS = 50
CHUNK = frame(b"x" * 10_000)
CHUNKS_PER_STREAM = 40
LIMITS = IngestLimits(buffer_bytes_max=20 * len(CHUNK), at_once_bytes_max=0)


class BusyIngestor:
    """Takes nothing before `gate` is open."""

    def __init__(self) -> None:
        self.limits = LIMITS
        self.gate = threading.Event()
        self.messages = 0
        self._lock = threading.Lock()

    def takes_at_once(self, _: int) -> bool:
        return False

    def take(self, frames, *, at_once: bool = False, keys=()) -> Taken:
        self.gate.wait()
        with self._lock:
            self.messages += len(frames)
        return Taken(None, None)


def test_all_streams_together_hold_no_more_than_the_limit():
    """Beyond it only a stream that holds nothing receives; all go on when there is room."""
    ingestor = BusyIngestor()
    received = 0
    answered = 0

    async def call(stream: IngestStream) -> None:
        sent = 0

        async def receive() -> dict:
            nonlocal sent, received
            await asyncio.sleep(0)
            sent += 1
            received += len(CHUNK)
            return {
                "type": "http.request",
                "body": CHUNK,
                "more_body": sent < CHUNKS_PER_STREAM,
            }

        async def send(event: dict) -> None:
            nonlocal answered
            answered += event["type"] == "http.response.trailers"

        await stream({"headers": []}, receive, send)

    async def run() -> int:
        with ThreadPoolExecutor(4) as threads:
            stream = IngestStream(ingestor, threads)
            calls = [asyncio.create_task(call(stream)) for _ in range(STREAMS)]
            await asyncio.sleep(0.3)
            held = received
            ingestor.gate.set()
            await asyncio.wait_for(asyncio.gather(*calls), 30)
        return held

    held = asyncio.run(run())
    assert held <= LIMITS.buffer_bytes_max + STREAMS * len(CHUNK)
    assert ingestor.messages == STREAMS * CHUNKS_PER_STREAM
    assert answered == STREAMS
