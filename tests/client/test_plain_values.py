"""Plain Python values: which a channel takes, and that they go out as typed ones would."""

from __future__ import annotations

import enum
import itertools
import struct
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue as Value
from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.layout import FlowLayout, layout_of
from sift_py.ingestion._internal.rows import PLANS_MAX, RowEncoder, flow_parts
from sift_py.ingestion._internal.shown import VALUE_CHARS_MAX
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    double_value,
    empty_value,
    int32_value,
    string_value,
)
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_wire.messages import EMPTY_VALUE, value_fields
from support.telemetry_configs import NOW, telemetry_config

if TYPE_CHECKING:
    from sift_py.ingestion.channel import ChannelValue

INT_TYPES = {
    ChannelDataType.INT_32: (-(2**31), 2**31 - 1),
    ChannelDataType.UINT_32: (0, 2**32 - 1),
    ChannelDataType.INT_64: (-(2**63), 2**63 - 1),
    ChannelDataType.UINT_64: (0, 2**64 - 1),
    ChannelDataType.ENUM: (0, 2**32 - 1),
}
FLOAT_MAX = float(np.finfo(np.float32).max)
STATES = [ChannelEnumType("on", 7), ChannelEnumType("off", 0)]


class State(enum.IntEnum):
    ON = 7


class StateName(enum.StrEnum):
    ON = "on"


def flow_of(*data_types: ChannelDataType) -> FlowConfig:
    return FlowConfig(
        "every",
        [
            ChannelConfig(
                each.name, each, enum_types=STATES if each is ChannelDataType.ENUM else []
            )
            for each in data_types
        ],
    )


EVERY = flow_of(*ChannelDataType)
ENCODERS = {each: RowEncoder(layout_of(flow_of(each))) for each in ChannelDataType}


def encoded(data_type: ChannelDataType, value: object) -> bytes:
    """The value of a row with one channel, by its name and by its place: the same."""
    encoder = ENCODERS[data_type]
    named = encoder.named([{"channel_name": data_type.name, "value": value}])
    assert encoder.ordered([value]) == named
    return named


def typed(data_type: ChannelDataType, value: Any) -> bytes:
    return value_fields([Value(**{data_type.value_field: value}).SerializeToString()])


def refusal(data_type: ChannelDataType, value: object) -> str:
    encoder = ENCODERS[data_type]
    with pytest.raises(IngestionValidationError) as by_name:
        encoder.named([{"channel_name": data_type.name, "value": value}])
    with pytest.raises(IngestionValidationError) as in_order:
        encoder.ordered([value])
    message = by_name.value.message
    assert in_order.value.message == message
    assert f"flow 'every': value for '{data_type.name}' expected to be a" in message
    assert "\n" not in message
    return message


