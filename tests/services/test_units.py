"""`unit.v2`: the units that channels have."""

from __future__ import annotations

import pytest

from sift.channels.v3 import channels_pb2
from sift.unit.v2 import unit_pb2
from sift_server.api.services.channels_v3 import ChannelService
from sift_server.api.services.units import UnitService
from sift_server.catalog import ChannelConfig, FlowConfig
from sift_server.errors import InvalidArgumentError
from sift_wire.columns import DataType


@pytest.fixture
def service(catalog) -> UnitService:
    """The service of units, with three channels, two of which have one."""
    channels = tuple(
        ChannelConfig(name, DataType.DOUBLE, unit=unit)
        for name, unit in {"speed": "m/s", "wind": "m/s", "count": "", "inside": "°C"}.items()
    )
    catalog.ingestion_configs.create("rover", "rover-v1", [FlowConfig("all", channels)])
    return UnitService(catalog)


def names(service: UnitService, **request) -> list[str]:
    return [
        unit.abbreviated_name
        for unit in service.list_units(unit_pb2.ListUnitsRequest(**request)).units
    ]


def test_the_units_of_channels_are_listed_once(catalog, service):
    """By the ids that the channels have for them, as the newest client asks."""
    assert sorted(names(service)) == ["m/s", "°C"]
    channels = ChannelService(catalog).list_channels(channels_pb2.ListChannelsRequest()).channels
    assert {one.unit_id for one in channels} == {"m/s", "", "°C"}
    assert names(service, filter="unit_id in ['°C','none']") == ["°C"]
    assert names(service, order_by="abbreviated_name desc") == ["°C", "m/s"]
    page = service.list_units(unit_pb2.ListUnitsRequest(page_size=1))
    assert names(service, page_token=page.next_page_token) == [
        name for name in names(service) if name != page.units[0].abbreviated_name
    ]


def test_a_unit_is_made_of_its_name(service):
    """The same every time, and as a channel that has it says."""
    unit = service.create_unit(unit_pb2.CreateUnitRequest(name="m/s")).unit
    assert unit == service.list_units(unit_pb2.ListUnitsRequest(filter="unit_id == 'm/s'")).units[0]
    with pytest.raises(InvalidArgumentError, match="name"):
        service.create_unit(unit_pb2.CreateUnitRequest(name=" "))
