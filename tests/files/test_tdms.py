"""TDMS files: waveforms, and channels with the times in another."""

from __future__ import annotations

import numpy as np
import pytest
from nptdms import ChannelObject, TdmsWriter

from sift_files import Hints, PlanError, UnreadableFileError, detect, read
from support.files import points_of, started, types_of

START = np.datetime64("2022-06-24T15:17:16.250000")
START_NS = 1_656_083_836_250_000_000
WAVE = {"wf_start_time": START, "wf_increment": 0.001, "wf_start_offset": 0.0}


def written(tmp_path, *channels):
    path = tmp_path / "log.tdms"
    with TdmsWriter(path) as writer:
        writer.write_segment([ChannelObject(*one) for one in channels])
    return path


def test_waveforms_have_times_of_their_own(tmp_path):
    """Channels with other rates are other tables."""
    path = written(
        tmp_path,
        ("bench", "thrust", np.arange(5) / 2, {**WAVE, "unit_string": "kN"}),
        ("bench", "pressure [bar]", np.arange(5, dtype=np.int32), WAVE),
        ("bench", "slow", np.arange(2, dtype=np.float32), {**WAVE, "wf_increment": 0.5}),
    )
    plan = detect(path)
    assert [(table.name, table.rows) for table in plan.tables] == [("bench", 5), ("bench_2", 2)]
    assert types_of(plan) == {"thrust": "double", "pressure": "int32", "slow": "float"}
    assert [one.unit for one in plan.tables[0].columns] == ["kN", "bar"]
    points = points_of(path, plan)
    assert points["thrust"] == [(START_NS + at * 1_000_000, at / 2) for at in range(5)]
    assert points["slow"] == [(START_NS, 0.0), (START_NS + 500_000_000, 1.0)]
    assert points_of(path, started(plan, 7))["slow"][1] == (500_000_007, 1.0)


def test_waveforms_without_a_start_need_one(tmp_path):
    """Nothing is guessed."""
    path = written(tmp_path, ("a", "x", np.arange(3), {"wf_increment": 0.1}))
    plan = detect(path)
    with pytest.raises(PlanError, match="--start-time"):
        points_of(path, plan)
    assert points_of(path, started(plan, 7))["x"][2] == (200_000_007, 2)


def test_a_channel_can_have_the_times(tmp_path):
    """By its type, or its name."""
    times = np.array(["2022-06-24T15:17:16.25", "2022-06-24T15:17:17.25"], "datetime64[us]")
    path = written(
        tmp_path,
        ("a", "when", times),
        ("a", "x", np.array([1, 2], np.uint64)),
        ("a", "word", ["ü", "b"]),
        ("b", "Time (ms)", np.array([0.5, 1.5])),
        ("b", "ok", np.array([True, False])),
    )
    plan = started(detect(path))
    assert types_of(plan) == {"a.x": "uint64", "a.word": "string", "b.ok": "bool"}
    points = points_of(path, plan)
    assert points["a.x"] == [(START_NS, 1), (START_NS + 10**9, 2)]
    assert points["a.word"] == [(START_NS, "ü"), (START_NS + 10**9, "b")]
    assert points["b.ok"] == [(500_000, True), (1_500_000, False)]


def test_a_channel_of_times_can_be_named(tmp_path):
    """By its name or its path."""
    path = written(tmp_path, ("a", "clock", np.array([1.6e9, 1.6e9 + 1])), ("a", "x", np.arange(2)))
    for name in ("clock", "a/clock"):
        assert points_of(path, detect(path, Hints(time=(name,))))["x"][1] == (
            1_600_000_001 * 10**9,
            1,
        )
    with pytest.raises(PlanError, match="no column 'clack'"):
        detect(path, Hints(time=("clack",)))


def test_a_file_is_read_on_from_every_place(tmp_path):
    """Over tables."""
    path = written(
        tmp_path,
        ("a", "x", np.arange(100_000), WAVE),
        ("b", "y", np.arange(100_000), WAVE),
    )
    plan = detect(path)
    whole = list(read(path, plan))
    assert len(whole) == 4
    for at, batch in enumerate(whole):
        rest = list(read(path, plan, start=batch.place))
        assert [(one.table, one.times_ns[0]) for one in rest] == [
            (one.table, one.times_ns[0]) for one in whole[at + 1 :]
        ]


def test_what_is_wrong_is_told(tmp_path):
    """A file of nothing but a first word, and a plan of another file."""
    path = written(tmp_path, ("a", "x", np.arange(1000), WAVE))
    plan = detect(path)
    (tmp_path / "cut.tdms").write_bytes(path.read_bytes()[:20])
    with pytest.raises(UnreadableFileError, match="no channels"):
        detect(tmp_path / "cut.tdms")
    (tmp_path / "cut.tdms").write_bytes(path.read_bytes()[:4000])
    assert any("cut off" in note for note in detect(tmp_path / "cut.tdms").notes)
    values = [value for _, value in points_of(tmp_path / "cut.tdms")["x"]]
    assert values == list(range(len(values)))
    path = written(tmp_path, ("a", "y", np.arange(10), WAVE))
    with pytest.raises(PlanError, match="no channel 'a/x'"):
        list(read(path, plan))
