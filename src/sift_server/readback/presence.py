"""Which channels have points: small questions, however many points there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift.data.v2 import data_pb2
from sift.data.v2.data_pb2_grpc import DataServiceStub
from sift_py.data.reading import request_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import grpc

QUERIES_PER_CALL = 1_000


def channels_with_points(
    grpc_channel: grpc.Channel, channel_ids: Iterable[str], run_id: str | None = None
) -> Iterator[str]:
    """The ids of channels that have a point, in their order.

    Args:
        grpc_channel: Channel to the server, with its key.
        channel_ids: Which channels.
        run_id: None for any points, an empty string for those without a run, else a run's id.
    """
    stub: Any = DataServiceStub(grpc_channel)
    rest = list(channel_ids)
    while rest:
        asked, place = rest[:QUERIES_PER_CALL], QUERIES_PER_CALL
        request = request_of(None, None, None)
        for channel_id in asked:
            query = data_pb2.ChannelQuery(channel_id=channel_id, run_id=run_id)
            request.queries.add(channel=query)
        # One point of all of them: the server goes on to the next channel until it has one.
        request.page_size = 1
        for packed in stub.GetData(request).data:
            message = getattr(data_pb2, packed.type_url.rpartition(".")[2])
            found = message.FromString(packed.value).metadata.channel.channel_id
            place = asked.index(found) + 1
            yield found
            break
        rest = rest[place:]
