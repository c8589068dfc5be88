"""`sift.channels.v2.ChannelService`, for clients that know components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.channels.v2 import channels_pb2
from sift_server.api.services.convert import (
    list_request,
    to_bit_field_elements,
    to_data_type,
    to_enum_types,
    to_metadata,
    to_timestamp,
)
from sift_server.catalog import COMPONENT_CHANNEL_FIELDS

if TYPE_CHECKING:
    from sift_server.catalog import Catalog, Channel


class ChannelService:
    """Gets and lists channels, name and component apart."""

    SERVICE_NAME = "sift.channels.v2.ChannelService"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get_channel(
        self, request: channels_pb2.GetChannelRequest
    ) -> channels_pb2.GetChannelResponse:
        """Return a channel."""
        channel = self._catalog.channels.get(request.channel_id)
        return channels_pb2.GetChannelResponse(channel=_message(channel))

    def list_channels(
        self, request: channels_pb2.ListChannelsRequest
    ) -> channels_pb2.ListChannelsResponse:
        """Return a page of the channels."""
        page = self._catalog.channels.list(list_request(request), COMPONENT_CHANNEL_FIELDS)
        return channels_pb2.ListChannelsResponse(
            channels=map(_message, page.items), next_page_token=page.next_token
        )


def _message(channel: Channel) -> channels_pb2.Channel:
    config = channel.config
    return channels_pb2.Channel(
        channel_id=channel.channel_id,
        name=config.name,
        component=config.component,
        asset_id=channel.asset_id,
        description=config.description,
        unit_id=config.unit,
        created_date=to_timestamp(channel.created_ns),
        modified_date=to_timestamp(channel.modified_ns),
        data_type=to_data_type(config.data_type),
        enum_types=to_enum_types(config.enum_types),
        bit_field_elements=to_bit_field_elements(config.bit_field_elements),
        metadata=to_metadata(channel.notes.metadata),
    )
