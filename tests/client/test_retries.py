"""Calls that fail for a passing reason are made again, and others are not."""

from __future__ import annotations

import uuid

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_py.errors import RetryPolicyError
from sift_py.grpc._retrying import retried
from sift_py.grpc.retry import DEFAULT_RETRY_POLICY, NO_RETRIES, RetryPolicy
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_py.testing import ManualClock
from support.recording_server import API_KEY
from support.serving import plain_channel
from support.telemetry_configs import log_row, rule, telemetry_config

INGEST = "IngestWithConfigDataStream"
TRANSIENT = ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"]
PERMANENT = [code.name for code in grpc.StatusCode if code.name not in {*TRANSIENT, "OK"}]
NUMBERS = FlowConfig("numbers", [ChannelConfig("x", ChannelDataType.DOUBLE)])


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def policy(clock):
    """Up to four attempts."""
    return RetryPolicy(attempts_max=4, clock=clock)


@pytest.fixture(params=["over HTTP/2", "over gRPC"])
def service(request, server, channel, policy):
    """A service on a channel of each kind."""
    if request.param == "over gRPC":
        channel = plain_channel(server.address, API_KEY)
    with channel:
        yield IngestionService(channel, telemetry_config(), retry_policy=policy)


def keys(server):
    return [call.metadata["sift-idempotency-key"] for call in server.calls_of(INGEST)]


class TestIngestCalls:
    """A batch goes as often as it takes."""

    @pytest.mark.parametrize("code", TRANSIENT)
    def test_what_passes_is_tried_again(self, server, service, clock, code):
        """The whole batch, in order, under one key; another batch has another one."""
        server.fail(INGEST, grpc.StatusCode[code], times=3)
        rows = [log_row(str(number)) for number in range(3)]
        service.try_ingest_flows(*rows)
        assert len(clock.waits_s) == 3
        assert [len(stream) for stream in server.streams] == [3] * 4
        assert all(stream == server.streams[0] for stream in server.streams)
        (key,) = set(keys(server))
        service.try_ingest_flows(*rows)
        assert keys(server)[-1] != key
        assert all(str(uuid.UUID(key)) == key for key in keys(server))

    @pytest.mark.parametrize("code", PERMANENT)
    def test_what_does_not_pass_is_raised_at_once(self, server, service, clock, code):
        """To repeat it would only be late."""
        server.fail(INGEST, grpc.StatusCode[code])
        with pytest.raises(grpc.RpcError) as error:
            service.try_ingest_flows(log_row())
        assert error.value.code().name == code
        assert len(server.streams) == 1
        assert clock.waits_s == []

    def test_the_last_failure_is_raised(self, server, service, clock):
        """A note says how often it was tried."""
        server.fail(INGEST, grpc.StatusCode.UNAVAILABLE, "the way is cut", times=100)
        with pytest.raises(grpc.RpcError, match="the way is cut") as error:
            service.try_ingest_flows(log_row())
        assert len(server.streams) == 4
        assert "It was tried 4 times in " in error.value.__notes__[0]

    def test_the_server_says_when(self, server, service, clock):
        """Never sooner than it asks, and not much later."""
        server.fail(INGEST, grpc.StatusCode.RESOURCE_EXHAUSTED, times=2, retry_after_ms=1_500)
        service.try_ingest_flows(log_row())
        assert len(clock.waits_s) == 2
        assert all(1.5 <= wait_s <= 1.6 for wait_s in clock.waits_s)

    def test_the_server_cannot_ask_for_ever(self, server, service, clock):
        """A wrong delay must not stop a program."""
        server.fail(INGEST, grpc.StatusCode.UNAVAILABLE, retry_after_ms=86_400_000)
        service.try_ingest_flows(log_row())
        assert clock.waits_s == [10]

    def test_rows_that_are_made_on_the_way_are_the_same_again(self, server, service):
        """Also those of a later chunk, and of columns."""
        service.try_create_flow(NUMBERS)
        server.fail(INGEST, grpc.StatusCode.UNAVAILABLE, times=2)
        rows = [
            {"flow_name": "numbers", "timestamp": number, "channel_values": [float(number)]}
            for number in range(30_000)
        ]
        service.ingest_flows(*rows)
        first, second, third = server.streams
        assert first == second == third
        assert len(first) == len(rows)
        server.fail(INGEST, grpc.StatusCode.UNAVAILABLE)
        counted = []
        numbers = np.arange(30_000)
        service.ingest_columns(
            "numbers", numbers, {"x": numbers * 1.0},
            on_progress=lambda progress: counted.append(progress.rows_sent),
        )  # fmt: skip
        fourth, fifth = server.streams[3:]
        assert fourth == fifth == first
        assert counted.count(30_000) == 2

    def test_none_turns_retries_off(self, server, channel):
        """As does a policy of one attempt."""
        for number, each in enumerate((None, NO_RETRIES, RetryPolicy(attempts_max=1)), 1):
            service = IngestionService(channel, telemetry_config(), retry_policy=each)
            server.fail(INGEST, grpc.StatusCode.UNAVAILABLE)
            with pytest.raises(grpc.RpcError) as error:
                service.try_ingest_flows(log_row())
            assert len(server.streams) == number
            assert not hasattr(error.value, "__notes__")


