"""Flows of ingestion configs, of both versions of their service, to and from the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.ingestion_configs.v1 import ingestion_configs_pb2 as v1
from sift.ingestion_configs.v2 import ingestion_configs_pb2 as v2
from sift_server.api.services.convert import (
    from_bit_field_elements,
    from_enum_types,
    to_bit_field_elements,
    to_data_type,
    to_enum_types,
)
from sift_server.catalog import ChannelConfig, FlowConfig
from sift_server.errors import InvalidArgumentError
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable


def from_flows(flows: Iterable[v1.FlowConfig] | Iterable[v2.FlowConfig]) -> list[FlowConfig]:
    """Read flows.

    Raises:
        InvalidArgumentError: A channel has no data type, or one that this server does not know.
    """
    return [
        FlowConfig(flow.name, tuple(_from_channel(flow.name, one) for one in flow.channels))
        for flow in flows
    ]


def _from_channel(flow_name: str, channel: v1.ChannelConfig | v2.ChannelConfig) -> ChannelConfig:
    try:
        data_type = DataType(channel.data_type)
    except ValueError:
        raise InvalidArgumentError(
            f"the channel {channel.name!r} of the flow {flow_name!r} has the data type"
            f" {channel.data_type}; give it one of"
            f" {', '.join(f'CHANNEL_DATA_TYPE_{known.name}' for known in DataType)}"
        ) from None
    return ChannelConfig(
        name=channel.name,
        component=channel.component if isinstance(channel, v1.ChannelConfig) else "",
        data_type=data_type,
        unit=channel.unit,
        description=channel.description,
        enum_types=from_enum_types(channel.enum_types),
        bit_field_elements=from_bit_field_elements(channel.bit_field_elements),
    )


def to_flow_v1(flow: FlowConfig) -> v1.FlowConfig:
    """Write a flow, component and name of each channel apart."""
    return v1.FlowConfig(
        name=flow.name,
        channels=[
            v1.ChannelConfig(
                name=channel.name,
                component=channel.component,
                unit=channel.unit,
                description=channel.description,
                data_type=to_data_type(channel.data_type),
                enum_types=to_enum_types(channel.enum_types),
                bit_field_elements=to_bit_field_elements(channel.bit_field_elements),
            )
            for channel in flow.channels
        ],
    )


def to_flow_v2(flow: FlowConfig) -> v2.FlowConfig:
    """Write a flow, each channel by its fully qualified name."""
    return v2.FlowConfig(
        name=flow.name,
        channels=[
            v2.ChannelConfig(
                name=channel.fqn,
                unit=channel.unit,
                description=channel.description,
                data_type=to_data_type(channel.data_type),
                enum_types=to_enum_types(channel.enum_types),
                bit_field_elements=to_bit_field_elements(channel.bit_field_elements),
            )
            for channel in flow.channels
        ],
    )
