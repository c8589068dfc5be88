"""`read_channels`: what was sent comes back, in the shape that is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from data.conftest import NUMBERS, ROWS, START_NS, STEP_NS, TEXTS, times_ns
from sift.runs.v2.runs_pb2 import CreateRunRequest
from sift.runs.v2.runs_pb2_grpc import RunServiceStub
from sift_py.data import CalculatedChannelQuery, ChannelQuery, read_channels
from sift_py.errors import DataError
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService


class PlainChannel(grpc.Channel):
    """A channel that does not tell where it leads, as other programs make them."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def __getattr__(self, name):
        return getattr(self._channel, name)

    def subscribe(self, *args, **kwargs):
        return self._channel.subscribe(*args, **kwargs)

    def unsubscribe(self, *args, **kwargs):
        return self._channel.unsubscribe(*args, **kwargs)

    def unary_unary(self, *args, **kwargs):
        return self._channel.unary_unary(*args, **kwargs)

    unary_stream = stream_unary = stream_stream = unary_unary

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture(params=["arrow", "pages"])
def source(request, rig):
    """Both ways to the points: the Arrow door, and the protocol's pages."""
    return rig.channel if request.param == "arrow" else PlainChannel(rig.channel)


def test_every_number_keeps_its_type_value_and_nanosecond(rig, source):
    readings = read_channels("rig", list(NUMBERS), run="one", source=source)
    assert readings.names == list(NUMBERS)
    for name, (kind, values) in NUMBERS.items():
        mine = readings[name]
        assert mine.timestamps_ns.tolist() == times_ns().tolist()
        assert mine.values.to_numpy().dtype == values.dtype
        assert mine.values.to_pylist() == values.tolist()
        assert (mine.data_type, mine.unit, mine.run, mine.run_id) == (
            kind.name,
            "m",
            "one",
            rig.one,
        )


