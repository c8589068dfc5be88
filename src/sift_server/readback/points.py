"""Reads points back over a gRPC channel, with the generated stubs.

What the demo and the examples use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sift.channels.v3.channels_pb2 import Channel, ListChannelsRequest
from sift.channels.v3.channels_pb2_grpc import ChannelServiceStub
from sift.data.v2 import data_pb2
from sift.data.v2.data_pb2_grpc import DataServiceStub
from sift_py._internal.lists import paged, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

_NS_PER_S = 1_000_000_000
_CHANNELS_PER_PAGE = 10_000
_POINTS_PER_PAGE = 100_000
_SECONDS_MIN, _SECONDS_MAX = -9_223_372_036, 9_223_372_035


@dataclass(frozen=True, slots=True)
class Series:
    """Points of a channel, or of one element of a bit-field channel.

    Attributes:
        name: Name of the channel, followed by the element's for a bit field.
        data_type: `ChannelDataType` number.
        unit: Unit of the channel.
        state_names: Names of an enum channel's states, by key.
        timestamps_ns: Nanoseconds since 1970 in UTC, sorted.
        values: One for each timestamp.
    """

    name: str
    data_type: int
    unit: str
    state_names: dict[int, str]
    timestamps_ns: list[int]
    values: list[Any]


def list_channels(grpc_channel: grpc.Channel, asset_id: str) -> list[Channel]:
    """All channels of an asset, in the order in which they were created."""
    stub: Any = ChannelServiceStub(grpc_channel)
    request = ListChannelsRequest(
        filter=f"asset_id == {quoted(asset_id)}", page_size=_CHANNELS_PER_PAGE
    )
    return list(paged(stub.ListChannels, request, "channels"))


def read_series(
    grpc_channel: grpc.Channel, channel: Channel, run_id: str | None = None
) -> list[Series]:
    """All points of a channel: one series, or one for each element of a bit field.

    Args:
        grpc_channel: Channel to the server, with its key.
        channel: What `list_channels` gave.
        run_id: None for all points, an empty string for those without a run, else a run's id.
    """
    names: dict[str, tuple[list[int], list[Any]]] = {}
    for values in _messages(grpc_channel, channel.channel_id, run_id):
        for name, points in _parts(channel.name, values):
            timestamps_ns, numbers = names.setdefault(name, ([], []))
            for point in points:
                stamp = point.timestamp
                timestamps_ns.append(stamp.seconds * _NS_PER_S + stamp.nanos)
                numbers.append(point.value)
    state_names = {state.key: state.name for state in channel.enum_types}
    return [
        Series(name, channel.data_type, channel.unit_id, state_names, timestamps_ns, numbers)
        for name, (timestamps_ns, numbers) in names.items()
    ]


def _messages(grpc_channel: grpc.Channel, channel_id: str, run_id: str | None) -> Iterator[Any]:
    stub: Any = DataServiceStub(grpc_channel)
    query = data_pb2.ChannelQuery(channel_id=channel_id, run_id=run_id)
    request = data_pb2.GetDataRequest(
        queries=[data_pb2.Query(channel=query)], page_size=_POINTS_PER_PAGE
    )
    request.start_time.seconds = _SECONDS_MIN
    request.end_time.seconds = _SECONDS_MAX
    while True:
        page = stub.GetData(request)
        for packed in page.data:
            # `Unpack` would insist on a slash in the type URL.
            yield getattr(data_pb2, packed.type_url.rpartition(".")[2]).FromString(packed.value)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _parts(channel_name: str, values: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 (any of eleven)
    if isinstance(values, data_pb2.BitFieldValues):
        return [(f"{channel_name}.{element.name}", element.values) for element in values.values]
    return [(channel_name, values.values)]
