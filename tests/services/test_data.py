"""GetData: points of channels and runs, page by page, over a real store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from sift.data.v2 import data_pb2
from sift_server.api.services import data_pages, data_v2
from sift_server.catalog import (
    BitFieldElement,
    ChannelConfig,
    ConfiguredFlow,
    EnumType,
    FlowConfig,
    RunDraft,
)
from sift_server.errors import InvalidArgumentError, NotFoundError, UnimplementedError
from sift_server.lake import PointStore
from sift_server.query import AssetInfo, ChannelInfo, RunPoints, data_message
from sift_wire.columns import DataType
from support.catalogs import JANUARY_NS
from support.points import make_block

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sift_server.catalog import Catalog

CHANNELS = (
    ChannelConfig("speed", DataType.DOUBLE, component="motor", unit="m/s"),
    ChannelConfig("log", DataType.STRING),
    ChannelConfig("state", DataType.ENUM, enum_types=(EnumType("on", 1),)),
    ChannelConfig(
        "gpio",
        DataType.BIT_FIELD,
        bit_field_elements=(BitFieldElement("low", 0, 4), BitFieldElement("high", 4, 4)),
    ),
    ChannelConfig("total", DataType.UINT_64),
    ChannelConfig("frame", DataType.BYTES),
)


class Rig:
    """A catalog with one flow, a store, and the service over both."""

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        self.catalog = catalog
        self.store = store
        self.service = data_v2.DataService(catalog, store)
        config = catalog.ingestion_configs.create("Rover", "key", [FlowConfig("all", CHANNELS)])
        self.asset_id = config.asset_id
        self.flow: ConfiguredFlow = catalog.ingestion_configs.flow(
            config.ingestion_config_id, "all"
        )
        self.ids = dict(zip(self.flow.layout.channel_names, self.flow.channel_ids, strict=True))
        self._position = 0

    def publish(self, rows: Sequence[tuple[int, dict[str, Any]]], run_id: str = "") -> None:
        """Publish rows of nanoseconds behind January and values by channel."""
        self._position += 1
        names = self.flow.layout.channel_names
        block = make_block(
            self.flow.layout,
            self.flow.channel_ids,
            [(JANUARY_NS + ns, [values.get(name) for name in names]) for ns, values in rows],
            run_id,
        )
        self.store.publish(self._position, [block])

    def query(self, name: str, run_id: str | None = None) -> data_pb2.Query:
        return data_pb2.Query(
            channel=data_pb2.ChannelQuery(channel_id=self.ids[name], run_id=run_id)
        )

    def pages(
        self, queries: Sequence[data_pb2.Query], page_size: int = 0, **request: Any
    ) -> Iterator[list[Any]]:
        """Ask for all pages; each is a list of unpacked messages."""
        asked = data_pb2.GetDataRequest(queries=queries, page_size=page_size, **request)
        for _ in range(1_000):
            answer = self.service.get_data(asked)
            yield [unpacked(packed) for packed in answer.data]
            asked.page_token = answer.next_page_token
            if not asked.page_token:
                return
        raise AssertionError("pages without end")


def unpacked(packed: Any) -> Any:
    assert packed.type_url.startswith("sift.data.v2.")
    return getattr(data_pb2, packed.type_url.rpartition(".")[2]).FromString(packed.value)


def at(nanoseconds: int) -> Timestamp:
    seconds, nanos = divmod(JANUARY_NS + nanoseconds, 10**9)
    return Timestamp(seconds=seconds, nanos=nanos)


def points(message: Any) -> list[tuple[int, Any]]:
    return [(one.timestamp.ToNanoseconds() - JANUARY_NS, one.value) for one in message.values]


@pytest.fixture
def rig(catalog: Catalog, tmp_path: Path) -> Iterator[Rig]:
    """A rig without points."""
    store = PointStore.open(tmp_path / "lake")
    yield Rig(catalog, store)
    store.close()


def test_points_come_with_what_is_known_of_their_channel(rig):
    """Asset, channel, unit, type, enum types; one message a channel, of its own type."""
    rig.publish([(1, {"motor.speed": 0.1, "state": 1, "total": 2**64 - 1, "frame": b"\0\xff"})])
    names = ["motor.speed", "state", "total", "frame"]
    ((speed, state, total, frame),) = rig.pages([rig.query(name) for name in names])
    assert isinstance(speed, data_pb2.DoubleValues)
    assert points(speed) == [(1, 0.1)]
    assert (speed.metadata.asset.asset_id, speed.metadata.asset.name) == (rig.asset_id, "Rover")
    assert speed.metadata.channel.channel_id == rig.ids["motor.speed"]
    assert speed.metadata.channel.name == "motor.speed"
    assert speed.metadata.channel.unit.name == "m/s"
    assert speed.metadata.data_type == DataType.DOUBLE
    assert not speed.metadata.HasField("run")
    assert [(one.name, one.key) for one in state.metadata.channel.enum_types] == [("on", 1)]
    assert (points(state), points(total)) == ([(1, 1)], [(1, 2**64 - 1)])
    assert (type(frame).__name__, points(frame)) == ("BytesValues", [(1, b"\0\xff")])


def test_the_type_url_of_points_is_the_name_of_their_type(rig):
    """No host stands in front of it, which clients would not take; JSON has the name as well."""
    rig.publish([(1, {"motor.speed": 0.5})])
    answer = rig.service.get_data(data_pb2.GetDataRequest(queries=[rig.query("motor.speed")]))
    (packed,) = answer.data
    assert packed.type_url == "sift.data.v2.DoubleValues"
    (in_json,) = json_format.MessageToDict(answer)["data"]
    assert in_json["@type"] == "sift.data.v2.DoubleValues"
    assert in_json["values"][0]["value"] == 0.5


def test_a_bit_field_comes_element_by_element(rig):
    """Each with all its points."""
    rig.publish([(1, {"gpio": b"\x21"}), (2, {"gpio": b"\x43"})])
    ((message,),) = rig.pages([rig.query("gpio")])
    found = {element.name: points(element) for element in message.values}
    assert found == {"low": [(1, 1), (2, 3)], "high": [(1, 2), (2, 4)]}


@pytest.mark.parametrize(
    ("index", "bit_count", "value"),
    [
        (0, 0, 0),
        (4, 12, 0xABC),
        (7, 32, 0x1_2345_6789_ABCD >> 7 & 0xFFFF_FFFF),
        (16, 2**32 - 1, 0x2345_6789),
        (20, 2**32 - 1, 0x1234_5678),
        (48, 32, 1),
        (49, 8, 0),
        (2**31 - 1, 32, 0),
        (-(2**31), 2**32 - 1, 0x6789_ABCD),
    ],
)
def test_any_element_of_a_bit_field_can_be_read(index, bit_count, value):
    """As its first 32 bits at most: also those that a catalog took before it checked them."""
    packed = data_message(
        data_pb2,
        ChannelInfo("id", "gpio", DataType.BIT_FIELD, "", (), (("all", index, bit_count),)),
        AssetInfo("id", "Rover"),
        None,
        RunPoints(
            "",
            np.array([JANUARY_NS], np.int64),
            pa.array([0x1_2345_6789_ABCD.to_bytes(7, "little")], pa.large_binary()),
        ),
    )
    (element,) = unpacked(packed).values
    assert [one.value for one in element.values] == [value]


def test_runs_are_kept_apart(rig):
    """No run id: a message for each run, and one for no run. Empty: only what has none."""
    run = rig.catalog.runs.create(RunDraft("hotfire"))
    rig.publish([(1, {"total": 1})])
    rig.publish([(2, {"total": 2})], run.run_id)
    rig.publish([(3, {"total": 3})], "zz-unknown")

    (everything,) = rig.pages([rig.query("total")])
    by_run = {one.metadata.run.run_id: (one.metadata.run.name, points(one)) for one in everything}
    assert by_run == {
        "": ("", [(1, 1)]),
        run.run_id: ("hotfire", [(2, 2)]),
        "zz-unknown": ("", [(3, 3)]),
    }
    ((without,),) = rig.pages([rig.query("total", "")])
    assert points(without) == [(1, 1)]
    assert not without.metadata.HasField("run")
    ((within,),) = rig.pages([rig.query("total", run.run_id)])
    assert (points(within), within.metadata.run.name) == ([(2, 2)], "hotfire")
    assert list(rig.pages([rig.query("total", "nothing")])) == [[]]


def test_the_start_belongs_to_the_range_and_the_end_does_not(rig):
    """To the nanosecond; times that can't be stored are the nearest ones."""
    rig.publish([(ns, {"total": ns}) for ns in range(5)])
    query = [rig.query("total")]
    ((some,),) = rig.pages(query, start_time=at(1), end_time=at(3))
    assert points(some) == [(1, 1), (2, 2)]
    assert list(rig.pages(query, start_time=at(3), end_time=at(3))) == [[]]
    year_1, year_9999 = Timestamp(seconds=-62135596800), Timestamp(seconds=253402300799)
    ((everything,),) = rig.pages(query, start_time=year_1, end_time=year_9999)
    assert len(everything.values) == 5
    with pytest.raises(InvalidArgumentError, match="is before start_time"):
        list(rig.pages(query, start_time=at(3), end_time=at(2)))
    with pytest.raises(InvalidArgumentError, match="start_time has 0 seconds and -1 nanos"):
        list(rig.pages(query, start_time=Timestamp(nanos=-1)))


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 1_000])
def test_any_page_size_yields_the_same_points(rig, page_size):
    """Over several queries and runs; no page has more points than asked for."""
    run = rig.catalog.runs.create(RunDraft("run"))
    for run_id in ("", run.run_id):
        rig.publish([(ns, {"total": ns, "log": f"line {ns}"}) for ns in range(5)], run_id)
    rig.publish([(2, {"total": 99})])
    queries = [rig.query("total"), rig.query("state"), rig.query("log", run.run_id)]
    seen: dict[tuple[int, str], list[tuple[int, Any]]] = {}
    for page in rig.pages(queries, page_size):
        assert 0 < sum(len(message.values) for message in page) <= page_size
        for message in page:
            key = (message.metadata.data_type, message.metadata.run.run_id)
            seen.setdefault(key, []).extend(points(message))
    counting = [(ns, ns) for ns in range(5)]
    assert seen == {
        (DataType.UINT_64, ""): [*counting[:3], (2, 99), *counting[3:]],
        (DataType.UINT_64, run.run_id): counting,
        (DataType.STRING, run.run_id): [(ns, f"line {ns}") for ns in range(5)],
    }


