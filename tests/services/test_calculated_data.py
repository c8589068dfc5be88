"""Calculated channels read like channels: from what is stored and hot, in pages of any size."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sift.calculated_channels.v1 import calculated_channels_pb2 as v1
from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType
from sift.data.v2 import data_pb2
from sift_server.api.services.data_pages import PAGE_BYTES_MAX
from sift_server.api.services.data_v2 import DataService
from sift_server.calculated import reading
from sift_server.catalog import (
    BitFieldElement,
    CalculatedContent,
    ChannelConfig,
    EnumType,
    FlowConfig,
    RunDraft,
)
from sift_server.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from sift_server.expressions import AGE_NS_MAX, compile_expression, parsed
from sift_server.lake import PointStore
from sift_wire.columns import DataType
from support.expression_oracle import Channel, Oracle
from support.expressions import KINDS, REFERENCES, STATES, bits_of, channels, expressions
from support.points import make_block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_server.catalog import Catalog

S = 10**9
CONFIGS = (
    ChannelConfig("d", DataType.DOUBLE),
    ChannelConfig("e", DataType.DOUBLE),
    ChannelConfig("i", DataType.INT_64),
    ChannelConfig("u", DataType.UINT_64),
    ChannelConfig("f", DataType.BYTES),
    ChannelConfig("b", DataType.BOOL),
    ChannelConfig("s", DataType.STRING),
    ChannelConfig(
        "m", DataType.ENUM, enum_types=tuple(EnumType(one, at) for at, one in enumerate(STATES))
    ),
    ChannelConfig("bits", DataType.BIT_FIELD, bit_field_elements=(BitFieldElement("low", 0, 8),)),
)
Found = dict[str, list[tuple[int, Any]]]
"""Times and values by run."""


class Rig:
    """A catalog with channels of all kinds, a store, and the service over both."""

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        self.catalog = catalog
        self.store = store
        self.service = DataService(catalog, store)
        config = catalog.ingestion_configs.create("Rover", "key", [FlowConfig("all", CONFIGS)])
        self.asset_id = config.asset_id
        self.flow = catalog.ingestion_configs.flow(config.ingestion_config_id, "all")
        self.ids = dict(zip(self.flow.layout.channel_names, self.flow.channel_ids, strict=True))
        self._positions = itertools.count(1)

    def publish(self, name: str, points: list[tuple[int, Any]], run_id: str = "") -> None:
        """Publish points of a channel, if there are any."""
        if not points:
            return
        names = self.flow.layout.channel_names
        rows = [(time, [value if one == name else None for one in names]) for time, value in points]
        block = make_block(self.flow.layout, self.flow.channel_ids, rows, run_id)
        self.store.publish(next(self._positions), [block])

    def references(self, *names: str) -> dict[str, str]:
        """`$name` for each channel."""
        return {f"${name}": self.ids[name] for name in names or self.ids}

    def read(
        self, query: data_pb2.Query, page_size: int = 0, **times_ns: int
    ) -> tuple[Found, list[Any]]:
        """Read all pages: what there is by run, and the messages."""
        asked = data_pb2.GetDataRequest(queries=[query], page_size=page_size)
        for name, time_ns in times_ns.items():
            getattr(asked, name.removesuffix("_ns")).CopyFrom(timestamp(time_ns))
        found: Found = defaultdict(list)
        messages = []
        for _ in range(10_000):
            answer = self.service.get_data(asked)
            for packed in answer.data:
                message = getattr(data_pb2, packed.type_url.rpartition(".")[2])()
                message.ParseFromString(packed.value)
                messages.append(message)
                if page_size:
                    assert len(message.values) <= page_size
                found[message.metadata.run.run_id] += [
                    (one.timestamp.ToNanoseconds(), one.value) for one in message.values
                ]
            asked.page_token = answer.next_page_token
            if not asked.page_token:
                return dict(found), messages
        raise AssertionError("pages without end")


def timestamp(time_ns: int) -> Timestamp:
    return Timestamp(seconds=time_ns // S, nanos=time_ns % S)


def query(expression: str, references: dict[str, str], **more: Any) -> data_pb2.Query:
    return data_pb2.Query(
        calculated_channel=data_pb2.CalculatedChannelQuery(
            channel_key="key",
            expression=v1.ExpressionRequest(expression=expression, channel_references=references),
            **more,
        )
    )


@pytest.fixture
def rig(catalog: Catalog, tmp_path: Path) -> Iterator[Rig]:
    """A rig without points."""
    store = PointStore.open(tmp_path / "lake")
    yield Rig(catalog, store)
    store.close()


RUNS = itertools.count()
FAR_NS = 10**14


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(expressions(), channels(list(KINDS)), st.data())
def test_pages_of_any_size_are_what_the_oracle_says(rig, text, points, data):
    """Stored and hot, from any time to any time, in any order; what is unknown is left out.

    Of one run, or of two that are read as one.
    """
    try:
        expression = compile_expression(text, REFERENCES)
    except InvalidArgumentError:
        return
    kind = expression.type
    # A standard deviation may differ from the oracle's in the last bit.
    assume("stddev(" not in text)
    number = next(RUNS)
    run_id = f"run {number}"
    # What is read without a run has a time of its own, further from others than anybody looks back.
    is_one = expression.lookback_ns is not None and data.draw(st.booleans())
    other_id = f"other {number}" if is_one else run_id
    first_ns = number * FAR_NS
    for name, channel in points.items():
        known = [(first_ns + time, value) for time, value in channel.points if value is not None]
        points[name] = Channel(channel.kind, known)
        stored = {"$f.low": "bits"}.get(name, name[1:])
        if name == "$f.low":
            known = [(time, bytes([value % 256])) for time, value in known]
            points[name] = Channel(channel.kind, [(time, value[0]) for time, value in known])
        if name == "$m":
            known = [(time, STATES.index(value)) for time, value in known]
        known = data.draw(st.permutations(known))
        cut = data.draw(st.integers(0, len(known)))
        rig.publish(stored, known[:cut], run_id)
        if data.draw(st.integers(0, 9)) == 0:
            rig.store.flush()
        rig.publish(stored, known[cut:], other_id)
    times = sorted({time for channel in points.values() for time, _ in channel.points}) or [
        first_ns
    ]
    start_ns = data.draw(st.sampled_from([first_ns, *times]))
    end_ns = data.draw(st.sampled_from([times[-1] + 1, *times]))
    expected = [
        (time, value)
        for time, value in Oracle(points).region(parsed(text))
        if start_ns <= time < end_ns
        and value is not None
        and not (kind is kind.INT and value > 2**63 - 1)
    ]
    references = {**rig.references(), "$f": rig.ids["bits"]}
    asked = query(text, references, run_id=run_id)
    if is_one:
        asked = query(text, references, combine_run_data=True)
        run_id = ""
    page_size = data.draw(st.sampled_from([0, 1, 2, 3, 7]))
    assume(start_ns <= end_ns)
    evaluated = data.draw(st.sampled_from([1, 4, reading.EVALUATED_MAX]))
    with mock.patch.object(reading, "EVALUATED_MAX", evaluated):
        found, _ = rig.read(asked, page_size, start_time_ns=start_ns, end_time_ns=end_ns)
    assert bits_of(found.get(run_id, [])) == bits_of(expected)
    assert set(found) <= {run_id}


def test_runs_are_kept_apart_or_read_as_one(rig):
    """As the points of channels are; an expression does not look from one run into another."""
    run = rig.catalog.runs.create(RunDraft("drive")).run_id
    rig.publish("d", [(1 * S, 1.0), (3 * S, 3.0)])
    rig.publish("d", [(2 * S, 2.0), (4 * S, 5.0)], run)
    references = rig.references("d")
    every = {"": [(3 * S, 2.0)], run: [(4 * S, 3.0)]}
    for size in (0, 1):
        assert rig.read(query("delta($d)", references), size)[0] == every
    assert rig.read(query("delta($d)", references, run_id=""))[0] == {"": every[""]}
    found, messages = rig.read(query("delta($d)", references, run_id=run))
    assert found == {run: every[run]}
    assert messages[0].metadata.run.name == "drive"
    for size in (0, 1, 2):
        found, _ = rig.read(query("delta($d)", references, combine_run_data=True), size)
        assert found == {"": [(2 * S, 1.0), (3 * S, 1.0), (4 * S, 2.0)]}


def test_a_run_before_the_start_matters_for_another_behind_it(rig):
    """If they are read as one: also one that ended before, and is in the table already."""
    rig.publish("d", [(1 * S, 1.0)], "first")
    rig.store.flush()
    rig.publish("d", [(5 * S, 3.0)], "second")
    asked = query("avg($d, rolling('10s'))", rig.references("d"), combine_run_data=True)
    assert rig.read(asked, start_time_ns=2 * S)[0] == {"": [(5 * S, 2.0)]}


def test_the_number_of_runs_that_are_read_as_one_is_limited(rig, monkeypatch):
    """Each of them needs memory."""
    monkeypatch.setattr(reading, "COMBINED_MAX", 3)
    for run in ("", "a", "b", "c"):
        rig.publish("d", [(S, 1.0)], run)
    with pytest.raises(ResourceExhaustedError, match=r"4 runs of 1 channels .*\(COMBINED_MAX\)"):
        rig.read(query("$d", rig.references("d"), combine_run_data=True))
    # Those that have no points in the time do not count.
    rig.publish("d", [(5 * S, 2.0)], "a")
    one = query("$d", rig.references("d"), combine_run_data=True)
    assert rig.read(one, start_time_ns=2 * S)[0] == {"": [(5 * S, 2.0)]}


@pytest.mark.parametrize(
    ("expression", "data_type", "message", "value"),
    [
        ("$d * 2", "DOUBLE", data_pb2.DoubleValues, 3.0),
        ("$d > 1", "BOOL", data_pb2.BoolValues, True),
        ("$i + 1", "INT_64", data_pb2.Int64Values, 2**53 + 2),
        ("$m", "STRING", data_pb2.StringValues, "Running"),
        ("$d > 1 ? 'fast' : $s", "STRING", data_pb2.StringValues, "fast"),
        ("$d > 1 ? 1 : 0.5", "DOUBLE", data_pb2.DoubleValues, 1.0),
    ],
)
def test_values_have_the_type_of_the_expression(rig, expression, data_type, message, value):
    """With what is known of the channel."""
    for name, one in (("d", 1.5), ("i", 2**53 + 1), ("m", 1), ("s", "x")):
        rig.publish(name, [(5, one)])
    found, (only,) = rig.read(query(expression, rig.references()))
    assert found == {"": [(5, value)]}
    assert type(only) is message
    metadata = only.metadata
    assert ChannelDataType.Name(metadata.data_type) == f"CHANNEL_DATA_TYPE_{data_type}"
    assert (metadata.asset.name, metadata.asset.asset_id) == ("Rover", rig.asset_id)
    assert (metadata.channel.channel_id, metadata.channel.name) == ("key", "key")


def test_a_page_begins_with_what_was_before(rig):
    """Windows and last values reach back behind the start, as far as they matter and no further."""
    rig.publish("d", [(0, 5.0), (S, 7.0), (20 * S, 1.0)])
    rig.publish("e", [(second * S, 1.0) for second in range(2, 700, 100)])
    references = rig.references("d", "e")
    window = query("avg($d, rolling('10s'))", references)
    assert rig.read(window, start_time_ns=S)[0] == {"": [(S, 6.0), (20 * S, 1.0)]}
    held = query("$d + $e", references)
    whole = rig.read(held)[0][""]
    assert whole[-1] == (602 * S, 2.0)
    assert AGE_NS_MAX == 600 * S
    for size in (1, 2, 5):
        assert rig.read(held, size)[0][""] == whole
    start_ns = 302 * S
    later = [point for point in whole if point[0] >= start_ns]
    assert rig.read(held, 1, start_time_ns=start_ns)[0][""] == later


def test_pages_of_strings_have_about_a_megabyte(rig):
    """Unless a single one is larger."""
    text = "x" * (PAGE_BYTES_MAX // 4)
    rig.publish("s", [(time, text + str(time)) for time in range(10)])
    found, messages = rig.read(query("$s", rig.references("s")))
    assert [time for time, _ in found[""]] == list(range(10))
    assert [len(message.values) for message in messages] == [3, 3, 3, 1]


def test_integers_that_do_not_fit_are_left_out(rig):
    """What is computed has 64 bits with a sign."""
    rig.publish("u", [(1, 2**63), (2, 2**63 - 1)])
    assert rig.read(query("$u", rig.references("u")))[0] == {"": [(2, 2**63 - 1)]}


def test_a_calculated_channel_reads_by_its_id(rig):
    """If it is one of one asset only; else the error says how."""
    rig.publish("d", [(1, 2.0)])
    content = CalculatedContent("double", "d * 2", units="V", has_all_assets=True)
    made = rig.catalog.calculated_channels.create(content)
    asked = data_pb2.Query(channel=data_pb2.ChannelQuery(channel_id=made.calculated_channel_id))
    found, (message,) = rig.read(asked)
    assert found == {"": [(1, 4.0)]}
    channel = message.metadata.channel
    assert (channel.channel_id, channel.name) == (made.calculated_channel_id, "double")
    assert channel.unit.abbreviated_name == "V"
    # An asset that it does not fit is none.
    rig.catalog.ingestion_configs.create("empty", "e", [])
    assert rig.read(asked)[0] == found
    rig.catalog.ingestion_configs.create("second", "s", [FlowConfig("all", CONFIGS)])
    with pytest.raises(FailedPreconditionError, match=r"2 assets, 'Rover', 'second'.*resolve"):
        rig.read(asked)
    lost = CalculatedContent("lost", "nothing * 2", has_all_assets=True)
    made = rig.catalog.calculated_channels.create(lost)
    asked.channel.channel_id = made.calculated_channel_id
    with pytest.raises(FailedPreconditionError, match=r"none of its 3 assets: .*names nothing"):
        rig.read(asked)
    asked.channel.channel_id = "none"
    with pytest.raises(NotFoundError, match="no channel with the id 'none'"):
        rig.read(asked)


def test_pages_are_of_the_version_that_the_first_was_of(rig):
    """Whatever becomes of the calculated channel meanwhile."""
    rig.publish("d", [(at, float(at)) for at in range(6)])
    channels = rig.catalog.calculated_channels
    content = CalculatedContent("double", "d * 2", has_all_assets=True)
    made = channels.create(content)
    asked = data_pb2.GetDataRequest(page_size=2)
    asked.queries.add().channel.channel_id = made.calculated_channel_id
    found = []
    for number in range(3):
        answer = rig.service.get_data(asked)
        (packed,) = answer.data
        message = data_pb2.DoubleValues.FromString(packed.value)
        found += [one.value for one in message.values]
        asked.page_token = answer.next_page_token
        if number == 0:
            channels.update(made, replace(content, expression="d * 3"))
            rig.catalog.ingestion_configs.create("second", "s", [FlowConfig("all", CONFIGS)])
    assert found == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]


def test_a_page_is_made_of_so_many_points(rig, monkeypatch):
    """One in which few are known may be empty; nothing is left out or there twice."""
    monkeypatch.setattr(reading, "EVALUATED_MAX", 3)
    points = [(at, float(at)) for at in range(20)]
    for start in range(0, 20, 4):
        rig.publish("d", points[start : start + 4])
        rig.store.flush()
    rig.publish("e", [(7, 7.0)], "run")
    asked = query("$d % 5 == 0 ? $d : prev($e)", rig.references("d", "e"))
    assert rig.read(asked)[0] == {"": [(at, float(at)) for at in (0, 5, 10, 15)]}
    assert rig.read(asked, 1)[0] == {"": [(at, float(at)) for at in (0, 5, 10, 15)]}
    request = data_pb2.GetDataRequest(queries=[query("prev($e)", rig.references("e"))])
    answer = rig.service.get_data(request)
    assert not answer.data
    rig.publish("e", [(at, 1.0) for at in range(10)])
    unknown = query("$e / $e > 1 ? 1 : $i", rig.references("e", "i"))
    request = data_pb2.GetDataRequest(queries=[unknown])
    answer = rig.service.get_data(request)
    assert not answer.data
    assert answer.next_page_token
    assert rig.read(unknown)[0] == {}


def test_what_can_not_be_read_is_said(rig):
    """As for rules, with where it is."""
    for expression, references, said in (
        ("$d +", rig.references("d"), "at column 4"),
        ("$d + $s", rig.references("d", "s"), "column 6"),
        ("$d", {}, r"column 1, names \$d, which stands for no channel"),
        ("$d", {"$d": "none"}, "no channel with the id 'none'"),
        ("1 + 1", {}, "names no channel"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            rig.read(query(expression, references))
    rules = query("$d", rig.references("d"), mode=v1.EXPRESSION_MODE_RULES)
    with pytest.raises(InvalidArgumentError, match="not a condition"):
        rig.read(rules)
