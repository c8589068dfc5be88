"""What a server could not take can be read, counted, and does not fill the disk."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from sift.dlq_errors.v2 import dlq_errors_pb2, dlq_errors_pb2_grpc
from sift_server.catalog import Catalog, ErrorQueueLimits, ListRequest
from sift_server.server import Server, ServerSettings
from support.serving import plain_channel, serving
from support.telemetry import Request, Type, create_config, ingest

if TYPE_CHECKING:
    from pathlib import Path

    import grpc

T0 = 1_700_000_000_123_456_789
READINGS = {"readings": {"pressure": Type.CHANNEL_DATA_TYPE_DOUBLE}}
PATIENCE_S = 20


def misfits(channel: grpc.Channel, count: int) -> list[Request]:
    """Messages that say strings of a channel of doubles."""
    config = create_config(channel, READINGS)
    rows = [config.row("readings", T0 + i, [0.0]) for i in range(count)]
    for i, row in enumerate(rows):
        row.channel_values[0].string = f"high {i}"
    return rows


def summaries(channel: grpc.Channel, count: int) -> list[dlq_errors_pb2.ErrorSummary]:
    """What the server says once it has written down as many messages."""
    stub = dlq_errors_pb2_grpc.DlqErrorsServiceStub(channel)
    until = time.monotonic() + PATIENCE_S
    while True:
        found = stub.ListDlqErrors(dlq_errors_pb2.ListDlqErrorsRequest()).error_summaries
        if sum(one.count for one in found) >= count:
            return list(found)
        assert time.monotonic() < until, found
        time.sleep(0.05)


def test_a_running_server_says_what_it_rejected(server, channel):
    """Over gRPC and REST; an asset each, with the time that the messages are of."""
    rows = misfits(channel, 50)
    before_ns = time.time_ns()
    ingest(channel, rows)
    (summary,) = summaries(channel, 50)
    assert (summary.asset_name, summary.count) == ("rig", 50)
    assert summary.min_timestamp.ToNanoseconds() == T0
    assert summary.max_timestamp.ToNanoseconds() == T0 + 49
    assert before_ns <= summary.created_date.ToNanoseconds() <= time.time_ns()
    request = urllib.request.Request(
        f"http://{server.address}/api/v2/dlq-errors?filter=count%20%3D%3D%2050&page_size=1",
        headers={"authorization": f"Bearer {server.api_key}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        (found,) = json.load(answer)["errorSummaries"]
    assert (found["assetName"], found["count"]) == ("rig", "50")


def test_each_message_is_kept_with_what_it_is_about(tmp_path: Path):
    """Asset, flow, channel, cause, times and bytes; read beside the server that keeps them."""
    with serving(tmp_path / "data") as server:
        with plain_channel(server.address, server.api_key) as channel:
            rows = misfits(channel, 3)
            ingest(channel, rows)
            summaries(channel, 3)
        with Catalog.open_to_read(tmp_path / "data" / "catalog.sqlite") as catalog:
            kept = catalog.error_queue.list(ListRequest()).items
        assert server.stop() == 0
    assert [one.message for one in kept] == [row.SerializeToString() for row in rows]
    for i, one in enumerate(kept):
        assert (one.asset_name, one.flow_name, one.channel_name) == ("rig", "readings", "pressure")
        assert (one.cause, one.timestamp_ns) == ("wrong type", T0 + i)
        assert f"'high {i}'" in one.reason


@pytest.mark.parametrize(
    "limits", [ErrorQueueLimits(messages_max=100), ErrorQueueLimits(bytes_max=100 * 700)]
)
def test_the_queue_stays_within_its_limits(tmp_path: Path, limits: ErrorQueueLimits):
    """The newest messages stay; how many had to go is told after a restart as well."""
    folder = tmp_path / "telemetry"
    settings = ServerSettings(folder, port=0, error_limits=limits)
    with (
        Server(settings) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        rows = misfits(channel, 1_000)
        for start in range(0, 1_000, 10):
            ingest(channel, rows[start : start + 10])
    with Server(settings), Catalog.open_to_read(folder / "catalog.sqlite") as catalog:
        totals = catalog.error_queue.totals()
        kept = catalog.error_queue.list(ListRequest(page_size=1_000)).items
    assert totals.kept_messages + totals.dropped_messages == 1_000
    assert totals.kept_messages == len(kept) >= 90
    assert totals.fit(limits)
    newest = [row.SerializeToString() for row in rows[-len(kept) :]]
    assert [one.message for one in kept] == newest


def test_a_limit_is_an_option_of_the_command(tmp_path: Path):
    """Both of them."""
    options = ("--errors-messages", "10", "--errors-mib", "1")
    with (
        serving(tmp_path / "data", *options) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        ingest(channel, misfits(channel, 25))
        (summary,) = summaries(channel, 10)
        assert summary.count == 10


def test_messages_that_were_not_written_down_are_replayed(tmp_path: Path):
    """What was acknowledged before a kill is in the queue after the next start, once."""
    with serving(tmp_path / "data") as server:
        with plain_channel(server.address, server.api_key) as channel:
            ingest(channel, misfits(channel, 20))
        server.kill()
    for _ in range(2):
        with serving(tmp_path / "data") as server:
            with plain_channel(server.address, server.api_key) as channel:
                (summary,) = summaries(channel, 20)
            assert summary.count == 20
            server.kill()
