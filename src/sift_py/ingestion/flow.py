"""Flows: channels that are sampled together, and the rows that are sent for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypedDict, TypeVar

from sift_py.ingestion.channel import ChannelConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import TypeAlias

    import numpy as np

    from sift.ingestion_configs.v1.ingestion_configs_pb2 import FlowConfig as FlowConfigPb
    from sift.ingestion_configs.v2.ingestion_configs_pb2 import FlowConfig as FlowConfigV2Pb
    from sift_py.ingestion.channel import ChannelValue, TypedOrPlainValue

    FlowConfigMessage = TypeVar("FlowConfigMessage", FlowConfigPb, FlowConfigV2Pb)

    Timestamp: TypeAlias = datetime | int | np.datetime64

__all__ = ["Flow", "FlowConfig", "FlowOrderedChannelValues"]


class Flow(TypedDict):
    """One row of a flow, each value with the name of its channel.

    Channels that are left out have no value in that row.

    Attributes:
        flow_name: Name of a flow of the telemetry config, or of one made since.
        timestamp: When the values were taken, in UTC: an aware `datetime`, an integer of
            nanoseconds since 1970-01-01T00:00:00Z, or a `numpy.datetime64`.
        channel_values: In any order, each channel at most once.
    """

    flow_name: str
    timestamp: Timestamp
    channel_values: list[ChannelValue]


class FlowOrderedChannelValues(TypedDict):
    """One row of a flow, its values in the order of the flow's channels.

    Attributes:
        flow_name: Name of a flow of the telemetry config, or of one made since.
        timestamp: As in `Flow`.
        channel_values: One for each channel of the `FlowConfig`, in that order; typed or plain, as
            in `ChannelValue`.
    """

    flow_name: str
    timestamp: Timestamp
    channel_values: Sequence[TypedOrPlainValue]


@dataclass(unsafe_hash=True)
class FlowConfig:
    """A flow: channels that are sampled together and sent as one message.

    Equal by value; hashed by name alone.

    Attributes:
        name: Unique in a telemetry config.
        channels: In the order of their values in `FlowOrderedChannelValues`.
        channel_by_fqn: Index in `channels` of each fully qualified name, as of construction; of
            two channels with one name, the later one.

    Example:
        ```python
        FlowConfig(
            name="readings",
            channels=[
                ChannelConfig("velocity", ChannelDataType.DOUBLE, unit="m/s"),
                ChannelConfig("voltage", ChannelDataType.INT_32, unit="V"),
            ],
        )
        ```
    """

    name: str
    channels: list[ChannelConfig] = field(hash=False)
    channel_by_fqn: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.channel_by_fqn = {channel.fqn(): index for index, channel in enumerate(self.channels)}

    def as_pb(self, klass: type[FlowConfigMessage]) -> FlowConfigMessage:
        """Return the flow as a message of `sift.ingestion_configs.v1` or `.v2`."""
        channel_class = type(klass().channels.add())
        return klass(
            name=self.name, channels=[channel.as_pb(channel_class) for channel in self.channels]
        )

    @classmethod
    def from_pb(cls, message: FlowConfigPb | FlowConfigV2Pb) -> Self:
        """Return the flow of a message.

        Raises:
            ValueError: A channel's data type is not one of `ChannelDataType`.
        """
        return cls(
            name=message.name,
            channels=[ChannelConfig.from_pb(channel) for channel in message.channels],
        )
