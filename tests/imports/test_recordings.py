"""Files of messages by the protocol: PX4 ULog and MCAP, all of them or what a config selects."""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from mcap.writer import Writer

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from support.ulog_file import ulog

if TYPE_CHECKING:
    from support.imports import ImportDoors

T0 = 1_767_225_600_000_000_000
START = "2026-01-01T00:00:00Z"
SUCCEEDED, FAILED = pb.DATA_IMPORT_STATUS_SUCCEEDED, pb.DATA_IMPORT_STATUS_FAILED
LOG = ulog(
    {"gyro": "uint64_t timestamp;float x;int32_t[2] n;"},
    [
        ("gyro", 0, struct.pack("<Qfii", 1_000, 0.5, 1, 2)),
        ("gyro", 1, struct.pack("<Qfii", 2_000, 1.5, 3, 4)),
    ],
    [(b"6", 3_000, "armed")],
)
DOUBLE = "CHANNEL_DATA_TYPE_DOUBLE"


def metadata_of(doors: ImportDoors, run_id: str) -> dict[str, Any]:
    run = runs_pb2_grpc.RunServiceStub(doors.channel).GetRun(runs_pb2.GetRunRequest(run_id=run_id))
    return {one.key.name: one.string_value or one.number_value for one in run.run.metadata}


def test_all_of_a_log(doors: ImportDoors):
    """By the names that published servers give; times count from when the log began."""
    imported = doors.run(LOG, ulog_config={"assetName": "drone", "relativeStartTime": START})
    assert imported.status == SUCCEEDED, imported.error_message
    points = doors.points(imported)
    assert points["gyro_0.x"] == [(T0 + 1_000_000, 0.5)]
    assert points["gyro_1.n[1]"] == [(T0 + 2_000_000, 4)]
    assert points["log_messages"] == [(T0 + 3_000_000, "armed")]


def test_selected_fields_of_a_log(doors: ImportDoors):
    data = [
        {
            "messageName": "gyro", "instance": "1", "fieldName": "x",
            "channelConfig": {"name": "rate", "dataType": DOUBLE},
        },
        {"messageName": "log_messages", "channelConfig": {"dataType": "CHANNEL_DATA_TYPE_STRING"}},
    ]  # fmt: skip
    config = {"assetName": "drone", "relativeStartTime": START, "data": data}
    imported = doors.run(LOG, ulog_config=config)
    assert doors.points(imported) == {
        "rate": [(T0 + 2_000_000, 1.5)], "log_messages": [(T0 + 3_000_000, "armed")],
    }, imported.error_message  # fmt: skip
    data[0]["instance"] = "7"
    missing = doors.run(LOG, ulog_config=config)
    assert "no field 'x' of the message 'gyro', instance 7" in missing.error_message


def test_what_a_log_can_not_be_imported_without(doors: ImportDoors):
    """A time of day, and whole messages; keys for metadata need a run."""
    without = doors.run(LOG, ulog_config={"assetName": "drone"})
    assert "relative_start_time" in without.error_message
    config = {"assetName": "drone", "relativeStartTime": START}
    cut_off = doors.run(LOG[:-3], "log.ulg", ulog_config=config)
    assert "cut off in the middle of a message" in cut_off.error_message
    ignoring = config | {"parseErrorPolicy": "ULOG_PARSE_ERROR_POLICY_IGNORE_ERROR"}
    imported = doors.run(LOG[:-3], "log.ulg", ulog_config=ignoring)
    assert doors.points(imported, "gyro_0.x") == {"gyro_0.x": [(T0 + 1_000_000, 0.5)]}
    assert "cut off in the middle" in imported.warning_messages[0]
    no_log = doors.run(b"none", "log.ulg", ulog_config=config)
    assert no_log.status == FAILED
    with pytest.raises(grpc.RpcError, match="give the config a run_name"):
        doors.create(ulog_config=config | {"infoKeys": ["sys_name"]})
    lacking = doors.run(LOG, ulog_config=config | {"runName": "a", "paramKeys": ["GAIN"]})
    assert "no param 'GAIN'" in lacking.error_message