def test_pages_of_strings_have_about_a_megabyte(rig):
    """However many strings the client asks for; a larger one comes alone."""
    length = data_pages.PAGE_BYTES_MAX // 3
    texts = ["x" * (length if ns != 4 else 5 * length) for ns in range(8)]
    rig.publish([(ns, {"log": text, "frame": text.encode()}) for ns, text in enumerate(texts)])
    sizes, seen = [], []
    for page in rig.pages([rig.query("log"), rig.query("frame")], page_size=100_000):
        sizes.append(sum(len(value) for message in page for _, value in points(message)))
        seen += [value for message in page for _, value in points(message)]
    assert seen == texts + [text.encode() for text in texts]
    assert sorted(sizes)[-2:] == [5 * length, 5 * length]
    assert sorted(sizes)[-3] <= data_pages.PAGE_BYTES_MAX + length


def test_elements_of_a_bit_field_count_in_a_page(rig):
    """Two elements make two values of a point."""
    rig.publish([(ns, {"gpio": bytes([ns])}) for ns in range(5)])
    pages = list(rig.pages([rig.query("gpio")], page_size=4))
    assert [len(page[0].values[0].values) for page in pages] == [2, 2, 1]


def test_page_sizes_have_a_default_and_a_limit(rig):
    """10,000 points, and 100,000."""
    rig.publish([(ns, {"total": ns}) for ns in range(100_001)])
    for page_size, expected in ((0, 10_000), (2**32 - 1, 100_000)):
        (page, *_) = rig.pages([rig.query("total")], page_size)
        assert len(page[0].values) == expected


