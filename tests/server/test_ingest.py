"""What goes into an ingest stream comes out of GetData."""

from __future__ import annotations

import contextlib
import math
import struct
from typing import TYPE_CHECKING

import grpc
import pytest

from sift_server.catalog import Catalog, ListRequest
from sift_server.server import Server, ServerSettings
from support.serving import plain_channel
from support.telemetry import (
    EMPTY,
    Request,
    Type,
    channel_ids,
    create_config,
    ingest,
    read_points,
)

if TYPE_CHECKING:
    from pathlib import Path

ALL_TYPES = {
    "double": Type.CHANNEL_DATA_TYPE_DOUBLE,
    "string": Type.CHANNEL_DATA_TYPE_STRING,
    "enum": Type.CHANNEL_DATA_TYPE_ENUM,
    "bit_field": Type.CHANNEL_DATA_TYPE_BIT_FIELD,
    "bool": Type.CHANNEL_DATA_TYPE_BOOL,
    "float": Type.CHANNEL_DATA_TYPE_FLOAT,
    "int32": Type.CHANNEL_DATA_TYPE_INT_32,
    "uint32": Type.CHANNEL_DATA_TYPE_UINT_32,
    "int64": Type.CHANNEL_DATA_TYPE_INT_64,
    "uint64": Type.CHANNEL_DATA_TYPE_UINT_64,
    "bytes": Type.CHANNEL_DATA_TYPE_BYTES,
}
T0 = 1_700_000_000_123_456_789
READINGS = {"readings": {"pressure": Type.CHANNEL_DATA_TYPE_DOUBLE}}


