"""Points become the messages of `sift.data.v2`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp

from sift.common.type.v1.channel_bit_field_element_pb2 import ChannelBitFieldElement
from sift.common.type.v1.channel_enum_type_pb2 import ChannelEnumType
from sift.data.v2 import data_pb2
from sift_server.bit_fields import element_values
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType
    from sift_server.query.reader import RunPoints

_NS_PER_S = 1_000_000_000

_MESSAGES: dict[DataType, tuple[Any, Any]] = {
    DataType.DOUBLE: (data_pb2.DoubleValues, data_pb2.DoubleValue),
    DataType.STRING: (data_pb2.StringValues, data_pb2.StringValue),
    DataType.ENUM: (data_pb2.EnumValues, data_pb2.EnumValue),
    DataType.BOOL: (data_pb2.BoolValues, data_pb2.BoolValue),
    DataType.FLOAT: (data_pb2.FloatValues, data_pb2.FloatValue),
    DataType.INT_32: (data_pb2.Int32Values, data_pb2.Int32Value),
    DataType.UINT_32: (data_pb2.Uint32Values, data_pb2.Uint32Value),
    DataType.INT_64: (data_pb2.Int64Values, data_pb2.Int64Value),
    DataType.UINT_64: (data_pb2.Uint64Values, data_pb2.Uint64Value),
    DataType.BYTES: (data_pb2.BytesValues, data_pb2.BytesValue),
}


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
    """

    channel_id: str
    name: str
    data_type: DataType
    unit: str = ""
    enum_types: tuple[tuple[str, int], ...] = ()
    bit_field_elements: tuple[tuple[str, int, int], ...] = ()


def data_message(
    channel: ChannelInfo,
    asset: AssetInfo,
    run: RunInfo | None,
    points: RunPoints,
    sampled_ms: int = 0,
) -> AnyMessage:
    """Pack points of one channel and run as `sift.data.v2.*Values`, which is also the type URL.

    A bit field is given element by element, see `sift_server.bit_fields`.

    Args:
        channel: The channel.
        asset: Its asset.
        run: The run, or None for points without one.
        points: The points, sorted by time.
        sampled_ms: How long the buckets are of which these are samples; 0 for all points.
    """
    metadata = _metadata(channel, asset, run)
    metadata.sampled_ms = sampled_ms
    timestamps = _timestamps(points.timestamps_ns)
    if channel.data_type is DataType.BIT_FIELD:
        message: Any = data_pb2.BitFieldValues(
            metadata=metadata,
            values=[
                data_pb2.BitFieldElementValues(
                    name=name,
                    values=[
                        data_pb2.BitFieldValue(timestamp=timestamp, value=value)
                        for timestamp, value in zip(
                            timestamps,
                            element_values(points.values, index, count).tolist(),
                            strict=True,
                        )
                    ],
                )
                for name, index, count in channel.bit_field_elements
            ],
        )
    else:
        values_type, value_type = _MESSAGES[channel.data_type]
        message = values_type(
            metadata=metadata,
            values=[
                value_type(timestamp=timestamp, value=value)
                for timestamp, value in zip(
                    timestamps, _python_values(channel.data_type, points.values), strict=True
                )
            ],
        )
    # Clients take the whole URL for the name of the type, so nothing like `type.googleapis.com/`
    # may be in front of it.
    return AnyMessage(type_url=message.DESCRIPTOR.full_name, value=message.SerializeToString())


def _metadata(channel: ChannelInfo, asset: AssetInfo, run: RunInfo | None) -> data_pb2.Metadata:
    metadata = data_pb2.Metadata(
        data_type=cast("ChannelDataType.ValueType", channel.data_type.value),
        asset=data_pb2.Metadata.Asset(asset_id=asset.asset_id, name=asset.name),
        channel=data_pb2.Metadata.Channel(
            channel_id=channel.channel_id,
            name=channel.name,
            unit=data_pb2.Metadata.Channel.Unit(name=channel.unit, abbreviated_name=channel.unit),
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


def _timestamps(timestamps_ns: NDArray[np.int64]) -> list[Timestamp]:
    seconds, nanos = np.divmod(timestamps_ns, _NS_PER_S)
    return [
        Timestamp(seconds=second, nanos=nano)
        for second, nano in zip(seconds.tolist(), nanos.tolist(), strict=True)
    ]


def _python_values(data_type: DataType, values: Any) -> Sequence[Any]:  # noqa: ANN401 (pyarrow has no types)
    """Values as the protobuf library takes them."""
    if data_type.is_variable_width:
        return values.to_pylist()  # type: ignore[no-any-return]
    words = values.to_numpy()
    match data_type:
        case DataType.DOUBLE:
            return words.view(np.float64).tolist()  # type: ignore[no-any-return]
        case DataType.FLOAT:
            return words.astype(np.uint32).view(np.float32).tolist()  # type: ignore[no-any-return]
        case DataType.BOOL:
            return (words != 0).tolist()  # type: ignore[no-any-return]
        case DataType.INT_32 | DataType.INT_64:
            return words.view(np.int64).tolist()  # type: ignore[no-any-return]
        case _:
            return words.tolist()  # type: ignore[no-any-return]