class TestNumbers:
    """A number is taken if the channel's type keeps it."""

    @pytest.mark.parametrize("data_type", INT_TYPES)
    def test_integers_are_taken_up_to_the_limits(self, data_type):
        """And not one more."""
        smallest, largest = INT_TYPES[data_type]
        for value in {smallest, largest, 0, 1, largest // 2}:
            assert encoded(data_type, value) == typed(data_type, value)
        for value in (smallest - 1, largest + 1, -(10**30), 10**30):
            assert f"got {value}" in refusal(data_type, value)

    @pytest.mark.parametrize("data_type", INT_TYPES)
    @pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64])
    def test_integers_of_numpy_are_integers(self, data_type, kind):
        """Of every width; so are members of an IntEnum."""
        assert encoded(data_type, kind(100)) == typed(data_type, 100)
        assert encoded(data_type, State.ON) == typed(data_type, 7)

    def test_numpys_largest_integer_is_kept(self):
        """It is more than any signed one."""
        largest = np.uint64(2**64 - 1)
        assert encoded(ChannelDataType.UINT_64, largest) == typed(
            ChannelDataType.UINT_64, 2**64 - 1
        )
        refusal(ChannelDataType.INT_64, largest)

    @pytest.mark.parametrize("data_type", INT_TYPES)
    @pytest.mark.parametrize(
        "value", [5.0, np.float64(5), Decimal(5), Fraction(5), 5j, np.array([5]), np.array(5.0)]
    )
    def test_an_integer_is_not_made_of_another_number(self, data_type, value):
        """Whether its fraction may go is the program's to say."""
        refusal(data_type, value)

    @pytest.mark.parametrize("data_type", [ChannelDataType.DOUBLE, ChannelDataType.FLOAT])
    @pytest.mark.parametrize(
        "value",
        [5, -5, 1.5, -0.0, float("inf"), float("-inf"), 2**24, State.ON, Fraction(1, 4)]
        + [kind(5) for kind in (np.int8, np.uint64, np.float16, np.float32, np.float64)]
        + [np.longdouble("1.5")],
    )
    def test_floating_point_takes_every_real_number(self, data_type, value):
        """Integers too, of Python and NumPy."""
        assert encoded(data_type, value) == typed(data_type, float(value))

    def test_floating_point_rounds_floats_and_not_integers(self):
        """A float is inexact by itself; an integer that is changed would be a wrong one."""
        assert encoded(ChannelDataType.FLOAT, 0.1) == typed(ChannelDataType.FLOAT, 0.1)
        assert encoded(ChannelDataType.FLOAT, 1e-50) == typed(ChannelDataType.FLOAT, 0.0)
        assert encoded(ChannelDataType.DOUBLE, 2**53) == typed(ChannelDataType.DOUBLE, 2.0**53)
        for data_type, value in (
            (ChannelDataType.DOUBLE, 2**53 + 1),
            (ChannelDataType.FLOAT, 2**24 + 1),
            (ChannelDataType.FLOAT, np.int64(2**24 + 1)),
        ):
            message = refusal(data_type, value)
            assert "more digits than that type keeps; make it a float to round it" in message

    def test_what_would_become_infinite_is_refused(self):
        """The largest float is as people write it: rounded."""
        assert encoded(ChannelDataType.FLOAT, 3.4028235e38) == typed(
            ChannelDataType.FLOAT, FLOAT_MAX
        )
        for value in (3.5e38, -3.5e38, 10**39, 10**400, Fraction(10**400)):
            assert "it is too large" in refusal(ChannelDataType.FLOAT, value)
        for value in (10**400, -(10**400), Fraction(10**400), np.longdouble("1e4000")):
            assert "it is too large" in refusal(ChannelDataType.DOUBLE, value)

    @given(st.floats())
    def test_floats_keep_their_bits(self, value: float):
        """NaN and both zeros too."""
        assert encoded(ChannelDataType.DOUBLE, value)[3:] == struct.pack("<d", value)
        assert encoded(ChannelDataType.DOUBLE, np.float64(value))[3:] == struct.pack("<d", value)

    @given(st.floats(width=32))
    def test_floats_of_numpy_keep_their_value(self, value: float):
        """Single precision passes through double precision and back."""
        expected = typed(ChannelDataType.FLOAT, value)
        assert encoded(ChannelDataType.FLOAT, np.float32(value)) == expected
        assert encoded(ChannelDataType.FLOAT, value) == expected

    @pytest.mark.parametrize("data_type", [ChannelDataType.DOUBLE, ChannelDataType.FLOAT])
    @pytest.mark.parametrize(
        "value", ["5", b"5", Decimal("1.5"), 1j, [], {}, object(), np.timedelta64(5, "s"), ...]
    )
    def test_floating_point_takes_nothing_else(self, data_type, value):
        """Text is not parsed."""
        refusal(data_type, value)


