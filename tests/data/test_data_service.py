"""`DataService` and its queries, as programs of published releases use them."""

from __future__ import annotations

import pandas as pd
import pytest

from data.conftest import NUMBERS, ROWS, START_NS, times_ns
from sift_py.data.error import DataError
from sift_py.data.query import (
    CalculatedChannelQuery,
    ChannelQuery,
    DataQuery,
    DataQueryResultSet,
)
from sift_py.data.service import DataService

END = "2100-01-01T00:00:00Z"


def test_a_result_is_a_data_frame(rig):
    query = DataQuery("rig", START_NS, END, [ChannelQuery("d", run_name="one")])
    found = DataService(rig.channel).execute(query).channel("d")
    frame = pd.DataFrame(found.columns())
    assert list(frame) == ["time", "d"]
    assert frame["d"].tolist() == NUMBERS["d"][1].tolist()
    assert found.timestamps == [pd.Timestamp(each, tz="UTC") for each in times_ns().tolist()]
    named = found.columns("when", "value")
    assert list(named) == ["when", "value"]


def test_channels_are_found_by_query_and_by_name(rig):
    one = ChannelQuery("i64", run_name="one")
    expression = CalculatedChannelQuery(
        "more", "$1 + 1.0", [{"reference": "$1", "channel_name": "d"}], run_name="one"
    )
    result = DataService(rig.channel).execute(DataQuery("rig", 0, END, [one, expression]))
    assert result.channel(one).values == NUMBERS["i64"][1].tolist()
    assert [each.identifier for each in result.channels("more", "i64")] == ["more", "i64"]
    assert [each.identifier for each in result.all_channels()] == ["i64", "more"]
    assert result.channel("nothing") is None


def test_a_bit_field_gives_its_elements(rig):
    query = DataQuery("rig", 0, END, [ChannelQuery("bits", run_name="one")])
    result = DataService(rig.channel).execute(query, bust_cache=True)
    assert [each.identifier for each in result.channels("bits")] == ["bits.low", "bits.high"]
    assert len(result.channel("bits.low").values) == ROWS // 2
    with pytest.raises(DataError, match=r"bits\.low, bits\.high"):
        result.channel("bits")


def test_runs_are_joined_if_none_is_named(rig):
    query = DataQuery("rig", 0, END, [ChannelQuery("d")])
    found = DataService(rig.channel).execute(query).channel("d")
    assert len(found.values) == ROWS + 10
    assert found.timestamps == sorted(found.timestamps)


def test_a_component_is_part_of_the_name():
    assert ChannelQuery("velocity", "mainmotor").fqn() == "mainmotor.velocity"
    assert ChannelQuery("velocity").fqn() == "velocity"


def test_a_result_set_can_be_made_by_hand():
    made = DataQueryResultSet("x", [1, 2], [3, 4])
    assert made.columns() == {"time": [1, 2], "x": [3, 4]}


def test_times_that_contradict_are_refused():
    with pytest.raises(DataError, match="is before start_time"):
        DataQuery("rig", 10, 5, [])
    with pytest.raises(DataError, match="sample_ms must be 0 or"):
        DataQuery("rig", 0, 5, [], sample_ms=-1)