def f32(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


def test_every_type_comes_back_exactly(channel: grpc.Channel):
    """All data types, at their extremes, keep value and nanoseconds."""
    config = create_config(channel, {"all": ALL_TYPES})
    rows = [
        [1.5, "grüße", 2, b"\x21", True, f32(0.1), -5, 7, -(2**40), 2**40, b"\0\xff"],
        [-0.0, "", 0, b"\xff", False, math.inf, -(2**31), 0, -(2**63), 0, b""],
        [5e-324, "x" * 5000, 2**32 - 1, b"\x00", True, 0.0, 2**31 - 1, 2**32 - 1, 2**63 - 1,
         2**64 - 1, b"\n" * 300],
    ]  # fmt: skip
    ingest(channel, [config.row("all", T0 + i, row) for i, row in enumerate(rows)])
    for column, name in enumerate(ALL_TYPES):
        points = read_points(channel, config.asset_id, name)
        if name == "bit_field":
            low = [(T0 + i, "low", row[column][0] & 15) for i, row in enumerate(rows)]
            high = [(T0 + i, "high", row[column][0] >> 4) for i, row in enumerate(rows)]
            assert points == low + high
        else:
            assert points == [(T0 + i, row[column]) for i, row in enumerate(rows)]


def test_a_value_that_is_absent_is_no_point(channel: grpc.Channel):
    """Partial rows store what they carry, and nothing for the rest."""
    config = create_config(channel, {"all": ALL_TYPES})
    ingest(
        channel,
        [
            config.row("all", T0, [1.0] + [EMPTY] * 10),
            config.row("all", T0 + 1, [EMPTY] * 11),
            config.row("all", T0 + 2, [EMPTY, "late"] + [EMPTY] * 9),
        ],
    )
    assert read_points(channel, config.asset_id, "double") == [(T0, 1.0)]
    assert read_points(channel, config.asset_id, "string") == [(T0 + 2, "late")]
    assert read_points(channel, config.asset_id, "int64") == []


def test_one_stream_mixes_flows_configs_and_runs(channel: grpc.Channel):
    """Each message says by itself where it belongs."""
    flows = {
        "a": {"x": Type.CHANNEL_DATA_TYPE_DOUBLE},
        "b": {"y": Type.CHANNEL_DATA_TYPE_INT_64, "z": Type.CHANNEL_DATA_TYPE_STRING},
    }
    one = create_config(channel, flows, "asset one", "one")
    two = create_config(channel, flows, "asset two", "two")
    ingest(
        channel,
        [
            message
            for i in range(100)
            for message in (
                one.row("a", T0 + i, [float(i)], run_id="r1" if i % 2 else ""),
                two.row("b", T0 + i, [i, f"two {i}"]),
                one.row("b", T0 + i, [-i, f"one {i}"], run_id="r2"),
            )
        ],
    )
    odd = [(T0 + i, float(i)) for i in range(1, 100, 2)]
    even = [(T0 + i, float(i)) for i in range(0, 100, 2)]
    assert read_points(channel, one.asset_id, "x", "r1") == odd
    assert read_points(channel, one.asset_id, "x", "") == even
    assert sorted(read_points(channel, one.asset_id, "x")) == sorted(odd + even)
    assert read_points(channel, two.asset_id, "z") == [(T0 + i, f"two {i}") for i in range(100)]
    assert read_points(channel, one.asset_id, "y", "r2") == [(T0 + i, -i) for i in range(100)]
    assert read_points(channel, two.asset_id, "x") == []


def test_sending_twice_changes_nothing(channel: grpc.Channel):
    """Clients replay whole streams; a point is one point. Two values at one time are two."""
    config = create_config(channel, READINGS)
    rows = [config.row("readings", T0 + i // 2, [float(i)]) for i in range(1000)]
    for _ in range(3):
        ingest(channel, rows)
    assert read_points(channel, config.asset_id, "pressure") == [
        (T0 + i // 2, float(i)) for i in range(1000)
    ]


def test_gzip_is_taken(channel: grpc.Channel):
    """Compressed messages are as good as others."""
    config = create_config(channel, {"log": {"line": Type.CHANNEL_DATA_TYPE_STRING}})
    rows = [config.row("log", T0 + i, ["all is well " * 100]) for i in range(50)]
    ingest(channel, rows, compression=grpc.Compression.Gzip)
    assert len(read_points(channel, config.asset_id, "line")) == 50


def test_channels_are_listed_before_any_data(channel: grpc.Channel):
    """A configured channel exists, whether or not it ever had a point."""
    config = create_config(channel, {"all": ALL_TYPES})
    assert set(channel_ids(channel, config.asset_id)) == set(ALL_TYPES)


def test_an_empty_stream_is_acknowledged(channel: grpc.Channel):
    """No message is no mistake."""
    ingest(channel, [])


def misfits(config) -> dict[str, Request]:
    """Messages that do not fit their flow, by a word of the reason."""
    good = config.row("readings", T0, [1.0])
    unknown_flow, unknown_config, too_many, wrong_type, no_time = (Request() for _ in range(5))
    for each in (unknown_flow, unknown_config, too_many, wrong_type, no_time):
        each.CopyFrom(good)
    unknown_flow.flow = "redings"
    unknown_config.ingestion_config_id = "5e2d0a4c-0000-4000-8000-000000000000"
    too_many.channel_values.add().double = 2.0
    wrong_type.channel_values[0].string = "high"
    no_time.ClearField("timestamp")
    return {
        "redings": unknown_flow,
        "5e2d0a4c": unknown_config,
        "2 values": too_many,
        "pressure": wrong_type,
        "timestamp": no_time,
    }


@pytest.mark.parametrize("word", ["redings", "5e2d0a4c", "2 values", "pressure", "timestamp"])
def test_a_misfit_ends_the_stream_that_asked_for_it(channel: grpc.Channel, word: str):
    """With the flag set the stream ends with INVALID_ARGUMENT, and the cause is named."""
    config = create_config(channel, READINGS)
    bad = misfits(config)[word]
    bad.end_stream_on_validation_error = True
    before = config.row("readings", T0 - 1, [0.0])
    after = config.row("readings", T0 + 1, [2.0])
    with pytest.raises(grpc.RpcError) as caught:
        ingest(channel, [before, bad, *[after] * 10_000])
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert word in caught.value.details()
    assert (T0 + 1, 2.0) not in read_points(channel, config.asset_id, "pressure")


def test_other_misfits_are_kept_with_their_reason(tmp_path: Path):
    """Without the flag the stream goes on, and reason and bytes are kept, once, over restarts."""
    folder = tmp_path / "telemetry"
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(ServerSettings(folder, port=0)))
        channel = stack.enter_context(plain_channel(server.address, server.api_key))
        config = create_config(channel, READINGS)
        bad = misfits(config)
        mixed = [
            message
            for i, each in enumerate(bad.values())
            for message in (config.row("readings", T0 + i, [float(i)]), each)
        ]
        ingest(channel, mixed)
        points = read_points(channel, config.asset_id, "pressure")
    assert points == [(T0 + i, float(i)) for i in range(5)]
    with Server(ServerSettings(folder, port=0)):
        pass
    catalog = Catalog.open(folder / "catalog.sqlite")
    kept = catalog.error_queue.list(ListRequest()).items
    catalog.close()
    assert [each.message for each in kept] == [each.SerializeToString() for each in bad.values()]
    for word, each in zip(bad, kept, strict=True):
        assert word in each.reason


def test_bytes_that_are_no_message_are_kept(channel: grpc.Channel, server: Server):
    """Not even garbage is lost, or ends the stream."""
    config = create_config(channel, READINGS)
    method = channel.stream_unary(
        "/sift.ingest.v1.IngestService/IngestWithConfigDataStream",
        request_serializer=bytes,
        response_deserializer=bytes,
    )
    good = config.row("readings", T0, [1.0]).SerializeToString()
    method(iter([good, b"\xff\xff\xff\xff", good[:-3], good]))
    assert read_points(channel, config.asset_id, "pressure") == [(T0, 1.0)]


def test_a_restart_gives_everything_back(tmp_path: Path):
    """What was taken before a stop is there after the next start, and can be added to."""
    folder = tmp_path / "telemetry"
    for start in range(3):
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(Server(ServerSettings(folder, port=0)))
            channel = stack.enter_context(plain_channel(server.address, server.api_key))
            if start == 0:
                config = create_config(channel, READINGS)
            ingest(channel, [config.row("readings", T0 + start, [float(start)])])
            assert read_points(channel, config.asset_id, "pressure") == [
                (T0 + i, float(i)) for i in range(start + 1)
            ]
