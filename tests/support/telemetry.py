"""Talks to a server through the generated stubs: a config, some rows, and the points back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import grpc

from sift.channels.v3 import channels_pb2, channels_pb2_grpc
from sift.common.type.v1 import channel_bit_field_element_pb2, channel_enum_type_pb2
from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType as Type
from sift.data.v2 import data_pb2, data_pb2_grpc
from sift.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from sift.ingestion_configs.v2 import ingestion_configs_pb2, ingestion_configs_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Request = ingest_pb2.IngestWithConfigDataStreamRequest
Value = ingest_pb2.IngestWithConfigDataChannelValue

NS_PER_S = 1_000_000_000
EMPTY = None
"""A channel's 'no value' in `row`."""

_MEMBER_OF_TYPE = {
    Type.CHANNEL_DATA_TYPE_DOUBLE: "double",
    Type.CHANNEL_DATA_TYPE_STRING: "string",
    Type.CHANNEL_DATA_TYPE_ENUM: "enum",
    Type.CHANNEL_DATA_TYPE_BIT_FIELD: "bit_field",
    Type.CHANNEL_DATA_TYPE_BOOL: "bool",
    Type.CHANNEL_DATA_TYPE_FLOAT: "float",
    Type.CHANNEL_DATA_TYPE_INT_32: "int32",
    Type.CHANNEL_DATA_TYPE_UINT_32: "uint32",
    Type.CHANNEL_DATA_TYPE_INT_64: "int64",
    Type.CHANNEL_DATA_TYPE_UINT_64: "uint64",
    Type.CHANNEL_DATA_TYPE_BYTES: "bytes",
}


@dataclasses.dataclass(frozen=True)
class Config:
    """An ingestion config on a server."""

    channel: grpc.Channel
    ingestion_config_id: str
    asset_id: str
    types: dict[str, dict[str, int]]

    def row(
        self,
        flow: str,
        timestamp_ns: int,
        values: Sequence[Any],
        run_id: str = "",
        end_stream: bool = False,
    ) -> Request:
        """A request with one value a channel, `EMPTY` for none."""
        request = Request(
            ingestion_config_id=self.ingestion_config_id,
            flow=flow,
            run_id=run_id,
            end_stream_on_validation_error=end_stream,
        )
        request.timestamp.seconds, request.timestamp.nanos = divmod(timestamp_ns, NS_PER_S)
        for data_type, value in zip(self.types[flow].values(), values, strict=True):
            message = request.channel_values.add()
            if value is EMPTY:
                message.empty.SetInParent()
            else:
                setattr(message, _MEMBER_OF_TYPE[data_type], value)
        return request


def create_config(
    channel: grpc.Channel, flows: dict[str, dict[str, int]], asset: str = "rig", key: str = "key"
) -> Config:
    """Create an ingestion config: `{flow: {channel: data type}}`."""
    stub = ingestion_configs_pb2_grpc.IngestionConfigServiceStub(channel)
    answer = stub.CreateIngestionConfig(
        ingestion_configs_pb2.CreateIngestionConfigRequest(
            asset_name=asset,
            client_key=key,
            flows=[
                ingestion_configs_pb2.FlowConfig(
                    name=flow,
                    channels=[
                        ingestion_configs_pb2.ChannelConfig(
                            name=name,
                            data_type=data_type,
                            enum_types=[
                                channel_enum_type_pb2.ChannelEnumType(name=f"state {i}", key=i)
                                for i in range(3)
                            ]
                            if data_type == Type.CHANNEL_DATA_TYPE_ENUM
                            else [],
                            bit_field_elements=[
                                channel_bit_field_element_pb2.ChannelBitFieldElement(
                                    name="low", index=0, bit_count=4
                                ),
                                channel_bit_field_element_pb2.ChannelBitFieldElement(
                                    name="high", index=4, bit_count=4
                                ),
                            ]
                            if data_type == Type.CHANNEL_DATA_TYPE_BIT_FIELD
                            else [],
                        )
                        for name, data_type in channels.items()
                    ],
                )
                for flow, channels in flows.items()
            ],
        )
    )
    config = answer.ingestion_config
    return Config(channel, config.ingestion_config_id, config.asset_id, flows)


def find_or_create_config(
    channel: grpc.Channel, flows: dict[str, dict[str, int]], asset: str
) -> Config:
    """The config under the asset's name as its key, created if the server has none."""
    try:
        return create_config(channel, flows, asset, key=asset)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.ALREADY_EXISTS:
            raise
    stub = ingestion_configs_pb2_grpc.IngestionConfigServiceStub(channel)
    (found,) = stub.ListIngestionConfigs(
        ingestion_configs_pb2.ListIngestionConfigsRequest(filter=f"client_key == '{asset}'")
    ).ingestion_configs
    return Config(channel, found.ingestion_config_id, found.asset_id, flows)


def ingest(channel: grpc.Channel, requests: Iterable[Request], **options: Any) -> None:
    """Send one stream and wait until it is acknowledged."""
    ingest_pb2_grpc.IngestServiceStub(channel).IngestWithConfigDataStream(iter(requests), **options)


def channel_ids(channel: grpc.Channel, asset_id: str) -> dict[str, str]:
    """Ids of an asset's channels by name."""
    stub = channels_pb2_grpc.ChannelServiceStub(channel)
    request = channels_pb2.ListChannelsRequest(filter=f"asset_id == '{asset_id}'", page_size=10_000)
    found = {}
    while True:
        page = stub.ListChannels(request)
        found.update((each.name, each.channel_id) for each in page.channels)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def read_points(
    channel: grpc.Channel, asset_id: str, name: str, run_id: str | None = None
) -> list[tuple[int, Any]]:
    """All points of a channel, `(nanoseconds, value)`, in the order the server gives.

    Points of a bit field are `(nanoseconds, element name, value)`.
    """
    stub = data_pb2_grpc.DataServiceStub(channel)
    query = data_pb2.ChannelQuery(channel_id=channel_ids(channel, asset_id)[name], run_id=run_id)
    request = data_pb2.GetDataRequest(queries=[data_pb2.Query(channel=query)], page_size=100_000)
    request.start_time.FromJsonString("1900-01-01T00:00:00Z")
    request.end_time.FromJsonString("2200-01-01T00:00:00Z")
    points = []
    while True:
        page = stub.GetData(request)
        for packed in page.data:
            values = getattr(data_pb2, packed.type_url.rpartition(".")[2]).FromString(packed.value)
            for value in values.values:
                if isinstance(value, data_pb2.BitFieldElementValues):
                    points += [(_ns(each), value.name, each.value) for each in value.values]
                else:
                    points.append((_ns(value), value.value))
        if not page.next_page_token:
            return points
        request.page_token = page.next_page_token


def _ns(value: Any) -> int:
    return value.timestamp.seconds * NS_PER_S + value.timestamp.nanos
