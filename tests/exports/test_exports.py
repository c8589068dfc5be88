"""Exports of the protocol: what is asked for is in the file, value by value."""

from __future__ import annotations

import io
import zipfile

import grpc
import pyarrow as pa
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from pyarrow import csv, parquet

from exports.conftest import ROWS, START_NS, fetched, times_ns
from sift.calculated_channels.v2.calculated_channels_pb2 import (
    CalculatedChannelAbstractChannelReference as Reference,
)
from sift.exports.v1 import exports_pb2 as pb
from sift.jobs.v1 import jobs_pb2
from sift_py.data import read_channels
from sift_server.exports import ExportLimits

CSV, PARQUET = pb.EXPORT_OUTPUT_FORMAT_CSV, pb.EXPORT_OUTPUT_FORMAT_PARQUET
SETTINGS = [{}, {"export_limits": ExportLimits(batch_points=7)}]


def stamp(time_ns):
    return Timestamp(seconds=time_ns // 10**9, nanos=time_ns % 10**9)


def times(start_ns=START_NS, stop_ns=START_NS + 10**13):
    return {"start_time": stamp(start_ns), "stop_time": stamp(stop_ns)}


def of_runs(*run_ids, **more):
    return {"runs_and_time_range": pb.RunsAndTimeRange(run_ids=run_ids, **more)}


def of_assets(*asset_ids, **more):
    return {"assets_and_time_range": pb.AssetsAndTimeRange(asset_ids=asset_ids, **times(**more))}


def table_of(data):
    return parquet.read_table(io.BytesIO(data))


def files_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def refused(exports, **request):
    with pytest.raises(grpc.RpcError) as error:
        exports.begin(**request)
    return error.value.code(), error.value.details()


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_run_is_exported_as_it_reads(exports, ids):
    """All channels of all assets that have points in it, those of several by their assets."""
    name, data = exports.file(**of_runs(ids.runs[0]), output_format=PARQUET)
    assert name == "export.parquet"
    table = table_of(data)
    assert table.column_names == [
        "time", "rover.motor.speed", "rover.count", "rover.state", "station.wind.speed",
    ]  # fmt: skip
    for asset in ("rover", "station"):
        for each in read_channels(asset, run="drive 1", source=exports.channel):
            column = table.column(f"{asset}.{each.name}")
            there = column.is_valid()
            mine = table["time"].cast(pa.int64()).filter(there).to_pylist()
            assert mine == each.timestamps_ns.tolist()
            assert column.filter(there).to_pylist() == each.named_values().to_pylist()
    assert table.schema.field("rover.motor.speed").metadata[b"unit"] == b"rpm"


@pytest.mark.parametrize("settings", SETTINGS)
def test_csv_of_an_asset_has_the_points_of_all_runs(exports, ids):
    name, data = exports.file(**of_assets(ids.rover), output_format=CSV)
    assert name == "export.csv"
    assert data.splitlines()[0] == b'"time","motor.speed (rpm)","count","state"'
    rows = csv.read_csv(io.BytesIO(data)).to_pylist()
    assert len(rows) == 2 * ROWS
    assert [row["count"] for row in rows[:2]] == [2**53 + 1, 2**53 + 2]
    assert [row["motor.speed (rpm)"] for row in rows] == [
        n / 3 + drive for drive in range(2) for n in range(ROWS)
    ]


def test_runs_have_columns_of_their_own_unless_combined(exports, ids):
    request = of_runs(*ids.runs) | {"output_format": PARQUET}
    channel_ids = [exports_channel(exports, ids.rover, "count")]
    _, data = exports.file(**request, channel_ids=channel_ids)
    table = table_of(data)
    assert table.column_names == ["time", "drive 1.count", "drive 2.count"]
    assert table.num_rows == 2 * ROWS
    assert table["drive 1.count"].null_count == ROWS
    options = pb.ExportOptions(combine_runs=True)
    _, data = exports.file(**request, channel_ids=channel_ids, export_options=options)
    table = table_of(data)
    assert table.column_names == ["time", "count"]
    assert table["count"].null_count == 0
    assert table["time"].cast(pa.int64()).to_pylist() == [*times_ns(0), *times_ns(1)]


def test_files_are_split_by_asset_and_run(exports, ids):
    options = pb.ExportOptions(split_export_by_asset=True, split_export_by_run=True)
    name, data = exports.file(**of_runs(*ids.runs), output_format=CSV, export_options=options)
    assert name == "export.zip"
    files = files_of(data)
    heads = {name: text.splitlines()[0] for name, text in files.items()}
    assert heads == {
        "rover_drive_1.csv": b'"time","motor.speed (rpm)","count","state"',
        "rover_drive_2.csv": b'"time","motor.speed (rpm)","count","state"',
        "station_drive_1.csv": b'"time","wind.speed (m/s)"',
        "station_drive_2.csv": b'"time"',
    }
    options = pb.ExportOptions(split_export_by_asset=True)
    request = of_assets(ids.rover, ids.station) | {"output_format": PARQUET}
    files = files_of(exports.file(**request, export_options=options)[1])
    assert {name: table_of(each).num_rows for name, each in files.items()} == {
        "rover.parquet": 2 * ROWS,
        "station.parquet": ROWS // 2,
    }


def test_names_are_simplified_where_they_stay_unique(exports, ids):
    options = pb.ExportOptions(simplify_channel_names=True)
    _, data = exports.file(**of_runs(ids.runs[0]), output_format=PARQUET, export_options=options)
    assert table_of(data).column_names == [
        "time", "rover.motor.speed", "count", "state", "station.wind.speed",
    ]  # fmt: skip


def test_times_and_channels_are_chosen(exports, ids):
    channel_id = exports_channel(exports, ids.rover, "count")
    selected = pb.TimeRange(**times(int(times_ns()[2]), int(times_ns()[5])))
    _, data = exports.file(time_range=selected, channel_ids=[channel_id], output_format=PARQUET)
    assert table_of(data)["time"].cast(pa.int64()).to_pylist() == times_ns()[2:5].tolist()
    more = times(int(times_ns(1)[0]), int(times_ns(1)[1]))
    _, data = exports.file(**of_runs(ids.runs[1], **more), output_format=PARQUET)
    assert table_of(data).num_rows == 1


def test_calculated_channels_are_exported(exports, ids):
    config = pb.CalculatedChannelConfig(
        name="per second",
        expression="$1 / 60.0",
        channel_references=[Reference(channel_reference="$1", channel_identifier="motor.speed")],
        units="rps",
    )
    request = of_runs(ids.runs[0]) | {"output_format": PARQUET}
    table = table_of(exports.file(**request, calculated_channel_configs=[config])[1])
    assert table.column_names == ["time", "per second"]
    assert table["per second"].to_pylist() == [n / 3 / 60.0 for n in range(ROWS)]
    assert table.schema.field("per second").metadata[b"unit"] == b"rps"
    by_id = exports_channel(exports, ids.rover, "motor.speed")
    config.channel_references[0].channel_identifier = by_id
    again = table_of(exports.file(**request, calculated_channel_configs=[config])[1])
    assert again.equals(table)
    wind = exports_channel(exports, ids.station, "wind.speed")
    config.channel_references.add(channel_reference="$2", channel_identifier=wind)
    assert "is of no asset" in refused(exports, **request, calculated_channel_configs=[config])[1]
    del config.channel_references[1]
    config.expression = "$1 +"
    code, words = refused(exports, **request, calculated_channel_configs=[config])
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "per second" in words


def exports_channel(exports, asset_id, name):
    from sift_server.readback import list_channels  # noqa: PLC0415

    (found,) = [each for each in list_channels(exports.channel, asset_id) if each.name == name]
    return found.channel_id


def test_nothing_is_a_file_without_rows(exports, ids):
    _, data = exports.file(**of_assets(ids.rover, start_ns=0, stop_ns=1), output_format=CSV)
    assert data == b'"time"\n'


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({}, "INVALID_ARGUMENT", "say what to export"),
        ({"runs_and_time_range": {}}, "INVALID_ARGUMENT", "names no run"),
        ({"assets_and_time_range": {}}, "INVALID_ARGUMENT", "names no asset"),
        ({"time_range": times()}, "INVALID_ARGUMENT", "needs channel_ids"),
        ({"runs_and_time_range": {"run_ids": ["x"]}}, "NOT_FOUND", "no run"),
        ({"time_range": times(), "channel_ids": ["x"]}, "NOT_FOUND", "no channel"),
        (
            {"time_range": {"start_time": stamp(1)}, "channel_ids": ["x"]},
            "INVALID_ARGUMENT", "stop_time is missing",
        ),
        (
            {"time_range": times(5, 4), "channel_ids": ["x"]},
            "INVALID_ARGUMENT", "stop_time is before start_time",
        ),
        ({"output_format": 2}, "UNIMPLEMENTED", "not EXPORT_OUTPUT_FORMAT_SUN"),
        ({"output_format": 0}, "UNIMPLEMENTED", "UNSPECIFIED"),
        ({"export_options": {"use_legacy_format": True}}, "UNIMPLEMENTED", "legacy"),
        ({"export_options": {"embed_channel_configs": True}}, "UNIMPLEMENTED", "in Parquet only"),
        (
            {
                "export_options": {"split_export_by_run": True},
                "time_range": times(), "channel_ids": ["x"],
            },
            "INVALID_ARGUMENT", "is for exports of runs",
        ),
    ],
)  # fmt: skip
def test_what_can_not_be_exported_is_refused_in_words(exports, request_, code, words):
    found, details = refused(exports, **{"output_format": CSV, **request_})
    assert (found.name, words in details) == (code, True), details


