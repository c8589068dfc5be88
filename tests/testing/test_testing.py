"""The helpers for users do what they say, with a real server and the real client."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import grpc
import pytest

from sift.ping.v1.ping_pb2 import PingRequest
from sift.ping.v1.ping_pb2_grpc import PingServiceStub
from sift_py.errors import EmbeddedServerError
from sift_py.grpc.retry import RetryPolicy
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_py.testing import FaultProxy, LocalServer, ManualClock

CONFIG = TelemetryConfig(
    asset_name="rig", flows=[FlowConfig("f", [ChannelConfig("x", ChannelDataType.DOUBLE)])]
)
INGEST = "IngestWithConfigDataStream"
WAIT_S = 30


@pytest.fixture(scope="module")
def server():
    with LocalServer() as running:
        yield running


@pytest.fixture
def proxy(server):
    with FaultProxy(server.address) as running:
        yield running


@pytest.fixture
def channel(server, proxy):
    with server.channel(proxy.uri) as opened:
        yield opened


def config(name):
    return TelemetryConfig(asset_name=name, ingestion_client_key=name, flows=CONFIG.flows)


@pytest.fixture
def asset(request):
    return request.node.name


@pytest.fixture
def service(channel, asset):
    """Each test has an asset of its own, and no retries."""
    return IngestionService(channel, config(asset), retry_policy=None)


def row(number):
    return {"flow_name": "f", "timestamp": number, "channel_values": [float(number)]}


def code_of(call, *arguments):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments)
    return error.value.code().name


def ping(channel, **options):
    return PingServiceStub(channel).Ping(PingRequest(), **options)


class TestProxy:
    """What passes, what does not, and who notices."""

    def test_without_faults_all_passes(self, server, service, asset):
        """Both kinds of calls."""
        service.ingest_flows(row(1))
        assert server.points(asset, "x") == [(1, 1.0)]

    def test_a_delay_holds_what_passes(self, channel, proxy):
        """On the way there and on the way back."""
        ping(channel)
        proxy.delay_ms = 200
        began_s = time.monotonic()
        ping(channel)
        assert time.monotonic() - began_s >= 0.4

    def test_a_cut_breaks_a_stream_off(self, server, proxy, service, asset):
        """In the middle; the next call goes through."""
        proxy.cut_after(100_000)
        rows = [row(number) for number in range(20_000)]
        assert code_of(service.ingest_flows, *rows) == "UNAVAILABLE"
        service.ingest_flows(*rows)
        assert len(server.points(asset, "x")) == len(rows)

    def test_a_server_that_refuses_is_away(self, channel, proxy, service):
        """Until it is healed."""
        proxy.refuse()
        assert code_of(service.ingest_flows, row(1)) == "UNAVAILABLE"
        assert code_of(ping, channel) == "UNAVAILABLE"
        proxy.heal()
        service.ingest_flows(row(1))

    def test_a_black_hole_tells_nobody(self, server, channel, proxy, service, asset):
        """Calls wait; when it is healed they go on, and nothing is missing."""
        proxy.black_hole()
        assert code_of(lambda: ping(channel, timeout=0.3)) == "DEADLINE_EXCEEDED"
        calling = threading.Thread(target=service.ingest_flows, args=(row(1),))
        calling.start()
        calling.join(0.3)
        assert calling.is_alive()
        proxy.heal()
        calling.join(WAIT_S)
        assert not calling.is_alive()
        assert server.points(asset, "x") == [(1, 1.0)]

    @pytest.mark.parametrize("is_taken", [False, True])
    def test_a_status_is_answered_in_place_of_the_server(
        self, server, proxy, service, asset, is_taken
    ):
        """Once, for one method; the server has the rows if only the answer was lost."""
        proxy.answer(
            grpc.StatusCode.ABORTED, "not now", method=INGEST, is_taken=is_taken,
            retry_after_ms=70,
        )  # fmt: skip
        service.attach_run(service.transport_channel, "a run")
        with pytest.raises(grpc.RpcError, match="not now") as error:
            service.ingest_flows(row(1))
        assert error.value.code() is grpc.StatusCode.ABORTED
        assert error.value.trailing_metadata()[0][0] == "grpc-status-details-bin"
        assert bool(server.points(asset, "x")) == is_taken
        service.ingest_flows(row(2))
        assert (2, 2.0) in server.points(asset, "x")

    def test_errors_of_the_server_pass(self, proxy, server):
        """Also while statuses are answered."""
        proxy.answer(grpc.StatusCode.ABORTED, method="Other")
        with use_sift_channel({"uri": proxy.uri, "apikey": "wrong"}) as stranger:
            assert code_of(ping, stranger) == "UNAUTHENTICATED"

    def test_a_server_that_is_not_there_is_away(self):
        """The proxy does not wait for it."""
        with LocalServer() as server:
            key = server.apikey
            address = server.address
        with (
            FaultProxy(address) as proxy,
            use_sift_channel({"uri": proxy.uri, "apikey": key}) as channel,
        ):
            assert code_of(ping, channel) == "UNAVAILABLE"

    def test_retries_meet_the_faults(self, server, channel, proxy, asset):
        """The lost answer of a batch is asked for again; the batch is there once."""
        clock = ManualClock()
        policy = RetryPolicy(clock=clock)
        service = IngestionService(channel, config(asset), retry_policy=policy)
        proxy.answer(grpc.StatusCode.UNAVAILABLE, times=3, method=INGEST, is_taken=True)
        service.ingest_flows(row(1), row(2))
        assert len(clock.waits_s) >= 3
        assert server.points(asset, "x") == [(1, 1.0), (2, 2.0)]


class TestServer:
    """A folder, a port, a key."""

    def test_it_is_the_same_after_a_restart(self, tmp_path):
        """Clients find it where it was, with what it had."""
        with LocalServer(tmp_path / "data") as server, server.channel() as channel:
            service = IngestionService(channel, CONFIG)
            service.ingest_flows(row(1))
            address = server.address
            server.stop()
            server.start()
            assert server.address == address
            service.ingest_flows(row(2))
            assert server.points("rig", "x") == [(1, 1.0), (2, 2.0)]
        assert (tmp_path / "data" / "lake").exists()

    def test_a_temporary_folder_is_removed(self):
        """Nothing is left of a test."""
        with LocalServer() as server:
            folder = server.data_dir
            assert server.points("nobody", "x") == []
            with pytest.raises(EmbeddedServerError, match="can't start"):
                LocalServer(folder).start()
        assert not folder.exists()


def test_a_clock_goes_on_when_it_is_told_to():
    """Its times are those of one moment, in all forms."""
    clock = ManualClock(datetime(2026, 11, 25, 12, tzinfo=UTC))
    clock.sleep(1.5)
    clock.advance(0.25)
    assert clock.monotonic() == 1.75
    assert clock.waits_s == [1.5]
    assert clock.now().isoformat() == "2026-11-25T12:00:01.750000+00:00"
    assert clock.time_ns() == 1_795_608_001_750_000_000