class TestOtherTypes:
    """Truth, text, bytes and states."""

    @pytest.mark.parametrize("kind", [bool, np.bool_])
    def test_bool_is_a_type_of_its_own(self, kind):
        """It is no number, and no number is one."""
        for truth in (True, False):
            assert encoded(ChannelDataType.BOOL, kind(truth)) == typed(ChannelDataType.BOOL, truth)
        for data_type in (ChannelDataType.DOUBLE, ChannelDataType.FLOAT, *INT_TYPES):
            refusal(data_type, kind(1))
        for value in (0, 1, 1.0, "True", b"\x01", np.int8(1), np.array([True])):
            refusal(ChannelDataType.BOOL, value)

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_text_is_a_str(self, text: str):
        """Of any alphabet; NumPy's are some."""
        assert encoded(ChannelDataType.STRING, text) == typed(ChannelDataType.STRING, text)
        numpy_text = np.str_(text)
        assert encoded(ChannelDataType.STRING, numpy_text) == typed(ChannelDataType.STRING, text)

    def test_text_may_be_long(self):
        """A message says no more of it than it must."""
        text = "値" * 1_000_000
        assert encoded(ChannelDataType.STRING, text) == typed(ChannelDataType.STRING, text)
        assert len(refusal(ChannelDataType.INT_32, text)) < VALUE_CHARS_MAX + 300

    @pytest.mark.parametrize("value", [b"text", 5, 1.5, True, ["text"], np.array("text")])
    def test_text_is_nothing_else(self, value):
        """Nothing is made text that is none."""
        refusal(ChannelDataType.STRING, value)

    @pytest.mark.parametrize("value", ["\ud800", "a\udfffb"])
    def test_half_of_a_surrogate_pair_is_no_text(self, value):
        """UTF-8 has no way to write it."""
        assert "half of a surrogate pair" in refusal(ChannelDataType.STRING, value)

    def test_bit_fields_are_bytes(self):
        """Or what holds bytes."""
        expected = typed(ChannelDataType.BIT_FIELD, b"\x09\x00")
        for value in (b"\x09\x00", bytearray(b"\x09\x00"), memoryview(b"\x09-\x00-")[::2]):
            assert encoded(ChannelDataType.BIT_FIELD, value) == expected
        assert encoded(ChannelDataType.BIT_FIELD, b"") == typed(ChannelDataType.BIT_FIELD, b"")
        for value in (9, "\x09", [9], True, np.array([9], np.uint8)):
            refusal(ChannelDataType.BIT_FIELD, value)

    @pytest.mark.parametrize("value", ["on", np.str_("on"), StateName.ON, 7, State.ON, np.int8(7)])
    def test_a_state_is_a_name_or_a_key(self, value):
        """Names are those of the channel's config."""
        assert encoded(ChannelDataType.ENUM, value) == typed(ChannelDataType.ENUM, 7)

    def test_a_key_needs_no_name(self):
        """As with typed values: the server may know more of them."""
        assert encoded(ChannelDataType.ENUM, 8) == typed(ChannelDataType.ENUM, 8)

    @pytest.mark.parametrize("value", ["On", "", "7", "\ud800"])
    def test_a_name_that_there_is_not_is_refused(self, value):
        """The message lists those that there are."""
        message = refusal(ChannelDataType.ENUM, value)
        assert "there is no such name. Use enum_value(...), or one of 'on', 'off', or a key" in (
            message
        )

    def test_not_every_name_of_a_large_enum_is_listed(self):
        """A message stays readable."""
        states = [ChannelEnumType(f"state {key}", key) for key in range(1000)]
        channel = ChannelConfig("state", ChannelDataType.ENUM, enum_types=states)
        encoder = RowEncoder(layout_of(FlowConfig("flow", [channel])))
        with pytest.raises(IngestionValidationError, match=r"'state 0', .*, \.\.\.") as error:
            encoder.ordered(["state 1000"])
        assert len(error.value.message) < 500

    def test_an_array_is_shown_on_one_line(self):
        """Even one that is no value of any type."""
        for data_type in ChannelDataType:
            assert "got array([[0, 1], " in refusal(data_type, np.arange(4).reshape(2, 2))

    @pytest.mark.parametrize("data_type", ChannelDataType)
    def test_none_is_no_value(self, data_type):
        """As `empty_value()`."""
        assert encoded(data_type, None) == value_fields([EMPTY_VALUE])
        assert encoded(data_type, empty_value()) == value_fields([EMPTY_VALUE])


PLAIN = {
    ChannelDataType.DOUBLE: 1.5,
    ChannelDataType.STRING: "text",
    ChannelDataType.ENUM: "on",
    ChannelDataType.BIT_FIELD: b"\x09",
    ChannelDataType.BOOL: True,
    ChannelDataType.FLOAT: 2.5,
    ChannelDataType.INT_32: -5,
    ChannelDataType.UINT_32: 7,
    ChannelDataType.INT_64: -6,
    ChannelDataType.UINT_64: 8,
}
TYPED = {
    each: Value(**{each.value_field: 7 if value == "on" else value})
    for each, value in PLAIN.items()
}