def test_a_job_says_what_it_was_asked_for_and_what_went_wrong(exports, ids, server):
    job_id = exports.done(**of_assets(ids.rover), output_format=CSV)
    job = exports.job(job_id)
    assert job.job_type == jobs_pb2.JOB_TYPE_DATA_EXPORT
    asked = job.job_details.data_export.request
    assert list(asked.assets_and_time_range.asset_ids) == [ids.rover]
    assert job.job_details.data_export.storage_key == "export.csv"
    with pytest.raises(grpc.RpcError) as error:
        exports.url("nothing")
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("settings", [{"export_limits": ExportLimits(exports_bytes_max=100)}])
def test_a_file_that_is_too_large_fails_in_words(exports, ids):
    job = exports.ended(exports.begin(**of_assets(ids.rover), output_format=CSV))
    assert job.job_status == jobs_pb2.JOB_STATUS_FAILED
    assert "exports_bytes_max = 100" in job.job_status_details.data_export.error_message
    with pytest.raises(grpc.RpcError, match="it is FAILED: the export has more than"):
        exports.url(job.job_id)
    assert exports.jobs.RetryJob(jobs_pb2.RetryJobRequest(job_id=job.job_id)).job.job_id
    assert exports.ended(job.job_id).job_status == jobs_pb2.JOB_STATUS_FAILED


