"""Rows of JSON, without a schema: all of a request or nothing, as durable as a stream."""

from __future__ import annotations

import json
import math
import re
import struct
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from sift.assets.v1 import assets_pb2, assets_pb2_grpc
from sift.channels.v3 import channels_pb2, channels_pb2_grpc
from sift.data.v2 import data_pb2, data_pb2_grpc
from sift.ingestion_configs.v2 import ingestion_configs_pb2, ingestion_configs_pb2_grpc
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.api.json_ingest import JSON_INGEST_BYTES_MAX
from sift_server.catalog import Catalog, Scope
from sift_server.ingest import schemaless
from sift_server.server import Server, ServerSettings
from support.serving import plain_channel, serving
from support.telemetry import Type, channel_ids, create_config, ingest, read_points

if TYPE_CHECKING:
    from pathlib import Path

    import grpc

S = 1_000_000_000
T0 = 1_767_225_600 * S
NOON = "2026-01-01T00:00:00Z"


def post(address: str, api_key: str, body: Any) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://{address}/api/v2/ingest",
        data,
        {"authorization": f"Bearer {api_key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def row(timestamp: str = NOON, **values: Any) -> dict[str, Any]:
    listed = [{"channel": channel, "value": value} for channel, value in values.items()]
    return {"timestamp": timestamp, "values": listed}


def batch(*rows: Any, **more: Any) -> dict[str, Any]:
    return {"asset_name": "rover", "data": list(rows), **more}


@pytest.fixture
def take(server: Server) -> Any:
    """Sends a request that is to be taken."""

    def send(body: Any) -> None:
        assert post(server.address, server.api_key, body) == (200, {})

    return send


@pytest.fixture
def refuse(server: Server) -> Any:
    """Sends one that is not; returns why."""

    def send(body: Any) -> str:
        status, answer = post(server.address, server.api_key, body)
        assert status == 400
        assert answer["code"] == 3
        return answer["message"]

    return send


def assets(channel: grpc.Channel) -> dict[str, str]:
    stub = assets_pb2_grpc.AssetServiceStub(channel)
    return {
        one.name: one.asset_id for one in stub.ListAssets(assets_pb2.ListAssetsRequest()).assets
    }


def channels(channel: grpc.Channel) -> dict[str, int]:
    """Types of channels by name."""
    stub = channels_pb2_grpc.ChannelServiceStub(channel)
    listed = stub.ListChannels(channels_pb2.ListChannelsRequest(page_size=10_000)).channels
    assert len({one.name for one in listed}) == len(listed)
    return {one.name: one.data_type for one in listed}


def flows(channel: grpc.Channel) -> list[set[str]]:
    """The channels of each flow that rows of JSON made."""
    stub = ingestion_configs_pb2_grpc.IngestionConfigServiceStub(channel)
    listed = stub.ListIngestionConfigs(
        ingestion_configs_pb2.ListIngestionConfigsRequest(filter="client_key == 'schemaless:rover'")
    ).ingestion_configs
    (config,) = listed
    request = ingestion_configs_pb2.ListIngestionConfigFlowsRequest(
        ingestion_config_id=config.ingestion_config_id, page_size=1_000
    )
    found = stub.ListIngestionConfigFlows(request).flows
    return [{one.name for one in flow.channels} for flow in found]


def test_asset_and_channels_are_made_as_they_come(take, channel):
    """Numbers are doubles; a set of channels is a flow, whatever the order of its values."""
    take(
        batch(
            row("2026-01-01T00:00:00.123456789Z", speed=1.5, on=True, state="idle"),
            row("2026-01-01T01:00:01+01:00", on=False, state="", speed=2),
            row("2025-12-31t18:30:02.5-05:30", speed=-0.0),
        )
    )
    (asset_id,) = assets(channel).values()
    assert channels(channel) == {
        "speed": Type.CHANNEL_DATA_TYPE_DOUBLE,
        "on": Type.CHANNEL_DATA_TYPE_BOOL,
        "state": Type.CHANNEL_DATA_TYPE_STRING,
    }
    speeds = read_points(channel, asset_id, "speed")
    assert speeds == [(T0 + 123_456_789, 1.5), (T0 + S, 2.0), (T0 + 2 * S + S // 2, 0.0)]
    assert math.copysign(1, speeds[-1][1]) == -1
    assert [value for _, value in read_points(channel, asset_id, "on")] == [True, False]
    assert [value for _, value in read_points(channel, asset_id, "state")] == ["idle", ""]
    assert flows(channel) == [{"speed", "on", "state"}, {"speed"}]


def test_sent_again_it_changes_nothing(take, channel):
    """No point, no channel, no flow is there twice."""
    body = batch(row(speed=1.5, on=True), row("2026-01-01T00:00:01Z", speed=2.5))
    for _ in range(3):
        take(body)
    (asset_id,) = assets(channel).values()
    assert read_points(channel, asset_id, "speed") == [(T0, 1.5), (T0 + S, 2.5)]
    assert flows(channel) == [{"speed", "on"}, {"speed"}]


def test_what_was_answered_survives_a_kill(tmp_path: Path):
    """It is on disk, as what a stream brings."""
    with serving(tmp_path / "telemetry") as server:
        answer = post(server.address, server.api_key, batch(row(speed=1.5, state="on")))
        assert answer == (200, {})
        server.kill()
    with (
        serving(tmp_path / "telemetry") as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        (asset_id,) = assets(channel).values()
        assert read_points(channel, asset_id, "speed") == [(T0, 1.5)]
        assert read_points(channel, asset_id, "state") == [(T0, "on")]


def test_rows_belong_to_a_run(take, server, channel):
    """Whose id they give; one that is not there is refused."""
    stub = runs_pb2_grpc.RunServiceStub(channel)
    run_id = stub.CreateRun(runs_pb2.CreateRunRequest(name="drive")).run.run_id
    take(batch(row(speed=1.0), run_id=run_id))
    take(batch(row(speed=2.0), run_id=None, organization_id=""))
    (asset_id,) = assets(channel).values()
    assert read_points(channel, asset_id, "speed", run_id) == [(T0, 1.0)]
    assert read_points(channel, asset_id, "speed", "") == [(T0, 2.0)]
    status, answer = post(server.address, server.api_key, batch(row(speed=1.0), run_id="drive"))
    assert (status, answer["code"]) == (404, 5)
    assert "'drive'" in answer["message"]


TYPES = {
    "double": Type.CHANNEL_DATA_TYPE_DOUBLE, "float": Type.CHANNEL_DATA_TYPE_FLOAT,
    "int32": Type.CHANNEL_DATA_TYPE_INT_32, "uint32": Type.CHANNEL_DATA_TYPE_UINT_32,
    "int64": Type.CHANNEL_DATA_TYPE_INT_64, "uint64": Type.CHANNEL_DATA_TYPE_UINT_64,
    "bool": Type.CHANNEL_DATA_TYPE_BOOL, "string": Type.CHANNEL_DATA_TYPE_STRING,
    "enum": Type.CHANNEL_DATA_TYPE_ENUM, "bits": Type.CHANNEL_DATA_TYPE_BIT_FIELD,
}  # fmt: skip


@pytest.fixture
def declared(channel: grpc.Channel) -> str:
    """The id of an asset that has a channel of each type."""
    return create_config(channel, {"f": TYPES}, "rover", "rover").asset_id


def test_channels_that_there_are_keep_their_types(take, channel, declared):
    """Values become theirs exactly; a state may be given by its name."""
    take(
        batch(
            row(
                double=2**53, float=0.1, int32=-5, uint32=5.0, int64=2**63 - 1, uint64=2**64 - 1,
                bool=True, string="x", enum=2,
            ),
            row("2026-01-01T00:00:01Z", enum="state 1"),
        )
    )  # fmt: skip
    assert channels(channel) == TYPES
    found = {name: read_points(channel, declared, name)[0][1] for name in TYPES if name != "bits"}
    assert found == {
        "double": 2.0**53, "float": struct.unpack("f", struct.pack("f", 0.1))[0], "int32": -5,
        "uint32": 5, "int64": 2**63 - 1, "uint64": 2**64 - 1, "bool": True, "string": "x",
        "enum": 2,
    }  # fmt: skip
    assert [value for _, value in read_points(channel, declared, "enum")] == [2, 1]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"double": "1"}, r"'double' in row 2 is \"1\", and the channel is of the type DOUBLE"),
        ({"double": True}, "is true, and the channel is of the type DOUBLE"),
        ({"double": 2**53 + 1}, "it would become 9007199254740992"),
        ({"double": 10**400}, "more than a double holds"),
        ({"float": 1e39}, "more than a float holds"),
        ({"float": 2**24 + 1}, "a float does not hold exactly"),
        ({"int32": 1.5}, "takes whole numbers"),
        ({"int32": 2**31}, "takes -2147483648 to 2147483647"),
        ({"uint64": -1}, "takes 0 to 18446744073709551615"),
        ({"bool": 1}, "of the type BOOL"),
        ({"string": 1}, "of the type STRING"),
        ({"bits": 1}, "of the type BIT_FIELD"),
        (
            {"enum": "state 9"},
            r"the states of the channel are \"state 0\" \(0\), \"state 1\" \(1\)",
        ),
        ({"enum": 9}, "the states of the channel are"),
        ({"new": 2**64 + 1}, "Declare the channel as INT_64"),
    ],
)
def test_a_value_that_is_none_of_its_channel_is_refused(refuse, channel, declared, values, said):
    """With the row and the channel; nothing of the request is taken or made."""
    message = refuse(batch(row(double=1.0, other=1), row(**values)))
    assert re.search(said, message), message
    assert "Nothing of the request was taken" in message
    assert channels(channel) == TYPES
    assert read_points(channel, declared, "double") == []


