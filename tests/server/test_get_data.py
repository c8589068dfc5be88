"""GetData through the doors: over gRPC and REST, raw and sampled, all types."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from sift.data.v1 import data_pb2 as data_v1_pb2
from sift.data.v1 import data_pb2_grpc as data_v1_pb2_grpc
from sift.data.v2 import data_pb2, data_pb2_grpc
from sift.ingestion_configs.v1 import ingestion_configs_pb2 as configs_v1
from sift.ingestion_configs.v1 import ingestion_configs_pb2_grpc
from support import lttb_oracle
from support.telemetry import Config, Type, channel_ids, create_config, ingest

if TYPE_CHECKING:
    import grpc

    from sift_server.server import Server

S = 1_000_000_000
T0 = 1_767_225_600 * S
CHANNELS = {
    "wave": Type.CHANNEL_DATA_TYPE_DOUBLE,
    "count": Type.CHANNEL_DATA_TYPE_INT_32,
    "state": Type.CHANNEL_DATA_TYPE_ENUM,
    "gpio": Type.CHANNEL_DATA_TYPE_BIT_FIELD,
    "on": Type.CHANNEL_DATA_TYPE_BOOL,
    "note": Type.CHANNEL_DATA_TYPE_STRING,
}
ROWS = [
    (T0 + at * S // 10, [at * at % 37 / 7, -at, at % 3, bytes([at]), at % 2 == 0, f"row {at}"])
    for at in range(200)
]


@pytest.fixture
def ids(channel: grpc.Channel) -> dict[str, str]:
    """Channels of 200 rows, ten a second, by their names."""
    config = create_config(channel, {"f": CHANNELS})
    ingest(channel, (config.row("f", time_ns, values) for time_ns, values in ROWS))
    return channel_ids(channel, config.asset_id)


def get(server: Server, version: int, request: dict[str, Any]) -> Any:
    """What REST answers."""
    asked = urllib.request.Request(
        f"http://{server.address}/api/v{version}/data",
        json.dumps(request).encode(),
        {"authorization": f"Bearer {server.api_key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)


def test_numbers_are_sampled_and_others_are_all_there(channel: grpc.Channel, ids: dict[str, str]):
    """In pages; the metadata of each channel says which of both it is."""
    stub = data_pb2_grpc.DataServiceStub(channel)
    request = data_pb2.GetDataRequest(sample_ms=1_000, page_size=7)
    for name in CHANNELS:
        request.queries.add().channel.channel_id = ids[name]
    found: dict[str, list[Any]] = {}
    while True:
        answer = stub.GetData(request)
        for packed in answer.data:
            message = getattr(data_pb2, packed.type_url.rpartition(".")[2])()
            packed.type_url = f"x/{packed.type_url}"
            assert packed.Unpack(message)
            name = message.metadata.channel.name
            assert message.metadata.sampled_ms == (1_000 if name in ("wave", "count") else 0)
            values = message.values[0].values if name == "gpio" else message.values
            found.setdefault(name, []).extend(
                (one.timestamp.ToNanoseconds(), one.value) for one in values
            )
        request.page_token = answer.next_page_token
        if not request.page_token:
            break
    for column, name in enumerate(CHANNELS):
        points = [(time_ns, values[column]) for time_ns, values in ROWS]
        if name in ("wave", "count"):
            points = [points[place] for place in lttb_oracle.chosen(points, S)]
            assert len(points) == 22
        elif name == "gpio":
            points = [(time_ns, value[0] & 15) for time_ns, value in points]
        assert found[name] == points, name


def test_calculated_channels_are_sampled(
    server: Server, channel: grpc.Channel, ids: dict[str, str]
):
    """As channels are, also over REST, page by page."""
    query = {
        "calculatedChannel": {
            "channelKey": "double",
            "expression": {
                "expression": "delta($1) * 2",
                "channelReferences": {"$1": ids["wave"]},
            },
        }
    }
    request = {"queries": [query], "sampleMs": 500, "pageSize": 3}
    found = []
    while True:
        answer = get(server, 2, request)
        for data in answer["data"]:
            assert data["@type"] == "sift.data.v2.DoubleValues"
            assert data["metadata"]["sampledMs"] == 500
            found += [one["value"] for one in data["values"]]
        request["pageToken"] = answer["nextPageToken"]
        if not request["pageToken"]:
            break
    waves = [values[0] for _, values in ROWS]
    points = [(ROWS[at][0], (waves[at] - waves[at - 1]) * 2) for at in range(1, len(ROWS))]
    assert found == [points[place][1] for place in lttb_oracle.chosen(points, S // 2)]


def test_both_versions_say_the_same(server: Server, channel: grpc.Channel):
    """Over gRPC and REST; v1 has component and name apart, v2 has them in one."""
    flow = configs_v1.FlowConfig(
        name="m",
        channels=[
            configs_v1.ChannelConfig(
                name="speed.raw",
                component="motor",
                unit="m/s",
                data_type=Type.CHANNEL_DATA_TYPE_DOUBLE,
            )
        ],
    )
    made = ingestion_configs_pb2_grpc.IngestionConfigServiceStub(channel).CreateIngestionConfig(
        configs_v1.CreateIngestionConfigRequest(asset_name="rover", client_key="k", flows=[flow])
    )
    types = {"m": {"speed.raw": Type.CHANNEL_DATA_TYPE_DOUBLE}}
    config = Config(
        channel, made.ingestion_config.ingestion_config_id, made.ingestion_config.asset_id, types
    )
    ingest(channel, [config.row("m", T0 + at, [float(at)]) for at in range(5)])
    channel_id = channel_ids(channel, config.asset_id)["motor.speed.raw"]
    answers = []
    for package, stub in (
        (data_v1_pb2, data_v1_pb2_grpc.DataServiceStub(channel)),
        (data_pb2, data_pb2_grpc.DataServiceStub(channel)),
    ):
        version = package.DESCRIPTOR.package
        request = package.GetDataRequest(page_size=3)
        request.queries.add().channel.channel_id = channel_id
        first = stub.GetData(request)
        request.page_token = first.next_page_token
        second = stub.GetData(request)
        assert not second.next_page_token
        points = []
        for (packed,) in (first.data, second.data):
            assert packed.type_url == f"{version}.DoubleValues"
            message = package.DoubleValues.FromString(packed.value)
            points += [(one.timestamp.ToNanoseconds(), one.value) for one in message.values]
        assert points == [(T0 + at, float(at)) for at in range(5)]
        of_channel = message.metadata.channel
        assert of_channel.unit.name == "m/s"
        answers.append((getattr(of_channel, "component", None), of_channel.name))
        in_json = get(
            server, int(version[-1]), {"queries": [{"channel": {"channelId": channel_id}}]}
        )
        assert [one["value"] for one in in_json["data"][0]["values"]] == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert in_json["data"][0]["@type"] == f"{version}.DoubleValues"
    assert answers == [("motor", "speed.raw"), (None, "motor.speed.raw")]


def test_channels_are_changed_over_rest(server: Server, ids: dict[str, str]):
    """By PATCH and POST; the data of an archived one is still read."""

    def call(verb: str, path: str, body: dict[str, Any] | None = None) -> Any:
        asked = urllib.request.Request(
            f"http://{server.address}/api/v3/{path}",
            None if body is None else json.dumps(body).encode(),
            {"authorization": f"Bearer {server.api_key}", "content-type": "application/json"},
            method=verb,
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)

    wave = {"channelId": ids["wave"], "displayDescription": "a wave"}
    changed = call("PATCH", "channels", {"channel": wave, "updateMask": "displayDescription"})
    assert changed["channel"]["displayDescription"] == "a wave"
    assert call("POST", "channels:batchArchive", {"channelIds": [ids["wave"]]}) == {}
    assert call("GET", f"channels/{ids['wave']}")["channel"]["active"] is False
    found = call("GET", "channels?filter=active%20%3D%3D%20false")["channels"]
    assert [one["name"] for one in found] == ["wave"]
    data = get(server, 2, {"queries": [{"channel": {"channelId": ids["wave"]}}]})["data"]
    assert len(data[0]["values"]) == len(ROWS)
    assert call("POST", "channels:batchUnarchive", {"channelIds": [ids["wave"]]}) == {}
    assert call("GET", f"channels/{ids['wave']}")["channel"]["active"] is True
