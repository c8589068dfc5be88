"""`sift.channels.v3.ChannelService`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift.channels.v3 import channels_pb2
from sift_server.api.services.convert import (
    from_metadata,
    list_request,
    to_bit_field_elements,
    to_data_type,
    to_enum_types,
    to_metadata,
    to_timestamp,
)
from sift_server.api.services.masks import update_paths, with_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.catalog import Catalog, Channel, ChannelNotes


class ChannelService:
    """Gets, lists, updates and archives channels, by their fully qualified names."""

    SERVICE_NAME = "sift.channels.v3.ChannelService"

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
        page = self._catalog.channels.list(list_request(request))
        return channels_pb2.ListChannelsResponse(
            channels=map(_message, page.items), next_page_token=page.next_token
        )

    def update_channel(
        self, request: channels_pb2.UpdateChannelRequest
    ) -> channels_pb2.UpdateChannelResponse:
        """Replace what is said of a channel beside its config, or whether it is archived."""
        wanted = request.channel
        paths = update_paths(request.update_mask, wanted, _UPDATABLE)

        def change(notes: ChannelNotes) -> ChannelNotes:
            notes = with_fields(notes, wanted, paths, _CHANGES)
            if "active" not in paths or wanted.active == (notes.archived_ns is None):
                return notes
            archived_ns = None if wanted.active else self._catalog.now_ns()
            return replace(notes, archived_ns=archived_ns)

        channel = self._catalog.channels.update(wanted.channel_id, change)
        return channels_pb2.UpdateChannelResponse(channel=_message(channel))

    def batch_archive_channels(
        self, request: channels_pb2.BatchArchiveChannelsRequest
    ) -> channels_pb2.BatchArchiveChannelsResponse:
        """Archive channels: all of them, or none. Their data stays, and can be read."""
        self._catalog.channels.archive(request.channel_ids, is_archived=True)
        return channels_pb2.BatchArchiveChannelsResponse()

    def batch_unarchive_channels(
        self, request: channels_pb2.BatchUnarchiveChannelsRequest
    ) -> channels_pb2.BatchUnarchiveChannelsResponse:
        """Take channels back: all of them, or none."""
        self._catalog.channels.archive(request.channel_ids, is_archived=False)
        return channels_pb2.BatchUnarchiveChannelsResponse()


_CHANGES: dict[str, Callable[[ChannelNotes, channels_pb2.Channel], ChannelNotes]] = {
    "display_description": lambda notes, channel: replace(
        notes, description=channel.display_description
    ),
    "display_unit_id": lambda notes, channel: replace(notes, unit=channel.display_unit_id),
    # What the newest client calls it in its masks; the message has no such field.
    "display_units": lambda notes, channel: replace(notes, unit=channel.display_unit_id),
    "metadata": lambda notes, channel: replace(notes, metadata=from_metadata(channel.metadata)),
}
"""What an update changes, by the path of the mask."""

_UPDATABLE = (*_CHANGES, "active")


def _message(channel: Channel) -> channels_pb2.Channel:
    config = channel.config
    return channels_pb2.Channel(
        channel_id=channel.channel_id,
        name=config.fqn,
        asset_id=channel.asset_id,
        description=config.description,
        unit_id=config.unit,
        created_date=to_timestamp(channel.created_ns),
        modified_date=to_timestamp(channel.modified_ns),
        data_type=to_data_type(config.data_type),
        enum_types=to_enum_types(config.enum_types),
        bit_field_elements=to_bit_field_elements(config.bit_field_elements),
        display_description=channel.notes.description,
        display_unit_id=channel.notes.unit,
        metadata=to_metadata(channel.notes.metadata),
        active=channel.notes.archived_ns is None,
    )