def test_two_types_of_a_new_channel_are_refused(refuse, channel):
    """Nothing is made, not even the asset."""
    message = refuse(batch(row(a=1.0), row(a="x")))
    assert "the value of 'a' in row 2 is \"x\", and the channel is of the type DOUBLE" in message
    assert assets(channel) == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "the body must be an object, not []"),
        ({"data": []}, "the body has no asset_name"),
        ({"asset_name": "rover"}, "the body has no data"),
        ({"asset_name": " ", "data": []}, "asset_name is blank"),
        ({"asset_name": 1, "data": []}, "asset_name must be a string, not 1"),
        ({"asset_name": "\ud800", "data": []}, "half of a surrogate pair"),
        (batch(run_id="x" * 2_000), "run_id has more than 1,024 bytes"),
        (batch(run="x"), 'the body has a field "run", which means nothing here; known are'),
        ({"asset_name": "rover", "data": {}}, "data must be a list"),
        (batch(1), "row 1 must be an object"),
        (batch(row(a=1), {"values": []}), "row 2 has no timestamp"),
        (batch(row()), "the values of row 1 must be a list of at least one"),
        (batch(row(a=None)), "the value of 'a' in row 1 is null"),
        (batch(row(a=[1])), "the value of 'a' in row 1 is [1]"),
        (batch(row(a="\udc00")), "the value of 'a' in row 1 has half of a surrogate pair"),
        (batch(row(**{" ": 1})), "value 1 of row 1 names no channel"),
        (batch({"timestamp": NOON, "values": [{"channel": "a"}]}), "value 1 of row 1 has no value"),
        (
            batch({"timestamp": NOON, "values": [{"channel": "a", "value": 1}] * 2}),
            "row 1 has the channel 'a' twice",
        ),
        (json.dumps(batch(row(a=math.nan))).encode(), "NaN is no number of JSON"),
        (json.dumps(batch(row(a=-math.inf))).encode(), "-Infinity is no number of JSON"),
        (json.dumps(batch(row(a=7777))).replace("7777", "1e999").encode(), "more than a double"),
        (json.dumps(batch(row(a=7777))).replace("7777", "9" * 5_000).encode(), "is not JSON"),
        (batch(row("2026-01-01T00:00:00", a=1)), "with an offset"),
        (batch(row("2026-01-01", a=1)), "with an offset"),
        (batch(row(1767225600, a=1)), "the timestamp of row 1 is 1767225600; write it"),
        (batch(row("2026-02-30T00:00:00Z", a=1)), "day is out of range"),
        (batch(row("2026-01-01T00:00:60Z", a=1)), "second must be in 0..59"),
        (batch(row("2026-01-01T00:00:00+24:00", a=1)), "an offset that is none"),
        (batch(row("2026-01-01T00:00:00.0000000001Z", a=1)), "finer than nanoseconds"),
        (batch(row("1600-01-01T00:00:00Z", a=1)), "outside of the years 1677 to 2262"),
        (batch(row("9999-01-01T00:00:00Z", a=1)), "outside of the years 1677 to 2262"),
    ],
)
def test_what_is_no_batch_is_refused(refuse, channel, body, said):
    """With where it is; nothing is made."""
    assert said in refuse(body)
    assert assets(channel) == {}