def row(values: dict[ChannelDataType, Any]) -> list[ChannelValue]:
    return [{"channel_name": each.name, "value": value} for each, value in values.items()]


def old_named(layout: FlowLayout, channel_values: list[ChannelValue]) -> list[Value] | None:
    """What the rule of typed rows says: each channel's value in order; None if refused."""
    by_name = {}
    for each in channel_values:
        if each["channel_name"] in by_name:
            return None
        by_name[each["channel_name"]] = each["value"]
    values = []
    for channel in layout.channels:
        value = by_name.pop(channel.fqn, empty_value())
        if value.WhichOneof("type") not in {channel.value_field, "empty"}:
            return None
        values.append(value)
    return None if by_name else values


class TestRows:
    """Plain and typed values may stand side by side, in every way to send them."""

    @pytest.fixture
    def service(self, channel):
        """A service for one flow, with a channel of each type."""
        return IngestionService(channel, telemetry_config(EVERY))

    def test_every_way_to_send_takes_plain_values(self, server, service):
        """By name and in order, buffered and not, and as a request: all are the same row."""
        named = {"flow_name": "every", "timestamp": NOW, "channel_values": row(PLAIN)}
        ordered = {**named, "channel_values": [PLAIN[each] for each in ChannelDataType]}
        service.try_ingest_flows(named)
        service.try_ingest_flow(named)
        service.ingest_flows(ordered)
        service.ingest_flow(ordered)
        with service.buffered_ingestion() as buffered:
            buffered.try_ingest_flows(named)
            buffered.ingest_flows(ordered)
        service.ingest(
            service.try_create_ingestion_request("every", NOW, row(PLAIN)),
            service.create_ingestion_request("every", NOW, ordered["channel_values"]),
        )
        expected = service.try_create_ingestion_request("every", NOW, row(TYPED))
        assert list(expected.channel_values) == [TYPED[each] for each in ChannelDataType]
        assert server.rows == [expected] * 8

    def test_a_value_that_does_not_fit_keeps_all_from_being_sent(self, server, service):
        """By name and in order, buffered and not."""
        wrong = {**PLAIN, ChannelDataType.INT_32: 2**31}
        named = {"flow_name": "every", "timestamp": NOW, "channel_values": row(wrong)}
        ordered = {**named, "channel_values": [wrong[each] for each in ChannelDataType]}
        with service.buffered_ingestion() as buffered:
            for ingest, flow in (
                (service.try_ingest_flows, named),
                (service.ingest_flows, ordered),
                (buffered.try_ingest_flows, named),
                (buffered.ingest_flows, ordered),
            ):
                with pytest.raises(IngestionValidationError, match=r"'INT_32'.*got 2147483648"):
                    ingest(flow)
            buffered.flush()
        assert server.rows == []

    def test_a_flow_that_is_not_known_takes_typed_values_only(self, service):
        """The type of a plain one is not known; the message says so."""
        with pytest.raises(IngestionValidationError, match=r"the type of 1\.5 is not known"):
            service.create_ingestion_request("other", NOW, [1.5])

    def test_values_in_order_may_come_from_a_generator(self, service):
        """Which can be read only once."""
        values = [TYPED[each] for each in ChannelDataType]
        expected = service.create_ingestion_request("every", NOW, values)
        for in_order in (iter(values), tuple(values), (PLAIN[each] for each in ChannelDataType)):
            assert service.create_ingestion_request("every", NOW, in_order) == expected
        rows = (each for each in row(PLAIN))
        assert service.try_create_ingestion_request("every", NOW, rows) == expected

    @given(st.permutations(list(ChannelDataType)), st.data())
    def test_any_order_and_any_mixture_is_the_same_row(self, order, data):
        """Also with channels that are left out, or empty in one of two ways."""
        kinds = {
            each: data.draw(st.sampled_from(["plain", "typed", "none", "empty", "absent"]))
            for each in order
        }
        given = {
            each: {
                "plain": PLAIN[each],
                "typed": TYPED[each],
                "none": None,
                "empty": empty_value(),
            }[kind]
            for each, kind in kinds.items()
            if kind != "absent"
        }
        expected = [
            TYPED[each] if kinds[each] in {"plain", "typed"} else empty_value()
            for each in ChannelDataType
        ]
        encoder = RowEncoder(layout_of(EVERY))
        fields = value_fields([value.SerializeToString() for value in expected])
        # Twice: the second time the order of the names is known already.
        assert encoder.named(row(given)) == encoder.named(row(given)) == fields

    def test_a_known_order_of_names_says_nothing_of_the_values(self):
        """Each row is checked, whatever the one before it was."""
        encoder = RowEncoder(layout_of(EVERY))
        good = encoder.named(row(TYPED))
        for each, other in itertools.permutations(ChannelDataType, 2):
            for values, wrong in ((TYPED, TYPED[other]), (PLAIN, TYPED[other]), (PLAIN, [])):
                with pytest.raises(IngestionValidationError):
                    encoder.named(row({**values, each: wrong}))
            assert encoder.named(row(PLAIN)) == good

    @given(st.data())
    def test_typed_values_are_taken_and_refused_as_ever(self, data):
        """By name: doubles, types, names that there are not, missing and unset ones."""
        layout = layout_of(EVERY)
        encoder = RowEncoder(layout)
        names = st.sampled_from([each.name for each in ChannelDataType])
        values = st.sampled_from([*TYPED.values(), empty_value(), Value(), Value(bytes=b"x")])
        fitting = st.sampled_from(row(TYPED))
        any_value = st.builds(
            lambda name, value: {"channel_name": name, "value": value},
            names | st.just("no such"),
            values,
        )
        base = data.draw(st.lists(fitting, unique_by=lambda each: each["channel_name"]))
        base += data.draw(st.lists(any_value, max_size=2))
        expected = old_named(layout, base)
        for _ in range(2):
            if expected is None:
                with pytest.raises(IngestionValidationError):
                    encoder.named(base)
            else:
                fields = value_fields([value.SerializeToString() for value in expected])
                assert encoder.named(base) == fields


