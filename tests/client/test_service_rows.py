"""Rows: how they are checked, and what they are on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import grpc
import numpy as np
import pytest

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue as Value
from sift_py.errors import IngestionValidationError
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    bit_field_value,
    bool_value,
    double_value,
    empty_value,
    enum_value,
    float_value,
    int32_value,
    int64_value,
    string_value,
    uint32_value,
    uint64_value,
)
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from support.telemetry_configs import (
    NOW,
    log_row,
    named,
    telemetry_config,
    velocity_row,
)

TYPED_VALUES = {
    ChannelDataType.DOUBLE: double_value(1.5),
    ChannelDataType.STRING: string_value("text"),
    ChannelDataType.ENUM: enum_value(2),
    ChannelDataType.BIT_FIELD: bit_field_value(b"\x09"),
    ChannelDataType.BOOL: bool_value(val=True),
    ChannelDataType.FLOAT: float_value(2.5),
    ChannelDataType.INT_32: int32_value(-5),
    ChannelDataType.INT_64: int64_value(-6),
    ChannelDataType.UINT_32: uint32_value(7),
    ChannelDataType.UINT_64: uint64_value(8),
}
EVERY_TYPE = FlowConfig(
    "every", [ChannelConfig(data_type.name, data_type) for data_type in ChannelDataType]
)


@pytest.fixture
def service(server, channel):
    """A service for the flows `readings`, `logs` and `every`."""
    service = IngestionService(channel, telemetry_config())
    service.try_create_flow(EVERY_TYPE)
    return service


def refused(service, flow_name="readings", timestamp=NOW, channel_values=()):
    with pytest.raises(IngestionValidationError) as error:
        service.try_create_ingestion_request(flow_name, timestamp, list(channel_values))
    assert error.value.message == str(error.value)
    return error.value.message


class TestChecked:
    """Rows that name their channels are checked before anything is sent."""

    def test_values_are_placed_by_name(self, service):
        """In the order of the flow; what is left out is empty."""
        request = service.try_create_ingestion_request(
            flow_name="readings",
            timestamp=NOW,
            channel_values=[
                {"channel_name": "vehicle_state", "value": enum_value(2)},
                {"channel_name": "velocity", "component": "mainmotor", "value": double_value(9)},
            ],
        )
        assert list(request.channel_values) == [
            double_value(9),
            empty_value(),
            enum_value(2),
            empty_value(),
        ]
        assert request.flow == "readings"
        assert request.timestamp.ToDatetime(tzinfo=UTC) == NOW
        assert request.ingestion_config_id == "config-1"
        assert (request.run_id, request.organization_id) == ("", "")
        assert not request.end_stream_on_validation_error

    def test_every_type_takes_its_value_and_no_other(self, service):
        """Strictly: int32 is not int64."""
        for data_type in ChannelDataType:
            for value_type, value in TYPED_VALUES.items():
                row = [{"channel_name": data_type.name, "value": value}]
                if value_type is data_type:
                    service.try_create_ingestion_request("every", NOW, row)
                else:
                    message = refused(service, "every", channel_values=row)
                    assert f"'{data_type.name}' expected to be a '{data_type.as_human_str()}'" in (
                        message
                    )

    def test_an_explicit_empty_value_is_a_missing_one(self, service):
        """For every type."""
        rows = [{"channel_name": each.name, "value": empty_value()} for each in ChannelDataType]
        request = service.try_create_ingestion_request("every", NOW, rows)
        assert request == service.try_create_ingestion_request("every", NOW, [])
        assert {value.WhichOneof("type") for value in request.channel_values} == {"empty"}

    def test_an_unknown_flow_is_refused(self, service):
        """The message names the flow, the asset and the flows that there are."""
        message = refused(service, flow_name="reading")
        assert "name 'reading' could not be found in asset 'NostromoLV426'" in message
        assert "'every', 'logs', 'readings'" in message

    def test_two_values_for_a_channel_are_refused(self, service):
        """The message names flow, channel and both values."""
        twice = [{"channel_name": "voltage", "value": int32_value(n)} for n in (5, 6)]
        message = refused(service, channel_values=twice)
        assert "'readings': multiple values encountered for channel 'voltage'" in message
        assert "int32 5 and int32 6" in message

    def test_a_value_of_another_type_is_refused(self, service):
        """The message names flow, channel with its component, value, and what to use."""
        wrong = velocity_row(0)["channel_values"]
        wrong[0]["value"] = int32_value(5)
        message = refused(service, channel_values=wrong)
        assert "flow 'readings': value for 'mainmotor.velocity'" in message
        assert "expected to be a 'double', got int32 5" in message
        assert "double_value(...)" in message

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (Value(), "no value"),
            (5.5, "5.5"),
            (2**31, "2147483648"),
            (True, "True"),
            (string_value("x" * 1000), "x..."),
            (bit_field_value(b"\x01"), r"b'\x01'"),
        ],
    )
    def test_what_is_no_value_for_a_channel_is_shown(self, service, value, shown):
        """On one line, and not at any length."""
        message = refused(service, channel_values=[{"channel_name": "voltage", "value": value}])
        assert f"got {shown}" in message or shown in message
        assert "\n" not in message
        assert len(message) < 300

    def test_a_value_for_no_channel_is_refused(self, service):
        """A channel that has a component is another one without it; the message says so."""
        rows = [
            {"channel_name": "velocity", "value": double_value(1)},
            {"channel_name": "altitude", "value": double_value(1)},
        ]
        message = refused(service, channel_values=rows)
        assert "'readings': unexpected channel(s) 'velocity', 'altitude'." in message
        assert "'velocity' may be meant for 'mainmotor.velocity'" in message

    def test_the_first_of_several_faults_is_named(self, service):
        """In the order flow, doubles, types, unexpected channels, timestamp."""
        naive = NOW.replace(tzinfo=None)
        wrong_type = {"channel_name": "voltage", "value": double_value(1)}
        unexpected = {"channel_name": "altitude", "value": double_value(1)}
        faults = [unexpected, wrong_type, wrong_type]
        assert "could not be found" in refused(service, "?", naive, faults)
        assert "multiple values" in refused(service, timestamp=naive, channel_values=faults)
        assert "expected to be" in refused(service, timestamp=naive, channel_values=faults[:2])
        assert "unexpected" in refused(service, timestamp=naive, channel_values=faults[:1])
        assert "must be in UTC" in refused(service, timestamp=naive)

    @pytest.mark.parametrize(
        "flow",
        [
            ...,
            None,
            [],
            {},
            {"flow_name": "logs", "timestamp": NOW},
            {"flow_name": "logs", "channel_values": []},
        ],
    )
    def test_what_is_no_flow_is_refused(self, service, flow):
        """The message says what a flow is, and shows what was given."""
        for ingest in (service.try_ingest_flows, service.try_ingest_flow, service.ingest_flow):
            with pytest.raises(IngestionValidationError, match="'flow_name', 'timestamp'") as error:
                ingest(flow)
            assert repr(flow)[:40] in error.value.message

    @pytest.mark.parametrize("channel_value", [..., [], "voltage", {"channel_name": "voltage"}])
    def test_what_is_no_channel_value_is_refused(self, service, channel_value):
        """The message says what one is."""
        message = refused(service, channel_values=[channel_value])
        assert "'readings': a channel value must be a dictionary" in message

    def test_timestamps_are_of_three_kinds(self, service):
        """A datetime, nanoseconds, and NumPy's; the finer ones to the nanosecond."""
        times = [NOW, 1_780_315_200_123_456_789, np.datetime64("2026-06-01T12:00:00.123456789")]
        requests = [service.try_create_ingestion_request("logs", time, []) for time in times]
        assert [request.timestamp.nanos for request in requests] == [
            123_456_000,
            123_456_789,
            123_456_789,
        ]