class TestControlCalls:
    """Those that do no harm when they are made twice."""

    def test_all_of_them_are_tried_again(self, server, channel, policy):
        """What was made in an attempt whose answer was lost is found in the next one."""
        for method in (
            "ListIngestionConfigs", "CreateIngestionConfig", "ViewJsonRules", "UpdateJsonRules",
            "CreateIngestionConfigFlows", "ListRuns",
        ):  # fmt: skip
            server.fail(method, grpc.StatusCode.UNAVAILABLE, times=2)
        config = telemetry_config(rules=[rule()])
        service = IngestionService(channel, config, retry_policy=policy)
        service.create_flow(NUMBERS)
        service.attach_run(channel, "hot fire")
        for method in ("ListIngestionConfigFlows", "GetAsset"):
            server.fail(method, grpc.StatusCode.UNAVAILABLE, times=2)
        IngestionService(channel, config, retry_policy=policy)
        assert len(server.calls_of("ListIngestionConfigFlows")) == 3
        assert len(server.calls_of("GetAsset")) == 3

    def test_a_run_whose_answer_was_lost_is_not_made_twice(self, server, channel, policy):
        """Names of runs are not unique: the retry looks before it makes one."""
        service = IngestionService(channel, telemetry_config(), retry_policy=policy)
        server.fail("CreateRun", grpc.StatusCode.UNAVAILABLE)

        def made_and_lost(method):
            if method == "CreateRun" and not server.runs:
                server.runs["run-1"] = "hot fire"

        server.before_reply = made_and_lost
        service.attach_run(channel, "hot fire")
        assert service.run_id == "run-1"
        assert len(server.calls_of("CreateRun")) == 1


class TestPolicy:
    """How long is waited, and how often it is tried."""

    @given(st.integers(1, 1000), st.floats(0, 1), st.none() | st.floats(0, 1e12))
    def test_no_wait_is_too_long(self, failures, chance, asked_ms):
        """Whatever happens."""
        policy = RetryPolicy(first_wait_ms=100, wait_ms_max=5_000)
        wait_ms = policy.wait_ms(failures, chance, asked_ms)
        assert 0 <= wait_ms <= 5_000
        if asked_ms is None:
            assert wait_ms == chance * min(5_000, 100 * 2 ** (failures - 1))
        else:
            assert wait_ms >= min(5_000, asked_ms)

    def test_waits_double(self):
        """Up to the longest one."""
        policy = RetryPolicy(first_wait_ms=100, wait_ms_max=1_000)
        assert [policy.wait_ms(n, 1.0) for n in range(1, 7)] == [100, 200, 400, 800, 1000, 1000]

    @pytest.mark.parametrize("total_ms_max", [0, 150, 1_000, 50_000])
    def test_the_total_is_kept(self, total_ms_max):
        """No wait begins that would go beyond it."""
        clock = ManualClock()
        policy = RetryPolicy(
            attempts_max=1_000, wait_ms_max=2_000, total_ms_max=total_ms_max, clock=clock
        )

        def fail():
            clock.advance(0.01)
            error = grpc.RpcError()
            error.code = lambda: grpc.StatusCode.UNAVAILABLE
            raise error

        with pytest.raises(grpc.RpcError):
            retried(fail, policy)
        assert clock.monotonic() <= total_ms_max / 1e3 + 0.01

    @pytest.mark.parametrize("details", [b"", b"\xff", b"\x1a\x02\x12\x00", "text"])
    def test_details_that_make_no_sense_ask_for_nothing(self, details, policy, clock):
        """Servers may write there what they like."""
        failures = []

        def fail_once():
            if failures:
                return "done"
            error = grpc.RpcError()
            error.code = lambda: grpc.StatusCode.ABORTED
            error.trailing_metadata = lambda: (("grpc-status-details-bin", details),)
            failures.append(error)
            raise error

        assert retried(fail_once, policy) == "done"
        assert clock.waits_s[0] <= 0.1

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("attempts_max", 0), ("attempts_max", None), ("first_wait_ms", -1),
            ("wait_ms_max", float("nan")), ("total_ms_max", "60"), ("first_wait_ms", True),
        ],
    )  # fmt: skip
    def test_a_limit_without_sense_is_refused(self, name, value):
        """With its name and value."""
        with pytest.raises(RetryPolicyError, match=f"{name} of a RetryPolicy .* got {value!r}"):
            RetryPolicy(**{name: value})

    def test_policies_are_values(self):
        """Equal when their limits are, and shown with them."""
        assert RetryPolicy() == DEFAULT_RETRY_POLICY == RetryPolicy(clock=ManualClock())
        assert repr(RetryPolicy(3, 1, 2, 4)) == (
            "RetryPolicy(attempts_max=3, first_wait_ms=1, wait_ms_max=2, total_ms_max=4)"
        )
