"""TDMS files by the protocol: what is in the file is read back, value by value."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from nptdms import ChannelObject, RootObject, TdmsWriter

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift.runs.v2 import runs_pb2, runs_pb2_grpc

if TYPE_CHECKING:
    from support.imports import ImportDoors

T0 = 1_767_225_600_000_000_000
START = np.datetime64("2026-01-01T00:00:00", "us")
WAVE = {"wf_start_time": START, "wf_increment": 0.25, "wf_start_offset": 0.0}
SUCCEEDED, FAILED = pb.DATA_IMPORT_STATUS_SUCCEEDED, pb.DATA_IMPORT_STATUS_FAILED


def file_of(*channels: ChannelObject, **properties: Any) -> bytes:
    buffer = io.BytesIO()
    with TdmsWriter(buffer) as writer:
        writer.write_segment([RootObject(properties), *channels])
    return buffer.getvalue()


FILE = file_of(
    ChannelObject("engine", "thrust", np.array([1.5, 2.5]), {**WAVE, "unit_string": "kN"}),
    ChannelObject("imu", "Time", np.array([START, START + 1], "M8[us]")),
    ChannelObject("imu", "gyro", np.array([7, 8], np.int32)),
    operator="Ellen",
    serial=7,
)


def test_all_of_a_file(doors: ImportDoors):
    """Waveforms and channels with times in another; properties become metadata of the run."""
    imported = doors.run(
        FILE,
        tdms_config={"assetName": "rover", "runName": "burn", "importFileProperties": True},
    )
    assert imported.status == SUCCEEDED, imported.error_message
    assert doors.points(imported) == {
        "engine.thrust": [(T0, 1.5), (T0 + 250_000_000, 2.5)],
        "imu.gyro": [(T0, 7), (T0 + 1_000, 8)],
    }
    runs = runs_pb2_grpc.RunServiceStub(doors.channel)
    run = runs.GetRun(runs_pb2.GetRunRequest(run_id=imported.run_id)).run
    assert {one.key.name: one.string_value or one.number_value for one in run.metadata} == {
        "operator": "Ellen", "serial": 7.0,
    }  # fmt: skip


def test_selected_channels(doors: ImportDoors):
    """With names and types of the config; another start of waveforms."""
    channel = {"name": "force", "dataType": "CHANNEL_DATA_TYPE_FLOAT", "units": "N"}
    gyro = {"name": "gyro", "dataType": "CHANNEL_DATA_TYPE_INT_64"}
    config = {
        "assetName": "rover",
        "startTimeOverride": "2026-01-01T00:00:01Z",
        "data": [
            {"groupName": "engine", "channelName": "thrust", "channelConfig": channel},
            {
                "groupName": "imu", "channelName": "gyro", "channelConfig": gyro,
                "timeChannelName": "Time",
            },
        ],
    }  # fmt: skip
    imported = doors.run(FILE, tdms_config=config)
    assert imported.status == SUCCEEDED, imported.error_message
    assert doors.points(imported) == {
        "force": [(T0 + 10**9, 1.5), (T0 + 1_250_000_000, 2.5)],
        "gyro": [(T0, 7), (T0 + 1_000, 8)],
    }


def test_channels_without_times(doors: ImportDoors):
    """Fail the import, unless they are to be left out."""
    file = file_of(
        ChannelObject("a", "v", np.array([1.5]), WAVE), ChannelObject("b", "w", np.array([1, 2, 3]))
    )
    failed = doors.run(file, tdms_config={"assetName": "rover"})
    assert (failed.status, "no times were found for b/w" in failed.error_message) == (FAILED, True)
    ignoring = {"assetName": "rover", "fallbackMethod": "TDMS_FALLBACK_METHOD_IGNORE_ERROR"}
    imported = doors.run(file, tdms_config=ignoring)
    assert doors.points(imported) == {"a.v": [(T0, 1.5)]}
    assert "no times were found for b/w: left out" in imported.warning_messages


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"importFileProperties": True}, "give the config a run_name"),
        ({"data": [{"scaled": False}]}, "unscaled"),
        ({"data": [{"complexComponent": "TDMS_COMPLEX_COMPONENT_IMAGINARY"}]}, "imaginary"),
        ({"timeFormat": "TIME_FORMAT_RELATIVE_HOURS"}, "relative_start_time"),
    ],
)
def test_what_is_not_done_is_said(doors, more, said):
    with pytest.raises(grpc.RpcError, match=said):
        doors.create(tdms_config={"assetName": "rover", **more})


def test_a_file_that_does_not_fit_is_said(doors: ImportDoors):
    gone = {"groupName": "engine", "channelName": "none"}
    gone["channelConfig"] = {"name": "v", "dataType": "CHANNEL_DATA_TYPE_DOUBLE"}
    imported = doors.run(FILE, tdms_config={"assetName": "rover", "data": [gone]})
    assert imported.error_message == "the file has no channel 'none' of the group 'engine'"
    broken = doors.run(FILE[:20], "burn.tdms", tdms_config={"assetName": "rover"})
    assert (broken.status, "burn.tdms" in broken.error_message) == (FAILED, True)


def test_what_is_in_a_file_is_found_out(doors: ImportDoors):
    request = pb.DetectConfigRequest(data=FILE, type=pb.DATA_TYPE_KEY_TDMS)
    found = doors.stub.DetectConfig(request).tdms_config
    assert [(one.group_name, one.channel_name, one.time_channel_name) for one in found.data] == [
        ("engine", "thrust", ""), ("imu", "gyro", "Time"),
    ]  # fmt: skip
