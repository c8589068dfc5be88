"""Channels: configs, data types, names and typed values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sift.channels.v2.channels_pb2 import Channel as ChannelPb
from sift.common.type.v1.channel_data_type_pb2 import (
    CHANNEL_DATA_TYPE_BYTES,
    CHANNEL_DATA_TYPE_UNSPECIFIED,
)
from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType as ChannelDataTypePb
from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue
from sift.ingestion_configs.v1.ingestion_configs_pb2 import ChannelConfig as ChannelConfigPb
from sift.ingestion_configs.v2.ingestion_configs_pb2 import ChannelConfig as ChannelConfigV2Pb
from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelDataTypeStrRep,
    ChannelEnumType,
    bit_field_value,
    bool_value,
    channel_fqn,
    double_value,
    empty_value,
    enum_value,
    float_value,
    int32_value,
    int64_value,
    is_data_type,
    string_value,
    uint32_value,
    uint64_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable

INTEGER_BUILDERS = [
    pytest.param(int32_value, "int32", -(2**31), 2**31 - 1, id="int32"),
    pytest.param(uint32_value, "uint32", 0, 2**32 - 1, id="uint32"),
    pytest.param(int64_value, "int64", -(2**63), 2**63 - 1, id="int64"),
    pytest.param(uint64_value, "uint64", 0, 2**64 - 1, id="uint64"),
    pytest.param(enum_value, "enum", 0, 2**32 - 1, id="enum"),
]

EXAMPLES = {
    ChannelDataType.DOUBLE: double_value(0.0),
    ChannelDataType.STRING: string_value(""),
    ChannelDataType.ENUM: enum_value(0),
    ChannelDataType.BIT_FIELD: bit_field_value(b""),
    ChannelDataType.BOOL: bool_value(False),
    ChannelDataType.FLOAT: float_value(0.0),
    ChannelDataType.INT_32: int32_value(0),
    ChannelDataType.INT_64: int64_value(0),
    ChannelDataType.UINT_32: uint32_value(0),
    ChannelDataType.UINT_64: uint64_value(0),
}
"""A value of each type, each the default of its type: presence must not depend on the value."""


def full_channel() -> ChannelConfig:
    return ChannelConfig(
        name="gpio",
        data_type=ChannelDataType.BIT_FIELD,
        description="pins",
        unit="1",
        component="board",
        bit_field_elements=[ChannelBitFieldElement("heater", 0, 1)],
        enum_types=[ChannelEnumType("Idle", 0)],
    )


def test_positional_arguments_are_in_the_published_order() -> None:
    """Programs pass arguments by position."""
    elements, enum_types = [ChannelBitFieldElement("a", 0, 1)], [ChannelEnumType("b", 1)]
    channel = ChannelConfig(
        "name", ChannelDataType.ENUM, "description", "unit", "component", elements, enum_types
    )
    assert channel.description == "description"
    assert channel.unit == "unit"
    assert channel.component == "component"
    assert channel.bit_field_elements is elements
    assert channel.enum_types is enum_types


def test_default_lists_are_not_shared() -> None:
    """What is added to one channel's lists is not in another's."""
    one, other = (ChannelConfig(name, ChannelDataType.ENUM) for name in "ab")
    one.enum_types.append(ChannelEnumType("Idle", 0))
    one.bit_field_elements.append(ChannelBitFieldElement("heater", 0, 1))
    assert other.enum_types == []
    assert other.bit_field_elements == []


def test_channels_are_equal_by_value_and_hashable() -> None:
    """Equal channels are one in a set, and a channel that differs in anything is another."""
    assert full_channel() == full_channel()
    assert len({full_channel(), full_channel()}) == 1
    other = full_channel()
    other.enum_types.append(ChannelEnumType("Busy", 1))
    assert other != full_channel()
    assert "heater" in repr(other)


def test_a_channel_survives_its_v1_message() -> None:
    """All that a channel has is in its message and comes back."""
    message = full_channel().as_pb(ChannelConfigPb)
    assert (message.name, message.component, message.unit) == ("gpio", "board", "1")
    assert ChannelConfig.from_pb(message) == full_channel()


def test_what_is_left_out_is_empty_in_messages_and_none_again() -> None:
    """None becomes "", and "" becomes None."""
    channel = ChannelConfig("a", ChannelDataType.DOUBLE)
    message = channel.as_pb(ChannelConfigPb)
    assert (message.description, message.unit, message.component) == ("", "", "")
    assert ChannelConfig.from_pb(message) == channel


def test_a_v2_message_has_the_component_in_its_name() -> None:
    """Messages of v2 have no component: the fully qualified name is the name."""
    message = full_channel().as_pb(ChannelConfigV2Pb)
    assert message.name == "board.gpio"
    again = ChannelConfig.from_pb(message)
    assert again.fqn() == full_channel().fqn()
    assert again.bit_field_elements == full_channel().bit_field_elements


@pytest.mark.parametrize(
    "channel",
    [
        ChannelConfig("velocity", ChannelDataType.DOUBLE, component="mainmotor"),
        ChannelConfigPb(name="velocity", component="mainmotor"),
        ChannelPb(name="velocity", component="mainmotor"),
        {"channel_name": "velocity", "component": "mainmotor", "value": double_value(1)},
    ],
    ids=lambda channel: type(channel).__module__,
)
def test_the_fqn_joins_component_and_name(channel: object) -> None:
    """Whatever says which channel it is says it in the same words."""
    assert channel_fqn(channel) == "mainmotor.velocity"


@pytest.mark.parametrize(
    "channel",
    [
        ChannelConfig("velocity", ChannelDataType.DOUBLE),
        ChannelConfig("velocity", ChannelDataType.DOUBLE, component=""),
        ChannelConfigPb(name="velocity"),
        ChannelPb(name="velocity"),
        {"channel_name": "velocity", "value": double_value(1)},
        {"channel_name": "velocity", "component": "", "value": double_value(1)},
    ],
    ids=str,
)
def test_without_a_component_the_fqn_is_the_name(channel: object) -> None:
    """An empty component is none."""
    assert channel_fqn(channel) == "velocity"


def test_data_types_are_the_protocols_numbers() -> None:
    """Ten types, each with the number and the name of the protocol."""
    assert {f"CHANNEL_DATA_TYPE_{one.name}": one.value for one in ChannelDataType} == {
        name: number
        for name, number in ChannelDataTypePb.items()
        if number not in {CHANNEL_DATA_TYPE_UNSPECIFIED, CHANNEL_DATA_TYPE_BYTES}
    }
    assert [one.name for one in ChannelDataTypeStrRep] == [one.name for one in ChannelDataType]


@pytest.mark.parametrize("data_type", ChannelDataType)
def test_data_types_are_read_from_numbers_and_spellings(data_type: ChannelDataType) -> None:
    """Blanks around a spelling don't matter."""
    assert ChannelDataType.from_pb(data_type.value) is data_type
    assert ChannelDataType.from_str(f" {data_type.as_human_str()}\n") is data_type
    assert ChannelDataType.from_str(f" CHANNEL_DATA_TYPE_{data_type.name} ") is data_type