@pytest.mark.parametrize("settings", [{"export_limits": ExportLimits(files_max=2)}])
def test_the_oldest_file_makes_room(exports, ids):
    jobs = [exports.done(**of_assets(ids.rover), output_format=CSV) for _ in range(3)]
    with pytest.raises(grpc.RpcError, match="is not there any more: files are kept for 24 h"):
        exports.url(jobs[0])
    assert all(fetched(exports.url(job))[0] == 200 for job in jobs[1:])


@pytest.mark.parametrize("settings", [{"export_limits": ExportLimits(kept_s=0)}])
def test_files_are_kept_for_a_while(exports, ids):
    first = exports.done(**of_assets(ids.rover), output_format=CSV)
    exports.done(**of_assets(ids.rover), output_format=CSV)
    with pytest.raises(grpc.RpcError, match="is not there any more"):
        exports.url(first)


def test_a_url_needs_no_key_and_can_not_be_guessed(exports, ids, server):
    job_id = exports.done(**of_assets(ids.rover), output_format=CSV)
    url, other = exports.url(job_id), exports.url(job_id)
    assert url != other
    status, data, headers = fetched(url)
    assert status == 200
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''export.csv"
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert int(headers["content-length"]) == len(data)
    assert fetched(url, "HEAD")[:2] == (200, b"")
    assert fetched(url, "POST")[0] == 405
    for wrong in (
        f"http://{server.address}/exports/v1/{job_id}/export.csv",
        f"http://{server.address}/exports/v1/",
        f"http://{server.address}/exports/v1/../api_key",
    ):
        assert fetched(wrong)[0] == 404


@pytest.mark.parametrize("settings", [{"export_limits": ExportLimits(url_valid_s=0)}])
def test_a_url_is_good_for_a_while(exports, ids):
    assert fetched(exports.url(exports.done(**of_assets(ids.rover), output_format=CSV)))[0] == 404


@pytest.mark.parametrize("settings", [{"export_limits": ExportLimits(urls_max=2)}])
def test_the_oldest_url_is_forgotten(exports, ids):
    job_id = exports.done(**of_assets(ids.rover), output_format=CSV)
    urls = [exports.url(job_id) for _ in range(3)]
    assert [fetched(url)[0] for url in urls] == [404, 200, 200]


@pytest.mark.parametrize("settings", [{"export_limits": ExportLimits(downloads_max=0)}])
def test_so_many_downloads_are_given_at_a_time(exports, ids):
    status, words, _ = fetched(exports.url(exports.done(**of_assets(ids.rover), output_format=CSV)))
    assert status == 429
    assert b"downloads_max = 0" in words


def test_an_export_has_so_many_columns(exports, ids, monkeypatch):
    monkeypatch.setattr("sift_server.api.export_plans.EXPORT_COLUMNS_MAX", 2)
    code, words = refused(exports, **of_assets(ids.rover), output_format=CSV)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "EXPORT_COLUMNS_MAX" in words