class TestNames:
    """What is remembered of rows is their names, and that never changes what they mean."""

    def test_a_component_makes_another_channel(self):
        """Given or missing, in a row of its own or beside one without."""
        flow = FlowConfig(
            "flow",
            [
                ChannelConfig("a", ChannelDataType.DOUBLE),
                ChannelConfig("a", ChannelDataType.INT_32, component="left"),
                ChannelConfig("left.b", ChannelDataType.STRING),
            ],
        )
        encoder = RowEncoder(layout_of(flow))
        without = {"channel_name": "a", "value": 1.5}
        left = {"channel_name": "a", "component": "left", "value": 2}
        unnamed = {"channel_name": "a", "component": None, "value": 1.5}
        dotted = {"channel_name": "left.a", "value": 2}
        both = encoder.ordered([1.5, 2, None])
        only_left = encoder.ordered([None, 2, None])
        for _ in range(2):
            for one, other in itertools.product((without, unnamed), (left, dotted)):
                assert encoder.named([one, other]) == encoder.named([other, one]) == both
            assert encoder.named([left]) == encoder.named([dotted]) == only_left
            with pytest.raises(IngestionValidationError, match="multiple values"):
                encoder.named([without, unnamed])
            with pytest.raises(IngestionValidationError, match="multiple values"):
                encoder.named([left, dotted])
            assert encoder.named([{**left, "channel_name": "b", "value": "x"}]) == (
                encoder.ordered([None, None, "x"])
            )

    def test_the_order_of_the_server_is_kept(self):
        """Also for channels that the config lacks, by name and in order."""
        flow = FlowConfig(
            "flow",
            [
                ChannelConfig("a", ChannelDataType.DOUBLE),
                ChannelConfig("b", ChannelDataType.INT_32),
            ],
        )
        encoder = RowEncoder(layout_of(flow, ["b", "gone", "a"]))
        values = [int32_value(2), empty_value(), double_value(1.5)]
        expected = value_fields([value.SerializeToString() for value in values])
        for one, two in ((1.5, 2), (double_value(1.5), int32_value(2)), (1.5, int32_value(2))):
            named = [{"channel_name": "a", "value": one}, {"channel_name": "b", "value": two}]
            assert encoder.named(named) == encoder.named(named[::-1]) == expected
            assert encoder.ordered([one, two]) == expected
        for values in ([], [1.5], [1.5, 2, 3], [double_value(1)]):
            with pytest.raises(IngestionValidationError, match="expected 2 values"):
                encoder.ordered(values)

    def test_more_orders_than_are_remembered_are_all_right(self):
        """What is remembered has a limit; what is not remembered is worked out again."""
        channels = [ChannelConfig(f"c{n}", ChannelDataType.INT_64) for n in range(7)]
        encoder = RowEncoder(layout_of(FlowConfig("flow", channels)))
        expected = encoder.ordered(list(range(7)))
        orders = list(itertools.islice(itertools.permutations(range(7)), PLANS_MAX + 100))
        for _ in range(2):
            for order in orders:
                named = [{"channel_name": f"c{n}", "value": n} for n in order]
                assert encoder.named(named) == expected
                assert len(encoder._plans) <= PLANS_MAX

    def test_a_row_may_be_any_mapping(self):
        """With more in it than is asked for."""
        encoder = RowEncoder(layout_of(flow_of(ChannelDataType.STRING)))
        expected = encoder.ordered([string_value("x")])
        more = {"channel_name": "STRING", "value": "x", "unit": "V", "component": ""}
        assert encoder.named([more]) == encoder.named((more,)) == expected


