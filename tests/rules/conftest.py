"""A catalog for each test, with a rover in it that has channels of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sift_server.catalog import BitFieldElement, ChannelConfig, EnumType, FlowConfig
from sift_server.rules.registration import RuleRegistration
from sift_wire.columns import DataType
from support.catalogs import StepClock, open_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_server.catalog import Catalog

ROVER = FlowConfig(
    "all",
    (
        ChannelConfig("speed", DataType.DOUBLE, component="wheel"),
        ChannelConfig("temperature", DataType.FLOAT),
        ChannelConfig("steps", DataType.INT_64),
        ChannelConfig("armed", DataType.BOOL),
        ChannelConfig("log", DataType.STRING),
        ChannelConfig("raw", DataType.BYTES),
        ChannelConfig(
            "state", DataType.ENUM, enum_types=(EnumType("Idle", 0), EnumType("Driving", 1))
        ),
        ChannelConfig(
            "gpio", DataType.BIT_FIELD, bit_field_elements=(BitFieldElement("heater", 0, 1),)
        ),
    ),
)


@pytest.fixture
def clock() -> StepClock:
    """The catalog's clock."""
    return StepClock()


@pytest.fixture
def catalog(tmp_path: Path, clock: StepClock) -> Iterator[Catalog]:
    """A catalog on a SQLite file."""
    with open_catalog(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def asset_id(catalog: Catalog) -> str:
    """The rover."""
    return catalog.ingestion_configs.create("rover", "rover-v1", [ROVER]).asset_id


@pytest.fixture
def registration(catalog: Catalog) -> RuleRegistration:
    """Where rules come in."""
    return RuleRegistration(catalog)