def test_states_come_by_name_bits_by_element_and_texts_as_they_are(source):
    table = read_channels("rig", ["mode", "bits", "text"], run="one", source=source).to_arrow()
    rows = table.to_pylist()
    assert table.column_names == ["time", "mode", "bits.low", "bits.high", "text"]
    assert [row["mode"] for row in rows] == [("off", "on", "9")[n % 3] for n in range(ROWS // 2)]
    assert [row["bits.low"] for row in rows] == [n & 7 for n in range(ROWS // 2)]
    assert [row["bits.high"] for row in rows] == [n >> 3 for n in range(ROWS // 2)]
    assert [row["text"] for row in rows] == TEXTS[::2]


def test_channels_of_different_times_are_aligned_with_nulls(source):
    table = read_channels("rig", ["d", "text"], run="one", source=source).to_arrow()
    times = table["time"].cast(pa.int64()).to_pylist()
    assert times == sorted([*times_ns().tolist(), *(times_ns()[::2] + 5).tolist()])
    by_time = dict(zip(times, table.to_pylist(), strict=True))
    assert by_time[START_NS]["d"] == -1e300
    assert by_time[START_NS]["text"] is None
    assert by_time[START_NS + 5] == {
        "time": by_time[START_NS + 5]["time"],
        "d": None,
        "text": TEXTS[0],
    }


def test_several_runs_have_a_column_that_says_which(source):
    readings = read_channels("rig", ["d", "i64", "text"], source=source)
    table = readings.to_arrow()
    assert table.column_names == ["time", "run", "d", "i64", "text"]
    assert table.num_rows == ROWS + ROWS // 2 + 10
    assert table.filter(pa.compute.equal(table["run"].cast(pa.string()), "two")).num_rows == 10
    with pytest.raises(DataError, match="2 runs"):
        readings["d"]


def test_long_has_a_row_a_point_and_a_column_a_type(source):
    one_type = read_channels("rig", ["d"], run="one", source=source).to_arrow("long")
    assert one_type.column_names == ["time", "channel", "run", "value"]
    table = read_channels("rig", ["d", "i64", "mode"], run="one", source=source).to_arrow("long")
    assert table.column_names == [
        "time", "channel", "run", "value_double", "value_int_64", "value_enum",
    ]  # fmt: skip
    assert table.num_rows == 2 * ROWS + ROWS // 2
    assert table["value_int_64"].drop_null().to_pylist() == NUMBERS["i64"][1].tolist()


def test_times_are_taken_from_the_start_and_up_to_the_end(source):
    second = START_NS + STEP_NS
    for start, end in [
        (second, second + 2 * STEP_NS),
        (np.datetime64(second, "ns"), np.datetime64(second + 2 * STEP_NS, "ns")),
        (pd.Timestamp(second, tz="UTC"), pd.Timestamp(second + 2 * STEP_NS)),
        ("2026-05-28T20:26:40.124456790Z", "2026-05-28T22:26:40.126456792+02:00"),
    ]:
        readings = read_channels("rig", "d", start, end, run="one", source=source)
        assert readings["d"].timestamps_ns.tolist() == [second, second + STEP_NS]


def test_a_datetime_without_zone_is_utc(rig):
    moment = datetime.fromtimestamp(START_NS // 10**9 + 1, UTC)
    aware = read_channels("rig", "d", end=moment, source=rig.channel)
    naive = read_channels("rig", "d", end=moment.replace(tzinfo=None), source=rig.channel)
    assert aware.points == naive.points == ROWS


def test_patterns_and_queries_name_channels(rig):
    assert read_channels("rig", "i*", run="one", source=rig.channel).names == ["i32", "i64"]
    assert len(read_channels("rig", run="one", source=rig.channel).names) == len(NUMBERS) + 4
    expression = CalculatedChannelQuery(
        "doubled", "$1 * 2.0", [{"reference": "$1", "channel_name": "f"}], run_name="one"
    )
    readings = read_channels(
        "rig", [ChannelQuery("f", run_name="two"), expression], source=rig.channel
    )
    assert len(readings["f"]) == 10
    assert readings["doubled"].values.to_pylist() == [float(each) * 2 for each in NUMBERS["f"][1]]


def test_data_frames_and_arrays(rig):
    readings = read_channels("rig", ["d", "u64", "mode"], run="one", source=rig.channel)
    frame = readings.to_pandas()
    assert frame.index.name == "time"
    assert frame.index[0] == pd.Timestamp(START_NS, tz="UTC")
    assert frame["mode"].dtype == "category"
    polars = readings.to_polars("long")
    assert polars.columns == [
        "time",
        "channel",
        "run",
        "value_double",
        "value_uint_64",
        "value_enum",
    ]
    assert pl.DataFrame(readings).height == frame.shape[0]
    times, values = readings.to_numpy()["u64"]
    assert times.tolist() == times_ns().tolist()
    assert values.tolist() == NUMBERS["u64"][1].tolist()


def test_columns_say_their_unit_and_type(rig):
    schema = read_channels("rig", ["d"], run="one", source=rig.channel).to_arrow().schema
    assert schema.field("d").metadata[b"unit"] == b"m"
    assert schema.field("d").metadata[b"data_type"] == b"DOUBLE"


def test_nothing_is_an_empty_table(rig):
    readings = read_channels("rig", "d", end=0, source=rig.channel)
    assert (readings.points, readings.names) == (0, [])
    assert readings.to_arrow().num_rows == readings.to_arrow("long").num_rows == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"asset": "rigg"}, "there is no asset 'rigg'. Did you mean 'rig'?"),
        ({"channels": ["mood"]}, "no channel 'mood'. Did you mean 'mode'?"),
        ({"channels": "zz*"}, "no channel 'zz\\*'"),
        ({"run": "three"}, "there is no run 'three'"),
        ({"start": "tomorrow"}, "start: the time must be written like"),
        ({"start": "2026-02-30T00:00:00Z"}, "start: the time is no time of any day"),
        ({"start": 10, "end": 5}, "end, 5, is before start, 10"),
        ({"start": float("nan")}, "start: the time must be a datetime"),
        ({"sample": 0}, "sample must be a timedelta, or milliseconds"),
        ({"sample": timedelta(microseconds=1)}, "whole milliseconds"),
    ],
)
def test_what_makes_no_sense_is_told(rig, asked, message):
    with pytest.raises(DataError, match=message):
        read_channels(**{"asset": "rig", "channels": ["d"], "source": rig.channel, **asked})


def test_a_run_whose_name_several_have_is_named_by_id(rig):
    for _ in range(2):
        RunServiceStub(rig.channel).CreateRun(CreateRunRequest(name="twins"))
    with pytest.raises(DataError, match="2 runs are called 'twins'; name one by its id"):
        read_channels("rig", "d", run="twins", source=rig.channel)


def test_a_layout_that_there_is_not_is_refused(rig):
    readings = read_channels("rig", "d", source=rig.channel)
    with pytest.raises(DataError, match="layout is 'wide' or 'long'"):
        readings.to_arrow("tall")
    with pytest.raises(KeyError):
        readings["nothing"]


def test_samples_keep_the_shape_and_say_what_they_stand_for(rig, source):
    readings = read_channels(
        "rig", ["d", "text"], run="one", sample=timedelta(milliseconds=10), source=source
    )
    sampled = readings["d"]
    assert 4 <= len(sampled) <= 8
    assert set(sampled.timestamps_ns.tolist()) <= set(times_ns().tolist())
    assert sampled.values.to_pylist()[0] == -1e300
    assert sampled.sampled_ms == 10
    assert len(readings["text"]) == ROWS // 2
    assert readings["text"].sampled_ms == 0


def test_channels_may_be_called_like_columns(rig):
    """They have columns beside those, and say what they are called."""
    names = ["time", "run", "time_2"]
    channels = [ChannelConfig(name, ChannelDataType.DOUBLE) for name in names]
    config = TelemetryConfig(asset_name="names", flows=[FlowConfig("f", channels)])
    service = IngestionService(rig.channel, config)
    for run in ("one", "two"):
        service.attach_run(rig.channel, run)
        columns = {name: np.full(2, number) for number, name in enumerate(names, 1)}
        service.ingest_columns("f", times_ns(2), columns)
    table = read_channels("names", names, run="one", source=rig.channel).to_arrow()
    assert table.column_names == ["time", "time_3", "run", "time_2"]
    assert table.to_pandas().iloc[0, 1:].tolist() == [1.0, 2.0, 3.0]
    assert table.schema.field("time_3").metadata[b"channel"] == b"time"
    table = read_channels("names", names, source=rig.channel).to_arrow()
    assert table.column_names == ["time", "run", "time_3", "run_2", "time_2"]
    assert table["run_2"].to_pylist() == [2.0] * 4
