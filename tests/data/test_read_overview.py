"""What a channel is like in buckets of time, from a real server."""

from __future__ import annotations

import numpy as np
import pytest

from sift_py.data import read_channels, read_overview
from sift_py.errors import DataError, DataReadError


@pytest.mark.parametrize("name", ["d", "f", "i32", "i64", "u32", "u64", "b", "mode"])
def test_each_bucket_has_the_last_the_smallest_and_the_largest_value(rig, name):
    overview = read_overview("rig", name, run="one", pixels=10, source=rig.channel)
    readings = read_channels("rig", name, run="one", source=rig.channel)[name]
    assert 5 <= len(overview) <= 10
    assert overview.table["last"].type == readings.values.type
    times, values = readings.timestamps_ns, np.array(readings.values.to_pylist())
    for row in overview.table.to_pylist():
        first_ns = row["start"].value
        mine = (times >= first_ns) & (times < first_ns + overview.bucket_ns)
        assert row["last_time"].value == times[mine][-1]
        assert row["last"] == values[mine][-1]
        assert (row["minimum"], row["maximum"]) == (values[mine].min(), values[mine].max())
    assert (overview.channel, overview.asset) == (name, "rig")


def test_it_fits_the_points_if_no_time_is_asked_for(rig):
    """However far apart the earliest and the latest time are that there may be."""
    overview = read_overview("rig", "d", run="two", pixels=100, source=rig.channel)
    assert overview.bucket_ns < 10**6
    assert len(overview) == 10


def test_a_time_is_taken_as_it_is_asked_for(rig):
    times = read_channels("rig", "d", run="one", source=rig.channel)["d"].timestamps_ns
    start, end = int(times[10]), int(times[20])
    overview = read_overview("rig", "d", start, end, run="one", pixels=500, source=rig.channel)
    assert overview.table["last_time"].cast("int64").to_pylist() == times[10:20].tolist()
    assert overview.to_pandas().shape == (10, 4)


def test_an_enum_has_its_states_and_a_unit_is_told(rig):
    overview = read_overview("rig", "mode", source=rig.channel)
    assert overview.states == {0: "off", 7: "on"}
    assert read_overview("rig", "d", source=rig.channel).unit == "m"


def test_without_points_there_are_no_buckets(rig):
    assert len(read_overview("rig", "mode", run="two", source=rig.channel)) == 0


def test_what_can_not_be_is_said(rig):
    with pytest.raises(DataError, match=r"no channel 'x'"):
        read_overview("rig", "x", source=rig.channel)
    with pytest.raises(DataReadError, match="STRING values"):
        read_overview("rig", "text", source=rig.channel)
    for pixels in (0, 1_000_001, 1.5, True):
        with pytest.raises(DataReadError, match="buckets is a number from 1 to BUCKETS_MAX"):
            read_overview("rig", "d", pixels=pixels, source=rig.channel)
    with pytest.raises(DataReadError, match="is not behind"):
        read_overview("rig", "d", 10, 5, source=rig.channel)