def test_a_token_answers_one_request_only(rig):
    """Another query, another range, or no token at all."""
    rig.publish([(ns, {"total": ns}) for ns in range(3)])
    request = data_pb2.GetDataRequest(queries=[rig.query("total")], page_size=1)
    token = rig.service.get_data(request).next_page_token
    request.page_token = token
    request.page_size = 2
    assert not rig.service.get_data(request).next_page_token
    request.end_time.CopyFrom(at(9))
    with pytest.raises(InvalidArgumentError, match="other queries or another time range"):
        rig.service.get_data(request)
    for damaged in ("x", "é", token[:-4], "W10=", "e30=", "WzEsMiwzXQ=="):
        request.page_token = damaged
        with pytest.raises(InvalidArgumentError, match="page_token is none"):
            rig.service.get_data(request)


def test_what_is_not_there_is_said(rig):
    """An unknown channel, and when points came."""
    channel = rig.query("total")
    for request, error, said in (
        ({"queries": [channel], "include_received_at": True}, UnimplementedError, "received"),
        ({"queries": [channel, data_pb2.Query()]}, InvalidArgumentError, "query 2 names no"),
        ({"queries": [channel] * 1_001}, InvalidArgumentError, "the limit is 1,000"),
    ):
        with pytest.raises(error, match=said):
            rig.service.get_data(data_pb2.GetDataRequest(**request))
    rig.ids["gone"] = "no-such-id"
    with pytest.raises(NotFoundError, match="'no-such-id'"):
        list(rig.pages([rig.query("gone")]))
    rig.ids["nameless"] = ""
    with pytest.raises(NotFoundError, match="no channel with the id ''"):
        list(rig.pages([rig.query("nameless")]))
    assert list(rig.pages([])) == [[]]


@pytest.mark.parametrize("page_size", [1, 2, 1_000])
def test_runs_are_sampled_one_by_one(rig, page_size):
    """The first and the last point of each are there; a run id asks for one, or for none."""
    run = rig.catalog.runs.create(RunDraft("run"))
    milliseconds = [(at * 10**6, {"total": at % 7 * at}) for at in range(20)]
    rig.publish(milliseconds)
    rig.publish(milliseconds[3:9], run.run_id)

    def seen(run_id: str | None, **times: Any) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for page in rig.pages([rig.query("total", run_id)], page_size, sample_ms=5, **times):
            for message in page:
                assert message.metadata.sampled_ms == 5
                times_ms = [time // 10**6 for time, _ in points(message)]
                found.setdefault(message.metadata.run.run_id, []).extend(times_ms)
        return found

    every = seen(None)
    assert (every[""][::5], every[run.run_id][::3]) == ([0, 19], [3, 8])
    assert (len(every[""]), len(every[run.run_id])) == (6, 4)
    assert seen("") == {"": every[""]}
    assert seen(run.run_id) == {run.run_id: every[run.run_id]}
    assert seen("nothing") == {}
    # A bucket that the range cuts is a bucket still; others are as they were.
    assert seen("", start_time=at(2 * 10**6), end_time=at(17 * 10**6))[""][::5] == [2, 16]
