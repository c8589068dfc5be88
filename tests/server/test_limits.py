"""However much is sent, the server holds what its limits say, and loses nothing."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
from sift.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from sift_server.api.http2 import Http2Limits, OpenConnections
from sift_server.api.http_server import HttpLimits
from sift_server.catalog import Catalog
from sift_server.ingest import IngestLimits, PendingRejects
from sift_server.server import Server, ServerSettings
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sift_server.catalog import RejectedEntry

STREAMS = 12
MESSAGES = 400
READ_BYTES_MAX = 256 * 1024
MESSAGE = IngestWithConfigDataStreamRequest(flow="x" * 10_000)


def test_many_connections_share_what_apps_have_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """They hold no more than the limit and what each reads at a time; all of it is taken."""
    limits = IngestLimits(stream_buffer_bytes_max=20_000, buffer_bytes_max=50_000)
    http = HttpLimits(http2=Http2Limits(untaken_bytes_max=400_000))
    held: list[int] = []
    add = OpenConnections.add_untaken

    def adding(connections: OpenConnections, *arguments: object) -> None:
        add(connections, *arguments)
        held.append(connections._untaken_bytes)

    monkeypatch.setattr(OpenConnections, "add_untaken", adding)
    settings = ServerSettings(tmp_path, port=0, ingest_limits=limits, http_limits=http)
    with Server(settings) as server, ThreadPoolExecutor(STREAMS) as threads:

        def send(_: int) -> object:
            with plain_channel(server.address, server.api_key) as channel:
                stub = IngestServiceStub(channel)
                return stub.IngestWithConfigDataStream(iter([MESSAGE] * MESSAGES), timeout=60)

        assert len(list(threads.map(send, range(STREAMS)))) == STREAMS
    assert 0 < max(held) < 400_000 + STREAMS * READ_BYTES_MAX


def test_unfinished_messages_can_not_fill_the_memory(tmp_path: Path):
    """A stream whose message has no room is refused and may try again; others are taken."""
    limits = IngestLimits(stream_buffer_bytes_max=200_000, unfinished_bytes_max=1_000_000)
    large = IngestWithConfigDataStreamRequest(flow="x" * 3_000_000)
    settings = ServerSettings(tmp_path, port=0, ingest_limits=limits)
    with Server(settings) as server, plain_channel(server.address, server.api_key) as channel:
        stub = IngestServiceStub(channel)
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                stub.IngestWithConfigDataStream(iter([large]), timeout=60)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
            assert "1000000 bytes" in caught.value.details()
            stub.IngestWithConfigDataStream(iter([MESSAGE] * MESSAGES), timeout=60)


def test_a_stream_that_pauses_holds_up_nobody(tmp_path: Path):
    """A stream may wait for its client as long as it takes, and others go on."""
    with Server(ServerSettings(tmp_path, port=0)) as server:
        gate = threading.Event()

        def paused() -> Iterator[IngestWithConfigDataStreamRequest]:
            yield MESSAGE
            gate.wait(30)
            yield MESSAGE

        with plain_channel(server.address, server.api_key) as channel, ThreadPoolExecutor(1) as one:
            stub = IngestServiceStub(channel)
            slow = one.submit(stub.IngestWithConfigDataStream, paused(), timeout=60)
            stub.IngestWithConfigDataStream(iter([MESSAGE] * MESSAGES), timeout=60)
            assert not slow.done()
            gate.set()
            slow.result(30)


def test_very_many_messages_that_do_not_fit_are_kept_in_the_error_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Part by part: their stream waits, is answered OK, and none of them is missing."""
    monkeypatch.setattr("sift_wire.decode.MISFITS_MAX", 1_000)
    monkeypatch.setattr("sift_server.ingest.rejects.REJECTS_PENDING_BYTES_MAX", 1_000_000)
    count = 20_000
    pending: list[int] = []
    add = PendingRejects.add

    def adding(rejects: PendingRejects, entries: Sequence[RejectedEntry]) -> None:
        add(rejects, entries)
        pending.append(len(rejects._entries))

    monkeypatch.setattr(PendingRejects, "add", adding)
    with (
        Server(ServerSettings(tmp_path, port=0)) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        empty = IngestWithConfigDataStreamRequest()
        ingest = IngestServiceStub(channel).IngestWithConfigDataStream
        metadata = [("sift-idempotency-key", str(uuid.uuid4()))]
        ingest(iter([empty] * count), metadata=metadata, timeout=120)
        # It was acknowledged with all its parts, so it is not taken again.
        ingest(iter([empty]), metadata=metadata, timeout=120)
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        (found,) = catalog.error_queue.counts().counts
        assert (found.messages, found.cause) == (count, "unknown flow")
    assert max(pending) <= 4_000
