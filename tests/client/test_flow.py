"""Flows."""

from __future__ import annotations

from sift.ingestion_configs.v1.ingestion_configs_pb2 import FlowConfig as FlowConfigPb
from sift.ingestion_configs.v2.ingestion_configs_pb2 import FlowConfig as FlowConfigV2Pb
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.flow import FlowConfig

VELOCITY = ChannelConfig("velocity", ChannelDataType.DOUBLE, component="mainmotor", unit="m/s")
VOLTAGE = ChannelConfig("voltage", ChannelDataType.INT_32)


def test_channels_are_found_by_their_fqn() -> None:
    """The index of a channel is found by its fully qualified name; the later of two wins."""
    flow = FlowConfig("readings", [VELOCITY, VOLTAGE, VOLTAGE])
    assert flow.channel_by_fqn == {"mainmotor.velocity": 0, "voltage": 2}


def test_a_flow_survives_its_v1_message() -> None:
    """Name, channels and their order are in the message and come back."""
    flow = FlowConfig("readings", [VELOCITY, VOLTAGE])
    assert FlowConfig.from_pb(flow.as_pb(FlowConfigPb)) == flow


def test_a_v2_message_has_components_in_names() -> None:
    """Messages of v2 have no components."""
    message = FlowConfig("readings", [VELOCITY, VOLTAGE]).as_pb(FlowConfigV2Pb)
    assert [channel.name for channel in message.channels] == ["mainmotor.velocity", "voltage"]


def test_flows_are_equal_by_value_and_hashable() -> None:
    """Another order of channels is another flow."""
    assert FlowConfig("a", [VELOCITY]) == FlowConfig("a", [VELOCITY])
    assert FlowConfig("a", [VELOCITY, VOLTAGE]) != FlowConfig("a", [VOLTAGE, VELOCITY])
    assert len({FlowConfig("a", [VELOCITY]), FlowConfig("a", [VELOCITY])}) == 1


def test_a_flow_without_channels_is_fine() -> None:
    """It can be declared; it just has nothing to send."""
    assert FlowConfig("nothing", []).as_pb(FlowConfigPb) == FlowConfigPb(name="nothing")
