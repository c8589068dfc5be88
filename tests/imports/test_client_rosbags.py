"""Bags of ROS, uploaded by the names of published releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from sift_py.data_import.rosbags import RosbagsUploadService
from sift_py.errors import DataImportConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from support.imports import ImportDoors

START_NS = 1_656_083_836_000_000_001
STORE = get_typestore(Stores.ROS2_HUMBLE)


def bag_of(path: Path) -> Path:
    vector = STORE.types["geometry_msgs/msg/Vector3"]
    text = STORE.types["std_msgs/msg/String"]
    numbers = STORE.types["std_msgs/msg/Float32MultiArray"]
    layout = STORE.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=2**32 - 1)
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        for topic, messages in {
            "/speed": [vector(x=0.1, y=np.inf, z=5e-324), vector(x=1.0, y=2.0, z=3.0)],
            "/note": [text(data='grün, "so"\n')],
            "/list": [numbers(layout=layout, data=np.array([0.1, np.nan], np.float32))],
        }.items():
            kind = messages[0].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for at, message in enumerate(messages):
                writer.write(connection, START_NS + at, STORE.serialize_cdr(message, kind))
    return path


def test_each_topic_has_its_times(doors: ImportDoors, tmp_path: Path):
    """Values are exact, though they travel as text."""
    service = RosbagsUploadService({"uri": f"http://{doors.address}", "apikey": doors.api_key})
    bag = bag_of(tmp_path / "drive")
    imported = service.upload(bag, [], Stores.ROS2_HUMBLE, "rover", run_name="drive")
    done = imported.wait_until_complete()
    assert done.error_message == ""
    points = doors.points(doors.get(done.data_import_id))
    assert points["speed.x"] == [(START_NS, 0.1), (START_NS + 1, 1.0)]
    assert points["speed.y"] == [(START_NS, np.inf), (START_NS + 1, 2.0)]
    assert points["speed.z"][0] == (START_NS, 5e-324)
    assert points["note.data"] == [(START_NS, 'grün, "so"\n')]
    assert points["list.layout.data_offset"] == [(START_NS, 2**32 - 1)]
    assert points["list.data[0]"] == [(START_NS, float(np.float32(0.1)))]
    assert np.isnan(points["list.data[1]"][0][1])


def test_what_is_no_bag_is_said(doors: ImportDoors, tmp_path: Path):
    service = RosbagsUploadService({"uri": f"http://{doors.address}", "apikey": doors.api_key})
    with pytest.raises(FileNotFoundError):
        service.upload(tmp_path / "none", [], None, "rover")
    (tmp_path / "a.bag").write_bytes(b"none")
    with pytest.raises(DataImportConfigError, match="does not begin like one"):
        service.upload(tmp_path / "a.bag", [], None, "rover")
    with pytest.raises(DataImportConfigError, match="handlers"):
        service.upload(tmp_path / "a.bag", [], None, "rover", handlers={"/a": print})