def test_an_empty_batch_makes_nothing(take, channel):
    """There is nothing to take."""
    take(batch())
    assert assets(channel) == {}


def test_times_are_kept_to_the_ends(take, channel):
    """Of what 64 bits of nanoseconds hold, in whole seconds; zeros behind them mean nothing."""
    times = [
        ("1677-09-21T00:12:44.000000001Z", -9_223_372_036 * S + 1),
        ("1969-12-31T23:59:59.9999999990000Z", -1),
        ("2262-04-11T23:47:15.999999999Z", 9_223_372_035 * S + S - 1),
    ]
    take(batch(*(row(text, a=1) for text, _ in times)))
    (asset_id,) = assets(channel).values()
    stub = data_pb2_grpc.DataServiceStub(channel)
    request = data_pb2.GetDataRequest()
    request.queries.add().channel.channel_id = channel_ids(channel, asset_id)["a"]
    (packed,) = stub.GetData(request).data
    values = data_pb2.DoubleValues.FromString(packed.value).values
    found = [one.timestamp.seconds * S + one.timestamp.nanos for one in values]
    assert found == [time_ns for _, time_ns in times]


def test_sets_of_channels_have_a_limit(take, channel, monkeypatch):
    """Behind it, values go channel by channel; the points are the same."""
    monkeypatch.setattr(schemaless, "CHANNEL_SETS_MAX", 2)
    rows = [
        row(f"2026-01-01T00:00:{at:02}Z", **dict.fromkeys(names, at))
        for at, names in enumerate(("ab", "bc", "abc", "ac", "ab", "c"))
    ]
    take(batch(*rows))
    take(batch(*rows))
    assert sorted(map(sorted, flows(channel))) == [["a"], ["a", "b"], ["b"], ["b", "c"], ["c"]]
    (asset_id,) = assets(channel).values()
    for name in "abc":
        expected = [
            (T0 + at * S, at)
            for at, names in enumerate(("ab", "bc", "abc", "ac", "ab", "c"))
            if name in names
        ]
        assert read_points(channel, asset_id, name) == expected


