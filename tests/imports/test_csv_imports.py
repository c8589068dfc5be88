"""CSV files by the protocol: what is in the file is read back, value by value."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import grpc
import pytest

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift.jobs.v1 import jobs_pb2
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.imports import ImportLimits

if TYPE_CHECKING:
    from support.imports import ImportDoors

T0 = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""

FILE = b"""time,speed,on,count,state,note,bits
2026-01-01T00:00:00.123456789Z,1.5,true,-9007199254740993,idle,"a, b",5
2026-01-01T00:00:01Z,-0.0,false,9223372036854775807,2,gr\xc3\xbc\xc3\x9fe,255
2026-01-01T00:00:02Z,,,,,,
"""


def channel(name: str, data_type: str, **more: object) -> dict[str, object]:
    return {"name": name, "dataType": f"CHANNEL_DATA_TYPE_{data_type}", **more}


def csv_config(**more: object) -> dict[str, object]:
    """The config of `FILE`."""
    return {
        "assetName": "rover",
        "firstDataRow": 2,
        "timeColumn": {"columnNumber": 1, "format": "TIME_FORMAT_ABSOLUTE_RFC3339"},
        "dataColumns": {
            "2": channel("speed", "DOUBLE", units="m/s"),
            "3": channel("on", "BOOL"),
            "4": channel("count", "INT_64"),
            "5": channel(
                "state",
                "ENUM",
                enumTypes=[{"name": "idle", "key": 1}, {"name": "drive", "key": 2}],
            ),
            "6": channel("note", "STRING"),
            "7": channel(
                "bits",
                "BIT_FIELD",
                bitFieldElements=[
                    {"name": "low", "index": 0, "bitCount": 4},
                    {"name": "high", "index": 4, "bitCount": 4},
                ],
            ),
        },
        **more,
    }


def small(fmt: str, **time_column: object) -> dict[str, object]:
    """The config of a file of times and doubles."""
    return {
        "assetName": "rover",
        "firstDataRow": 2,
        "timeColumn": {"columnNumber": 1, "format": f"TIME_FORMAT_{fmt}", **time_column},
        "dataColumns": {"2": channel("v", "DOUBLE")},
    }


def test_every_value_of_a_file_comes_back(doors: ImportDoors):
    """Nanoseconds, integers beyond doubles, enums by name and by key, bit fields; nothing is no
    value."""
    imported = doors.run(FILE, csv_config=csv_config(runName="drive"))
    assert (imported.status, imported.error_message) == (pb.DATA_IMPORT_STATUS_SUCCEEDED, "")
    first = T0 + 123_456_789
    assert doors.points(imported) == {
        "speed": [(first, 1.5), (T0 + 10**9, 0.0)],
        "on": [(first, True), (T0 + 10**9, False)],
        "count": [(first, -9007199254740993), (T0 + 10**9, 2**63 - 1)],
        "state": [(first, 1), (T0 + 10**9, 2)],
        "note": [(first, "a, b"), (T0 + 10**9, "grüße")],
        "bits": [
            (first, "low", 5), (T0 + 10**9, "low", 15),
            (first, "high", 0), (T0 + 10**9, "high", 15),
        ],
    }  # fmt: skip
    assert imported.data_start_time.ToNanoseconds() == first
    assert imported.data_stop_time.ToNanoseconds() == T0 + 2 * 10**9
    runs = runs_pb2_grpc.RunServiceStub(doors.channel)
    assert runs.GetRun(runs_pb2.GetRunRequest(run_id=imported.run_id)).run.name == "drive"
    assert imported.csv_config.data_columns[2].units == "m/s"


def test_its_job_says_how_far_it_is(doors: ImportDoors):
    """As published clients read it: by an id that the upload was answered with."""
    created = doors.create(csv_config=csv_config())
    assert doors.get(created.data_import_id).status == pb.DATA_IMPORT_STATUS_PENDING
    answer = doors.upload(created.upload_url, FILE)
    assert answer.content["dataImportId"] == created.data_import_id
    doors.wait(created.data_import_id)
    job = doors.job(answer.content["jobId"])
    assert job.job_type == jobs_pb2.JOB_TYPE_DATA_IMPORT
    assert job.job_status == jobs_pb2.JOB_STATUS_FINISHED
    assert job.job_details.data_import.data_import_id == created.data_import_id
    progress = job.job_status_details.data_import
    assert (progress.points_processed, progress.points_total) == (12, 12)


@pytest.mark.parametrize(
    ("fmt", "cell", "start", "nanoseconds"),
    [
        ("ABSOLUTE_DATETIME", "2026-01-01 00:00:00.000000001", None, T0 + 1),
        ("ABSOLUTE_UNIX_SECONDS", "1767225600.000000001", None, T0 + 1),
        ("ABSOLUTE_UNIX_MILLISECONDS", "1767225600000.000001", None, T0 + 1),
        ("ABSOLUTE_UNIX_MICROSECONDS", "1767225600000001", None, T0 + 1_000),
        ("ABSOLUTE_UNIX_NANOSECONDS", "1767225600000000001", None, T0 + 1),
        ("RELATIVE_NANOSECONDS", "7", "2026-01-01T00:00:00.000000001Z", T0 + 8),
        ("RELATIVE_MICROSECONDS", "7", "2026-01-01T00:00:00Z", T0 + 7_000),
        ("RELATIVE_MILLISECONDS", "7.5", "2026-01-01T00:00:00Z", T0 + 7_500_000),
        ("RELATIVE_SECONDS", "0.1", "2026-01-01T00:00:00Z", T0 + 100_000_000),
        ("RELATIVE_MINUTES", "1.5", "2026-01-01T00:00:00Z", T0 + 90 * 10**9),
        ("RELATIVE_HOURS", "-1", "2026-01-01T00:00:00Z", T0 - 3_600 * 10**9),
    ],
)
def test_times_keep_their_nanoseconds(doors, fmt, cell, start, nanoseconds):
    """In every format of the protocol."""
    more = {"relativeStartTime": start} if start else {}
    imported = doors.run(f"t,v\n{cell},1.5\n".encode(), csv_config=small(fmt, **more))
    assert doors.points(imported) == {"v": [(nanoseconds, 1.5)]}, imported.error_message


def test_a_run_that_is_there_is_used(doors: ImportDoors):
    runs = runs_pb2_grpc.RunServiceStub(doors.channel)
    run_id = runs.CreateRun(runs_pb2.CreateRunRequest(name="drive", description="")).run.run_id
    imported = doors.run(FILE, csv_config=csv_config(runId=run_id))
    assert imported.run_id == run_id
    assert len(doors.points(imported, "speed")["speed"]) == 2
    missing = doors.run(FILE, csv_config=csv_config(runId="none"))
    assert "there is no run with the id 'none'" in missing.error_message


def test_a_file_that_says_what_is_in_it(doors: ImportDoors):
    """A row of JSON, the first or the second, as the published client documents it."""
    file = (
        b"Time,Speed\n"
        b'"{""format"": ""TIME_FORMAT_ABSOLUTE_UNIX_NANOSECONDS""}",'
        b'"{""name"": ""speed"", ""units"": ""m/s"", ""dataType"": ""CHANNEL_DATA_TYPE_FLOAT""}"\n'
        b"17,0.5\n"
    )
    imported = doors.run(file, csv_config={"assetName": "rover", "useEmbeddedConfig": True})
    assert doors.points(imported) == {"speed": [(17, 0.5)]}, imported.error_message
    plain = doors.run(FILE, csv_config={"assetName": "rover", "useEmbeddedConfig": True})
    assert "use_embedded_config" in plain.error_message
    request = pb.DetectConfigRequest(data=file, type=pb.DATA_TYPE_KEY_CSV)
    config = doors.stub.DetectConfig(request).csv_config
    assert (config.first_data_row, config.time_column.column_number) == (3, 1)
    assert config.data_columns[2].name == "speed"


def test_what_is_in_a_file_is_found_out(doors: ImportDoors):
    """From its beginning, which may end in the middle of a row."""
    request = pb.DetectConfigRequest(data=FILE[:-10] + b"\n2026-01", type=pb.DATA_TYPE_KEY_CSV)
    config = doors.stub.DetectConfig(request).csv_config
    assert config.time_column.column_number == 1
    assert config.time_column.format == pb.TIME_FORMAT_ABSOLUTE_RFC3339
    assert config.first_data_row == 2
    assert {number: one.name for number, one in config.data_columns.items()}[4] == "count"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "has none"),
        ({"csvConfig": csv_config(), "parquetConfig": {}}, "csv_config and parquet_config"),
        ({"csvConfig": csv_config(assetName=" ")}, "names no asset"),
        ({"csvConfig": csv_config(runName="a", runId="b")}, "give one of them"),
        ({"csvConfig": csv_config(timeColumn={})}, "no time_column"),
        ({"csvConfig": csv_config(dataColumns={})}, "no data_columns"),
        ({"csvConfig": csv_config(dataColumns={"1": channel("v", "DOUBLE")})}, "one of them"),
        ({"csvConfig": csv_config(dataColumns={"0": channel("v", "DOUBLE")})}, "count from 1"),
        ({"csvConfig": csv_config(dataColumns={"2": channel("", "DOUBLE")})}, "no channel name"),
        ({"csvConfig": csv_config(dataColumns={"2": {"name": "v"}})}, "data type 0"),
        ({"csvConfig": csv_config(dataColumns={"2": channel("v", "BYTES")})}, "don't read"),
        ({"csvConfig": small("RELATIVE_SECONDS")}, "relative_start_time"),
        ({"csvConfig": small("UNSPECIFIED")}, "format 0"),
    ],
)
def test_a_config_that_can_not_be_right_is_refused_before_a_file_is_sent(doors, config, said):
    with pytest.raises(grpc.RpcError) as refused:
        doors.create(**config)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in refused.value.details()


@pytest.mark.parametrize("kind", ["ch10Config", "batchConfig"])
def test_what_is_not_read_is_said(doors, kind):
    with pytest.raises(grpc.RpcError) as refused:
        doors.create(**{kind: {"assetName": "rover"}})
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"time,v\nyesterday,1\n", "flight.csv, line 2, column"),
        (b"time,v\n1970-01-01T00:00:00Z,fast\n", "flight.csv, line 2, column v"),
        (b"time,v\n1970-01-01T00:00:00Z,1,2\n1970-01-01T00:00:00Z,1\n1970-01-01T00:00:01Z,1\n",
         "3 cells"),
        (b"time\n1970-01-01T00:00:00Z\n", "names column 2"),
        (b"\x00\x01\x02\x03" * 100, "no text"),
    ],
)  # fmt: skip
def test_a_config_that_does_not_fit_the_file_is_said(doors, file, said):
    """With the place, and the client's name of the file."""
    imported = doors.run(file, "flight.csv", csv_config=small("ABSOLUTE_RFC3339"))
    assert imported.status == pb.DATA_IMPORT_STATUS_FAILED
    assert said in imported.error_message
    assert imported.data_import_id not in imported.error_message


