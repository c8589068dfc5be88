"""Ingestion configs and channels through both versions of their services."""

from __future__ import annotations

import pytest

from sift.channels.v2 import channels_pb2 as channels_v2_pb2
from sift.channels.v3 import channels_pb2 as channels_v3_pb2
from sift.common.type.v1.channel_bit_field_element_pb2 import ChannelBitFieldElement
from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType as Type
from sift.common.type.v1.channel_enum_type_pb2 import ChannelEnumType
from sift.ingestion_configs.v1 import ingestion_configs_pb2 as v1
from sift.ingestion_configs.v2 import ingestion_configs_pb2 as v2
from sift_server.api.services import (
    channels_v2,
    channels_v3,
    ingestion_configs_v1,
    ingestion_configs_v2,
)
from sift_server.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError

STATE = v1.ChannelConfig(
    name="state",
    component="motor",
    unit="u",
    description="d",
    data_type=Type.CHANNEL_DATA_TYPE_ENUM,
    enum_types=[
        ChannelEnumType(name="on", key=1, is_signed=True),
        ChannelEnumType(name="off", key=2**32 - 1),
    ],
)
GPIO = v1.ChannelConfig(
    name="gpio",
    data_type=Type.CHANNEL_DATA_TYPE_BIT_FIELD,
    bit_field_elements=[ChannelBitFieldElement(name="heater", index=3, bit_count=2)],
)
READINGS = v1.FlowConfig(name="readings", channels=[STATE, GPIO])


@pytest.fixture
def first(catalog) -> ingestion_configs_v1.IngestionConfigService:
    """The service of the first version."""
    return ingestion_configs_v1.IngestionConfigService(catalog)


@pytest.fixture
def second(catalog) -> ingestion_configs_v2.IngestionConfigService:
    """The service of the second version."""
    return ingestion_configs_v2.IngestionConfigService(catalog)


def test_what_v1_writes_both_versions_read(first, second):
    """Equal in v1, with the component in the name in v2."""
    created = first.create_ingestion_config(
        v1.CreateIngestionConfigRequest(asset_name="Rover", client_key="key", flows=[READINGS])
    ).ingestion_config
    assert (created.client_key, bool(created.asset_id)) == ("key", True)
    config_id = created.ingestion_config_id
    flows = first.list_ingestion_config_flows(
        v1.ListIngestionConfigFlowsRequest(ingestion_config_id=config_id, page_size=1000)
    )
    assert list(flows.flows) == [READINGS]
    assert flows.next_page_token == ""

    (flow,) = second.list_ingestion_config_flows(
        v2.ListIngestionConfigFlowsRequest(ingestion_config_id=config_id)
    ).flows
    state, gpio = flow.channels
    assert (state.name, state.unit, state.description) == ("motor.state", "u", "d")
    assert state.data_type == Type.CHANNEL_DATA_TYPE_ENUM
    assert list(state.enum_types) == list(STATE.enum_types)
    assert list(gpio.bit_field_elements) == list(GPIO.bit_field_elements)
    for read, request in (
        (first, v1.GetIngestionConfigRequest(ingestion_config_id=config_id)),
        (second, v2.GetIngestionConfigRequest(ingestion_config_id=config_id)),
    ):
        config = read.get_ingestion_config(request).ingestion_config
        assert config.SerializeToString() == created.SerializeToString()


def test_configs_are_found_by_client_key_in_both_versions(first, second):
    """The first call of every client: a page of one, no token."""
    for service, messages in ((first, v1), (second, v2)):
        request = messages.ListIngestionConfigsRequest(filter='client_key=="key"', page_size=1)
        assert list(service.list_ingestion_configs(request).ingestion_configs) == []
    second.create_ingestion_config(
        v2.CreateIngestionConfigRequest(asset_name="a", client_key="key")
    )
    for service, messages in ((first, v1), (second, v2)):
        request = messages.ListIngestionConfigsRequest(filter='client_key=="key"', page_size=1)
        answer = service.list_ingestion_configs(request)
        assert [one.client_key for one in answer.ingestion_configs] == ["key"]
        assert answer.next_page_token == ""


def test_flows_are_added_and_the_same_flow_already_exists(second):
    """Published clients create first and accept ALREADY_EXISTS."""
    config_id = second.create_ingestion_config(
        v2.CreateIngestionConfigRequest(asset_name="a", client_key="key")
    ).ingestion_config.ingestion_config_id
    channel = v2.ChannelConfig(name="x", data_type=Type.CHANNEL_DATA_TYPE_BYTES)
    request = v2.CreateIngestionConfigFlowsRequest(
        ingestion_config_id=config_id, flows=[v2.FlowConfig(name="f", channels=[channel])]
    )
    second.create_ingestion_config_flows(request)
    with pytest.raises(AlreadyExistsError):
        second.create_ingestion_config_flows(request)
    with pytest.raises(AlreadyExistsError):
        second.create_ingestion_config(
            v2.CreateIngestionConfigRequest(asset_name="a", client_key="key")
        )


@pytest.mark.parametrize("data_type", [0, 99])
def test_a_channel_needs_a_data_type_that_the_server_knows(first, data_type):
    """The message names flow and channel."""
    channel = v1.ChannelConfig(name="x", data_type=data_type)
    request = v1.CreateIngestionConfigRequest(
        asset_name="a", client_key="k", flows=[v1.FlowConfig(name="f", channels=[channel])]
    )
    with pytest.raises(InvalidArgumentError, match=r"'x' of the flow 'f'.*DATA_TYPE_DOUBLE"):
        first.create_ingestion_config(request)


def test_channels_are_listed_in_both_versions(catalog, first):
    """Component and name apart in v2, together in v3; each filters by what it shows."""
    asset_id = first.create_ingestion_config(
        v1.CreateIngestionConfigRequest(asset_name="a", client_key="k", flows=[READINGS])
    ).ingestion_config.asset_id
    old = channels_v2.ChannelService(catalog)
    new = channels_v3.ChannelService(catalog)

    page = old.list_channels(
        channels_v2_pb2.ListChannelsRequest(filter=f'asset_id=="{asset_id}"', page_size=1000)
    )
    assert [(one.component, one.name) for one in page.channels] == [
        ("motor", "state"),
        ("", "gpio"),
    ]
    state = page.channels[0]
    assert (state.unit_id, state.description, state.asset_id) == ("u", "d", asset_id)
    assert list(state.enum_types) == list(STATE.enum_types)
    by_name = channels_v2_pb2.ListChannelsRequest(filter="name == 'state' && component == 'motor'")
    assert list(old.list_channels(by_name).channels) == [state]
    request = channels_v2_pb2.GetChannelRequest(channel_id=state.channel_id)
    assert old.get_channel(request).channel == state

    named = channels_v3_pb2.ListChannelsRequest(
        filter=f'asset_id == \'{asset_id}\' && name in ["motor.state","gpio"]'
    )
    channels = new.list_channels(named).channels
    assert [(one.name, one.active) for one in channels] == [("motor.state", True), ("gpio", True)]
    assert channels[0].channel_id == state.channel_id
    assert channels[0].created_date.ToNanoseconds() == state.created_date.ToNanoseconds() > 0
    assert channels[1].data_type == Type.CHANNEL_DATA_TYPE_BIT_FIELD
    one = new.get_channel(channels_v3_pb2.GetChannelRequest(channel_id=channels[1].channel_id))
    assert one.channel == channels[1]
    with pytest.raises(NotFoundError, match="'none'"):
        new.get_channel(channels_v3_pb2.GetChannelRequest(channel_id="none"))