class TestOrdered:
    """Rows in the order of the flow are not checked; the server judges them."""

    def test_values_go_as_they_are(self, service):
        """Neither flow, nor number, nor types are looked at."""
        request = service.create_ingestion_request("no such flow", NOW, [int32_value(1)])
        assert list(request.channel_values) == [int32_value(1)]
        request = service.create_ingestion_request("logs", NOW, [])
        assert not request.channel_values

    def test_any_datetime_is_taken(self, service):
        """A naive one as UTC; others are converted."""
        naive = NOW.replace(tzinfo=None)
        elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))
        for moment in (NOW, naive, elsewhere):
            request = service.create_ingestion_request("logs", moment, [])
            assert request.timestamp.ToDatetime(tzinfo=UTC) == NOW

    def test_a_timestamp_that_is_none_is_refused(self, service):
        """There is nothing the server could do with it."""
        with pytest.raises(IngestionValidationError, match="'logs': the timestamp must be"):
            service.create_ingestion_request("logs", "today", [])


class TestSending:
    """One call is one stream."""

    def test_requests_go_in_one_stream(self, server, service):
        """Made before or on the way, of one flow or several."""
        request = service.try_create_ingestion_request("logs", NOW, [])
        service.ingest(request, request)
        service.ingest()
        service.try_ingest_flows(log_row("a"), velocity_row(1))
        service.try_ingest_flow(log_row("b"))
        ordered = {"flow_name": "logs", "timestamp": NOW, "channel_values": [string_value("c")]}
        service.ingest_flows(ordered, ordered)
        service.ingest_flow(ordered)
        assert [len(stream) for stream in server.streams] == [2, 0, 2, 1, 2, 1]
        assert server.streams[0] == [request, request]

    def test_one_invalid_flow_keeps_all_from_being_sent(self, server, service):
        """Requests are made before the stream is opened."""
        with pytest.raises(IngestionValidationError):
            service.try_ingest_flows(log_row(), named("logs", log=int32_value(1)))
        assert server.streams == []

    def test_requests_carry_what_the_service_was_made_with(self, server, channel):
        """Run, organization, and whether the stream ends at the first fault."""
        config = telemetry_config(organization_id="weyland")
        service = IngestionService(channel, config, run_id="run-3", end_stream_on_error=True)
        service.try_ingest_flows(log_row())
        (row,) = server.rows
        assert (row.run_id, row.organization_id) == ("run-3", "weyland")
        assert row.end_stream_on_validation_error

    def test_a_failed_stream_is_a_grpc_error(self, server, service):
        """As the server words it."""
        server.fail("IngestWithConfigDataStream", grpc.StatusCode.INVALID_ARGUMENT, "bad row")
        with pytest.raises(grpc.RpcError) as error:
            service.try_ingest_flows(log_row())
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.value.details() == "bad row"

    def test_a_channel_made_elsewhere_will_do(self, server, channel):
        """The service takes any `grpc.Channel`."""
        plain = grpc.intercept_channel(channel)
        IngestionService(plain, telemetry_config()).try_ingest_flows(log_row())
        assert len(server.rows) == 1


def test_time_does_not_depend_on_the_machines_zone(service, monkeypatch):
    """A naive datetime is UTC wherever the program runs."""
    monkeypatch.setenv("TZ", "America/New_York")
    request = service.create_ingestion_request("logs", datetime(2026, 6, 1), [])  # noqa: DTZ001
    assert request.timestamp.seconds == 1_780_272_000
