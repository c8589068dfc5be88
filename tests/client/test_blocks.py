"""Many rows at once: to the byte what they are one by one, whatever is among them."""

from __future__ import annotations

import itertools
from collections import UserDict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue as Value
from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.blocks import BLOCK_VALUES, Block, blocks_of
from sift_py.ingestion._internal.layout import layout_of
from sift_py.ingestion._internal.rows import RowEncoder
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    double_value,
    empty_value,
    int32_value,
    string_value,
)
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from support.telemetry_configs import NOW, log_row, named, telemetry_config, velocity_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_py.ingestion._internal.layout import FlowLayout

DOUBLES = FlowConfig("doubles", [ChannelConfig(name, ChannelDataType.DOUBLE) for name in "abc"])
MIXED = FlowConfig(
    "mixed",
    [
        ChannelConfig("a", ChannelDataType.DOUBLE),
        ChannelConfig("b", ChannelDataType.STRING),
        ChannelConfig("c", ChannelDataType.BOOL),
    ],
)
LAYOUTS = [
    layout_of(config, order)
    for config in (DOUBLES, MIXED)
    for order in (None, ["c", "a", "b"], ["gone", "a", "b", "c"])
]

reals = st.one_of(
    st.floats(),
    st.sampled_from([float("nan"), -0.0, float("inf"), float("-inf"), 5e-324]),
    st.integers(-(2**53), 2**53),
    st.floats().map(np.float64),
)
PLAIN = {
    ChannelDataType.DOUBLE: reals,
    ChannelDataType.STRING: st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["x" * 125, "x" * 126, "x" * 20_000]),
    ChannelDataType.BOOL: st.booleans(),
}


def typed(data_type: ChannelDataType, value: Any) -> Value:
    return Value(**{data_type.value_field: value})


def rows_of(layout: FlowLayout) -> st.SearchStrategy[list[list[tuple[Any, Value]]]]:
    """Rows of pairs: a value as a user may give it, and as it has to arrive.

    In many of them all values are of one kind.
    """
    columns: dict[str, list[st.SearchStrategy[tuple[Any, Value]]]] = {"any": []}
    for channel in layout.channels:
        plain = PLAIN[channel.data_type]
        kinds = {
            "plain": plain.map(lambda v, t=channel.data_type: (v, typed(t, v))),
            "typed": plain.map(lambda v, t=channel.data_type: (typed(t, v),) * 2),
            "none": st.just((None, empty_value())),
            "empty": st.just((empty_value(), empty_value())),
        }
        for kind, pairs in kinds.items():
            columns.setdefault(kind, []).append(pairs)
        columns["any"].append(st.one_of(*kinds.values()))
    return st.sampled_from(list(columns)).flatmap(
        lambda kind: st.lists(st.tuples(*columns[kind]).map(list), min_size=1, max_size=6)
    )


def on_the_wire(layout: FlowLayout, row: dict[str, Value]) -> bytes:
    """Values by channel as the library writes them, in the order of the wire."""
    order = layout.wire_order or range(len(layout.channels))
    fqns = [None if at < 0 else layout.channels[at].fqn for at in order]
    values = [empty_value() if fqn is None else row.get(fqn, empty_value()) for fqn in fqns]
    return Request(channel_values=values).SerializeToString()


class TestBytes:
    """The values of rows are what the protobuf library writes."""

    @pytest.mark.parametrize("layout", LAYOUTS)
    @given(st.data())
    def test_in_order(self, layout, data):
        """All plain, all typed, or mixed; of the type of the channel, or what passes for it."""
        rows = data.draw(rows_of(layout))
        expected = [
            on_the_wire(
                layout,
                {channel.fqn: pair[1] for channel, pair in zip(layout.channels, row, strict=True)},
            )
            for row in rows
        ]
        encoder = RowEncoder(layout)
        given_rows: list[Any] = [[pair[0] for pair in row] for row in rows]
        given_rows[-1] = tuple(given_rows[-1])
        assert encoder.ordered_rows(given_rows)() == expected
        assert [encoder.ordered(row) for row in given_rows] == expected

    @pytest.mark.parametrize("layout", LAYOUTS)
    @given(st.data())
    def test_by_name(self, layout, data):
        """In any order, and without some."""
        encoder = RowEncoder(layout)
        rows = []
        expected = []
        for row in data.draw(rows_of(layout)):
            pairs = [(c.fqn, pair) for c, pair in zip(layout.channels, row, strict=True)]
            pairs = data.draw(
                st.just(pairs) | st.lists(st.sampled_from(pairs), unique_by=lambda p: p[0])
            )
            rows.append([{"channel_name": name, "value": pair[0]} for name, pair in pairs])
            expected.append(on_the_wire(layout, {name: pair[1] for name, pair in pairs}))
        # Twice: the second time the names are known.
        assert encoder.named_rows(rows) == encoder.named_rows(rows) == expected
        assert [encoder.named(row) for row in rows] == expected

    @given(st.lists(st.sampled_from([*"\x11\x22\x09", "\x22\x09\x11", "x"])).map("".join))
    @example("\x22\x09\x11xxxxxxxx\x22\x09\x11xxxxxxxx")
    def test_a_text_that_looks_like_doubles_is_none(self, text):
        """By position, where its type is not checked, it goes as it is; by name it is refused."""
        layout = LAYOUTS[0]
        values = [double_value(1), string_value(text), Value()]
        row = dict(zip("abc", values, strict=True))
        encoder = RowEncoder(layout)
        assert encoder.ordered_rows([values] * 2)() == [on_the_wire(layout, row)] * 2
        by_name = [{"channel_name": name, "value": value} for name, value in row.items()]
        with pytest.raises(IngestionValidationError, match="'b' expected to be a 'double'"):
            encoder.named_rows([by_name] * 2)

    def test_what_the_library_does_not_know_is_kept(self):
        """A value of a newer protocol is sent as it came."""
        value = Value.FromString(double_value(1).SerializeToString() + b"\xf8\x01\x05")
        layout = LAYOUTS[0]
        expected = on_the_wire(layout, dict.fromkeys("abc", value))
        assert b"\xf8\x01\x05" in expected
        encoder = RowEncoder(layout)
        assert encoder.ordered_rows([[value] * 3] * 2)() == [expected] * 2
        by_name = [{"channel_name": name, "value": value} for name in "abc"]
        assert encoder.named_rows([by_name] * 2) == [expected] * 2

    def test_lists_that_change_later_do_not_matter(self):
        """Rows that were checked are serialised as they were."""
        row: list[Any] = [double_value(1), double_value(2), double_value(3)]
        expected = on_the_wire(LAYOUTS[0], dict(zip("abc", row, strict=True)))
        later = RowEncoder(LAYOUTS[0]).ordered_rows([row])
        row[:] = ["not", "a", "double", "value"]
        assert later() == [expected]


