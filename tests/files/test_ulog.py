"""PX4 ULog files: every field of every message and instance."""

from __future__ import annotations

import struct

import pytest

from sift_files import Hints, PlanError, UnreadableFileError, detect, read
from support.files import points_of, started, types_of
from support.ulog_file import ulog

FORMATS = {
    "vehicle_gps_position": "uint64_t timestamp;uint64_t time_utc_usec;int32_t lat;",
    "sensor": "uint64_t timestamp;float[2] gyro;double x;uint8_t count;bool armed;int64_t big;",
}
UTC_US = 1_656_083_836_000_000


@pytest.fixture
def path(tmp_path):
    rows = [
        ("vehicle_gps_position", 0, struct.pack("<QQi", 900_000, 0, 1)),
        ("vehicle_gps_position", 0, struct.pack("<QQi", 1_000_000, UTC_US, 2)),
        *(
            (
                "sensor",
                at % 2,
                struct.pack("<QffdB?q", 1_000_000 + at, at, 0.1, 0.1, at, at > 1, 2**62 + at),
            )
            for at in range(4)
        ),
    ]
    path = tmp_path / "log.ulg"
    path.write_bytes(
        ulog(FORMATS, rows, [(b"3", 1_000_007, "Motor failed"), (b"6", 1_000_008, "ok")])
    )
    return path


def test_a_log_is_read_value_by_value(path):
    """In the time of day that GPS told."""
    plan = detect(path)
    assert [(table.name, table.rows) for table in plan.tables] == [
        ("sensor", 2),
        ("sensor_1", 2),
        ("vehicle_gps_position", 2),
        ("logged_messages", 2),
    ]
    types = types_of(plan)
    assert types["sensor.gyro[0]"] == "float"
    assert types["sensor.armed"] == "bool"
    assert types["logged_messages.level"] == "enum"
    points = points_of(path, plan)
    utc_ns = UTC_US * 1000
    assert points["sensor.gyro[0]"] == [(utc_ns, 0.0), (utc_ns + 2_000, 2.0)]
    assert points["sensor.armed"] == [(utc_ns, False), (utc_ns + 2_000, True)]
    assert points["sensor_1.big"] == [(utc_ns + 1_000, 2**62 + 1), (utc_ns + 3_000, 2**62 + 3)]
    assert points["vehicle_gps_position.lat"] == [(utc_ns - 100_000_000, 1), (utc_ns, 2)]
    assert points["logged_messages.message"] == [
        (utc_ns + 7_000, "Motor failed"),
        (utc_ns + 8_000, "ok"),
    ]
    assert points["logged_messages.level"] == [(utc_ns + 7_000, 51), (utc_ns + 8_000, 54)]


def test_a_log_without_a_time_of_day_needs_a_start(tmp_path):
    """Nothing is guessed."""
    path = tmp_path / "log.ulg"
    path.write_bytes(ulog(FORMATS, [("vehicle_gps_position", 0, struct.pack("<QQi", 7, 0, 1))]))
    plan = detect(path)
    assert any("--start-time" in note for note in plan.notes)
    with pytest.raises(PlanError, match="--start-time"):
        list(read(path, plan))
    assert points_of(path, started(plan, 5))["vehicle_gps_position.lat"] == [(7_005, 1)]


def test_a_file_is_read_on_from_every_place(path):
    """Over tables."""
    plan = detect(path)
    whole = list(read(path, plan))
    for at, batch in enumerate(whole):
        rest = list(read(path, plan, start=batch.place))
        assert [one.table for one in rest] == [one.table for one in whole[at + 1 :]]


def test_what_is_wrong_is_told(path, tmp_path):
    """What is no log, one that is cut off, and columns of times."""
    (tmp_path / "cut.ulg").write_bytes(path.read_bytes()[:20])
    with pytest.raises(UnreadableFileError, match=r"damaged|no messages"):
        detect(tmp_path / "cut.ulg")
    (tmp_path / "other.ulg").write_bytes(b"hello, this is no log")
    with pytest.raises(UnreadableFileError, match="is no ulog file, as its name says"):
        detect(tmp_path / "other.ulg")
    with pytest.raises(PlanError, match="only their start"):
        detect(path, Hints(time=("timestamp",)))