def test_many_at_a_time_make_a_channel_once(server, channel):
    """Of one name and type: who comes second with another type is refused."""
    bodies = [batch(row(a=at if at % 2 else "x", b=at)) for at in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda body: post(server.address, server.api_key, body), bodies))
    statuses = [status for status, _ in found]
    assert statuses in ([200, 400] * 4, [400, 200] * 4)
    assert set(channels(channel)) == {"a", "b"}
    assert flows(channel) == [{"a", "b"}]
    (asset_id,) = assets(channel).values()
    taken = {at for at, status in enumerate(statuses) if status == 200}
    assert {value for _, value in read_points(channel, asset_id, "b")} == taken


def test_a_request_has_a_limit_of_bytes(server, channel):
    """Beyond it, it is to be sent in parts."""
    body = json.dumps(batch(row(a=1))).encode()
    status, answer = post(
        server.address, server.api_key, body + b" " * (JSON_INGEST_BYTES_MAX - len(body) + 1)
    )
    assert (status, answer["code"]) == (429, 8)
    assert "JSON_INGEST_BYTES_MAX" in answer["message"]
    assert assets(channel) == {}


def test_streams_and_rows_of_json_meet(take, channel, declared):
    """In the same channels: what both say is there once."""
    config = create_config(channel, {"g": {"speed": TYPES["double"]}}, "rover", "second")
    ingest(channel, [config.row("g", T0, [1.5])])
    take(batch(row(speed=1.5), row("2026-01-01T00:00:01Z", speed=2.5)))
    assert read_points(channel, declared, "speed") == [(T0, 1.5), (T0 + S, 2.5)]


def test_a_key_that_only_reads_is_refused(tmp_path: Path):
    """As by the stream."""
    catalog = Catalog.open(tmp_path / "catalog.sqlite")
    _, key = catalog.api_keys.create("reader", [Scope.READ])
    catalog.close()
    with Server(ServerSettings(tmp_path, port=0)) as server:
        status, answer = post(server.address, key, batch(row(a=1)))
    assert (status, answer["code"]) == (403, 7)
    assert "scope write" in answer["message"]


def test_only_post_is_taken(server):
    """With a key that may write."""
    request = urllib.request.Request(
        f"http://{server.address}/api/v2/ingest",
        headers={"authorization": f"Bearer {server.api_key}"},
    )
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(request, timeout=30)
    assert post(server.address, "wrong", batch())[0] == 401