def mcap_of(*, with_other: bool = False) -> bytes:
    buffer = io.BytesIO()
    writer = Writer(buffer)
    writer.start()
    schema = writer.register_schema("state", "jsonschema", b"{}")
    channel = writer.register_channel("/imu", "json", schema)
    other = writer.register_channel("/picture", "jpeg", 0)
    for at in (5, 6):
        row = json.dumps({"gyro": {"x": at / 2}, "ok": True}).encode()
        writer.add_message(channel, T0 + at, row, T0 + at)
        if with_other:
            writer.add_message(other, T0 + at, b"\xff\xd8", T0 + at)
    writer.add_metadata("flight", {"pilot": "Ellen"})
    writer.finish()
    return buffer.getvalue()


def test_all_of_an_mcap_file(doors: ImportDoors):
    """Records of metadata become the run's."""
    config = {"assetName": "drone", "runName": "flight", "metadataRecords": ["flight"]}
    imported = doors.run(mcap_of(), mcap_config=config)
    assert imported.status == SUCCEEDED, imported.error_message
    assert doors.points(imported) == {
        "/imu.gyro.x": [(T0 + 5, 2.5), (T0 + 6, 3.0)],
        "/imu.ok": [(T0 + 5, True), (T0 + 6, True)],
    }
    assert metadata_of(doors, imported.run_id) == {"flight.pilot": "Ellen"}
    lacking = doors.run(mcap_of(), mcap_config=config | {"metadataRecords": ["none"]})
    assert "no metadata record 'none'" in lacking.error_message


def test_selected_fields_of_an_mcap_file(doors: ImportDoors):
    """Times may count from a start."""
    one = {
        "topic": "/imu",
        "ros2": {"fieldPath": "gyro.x"},
        "channelConfig": {"dataType": DOUBLE, "name": "rate"},
    }
    start = "1970-01-01T00:00:00.000000001Z"
    config = {"assetName": "drone", "data": [one], "relativeStartTime": start}
    imported = doors.run(mcap_of(), mcap_config=config)
    assert doors.points(imported) == {"rate": [(T0 + 6, 2.5), (T0 + 7, 3.0)]}
    missing = doors.run(mcap_of(), mcap_config=config | {"data": [one | {"topic": "/none"}]})
    assert "no field 'gyro.x' of the topic '/none'" in missing.error_message
    with pytest.raises(grpc.RpcError, match=r"ros2\.field_path"):
        doors.create(mcap_config=config | {"data": [{"topic": "/imu"}]})


def test_topics_that_can_not_be_decoded(doors: ImportDoors):
    """Fail the import, unless errors are to be ignored."""
    failed = doors.run(mcap_of(with_other=True), mcap_config={"assetName": "drone"})
    assert "/picture can't be decoded" in failed.error_message
    policy = {"parseErrorPolicy": "MCAP_PARSE_ERROR_POLICY_IGNORE_ERROR"}
    imported = doors.run(mcap_of(with_other=True), mcap_config={"assetName": "drone", **policy})
    assert imported.status == SUCCEEDED
    assert "/picture is left out" in imported.warning_messages[0]
    broken = doors.run(mcap_of()[:100], "log.mcap", mcap_config={"assetName": "drone"})
    assert "log.mcap" in broken.error_message


def test_a_log_that_is_too_large_is_refused(doors: ImportDoors, monkeypatch):
    """It would have to fit memory."""
    monkeypatch.setattr("sift_server.api.import_configs.ulog.LOG_BYTES_MAX", 100)
    config = {"assetName": "drone", "relativeStartTime": START}
    assert "LOG_BYTES_MAX = 100" in doors.run(LOG, ulog_config=config).error_message