class TestBlocks:
    """Rows of one flow are put together."""

    def test_consecutive_rows_of_a_flow_are_a_block(self):
        """In order; and those of one length, where they have to be."""
        flows = [ordered("a", [1]), ordered("a", [2]), ordered("a", [3, 4]), ordered("b", [5, 6])]
        assert shapes(flows, same_length=True) == [("a", [(1,), (2,)]), ("a", [(3, 4)]), B_5_6]
        assert shapes(flows, same_length=False) == [("a", [(1,), (2,), (3, 4)]), B_5_6]

    def test_what_is_no_ordinary_row_stays_what_it_is(self):
        """Nothing is done to it, not even to look at it."""
        odd: list[Any] = [
            None,
            UserDict(ordered("a", [1])),
            {"flow_name": "a", "timestamp": NOW},
            ordered("a", iter([1])),
            ordered("a", "text"),
            ordered(5, [1]),
            [],
        ]
        flows = [each for one in odd for each in (ordered("a", [1]), one)]
        found = list(blocks_of(flows, same_length=True))
        assert all(isinstance(each, Block) for each in found[::2])
        assert all(each is one for each, one in zip(found[1::2], odd, strict=True))

    def test_a_list_that_changes_later_does_not_matter(self):
        """What was counted is what is serialised."""
        values: list[Any] = [1, 2]
        blocks = blocks_of([ordered("a", values), ordered("b", [3])], same_length=True)
        block = next(blocks)
        values.append(3)
        assert isinstance(block, Block)
        assert block.rows == [(1, 2)]

    @pytest.mark.parametrize("width", [0, 1, 100, 2 * BLOCK_VALUES])
    def test_a_block_has_a_limit(self, width):
        """However many rows there are, with many values or none."""
        rows = 3 * BLOCK_VALUES if width < 100 else 100
        blocks = list(blocks_of([ordered("a", [1] * width)] * rows, same_length=True))
        assert sum(len(block.rows) for block in blocks) == rows
        assert all((len(block.rows) - 1) * (width + 1) < BLOCK_VALUES for block in blocks)


def ordered(flow_name: Any, values: Any) -> dict[str, Any]:
    return {"flow_name": flow_name, "timestamp": NOW, "channel_values": values}


B_5_6 = ("b", [(5, 6)])


def shapes(flows: list[Any], *, same_length: bool) -> list[tuple[str, list[Any]]]:
    return [(block.flow_name, block.rows) for block in blocks_of(flows, same_length=same_length)]


@pytest.fixture
def service(server, channel):
    """A service for the flows `readings`, `logs` and `doubles`."""
    service = IngestionService(channel, telemetry_config())
    service.create_flow(DOUBLES)
    return service


