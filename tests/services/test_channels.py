"""What people say of channels beside their configs: a description, a unit, metadata; archiving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from sift.channels.v2 import channels_pb2 as v2
from sift.channels.v3 import channels_pb2
from sift.metadata.v1.metadata_pb2 import MetadataKey, MetadataValue
from sift_server.api.services.channels_v2 import ChannelService as ChannelServiceV2
from sift_server.api.services.channels_v3 import ChannelService
from sift_server.catalog import ChannelConfig, FlowConfig, ListRequest
from sift_server.catalog.channel_notes import CHANNEL_NOTE_CHARS_MAX
from sift_server.errors import InvalidArgumentError, NotFoundError
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from sift_server.catalog import Catalog

SPEED = ChannelConfig("speed", DataType.DOUBLE, component="motor", unit="m/s", description="fast")


@pytest.fixture
def service(catalog: Catalog) -> ChannelService:
    """The service over a rover that has two channels."""
    channels = (SPEED, ChannelConfig("log", DataType.STRING))
    catalog.ingestion_configs.create("rover", "key", [FlowConfig("f", channels)])
    return ChannelService(catalog)


def listed(service: ChannelService, text: str = "") -> list[str]:
    request = channels_pb2.ListChannelsRequest(filter=text)
    return [one.name for one in service.list_channels(request).channels]


def ids(service: ChannelService) -> dict[str, str]:
    answer = service.list_channels(channels_pb2.ListChannelsRequest())
    return {one.name: one.channel_id for one in answer.channels}


def update(service: ChannelService, paths: list[str], **fields: Any) -> channels_pb2.Channel:
    channel = channels_pb2.Channel(channel_id=ids(service)["motor.speed"], **fields)
    request = channels_pb2.UpdateChannelRequest(channel=channel, update_mask=FieldMask(paths=paths))
    answer = service.update_channel(request).channel
    get = channels_pb2.GetChannelRequest(channel_id=channel.channel_id)
    assert service.get_channel(get).channel == answer
    return answer


def test_a_channel_is_noted_on_by_mask(service, catalog):
    """What the mask does not name stays, as does what its config says of it."""
    metadata = [
        MetadataValue(key=MetadataKey(name="gain"), number_value=2.5),
        MetadataValue(key=MetadataKey(name="side"), string_value="left"),
        MetadataValue(key=MetadataKey(name="spare"), boolean_value=True),
    ]
    update(service, ["display_description"], display_description="of both wheels")
    update(service, ["metadata"], metadata=metadata, display_description="not this")
    # A mask without paths stands for what is set, `display_units` is what the newest client says.
    update(service, [], display_unit_id="km/h")
    after = update(service, ["display_units"], display_unit_id="mph")
    assert (after.display_description, after.display_unit_id) == ("of both wheels", "mph")
    assert [(one.key.name, one.WhichOneof("value")) for one in after.metadata] == [
        ("gain", "number_value"), ("side", "string_value"), ("spare", "boolean_value"),
    ]  # fmt: skip
    assert (after.description, after.unit_id, after.active) == ("fast", "m/s", True)
    assert after.modified_date.ToNanoseconds() > after.created_date.ToNanoseconds()
    early = ChannelServiceV2(catalog).get_channel(v2.GetChannelRequest(channel_id=after.channel_id))
    assert (early.channel.component, early.channel.name) == ("motor", "speed")
    assert list(early.channel.metadata) == list(after.metadata)
    assert set(catalog.units.list(ListRequest()).items) == {"m/s", "mph"}


def test_a_config_leaves_notes_alone(service, catalog):
    """Another flow may describe the channel anew."""
    update(service, ["display_description", "active"], display_description="mine", active=False)
    other = ChannelConfig("speed", DataType.DOUBLE, component="motor", description="theirs")
    catalog.ingestion_configs.create("rover", "second", [FlowConfig("f", (other,))])
    after = update(service, ["metadata"])
    assert (after.display_description, after.description) == ("mine", "theirs")
    assert not after.active


def test_filters_know_notes(service):
    """A description is the one that clients show."""
    assert listed(service, "description.contains('fast')") == ["motor.speed"]
    update(service, ["display_description"], display_description="slow")
    update(
        service,
        ["metadata"],
        metadata=[MetadataValue(key=MetadataKey(name="gain"), number_value=2.5)],
    )
    for text, names in (
        ("description.contains('fast')", []),
        ("description.contains('slow')", ["motor.speed"]),
        ("display_description == ''", ["log"]),
        ("unit_id == 'm/s'", ["motor.speed"]),
        ("display_unit_id == 'm/s'", []),
        ("metadata.gain == 2.5", ["motor.speed"]),
        ('metadata["gain"] > 3', []),
    ):
        assert listed(service, text) == names, text


def test_channels_are_archived_and_taken_back(service):
    """All of a call, or none; one that is archived is there by its id."""
    both = list(ids(service).values())
    archive, back = channels_pb2.BatchArchiveChannelsRequest, service.batch_unarchive_channels
    service.batch_archive_channels(archive(channel_ids=both[:1]))
    assert listed(service, "active == true") == ["log"]
    assert listed(service, "active == false && is_archived") == ["motor.speed"]
    assert listed(service) == ["motor.speed", "log"]
    (before,) = [
        one for one in service.list_channels(channels_pb2.ListChannelsRequest()).channels
        if not one.active
    ]  # fmt: skip
    with pytest.raises(NotFoundError, match="'nothing'"):
        service.batch_archive_channels(archive(channel_ids=[both[1], "nothing"]))
    assert listed(service, "active == true") == ["log"]
    service.batch_archive_channels(archive(channel_ids=[*both, both[0]]))
    assert listed(service, "active == true") == []
    after = update(service, [])
    assert after == before
    back(channels_pb2.BatchUnarchiveChannelsRequest(channel_ids=both))
    assert listed(service, "active == true") == ["motor.speed", "log"]
    assert not update(service, ["active"]).active
    assert update(service, ["active"], active=True).active


def test_an_archived_channel_gives_way_to_one_of_its_name(service, catalog):
    """Of another type: expressions mean the one that is not archived."""
    asset_id = catalog.assets.list(ListRequest()).items[0].asset_id
    text = ChannelConfig("log", DataType.BOOL)
    catalog.ingestion_configs.create("rover", "second", [FlowConfig("f", (text,))])
    assert catalog.channels.named(asset_id, ["log"])["log"].config.data_type is DataType.BOOL
    request = channels_pb2.ListChannelsRequest(filter="name == 'log'")
    newest = service.list_channels(request).channels[-1].channel_id
    service.batch_archive_channels(channels_pb2.BatchArchiveChannelsRequest(channel_ids=[newest]))
    assert catalog.channels.named(asset_id, ["log"])["log"].config.data_type is DataType.STRING


def test_what_can_not_be_noted_is_refused(service):
    """And changes nothing."""
    before = update(service, [])
    twice = [MetadataValue(key=MetadataKey(name="a"), number_value=1)] * 2
    for paths, fields, said in (
        (["name"], {"name": "x"}, "the update mask has the path 'name'"),
        (["metadata"], {"metadata": twice}, "'a' twice"),
        (
            ["display_description"],
            {"display_description": "x" * (CHANNEL_NOTE_CHARS_MAX + 1)},
            "CHANNEL_NOTE_CHARS_MAX",
        ),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            update(service, paths, **fields)
    with pytest.raises(NotFoundError, match="'nothing'"):
        service.update_channel(
            channels_pb2.UpdateChannelRequest(channel=channels_pb2.Channel(channel_id="nothing"))
        )
    assert update(service, []) == before
