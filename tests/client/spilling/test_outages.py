"""What can't be sent is on disk when the call returns, and at the server in the end."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np
import pytest

from sift_py.errors import NotAcknowledgedError
from sift_py.ingestion import service as service_module
from sift_py.ingestion._internal.streams import messages_of, streams_of
from support.spilling import (
    INGEST,
    QUICK,
    numbers,
    row,
    spill_files,
    up_to,
    wait_for,
)


@pytest.fixture
def attempts(monkeypatch):
    """The batches of all ingest calls, also of those that fail."""
    made = []

    class Watched:
        def __init__(self, channel):
            self._streams = streams_of(channel)

        def send(self, batch):
            made.append(batch)
            self._streams.send(batch)

    monkeypatch.setattr(service_module, "streams_of", Watched)
    return made


class TestOutages:
    """The server is away for a while."""

    def test_without_an_outage_nothing_is_spilled(self, server, open_service, asset, spill_dir):
        """The folder stays empty."""
        with open_service() as service:
            service.ingest_flows(row(1))
            assert service.spill_status.pending_bytes == 0
        assert list(spill_dir.iterdir()) == []
        assert numbers(server, asset) == [1]

    def test_rows_of_an_outage_are_sent_when_it_is_over(
        self, server, proxy, open_service, asset, spill_dir
    ):
        """Of all kinds of calls; nothing is left on disk."""
        service = open_service()
        service.ingest_flows(row(0))
        proxy.refuse()
        for number in range(1, 50):
            service.ingest_flows(row(number))
        service.buffered_ingestion(10).ingest_flows(*[row(number) for number in range(50, 100)])
        times = np.arange(100, 200_000)
        service.ingest_columns("f", times, {"x": times * 1.0})
        status = service.spill_status
        assert status.pending_bytes > 1_000_000
        assert [str(path) for path in spill_files(spill_dir)] == list(status.files)
        assert isinstance(status.last_error, grpc.RpcError)
        proxy.heal()
        service.flush()
        assert service.spill_status.files == ()
        assert numbers(server, asset) == up_to(200_000)
        service.ingest_flows(row(200_000))
        assert numbers(server, asset)[-1] == 200_000
        service.close()
        assert list(spill_dir.iterdir()) == []

    @pytest.mark.parametrize("cut_after", [10, 2_000, 100_000])
    def test_a_stream_that_is_cut_in_the_middle(
        self, server, proxy, open_service, asset, cut_after
    ):
        """Its rows are there, each once."""
        service = open_service()
        proxy.cut_after(cut_after)
        service.ingest_flows(*[row(number) for number in range(10_000)])
        service.close()
        assert numbers(server, asset) == up_to(10_000)

    def test_batches_keep_their_order(self, proxy, attempts, open_service):
        """What comes while something is on disk goes behind it."""
        service = open_service()
        proxy.refuse()
        for number in range(20):
            service.ingest_flows(row(number))
        proxy.heal()
        for number in range(20, 40):
            service.ingest_flows(row(number))
        service.flush()
        messages = list(messages_of(b"".join(batch.chunks) for batch in attempts))
        first = {message: at for at, message in reversed(list(enumerate(messages)))}
        assert len(first) == 40
        in_order = sorted(first, key=lambda message: message[-8:][::-1])
        assert sorted(first, key=first.__getitem__) == in_order

    def test_a_batch_whose_answer_was_lost_has_its_key(
        self, server, proxy, attempts, open_service, asset
    ):
        """It is spilled and sent again, and not taken again."""
        service = open_service()
        proxy.answer(grpc.StatusCode.UNAVAILABLE, method=INGEST, is_taken=True)
        service.ingest_flows(row(1))
        service.flush()
        assert len(attempts) >= 2
        assert len({batch.key for batch in attempts}) == 1
        assert numbers(server, asset) == [1]

    def test_what_does_not_pass_is_raised(self, proxy, open_service, spill_dir):
        """It would never be taken."""
        service = open_service()
        proxy.answer(grpc.StatusCode.INVALID_ARGUMENT, method=INGEST)
        with pytest.raises(grpc.RpcError):
            service.ingest_flows(row(1))
        proxy.answer(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large", method=INGEST, times=100)
        with pytest.raises(grpc.RpcError, match="too large"):
            service.ingest_flows(row(1))
        assert spill_files(spill_dir) == []

    def test_a_server_that_asks_to_wait_is_away(self, server, proxy, open_service, asset):
        """A full disk, for example: RESOURCE_EXHAUSTED with a delay."""
        service = open_service()
        proxy.answer(grpc.StatusCode.RESOURCE_EXHAUSTED, method=INGEST, times=2, retry_after_ms=10)
        service.ingest_flows(row(1))
        service.flush()
        assert numbers(server, asset) == [1]

    def test_what_is_refused_later_is_set_aside(self, server, proxy, open_service, asset):
        """The message that is to blame, and no other; the rest goes on."""
        service = open_service(end_stream_on_error=True)
        proxy.refuse()
        good = [service.create_ingestion_request("f", number, [1.0]) for number in range(9)]
        bad = service.create_ingestion_request("f", 9, [1.0])
        bad.channel_values[0].string = "text"
        service.ingest(*good[:5], bad, *good[5:])
        proxy.heal()
        with pytest.raises(NotAcknowledgedError, match="the server refuses 1 messages") as raised:
            service.flush()
        assert len(numbers(server, asset)) == 9
        (kept,) = service.spill_status.set_aside
        assert raised.value.files == (kept,)
        assert Path(kept).read_bytes()[5:] == bad.SerializeToString()

    @pytest.mark.parametrize(("size", "is_kept"), [(100, False), (2_000_000, True)])
    def test_what_is_too_large_is_set_aside_and_a_quota_is_waited_for(
        self, server, proxy, open_service, asset, size, is_kept
    ):
        """Both are RESOURCE_EXHAUSTED; a message that is small exceeds no limit of size."""
        service = open_service()
        proxy.answer(grpc.StatusCode.UNAVAILABLE, method=INGEST)
        times = QUICK.attempts_max + 1
        proxy.answer(grpc.StatusCode.RESOURCE_EXHAUSTED, method=INGEST, times=times)
        text = "x" * size
        service.ingest_flows({"flow_name": "logs", "timestamp": 1, "channel_values": [text]})
        wait_for(lambda: not service.spill_status.files)
        assert len(service.spill_status.set_aside) == is_kept
        assert [value for _, value in server.points(asset, "log")] == [text] * (not is_kept)