class TestWrongShapes:
    """What is no row at all is refused in a sentence that says where it is."""

    @pytest.mark.parametrize("wrong", [None, 5, "abc", b"abc", {"every": 1}, np.array(1.5)])
    def test_channel_values_are_a_list(self, wrong):
        """Texts and mappings are not taken for lists of what is in them."""
        encoder = ENCODERS[ChannelDataType.STRING]
        for encode in (encoder.named, encoder.ordered):
            with pytest.raises(IngestionValidationError) as refused:
                encode(wrong)
            assert refused.value.message == (
                f"flow 'every': 'channel_values' must be a list, got {wrong!r}."
            )

    def test_an_error_of_a_generator_is_its_own(self):
        """It says nothing of the values."""

        def values():
            yield 1.5
            raise TypeError("of the program")

        with pytest.raises(TypeError, match="of the program"):
            ENCODERS[ChannelDataType.DOUBLE].ordered(values())

    @pytest.mark.parametrize("wrong", [["every"], None, 5, b"every"])
    def test_the_name_of_a_flow_is_a_str(self, wrong):
        """Also what can't be looked up is named."""
        with pytest.raises(IngestionValidationError) as refused:
            flow_parts({"flow_name": wrong, "timestamp": NOW, "channel_values": []})
        assert refused.value.message == f"'flow_name' of a flow must be a str, got {wrong!r}."

    def test_a_component_that_is_no_text_is_refused(self):
        """Also one that is as good as none."""
        value = {"channel_name": "DOUBLE", "component": [], "value": 1.5}
        with pytest.raises(IngestionValidationError, match="a channel value must be a dictionary"):
            ENCODERS[ChannelDataType.DOUBLE].named([value])


class Unshowable:
    """Its `repr` fails."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(10**5000, "an integer of 16610 bits", id="integer"),
        pytest.param([10**5000], "[an integer of 16610 bits]", id="list"),
        pytest.param({"a": -(10**5000)}, "{'a': an integer of 16610 bits}", id="mapping"),
        pytest.param(Unshowable(), "<Unshowable instance at", id="unshowable"),
        pytest.param("\ud800", r"'\ud800'", id="surrogate"),
        pytest.param("a\nb", r"'a\nb'", id="lines"),
    ],
)
def test_every_value_can_be_shown(value: object, text: str) -> None:
    """A message is a line whatever the value is."""
    assert f"got {text}" in refusal(ChannelDataType.BOOL, value)
