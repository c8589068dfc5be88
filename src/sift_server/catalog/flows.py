"""Flows: channels that are sent together, in an order that never changes.

A flow keeps what its client said of each channel, because clients compare it with what they have.
It is stored as one JSON document: `[[channel_id, name, component, data_type, unit, description,
enum_types, bit_field_elements], ...]`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.catalog.channels import (
    ChannelConfig,
    bits_document,
    bits_of,
    enums_document,
    enums_of,
)
from sift_server.errors import InvalidArgumentError
from sift_wire.columns import DataType, FlowLayout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_BIT_INDEX_MAX = 2**31 - 1
_ELEMENT_BITS_MAX = 32


@dataclass(frozen=True, slots=True)
class FlowConfig:
    """A flow, its channels in the order of their values on the wire."""

    name: str
    channels: tuple[ChannelConfig, ...]


@dataclass(frozen=True, slots=True)
class ConfiguredFlow:
    """What the ingest path has to know of a flow.

    Attributes:
        layout: The channels, for the decoder.
        channel_ids: Their ids, in the same order.
    """

    asset_id: str
    asset_name: str
    ingestion_config_id: str
    layout: FlowLayout
    channel_ids: tuple[str, ...]


def check_flows(flows: Sequence[FlowConfig]) -> None:
    """Check what one call declares.

    Raises:
        InvalidArgumentError: A name is blank, or is there twice, or an element of a bit field has
            bits that can't be read; says which flow and channel.
    """
    names = set()
    for flow in flows:
        if not flow.name.strip():
            raise InvalidArgumentError("a flow has no name; name it")
        if flow.name in names:
            raise InvalidArgumentError(
                f"the flow {flow.name!r} is there twice; flow names are unique in an ingestion"
                " config"
            )
        names.add(flow.name)
        _check_channels(flow)


def _check_channels(flow: FlowConfig) -> None:
    fqns = set()
    for number, channel in enumerate(flow.channels, 1):
        if not channel.name.strip():
            raise InvalidArgumentError(f"channel {number} of the flow {flow.name!r} has no name")
        if channel.fqn in fqns:
            raise InvalidArgumentError(
                f"the channel {channel.fqn!r} is there twice in the flow {flow.name!r}; a flow has"
                " one value of a channel for each timestamp"
            )
        fqns.add(channel.fqn)
        _check_bit_field(channel, flow.name)


def _check_bit_field(channel: ChannelConfig, flow_name: str) -> None:
    where = f"of the channel {channel.fqn!r} of the flow {flow_name!r}"
    names = set()
    for number, element in enumerate(channel.bit_field_elements, 1):
        if not element.name.strip():
            raise InvalidArgumentError(f"bit field element {number} {where} has no name")
        if element.name in names:
            raise InvalidArgumentError(
                f"the bit field element {element.name!r} {where} is there twice"
            )
        names.add(element.name)
        if not 0 <= element.index <= _BIT_INDEX_MAX:
            raise InvalidArgumentError(
                f"the bit field element {element.name!r} {where} has the index {element.index};"
                f" bits count from 0 to {_BIT_INDEX_MAX}"
            )
        if not 0 <= element.bit_count <= _ELEMENT_BITS_MAX:
            raise InvalidArgumentError(
                f"the bit field element {element.name!r} {where} has {element.bit_count} bits; it"
                f" may have {_ELEMENT_BITS_MAX}, the size of its value when it is read"
            )


def difference(existing: FlowConfig, wanted: FlowConfig) -> str | None:
    """Say how a flow differs from the existing one of its name; None if it does not."""
    if len(existing.channels) != len(wanted.channels):
        known = {channel.fqn for channel in existing.channels}
        asked = {channel.fqn for channel in wanted.channels}
        for channel in wanted.channels:
            if channel.fqn not in known:
                return f"the existing flow has no channel {channel.fqn!r}"
        missing = next(one.fqn for one in existing.channels if one.fqn not in asked)
        return f"the existing flow also has the channel {missing!r}"
    for number, (old, new) in enumerate(zip(existing.channels, wanted.channels, strict=True), 1):
        if old.fqn != new.fqn:
            return f"channel {number} is {old.fqn!r} in the existing flow, and now {new.fqn!r}"
        if old.data_type is not new.data_type:
            return (
                f"the channel {old.fqn!r} is of type {old.data_type.name} in the existing flow,"
                f" and now {new.data_type.name}"
            )
        for what in ("unit", "description", "enum_types", "bit_field_elements"):
            if getattr(old, what) != getattr(new, what):
                return f"the channel {old.fqn!r} has another {what} in the existing flow"
    return None


def to_document(flow: FlowConfig, channel_ids: Mapping[tuple[str, DataType], str]) -> str:
    """Encode the channels of a flow."""
    return json.dumps(
        [
            [
                channel_ids[channel.fqn, channel.data_type],
                channel.name,
                channel.component,
                int(channel.data_type),
                channel.unit,
                channel.description,
                enums_document(channel.enum_types),
                bits_document(channel.bit_field_elements),
            ]
            for channel in flow.channels
        ],
        separators=(",", ":"),
    )


def from_document(name: str, document: str) -> FlowConfig:
    """Decode what `to_document` made."""
    return FlowConfig(
        name,
        tuple(
            ChannelConfig(
                name=channel_name,
                data_type=DataType(data_type),
                component=component,
                unit=unit,
                description=description,
                enum_types=enums_of(enum_types),
                bit_field_elements=bits_of(bits),
            )
            for (
                _,
                channel_name,
                component,
                data_type,
                unit,
                description,
                enum_types,
                bits,
            ) in json.loads(document)
        ),
    )


def layout_of(name: str, document: str) -> tuple[FlowLayout, tuple[str, ...]]:
    """Decode only what ingestion needs: the layout, and the ids of the channels."""
    channels = json.loads(document)
    layout = FlowLayout(
        flow_name=name,
        channel_names=tuple(
            f"{component}.{channel_name}" if component else channel_name
            for _, channel_name, component, *_ in channels
        ),
        data_types=tuple(DataType(channel[3]) for channel in channels),
    )
    return layout, tuple(channel[0] for channel in channels)