def test_unknown_data_types() -> None:
    """An unknown number is an error, an unknown spelling is None."""
    with pytest.raises(ValueError, match="Unknown channel data type '99'"):
        ChannelDataType.from_pb(99)
    assert ChannelDataType.from_str("doble") is None
    assert ChannelDataType.from_str("DOUBLE") is None


@pytest.mark.parametrize("data_type", ChannelDataType)
def test_a_value_is_of_one_data_type(data_type: ChannelDataType) -> None:
    """A value is of its own type and of no other; zero, false and "" are values."""
    assert [one for one in ChannelDataType if is_data_type(EXAMPLES[data_type], one)] == [data_type]


def test_empty_values_and_unknown_types() -> None:
    """No value is of no type, and nothing is of an unknown one; the answer is a bool."""
    assert not any(is_data_type(empty_value(), one) for one in ChannelDataType)
    assert empty_value().WhichOneof("type") == "empty"
    assert is_data_type(double_value(1), None) is False


@pytest.mark.parametrize(("builder", "field", "least", "most"), INTEGER_BUILDERS)
def test_integers_in_range_are_exact(
    builder: Callable[[int], IngestWithConfigDataChannelValue], field: str, least: int, most: int
) -> None:
    """Both ends of each integer type arrive as they are; so do NumPy's integers."""
    for number in (least, most, np.uint8(7)):
        assert builder(number) == IngestWithConfigDataChannelValue(**{field: int(number)})


@pytest.mark.parametrize(("builder", "field", "least", "most"), INTEGER_BUILDERS)
def test_integers_out_of_range_are_refused(
    builder: Callable[[int], IngestWithConfigDataChannelValue], field: str, least: int, most: int
) -> None:
    """The message shows the range and the value."""
    for number in (least - 1, most + 1, 10**30):
        with pytest.raises(ValueError, match=rf"from .* to 2\*\*\d\d - 1 .*{number}"):
            builder(number)


@pytest.mark.parametrize(
    ("builder", "wrong"),
    [
        (string_value, 1),
        (double_value, "1"),
        (float_value, b"1"),
        (bool_value, "yes"),
        (int32_value, 1.0),
        (uint32_value, "1"),
        (int64_value, 1.5),
        (uint64_value, [1]),
        (bit_field_value, "a"),
        (enum_value, "Idle"),
    ],
)
def test_values_of_another_python_type_are_refused(
    builder: Callable[[object], IngestWithConfigDataChannelValue], wrong: object
) -> None:
    """The message shows the value and its type, and None is told what to use."""
    with pytest.raises(TypeError, match=rf"Expected .* a {type(wrong).__name__}\."):
        builder(wrong)
    with pytest.raises(TypeError, match=r"`empty_value\(\)` is for no value"):
        builder(None)


def test_odd_numbers_and_texts() -> None:
    """NaN is a value; floats round to 32 bits; an integer is a double unless too large."""
    assert math.isnan(double_value(math.nan).double)
    assert float_value(0.1).float == np.float32(0.1)
    assert float_value(1e300).float == math.inf
    assert double_value(10).double == 10.0
    assert bool_value(1).bool is True
    with pytest.raises(ValueError, match=r"a double but got 10+\.\.\., a int"):
        double_value(10**400)


def test_what_protobuf_refuses_is_worded_whatever_it_is() -> None:
    """Half a surrogate pair, and integers of many bits or of more digits than Python writes."""
    with pytest.raises(ValueError, match=r"a string but got '\\ud800', .* half of a surrogate"):
        string_value("\ud800")
    for wrong in (2**70, -(2**70)):
        with pytest.raises(ValueError, match=f"a bool but got {wrong}, a int"):
            bool_value(wrong)  # type: ignore[arg-type]
    for builder in (bool_value, double_value, float_value, int32_value, uint64_value, enum_value):
        with pytest.raises(ValueError, match="but got an integer of 16610 bits, a int"):
            builder(10**5000)  # type: ignore[operator]