def test_a_number_of_rows_that_is_wrong_is_warned_of(doors: ImportDoors):
    imported = doors.run(FILE, csv_config=csv_config(numRows=7))
    assert imported.status == pb.DATA_IMPORT_STATUS_SUCCEEDED
    assert list(imported.warning_messages) == [
        "the config says num_rows = 7, and the file has 3 rows"
    ]


def test_a_file_may_be_compressed(doors: ImportDoors):
    """By itself, or on its way."""
    imported = doors.run(gzip.compress(FILE), csv_config=csv_config(assetName="one"))
    assert len(doors.points(imported, "speed")["speed"]) == 2
    created = doors.create(csv_config=csv_config(assetName="two"))
    zipped = gzip.compress(FILE[:70]) + gzip.compress(FILE[70:])
    answer = doors.upload(created.upload_url, zipped, **{"content-encoding": "gzip"})
    assert answer.status == 200
    imported = doors.wait(created.data_import_id)
    assert len(doors.points(imported, "speed")["speed"]) == 2


def test_the_same_file_twice_changes_nothing(doors: ImportDoors):
    """The same points are the same points."""
    first = doors.run(FILE, csv_config=csv_config())
    second = doors.run(FILE, csv_config=csv_config())
    assert first.asset_id == second.asset_id
    assert len(doors.points(second, "count")["count"]) == 2


@pytest.mark.parametrize("settings", [{"import_limits": ImportLimits(points_max=11)}])
def test_a_file_has_so_many_points(doors):
    imported = doors.run(FILE, csv_config=csv_config())
    assert (imported.status, "points_max = 11" in imported.error_message) == (
        pb.DATA_IMPORT_STATUS_FAILED, True,
    )  # fmt: skip
