"""`iter_channels`: spans, one behind the other, are what one call gives."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.conftest import NUMBERS, START_NS
from data.test_read_channels import PlainChannel
from sift_py.data import CalculatedChannelQuery, ChannelQuery, iter_channels, read_channels
from sift_py.data._spans import Spans
from sift_py.errors import DataError
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService

YEAR_NS = 365 * 86_400 * 10**9
numbers = itertools.count()


@pytest.fixture(params=["arrow", "pages"])
def source(request, rig):
    """Both ways to the points: the Arrow door, and the protocol's pages."""
    return rig.channel if request.param == "arrow" else PlainChannel(rig.channel)


def joined(batches):
    """The wide tables, one behind the other."""
    return pa.concat_tables([each.to_arrow() for each in batches]).unify_dictionaries()


@pytest.mark.parametrize("batch_points", [1, 7, 40, 10_000])
@pytest.mark.parametrize("run", ["one", "two"])
def test_the_spans_of_a_run_are_what_one_call_gives(source, batch_points, run):
    batches = list(iter_channels("rig", run=run, batch_points=batch_points, source=source))
    whole = read_channels("rig", run=run, source=source).to_arrow()
    assert joined(batches).to_pylist() == whole.to_pylist()
    assert joined(batches).schema.equals(whole.schema, check_metadata=True)
    assert all(each.points for each in batches)
    assert (len(batches) > 1) == (whole.num_rows * (whole.num_columns - 1) > 2 * batch_points)


@pytest.mark.parametrize("batch_points", [20, 10_000])
def test_the_rows_of_several_runs_say_which(rig, batch_points):
    batches = iter_channels("rig", "*", batch_points=batch_points, source=rig.channel)
    rows = joined(batches).to_pylist()
    whole = read_channels("rig", "*", source=rig.channel).to_arrow().to_pylist()
    assert sorted(rows, key=str) == sorted(whole, key=str)


def test_bounds_and_queries_are_those_of_read_channels(rig):
    half = CalculatedChannelQuery(
        "half", "$1 / 2.0", [{"reference": "$1", "channel_name": "d"}], run_name="one"
    )
    wanted = [ChannelQuery("d", run_name="one"), half]
    bounds = {"start": START_NS + 5, "end": START_NS + 30_000_000, "source": rig.channel}
    whole = read_channels("rig", wanted, **bounds).to_arrow()
    rows = joined(iter_channels("rig", wanted, batch_points=9, **bounds))
    assert rows.to_pylist() == whole.to_pylist()
    assert rows.column_names == ["time", "d", "half"]


def test_long_tables_have_the_same_columns_in_every_span(rig):
    wanted = ["d", "mode", "text"]
    batches = iter_channels("rig", wanted, run="one", batch_points=11, source=rig.channel)
    tables = [each.to_arrow("long") for each in batches]
    assert len({str(table.schema) for table in tables}) == 1
    whole = read_channels("rig", wanted, run="one", source=rig.channel).to_arrow("long")
    assert sum(table.num_rows for table in tables) == whole.num_rows


def test_nothing_is_no_span(rig):
    assert list(iter_channels("rig", "d", end=0, source=rig.channel)) == []


def test_what_makes_no_sense_is_told_at_once(rig):
    with pytest.raises(DataError, match="batch_points must be at least 1"):
        iter_channels("rig", batch_points=0)
    with pytest.raises(DataError, match="end, 1, is before start, 2"):
        iter_channels("rig", start=2, end=1)
    with pytest.raises(DataError, match="no channel 'mood'"):
        list(iter_channels("rig", "mood", source=rig.channel))


bursts = st.lists(
    st.tuples(
        st.integers(0, 20 * YEAR_NS),
        st.integers(1, 60),
        st.sampled_from([0, 1, 1_000, 10**9, 3_600 * 10**9]),
    ),
    max_size=4,
)


@given(st.lists(bursts, min_size=1, max_size=3), st.integers(1, 80))
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_bursts_and_gaps_of_years_are_what_one_call_gives(rig, channels, batch_points):
    """Whatever lies where, each with its own density, also many points at one time."""
    asset = f"bursts-{next(numbers)}"
    flows = [
        FlowConfig(f"f{number}", [ChannelConfig(f"c{number}", ChannelDataType.INT_64)])
        for number in range(len(channels))
    ]
    service = IngestionService(rig.channel, TelemetryConfig(asset_name=asset, flows=flows))
    for number, series in enumerate(channels):
        for start_ns, rows, step_ns in series:
            times = start_ns + np.arange(rows) * step_ns
            service.ingest_columns(f"f{number}", times, {f"c{number}": np.arange(rows)})
    whole = read_channels(asset, run="", source=rig.channel)
    batches = list(iter_channels(asset, run="", batch_points=batch_points, source=rig.channel))
    if not whole.points:
        assert batches == []
        return
    assert joined(batches).to_pylist() == whole.to_arrow().to_pylist()
    for before, after in itertools.pairwise(batches):
        assert max(each.timestamps_ns.max() for each in before if len(each)) < min(
            each.timestamps_ns.min() for each in after if len(each)
        )
    for each in batches:
        times = {time for one in each for time in one.timestamps_ns.tolist()}
        assert each.points <= 2 * batch_points or len(times) == 1


def test_a_gap_costs_few_questions():
    """Points at both ends of 500 years: as many spans are asked for as bursts need."""
    points = np.concatenate([np.arange(1_000), 500 * YEAR_NS // 2 + np.arange(1_000)])
    spans, asked, read = Spans(-(2**62), 2**63 - 1, 100), 0, 0
    while not spans.is_done:
        asked += 1
        mine = points[(points >= spans.start_ns) & (points < spans.end_ns)]
        if spans.points_max is not None and len(mine) > spans.points_max:
            spans.broken_off([mine[: spans.points_max + 1]], 1.0)
        else:
            read += len(mine)
            spans.done(len(mine))
    assert read == len(points)
    assert asked < 45


def test_all_numbers_keep_their_types(rig):
    first = next(iter(iter_channels("rig", list(NUMBERS), run="one", source=rig.channel)))
    assert first.names == list(NUMBERS)
