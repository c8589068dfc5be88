"""A flow as its rows need it: what each channel takes, and where its value goes on the wire.

A user gives values by name, or in the order of the flow's config. The server reads them by
position, in the order in which it has the flow. The two orders differ when the config was reordered
after the flow was made, and the server may have channels that the config no longer has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sift_py.errors import IngestionValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_py.ingestion.channel import ChannelDataType
    from sift_py.ingestion.flow import FlowConfig

ABSENT = -1
"""In `FlowLayout.wire_order`: the config has no such channel, its value is always empty."""


@dataclass(frozen=True, slots=True)
class LayoutChannel:
    """A channel of a flow.

    Attributes:
        fqn: Fully qualified name.
        data_type: Type of its values.
        value_field: Member of the value message that carries them.
        enum_keys: Keys of an enum type, by their names.
    """

    fqn: str
    data_type: ChannelDataType
    value_field: str
    enum_keys: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlowLayout:
    """A flow as its rows need it. Never changes.

    Attributes:
        flow_name: Name of the flow.
        channels: In the order of the flow's config.
        wire_order: For each value on the wire the index in `channels`, or `ABSENT`; None when the
            wire has the order of the config.
    """

    flow_name: str
    channels: tuple[LayoutChannel, ...]
    wire_order: tuple[int, ...] | None = None

    def wrong_count(self, count: int) -> IngestionValidationError:
        """Word that a row has not as many values as channels."""
        return IngestionValidationError(
            f"flow '{self.flow_name}': expected {len(self.channels)} values, one for each channel"
            f" of its config, got {count}: they can't be placed. Use None or empty_value() for no"
            " value."
        )


def layout_of(config: FlowConfig, wire_fqns: Sequence[str] | None = None) -> FlowLayout:
    """Return the layout of a flow.

    Args:
        config: What the user declared.
        wire_fqns: The server's channels, in order, each channel of the config among them; None for
            a flow that the server gets, or got, from this config.

    Raises:
        IngestionValidationError: The flow has two channels of one name.
    """
    channels = tuple(
        LayoutChannel(
            channel.fqn(),
            channel.data_type,
            channel.data_type.value_field,
            {enum_type.name: enum_type.key for enum_type in channel.enum_types},
        )
        for channel in config.channels
    )
    index_by_fqn: dict[str, int] = {}
    for index, channel in enumerate(channels):
        if channel.fqn in index_by_fqn:
            raise IngestionValidationError(
                f"flow '{config.name}' has two channels '{channel.fqn}'. Rename one, or give it"
                " another component."
            )
        index_by_fqn[channel.fqn] = index
    if wire_fqns is None or list(wire_fqns) == list(index_by_fqn):
        return FlowLayout(config.name, channels)
    wire_order = tuple(index_by_fqn.get(fqn, ABSENT) for fqn in wire_fqns)
    return FlowLayout(config.name, channels, wire_order)