BY_NAME = named("doubles", a=1.0, b=2.0, c=3.0)
WRONG_BY_NAME = [
    ({**BY_NAME, "timestamp": "today"}, "the timestamp must be"),
    ({**BY_NAME, "timestamp": 2**63}, "between the years"),
    ({**BY_NAME, "flow_name": "no such"}, "'no such' could not be found"),
    ({**BY_NAME, "channel_values": 5}, "'channel_values' must be a list"),
    (named("doubles", a="x"), "'a' expected to be a 'double'"),
    (named("doubles", a=True), "'a' expected to be a 'double'"),
    (named("doubles", a=int32_value(1)), "'a' expected to be a 'double'"),
    (named("doubles", d=1.0), "unexpected channel"),
    ({**BY_NAME, "channel_values": [{"channel_name": "a", "valu": 1.0}]}, "with the keys"),
    ({**BY_NAME, "channel_values": [{"channel_name": [], "value": 1.0}]}, "with the keys"),
    ({**BY_NAME, "channel_values": [5]}, "with the keys"),
    ({"flow_name": "doubles"}, "a flow must be a dictionary"),
    (None, "a flow must be a dictionary"),
]
IN_ORDER = ordered("doubles", [1.0, 2.0, 3.0])
WRONG_IN_ORDER = [
    ({**IN_ORDER, "timestamp": "today"}, "the timestamp must be"),
    ({**IN_ORDER, "timestamp": 2**63}, "between the years"),
    ({**IN_ORDER, "channel_values": 5}, "'channel_values' must be a list"),
    (ordered("doubles", [1.0, 2.0]), "expected 3 values"),
    (ordered("doubles", [1.0, 2.0, "x"]), "'c' expected to be a 'double'"),
    (ordered("doubles", [1.0, True, 2.0]), "'b' expected to be a 'double'"),
    (ordered(5, []), "'flow_name' of a flow must be a str"),
    (None, "a flow must be a dictionary"),
]


class TestCalls:
    """A call with many rows does what calls with one do."""

    def test_rows_of_every_form_go_in_order(self, server, service):
        """Of several flows, in lists and in other things; more than a block."""
        flows = [
            {**ordered(name, values), "timestamp": NOW + timedelta(microseconds=number)}
            for number in range(700)
            for name, values in (
                ("doubles", [0.5, float(number), -0.0]),
                ("doubles", (double_value(number), double_value(1), empty_value())),
                ("doubles", [1, None, 2.5]),
                *([("doubles", iter([1.0, 2.0, 3.0]))] if number % 100 == 0 else []),
                *([("logs", [string_value(str(number))])] if number % 7 == 0 else []),
            )
        ]
        values = [list(flow["channel_values"]) for flow in flows]
        for flow, each in zip(flows, values, strict=True):
            if not isinstance(flow["channel_values"], list | tuple):
                flow["channel_values"] = iter(each)
        service.ingest_flows(*flows)
        expected = [
            service.create_ingestion_request(flow["flow_name"], flow["timestamp"], each)
            for flow, each in zip(flows, values, strict=True)
        ]
        assert server.rows == expected

    def test_rows_by_name_go_in_order(self, server, service):
        """With names of every kind, and from any mapping."""
        flows = [
            row
            for number in range(300)
            for row in (
                named("doubles", a=0.5, b=double_value(number)),
                named("doubles", c=0.5, b=number, a=None),
                velocity_row(number),
                velocity_row(number + 0.5),
                *([UserDict(log_row(str(number)))] if number % 7 == 0 else []),
            )
        ]
        service.try_ingest_flows(*flows)
        expected = [
            service.try_create_ingestion_request(
                flow["flow_name"], flow["timestamp"], flow["channel_values"]
            )
            for flow in flows
        ]
        assert server.rows == expected

    def test_rows_of_a_flow_that_only_the_server_knows(self, server, service):
        """Typed values go there; the type of plain ones is not known."""
        flow = ordered("elsewhere", [int32_value(1), empty_value()])
        service.ingest_flows(flow, flow)
        assert [row.flow for row in server.rows] == ["elsewhere"] * 2
        with pytest.raises(IngestionValidationError, match="'elsewhere' could not be found"):
            service.ingest_flows(flow, ordered("elsewhere", [1]))

    @pytest.mark.parametrize("at", [0, 1, 1500])
    @pytest.mark.parametrize(
        ("wrong", "other"), list(itertools.pairwise([*WRONG_BY_NAME, WRONG_BY_NAME[0]]))
    )
    def test_by_name_the_first_wrong_row_is_named(self, server, service, wrong, other, at):
        """As by itself, wherever it is and whatever is wrong behind it; and nothing is sent."""
        first_wrong_row_is_named(server, service.try_ingest_flows, BY_NAME, wrong, other[0], at)

    @pytest.mark.parametrize("at", [0, 1, 1500])
    @pytest.mark.parametrize(
        ("wrong", "other"), list(itertools.pairwise([*WRONG_IN_ORDER, WRONG_IN_ORDER[0]]))
    )
    def test_in_order_the_first_wrong_row_is_named(self, server, service, wrong, other, at):
        """Likewise."""
        first_wrong_row_is_named(server, service.ingest_flows, IN_ORDER, wrong, other[0], at)


def first_wrong_row_is_named(
    server: Any, ingest: Callable[..., None], good: Any, wrong: tuple[Any, str], other: Any, at: int
) -> None:
    row, reason = wrong
    with pytest.raises(IngestionValidationError, match=reason) as alone:
        ingest(row)
    with pytest.raises(IngestionValidationError) as among:
        ingest(*[good] * at, row, good, other, good)
    assert among.value.message == alone.value.message
    assert among.value.__context__ is None or among.value.__suppress_context__
    assert server.streams == []
    ingest(good, good)
    assert len(server.rows) == 2
