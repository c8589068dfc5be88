"""Bags of ROS 1 and ROS 2."""

from __future__ import annotations

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from sift_files import UnreadableFileError, detect
from support.files import points_of, types_of

START_NS = 1_656_083_836_000_000_000


def message_of(store):
    """An Imu message."""
    types = store.types
    zero = np.zeros(9)
    header = types["std_msgs/msg/Header"]
    time = types["builtin_interfaces/msg/Time"](sec=5, nanosec=6)
    made = (
        header(seq=1, stamp=time, frame_id="base")
        if "seq" in header.__dataclass_fields__
        else header(stamp=time, frame_id="base")
    )
    vector = types["geometry_msgs/msg/Vector3"]
    return types["sensor_msgs/msg/Imu"](
        header=made,
        orientation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
        orientation_covariance=zero,
        angular_velocity=vector(x=0.1, y=0.2, z=0.3),
        angular_velocity_covariance=zero,
        linear_acceleration=vector(x=1.0, y=2.0, z=9.81),
        linear_acceleration_covariance=np.arange(9) / 2,
    )


def ros_1(path):
    """A bag of ROS 1."""
    store = get_typestore(Stores.ROS1_NOETIC)
    with Writer1(path) as writer:
        connection = writer.add_connection("/imu", "sensor_msgs/msg/Imu", typestore=store)
        for at in range(3):
            data = store.serialize_ros1(message_of(store), "sensor_msgs/msg/Imu")
            writer.write(connection, START_NS + at, data)
    return path


def ros_2(path, plugin):
    """A bag of ROS 2."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    with Writer2(path, version=8, storage_plugin=plugin) as writer:
        connection = writer.add_connection("/imu", "sensor_msgs/msg/Imu", typestore=store)
        for at in range(3):
            data = store.serialize_cdr(message_of(store), "sensor_msgs/msg/Imu")
            writer.write(connection, START_NS + at, data)
    return path


@pytest.mark.parametrize("kind", ["ros 1", "sqlite", "mcap"])
def test_bags_are_read_value_by_value(tmp_path, kind):
    """Of each kind."""
    if kind == "ros 1":
        path = ros_1(tmp_path / "log.bag")
    else:
        plugin = StoragePlugin.SQLITE3 if kind == "sqlite" else StoragePlugin.MCAP
        path = ros_2(tmp_path / "log", plugin)
    plan = detect(path)
    assert types_of(plan)["imu.angular_velocity.x"] == "double"
    assert plan.rows == 3
    points = points_of(path, plan)
    assert points["imu.angular_velocity.y"] == [(START_NS + at, 0.2) for at in range(3)]
    assert points["imu.linear_acceleration_covariance[3]"][0] == (START_NS, 1.5)
    assert points["imu.header.frame_id"][0] == (START_NS, "base")
    assert points["imu.header.stamp.nanosec"][0] == (START_NS, 6)


def test_what_is_wrong_is_told(tmp_path):
    """A bag that is cut off, and a part of a bag."""
    path = ros_1(tmp_path / "log.bag")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableFileError, match="damaged"):
        detect(path)
    folder = ros_2(tmp_path / "log", StoragePlugin.SQLITE3)
    (part,) = folder.glob("*.db3")
    with pytest.raises(UnreadableFileError, match="name the folder"):
        detect(part)
