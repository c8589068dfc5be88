"""MCAP files: JSON, ROS 2 and Protocol Buffers, field by field."""

from __future__ import annotations

import json

import pytest
from mcap.writer import Writer
from mcap_protobuf.writer import Writer as ProtobufWriter
from mcap_ros2.writer import Writer as Ros2Writer

from sift.common.type.v1.channel_bit_field_element_pb2 import ChannelBitFieldElement
from sift_files import Hints, PlanError, UnreadableFileError, detect, messages, read
from support.files import points_of, started, types_of

START_NS = 1_656_083_836_000_000_000
IMU = """std_msgs/Header header
float32[3] gyro
uint64 count
string name
uint8[] raw
bool ok
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""


def json_file(path, rows, topic="/drone/state"):
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=500)
        writer.start()
        schema = writer.register_schema("state", "jsonschema", b"{}")
        channel = writer.register_channel(topic, "json", schema)
        other = writer.register_channel("/picture", "jpeg", 0)
        for at, row in enumerate(rows):
            data = row if isinstance(row, bytes) else json.dumps(row).encode()
            writer.add_message(channel, START_NS + at, data, START_NS + at)
            writer.add_message(other, START_NS + at, b"\xff\xd8", START_NS + at)
        writer.finish()
    return path


def test_json(tmp_path):
    """Types are those that keep every value of every message."""
    rows = [
        {"count": 1, "speed": 1, "pose": {"x": 0.5}, "list": [1, 2], "ok": True, "word": "a"},
        {"count": 2**63, "speed": 2.5, "pose": {"x": 1.5}, "ok": False, "word": None, "late": "x"},
        {"count": 3, "mixed": "7", "long": list(range(100))},
        {"mixed": 7, "big": 2**53 + 1},
        {"big": 0.5},
    ]
    path = json_file(tmp_path / "log.mcap", rows)
    plan = detect(path)
    assert types_of(plan) == {
        "drone.state.count": "uint64", "drone.state.speed": "double",
        "drone.state.pose.x": "double", "drone.state.list[0]": "int64",
        "drone.state.list[1]": "int64", "drone.state.ok": "bool", "drone.state.word": "string",
        "drone.state.late": "string", "drone.state.mixed": "string", "drone.state.big": "string",
    }  # fmt: skip
    assert any("/picture is left out: jpeg" in note for note in plan.notes)
    assert plan.rows == 5
    points = points_of(path, plan)
    assert points["drone.state.count"] == [(START_NS, 1), (START_NS + 1, 2**63), (START_NS + 2, 3)]
    assert points["drone.state.speed"] == [(START_NS, 1.0), (START_NS + 1, 2.5)]
    assert points["drone.state.mixed"] == [(START_NS + 2, "7"), (START_NS + 3, "7")]
    assert points["drone.state.big"] == [(START_NS + 3, "9007199254740993"), (START_NS + 4, "0.5")]
    assert points["drone.state.late"] == [(START_NS + 1, "x")]
    assert points_of(path, started(plan, 7))["drone.state.late"] == [(8, "x")]


def test_ros_2(tmp_path):
    """In the time of the log, or of a stamp in the message."""
    path = tmp_path / "log.mcap"
    with path.open("wb") as file:
        writer = Ros2Writer(file)
        schema = writer.register_msgdef("pkg/msg/Imu", IMU)
        for at in range(3):
            message = {
                "header": {"stamp": {"sec": 5, "nanosec": at}, "frame_id": "base"},
                "gyro": [0.5, 1.5, at], "count": 2**64 - 1, "name": "ü", "raw": [1, 2], "ok": True,
            }  # fmt: skip
            writer.write_message("/imu", schema, message, START_NS + at)
        writer.finish()
    plan = detect(path)
    points = points_of(path, plan)
    assert points["imu.gyro[2]"] == [(START_NS + at, float(at)) for at in range(3)]
    assert points["imu.count"][0] == (START_NS, 2**64 - 1)
    assert points["imu.name"][0] == (START_NS, "ü")
    assert points["imu.ok"][0] == (START_NS, True)
    assert points["imu.header.frame_id"][0] == (START_NS, "base")
    stamped = detect(path, Hints(time=("header.stamp",)))
    assert points_of(path, stamped)["imu.gyro[2]"][2] == (5 * 10**9 + 2, 2.0)
    with pytest.raises(PlanError, match="no topic has a time 'stamp'"):
        detect(path, Hints(time=("stamp",)))


def test_protocol_buffers(tmp_path):
    """By the descriptors in the file."""
    path = tmp_path / "log.mcap"
    with path.open("wb") as file, ProtobufWriter(file) as writer:
        for at in range(2):
            message = ChannelBitFieldElement(name="a", index=at, bit_count=3)
            writer.write_message("/bits", message, START_NS + at, START_NS + at)
    points = points_of(path, detect(path))
    assert points["bits.index"] == [(START_NS, 0), (START_NS + 1, 1)]
    assert points["bits.name"] == [(START_NS, "a"), (START_NS + 1, "a")]


def test_a_file_is_read_on_from_every_place(tmp_path, monkeypatch):
    """Nothing twice, nothing missing."""
    monkeypatch.setattr(messages, "MESSAGES_AT_ONCE", 7)
    path = json_file(tmp_path / "log.mcap", [{"x": at} for at in range(50)])
    plan = detect(path)
    whole = list(read(path, plan))
    assert len(whole) > 5
    for at, batch in enumerate(whole):
        rest = [
            value for one in read(path, plan, start=batch.place) for value in one.times_ns.tolist()
        ]
        assert rest == [value for one in whole[at + 1 :] for value in one.times_ns.tolist()]


def test_what_is_wrong_is_told(tmp_path):
    """A file cut off, bytes that changed, a message that is no JSON, no messages."""
    path = json_file(tmp_path / "log.mcap", [{"x": at} for at in range(50)])
    data = path.read_bytes()
    (tmp_path / "cut.mcap").write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableFileError, match="damaged"):
        detect(tmp_path / "cut.mcap")
    changed = bytearray(data)
    changed[len(data) // 3] ^= 0xFF
    (tmp_path / "changed.mcap").write_bytes(changed)
    with pytest.raises(UnreadableFileError, match="damaged"):
        detect(tmp_path / "changed.mcap")
    with pytest.raises(UnreadableFileError, match=r"a message of /drone/state can't be decoded"):
        detect(json_file(tmp_path / "bad.mcap", [b"{"]))
    with pytest.raises(UnreadableFileError, match="no messages"):
        detect(json_file(tmp_path / "none.mcap", []))
