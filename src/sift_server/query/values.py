"""Points become the messages of `sift.data.v1` and `sift.data.v2`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from google.protobuf.any_pb2 import Any as AnyMessage

from sift.common.type.v1.channel_bit_field_element_pb2 import ChannelBitFieldElement
from sift.common.type.v1.channel_enum_type_pb2 import ChannelEnumType
from sift.data.v1 import data_pb2 as data_v1_pb2
from sift_server.bit_fields import element_values
from sift_wire.columns import DataType
from sift_wire.data_messages import VALUES_TAG, bytes_values, number_values
from sift_wire.messages import bytes_field

if TYPE_CHECKING:
    from types import ModuleType

    from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType
    from sift_server.catalog import Channel
    from sift_server.query.reader import RunPoints

_NAMES = {
    DataType.DOUBLE: "Double",
    DataType.STRING: "String",
    DataType.ENUM: "Enum",
    DataType.BIT_FIELD: "BitField",
    DataType.BOOL: "Bool",
    DataType.FLOAT: "Float",
    DataType.INT_32: "Int32",
    DataType.UINT_32: "Uint32",
    DataType.INT_64: "Int64",
    DataType.UINT_64: "Uint64",
    DataType.BYTES: "Bytes",
}
"""What the messages of a data type are called, in front of `Values`."""


@dataclass(frozen=True, slots=True)
class AssetInfo:
    """The asset that a channel belongs to."""

    asset_id: str
    name: str


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The run that points belong to; its name is empty if nothing is known of it but its id."""

    run_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """What the data messages say of a channel.

    Attributes:
        channel_id: Its id.
        name: Its name, `component.name` where it has a component.
        data_type: Its data type.
        unit: Its unit, or an empty string.
        enum_types: `(name, key)` of each state of an ENUM channel.
        bit_field_elements: `(name, index, bit_count)` of each element of a BIT_FIELD channel.
        component: Its component, which is in front of the name, or an empty string.
    """

    channel_id: str
    name: str
    data_type: DataType
    unit: str = ""
    enum_types: tuple[tuple[str, int], ...] = ()
    bit_field_elements: tuple[tuple[str, int, int], ...] = ()
    component: str = ""


def channel_info(channel: Channel) -> ChannelInfo:
    """What the catalog knows of a channel, in the words of the data messages."""
    config = channel.config
    return ChannelInfo(
        channel_id=channel.channel_id,
        name=config.fqn,
        data_type=config.data_type,
        unit=config.unit,
        enum_types=tuple((one.name, one.key) for one in config.enum_types),
        bit_field_elements=tuple(
            (one.name, one.index, one.bit_count) for one in config.bit_field_elements
        ),
        component=config.component,
    )


def data_message(
    package: ModuleType,
    channel: ChannelInfo,
    asset: AssetInfo,
    run: RunInfo | None,
    points: RunPoints,
    sampled_ms: int = 0,
) -> AnyMessage:
    """Pack points of one channel and run as `sift.data.*.*Values`, which is also the type URL.

    A bit field is given element by element, see `sift_server.bit_fields`.

    Args:
        package: `data_pb2` of the version.
        channel: The channel.
        asset: Its asset.
        run: The run, or None for points without one.
        points: The points, sorted by time.
        sampled_ms: How long the buckets are of which these are samples; 0 for all points.
    """
    metadata = _metadata(package, channel, asset, run)
    metadata.sampled_ms = sampled_ms
    message_type = getattr(package, f"{_NAMES[channel.data_type]}Values")
    # A message may be written field by field: they are one behind the other.
    fields = [message_type(metadata=metadata).SerializeToString()]
    if channel.data_type is DataType.BIT_FIELD:
        for name, index, count in channel.bit_field_elements:
            element = package.BitFieldElementValues(name=name).SerializeToString()
            numbers = element_values(points.values, index, count).view(np.uint64)
            element += number_values(DataType.UINT_32, points.timestamps_ns, numbers)
            fields.append(bytes_field(VALUES_TAG, element))
    else:
        fields.append(_written(channel.data_type, points))
    # Clients take the whole URL for the name of the type, so nothing like `type.googleapis.com/`
    # may be in front of it.
    return AnyMessage(type_url=message_type.DESCRIPTOR.full_name, value=b"".join(fields))


def _written(data_type: DataType, points: RunPoints) -> bytes:
    """The points as the field `values`."""
    values = points.values
    if not data_type.is_variable_width:
        return number_values(data_type, points.timestamps_ns, values.to_numpy())
    _, offsets, data = values.buffers()
    return bytes_values(
        points.timestamps_ns,
        np.frombuffer(offsets, np.int64)[values.offset :][: len(values) + 1],
        np.frombuffer(data or b"", np.uint8),
    )


def _metadata(
    package: ModuleType, channel: ChannelInfo, asset: AssetInfo, run: RunInfo | None
) -> Any:  # noqa: ANN401 (of either version)
    metadata = package.Metadata(
        data_type=cast("ChannelDataType.ValueType", channel.data_type.value),
        asset=package.Metadata.Asset(asset_id=asset.asset_id, name=asset.name),
        channel=package.Metadata.Channel(
            channel_id=channel.channel_id,
            **_names(package, channel),
            unit=package.Metadata.Channel.Unit(name=channel.unit, abbreviated_name=channel.unit),
            enum_types=[ChannelEnumType(name=name, key=key) for name, key in channel.enum_types],
            bit_field_elements=[
                ChannelBitFieldElement(name=name, index=index, bit_count=count)
                for name, index, count in channel.bit_field_elements
            ],
        ),
    )
    if run is not None:
        metadata.run.run_id = run.run_id
        metadata.run.name = run.name
    return metadata


def _names(package: ModuleType, channel: ChannelInfo) -> dict[str, str]:
    """The name of a channel, apart from its component where the version has one."""
    if package is not data_v1_pb2:
        return {"name": channel.name}
    component = channel.component
    name = channel.name.removeprefix(f"{component}.") if component else channel.name
    return {"component": component, "name": name}
