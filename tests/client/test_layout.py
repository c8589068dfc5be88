"""Flows that are declared against flows that the server has, and the order of values."""

from __future__ import annotations

import pytest

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift.ingestion_configs.v1.ingestion_configs_pb2 import FlowConfig as FlowConfigPb
from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.calls import equals_filter
from sift_py.ingestion._internal.layout import layout_of
from sift_py.ingestion._internal.reconcile import reconcile
from sift_py.ingestion._internal.rows import RowEncoder
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType, double_value, empty_value
from sift_py.ingestion.flow import FlowConfig

A = ChannelConfig("a", ChannelDataType.DOUBLE)
B = ChannelConfig("b", ChannelDataType.DOUBLE, component="left")
C = ChannelConfig("c", ChannelDataType.DOUBLE)


def flow(*channels: ChannelConfig, name: str = "readings") -> FlowConfig:
    return FlowConfig(name, list(channels))


def compare(local: FlowConfig, server: FlowConfig):
    layouts, missing = reconcile([local], [server.as_pb(FlowConfigPb)])
    assert not missing
    return layouts[local.name]


def sent(local: FlowConfig, server: FlowConfig, values):
    """The values of a row as they are on the wire."""
    fields = RowEncoder(compare(local, server)).ordered(values)
    return list(Request.FromString(fields).channel_values)


VALUES = [double_value(1), double_value(2), double_value(3)]


def test_the_servers_order_decides():
    """Values given in the order of the config go out in the order of the server's flow."""
    assert sent(flow(A, B, C), flow(C, A, B), VALUES) == [VALUES[2], VALUES[0], VALUES[1]]


def test_equal_orders_stay():
    """Nothing moves where nothing has to."""
    assert sent(flow(A, B, C), flow(A, B, C), VALUES) == VALUES


def test_channels_that_only_the_server_has_are_empty_in_their_place():
    """A channel that was removed from the config keeps its position on the wire."""
    expected = [VALUES[1], empty_value(), VALUES[0]]
    assert sent(flow(C, A), flow(A, B, C), VALUES[:2]) == expected


def test_values_that_cannot_be_placed_are_refused():
    """With another order on the server, as many values as channels are needed."""
    with pytest.raises(IngestionValidationError, match=r"'readings': expected 2 values.* got 3"):
        sent(flow(A, B), flow(B, A), VALUES)


def test_a_flow_the_server_lacks_is_missing():
    """It has the order of the config, once it is created."""
    layouts, missing = reconcile([flow(A, name="new")], [flow(A).as_pb(FlowConfigPb)])
    assert [each.name for each in missing] == ["new"]
    assert layouts["new"].wire_order is None


def test_a_channel_added_to_a_flow_is_refused():
    """The message names flow and channel, and what to do."""
    with pytest.raises(IngestionValidationError) as error:
        compare(flow(A, B), flow(A))
    assert "flow 'readings'" in error.value.message
    assert "without the channel 'left.b'" in error.value.message
    assert "new ingestion_client_key" in error.value.message


@pytest.mark.parametrize(("number", "name"), [(2, "'string'"), (11, "'data type 11'")])
def test_another_type_is_refused(number, name):
    """The message names flow, channel and both types, even one that this client does not know."""
    server = flow(A).as_pb(FlowConfigPb)
    server.channels[0].data_type = number
    with pytest.raises(IngestionValidationError) as error:
        reconcile([flow(A)], [server])
    assert "flow 'readings': channel 'a' is 'double' here" in error.value.message
    assert f"{name} on the server" in error.value.message
    assert "new ingestion_client_key" in error.value.message


def test_a_server_may_merge_the_component_into_the_name():
    """Only the fully qualified name counts."""
    server = flow(ChannelConfig("left.b", ChannelDataType.DOUBLE), A)
    assert compare(flow(A, B), server).wire_order == (1, 0)


def test_what_describes_a_channel_may_change():
    """Units, descriptions, enum types and bit field elements are not compared."""
    described = ChannelConfig("a", ChannelDataType.DOUBLE, description="d", unit="m")
    assert compare(flow(described), flow(A)).wire_order is None


def test_of_two_flows_of_a_name_the_last_counts():
    """As the published client has it."""
    server = [flow(C).as_pb(FlowConfigPb), flow(B, A).as_pb(FlowConfigPb)]
    layouts, _ = reconcile([flow(A, B)], server)
    assert layouts["readings"].wire_order == (1, 0)


def test_two_channels_of_a_name_are_refused():
    """Values by name could not be told apart."""
    with pytest.raises(IngestionValidationError, match=r"'readings' has two channels 'left\.b'"):
        layout_of(flow(B, A, ChannelConfig("left.b", ChannelDataType.STRING)))


def test_names_in_filters_are_escaped():
    """A quote, a backslash or a line's end does not end the string."""
    assert equals_filter("name", "plain name") == 'name=="plain name"'
    assert equals_filter("name", 'a"b\\c\nd\r') == r'name=="a\"b\\c\nd\r"'
