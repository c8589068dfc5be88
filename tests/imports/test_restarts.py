"""An import goes on after whatever ended its server: nothing is lost, nothing doubled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.catalog import ImportStatus, JobType
from support.catalogs import open_catalog
from support.imports import ImportDoors
from support.serving import plain_channel, serving

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 1_000_000
CONFIG = {
    "assetName": "rover",
    "runName": "drive",
    "firstDataRow": 2,
    "timeColumn": {"columnNumber": 1, "format": "TIME_FORMAT_ABSOLUTE_UNIX_NANOSECONDS"},
    "dataColumns": {
        str(column): {"name": f"v{column}", "dataType": "CHANNEL_DATA_TYPE_INT_64"}
        for column in range(2, 8)
    },
}


def large_file() -> bytes:
    return b"t,a,b,c,d,e,f\n" + b"".join(
        b"%d,%d,%d,%d,%d,%d,%d\n" % ((at,) + (at * 7,) * 6) for at in range(ROWS)
    )


@pytest.mark.slow
@pytest.mark.proves("import-again")
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_an_import_that_is_interrupted_is_done_again(tmp_path: Path, how: str):
    """By `kill -9` in the middle of it, or by a stop."""
    with (
        serving(tmp_path / "telemetry") as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        doors = ImportDoors(server.address, server.api_key, channel)
        created = doors.create(csv_config=CONFIG)
        job_id = doors.upload(created.upload_url, large_file()).content["jobId"]
        while doors.get(created.data_import_id).status == pb.DATA_IMPORT_STATUS_PENDING:
            time.sleep(0.01)
        time.sleep(0.3)
        before = doors.get(created.data_import_id)
        assert before.status == pb.DATA_IMPORT_STATUS_IN_PROGRESS
        getattr(server, how)()
    with (
        serving(tmp_path / "telemetry") as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        doors = ImportDoors(server.address, server.api_key, channel)
        imported = doors.wait(created.data_import_id)
        assert imported.status == pb.DATA_IMPORT_STATUS_SUCCEEDED, imported
        progress = doors.job(job_id).job_status_details.data_import
        assert progress.points_processed == ROWS * 6
        runs = runs_pb2_grpc.RunServiceStub(channel).ListRuns(runs_pb2.ListRunsRequest()).runs
        assert [run.name for run in runs] == ["drive"]
        points = doors.points(imported, "v4")["v4"]
        assert points == [(at, at * 7) for at in range(ROWS)]
        assert list((tmp_path / "telemetry" / "uploads").iterdir()) == []


@pytest.mark.proves("import-durable")
def test_what_succeeded_survives_a_kill(tmp_path: Path):
    """From the moment that it says so."""
    file = b"t,v\n" + b"".join(b"%d,%d\n" % (at, at) for at in range(10_000))
    config = CONFIG | {"dataColumns": {"2": CONFIG["dataColumns"]["2"]}}
    with (
        serving(tmp_path / "telemetry") as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        imported = ImportDoors(server.address, server.api_key, channel).run(file, csv_config=config)
        server.kill()
    assert imported.status == pb.DATA_IMPORT_STATUS_SUCCEEDED
    with (
        serving(tmp_path / "telemetry") as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        doors = ImportDoors(server.address, server.api_key, channel)
        assert doors.points(imported) == {"v2": [(at, at) for at in range(10_000)]}


def test_what_nobody_needs_is_removed_at_the_start(tmp_path: Path):
    """Uploads that broke off with the server, and files of no import."""
    uploads = tmp_path / "telemetry" / "uploads"
    uploads.mkdir(parents=True)
    (uploads / "some.part").write_bytes(b"half")
    (uploads / "none").write_bytes(b"whole")
    with serving(tmp_path / "telemetry"):
        ends = time.monotonic() + 30
        while list(uploads.iterdir()):
            assert time.monotonic() < ends
            time.sleep(0.01)


@pytest.mark.slow
def test_a_full_disk_makes_an_import_wait(tmp_path: Path):
    """It goes on by itself when there is room."""
    is_full = tmp_path / "full"
    faults = {"SIFT_FAULTS": "log.write@1+=ENOSPC", "SIFT_FAULTS_WHILE": str(is_full)}
    with (
        serving(tmp_path / "telemetry", **faults) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        doors = ImportDoors(server.address, server.api_key, channel)
        created = doors.create(csv_config=CONFIG)
        is_full.touch()
        doors.upload(created.upload_url, b"t,a,b,c,d,e,f\n1,1,2,3,4,5,6\n")
        time.sleep(2)
        waiting = doors.get(created.data_import_id).status
        assert waiting in (pb.DATA_IMPORT_STATUS_PENDING, pb.DATA_IMPORT_STATUS_IN_PROGRESS)
        is_full.unlink()
        imported = doors.wait(created.data_import_id)
        assert (imported.status, imported.error_message) == (pb.DATA_IMPORT_STATUS_SUCCEEDED, "")
        assert doors.points(imported, "v7") == {"v7": [(1, 6)]}


def test_an_import_that_ends_the_server_each_time_is_given_up(tmp_path: Path):
    """Its file may be what ends it."""
    with open_catalog(tmp_path) as catalog:
        imports, jobs = catalog.data_imports, catalog.jobs
        created = imports.create("csv_config", "{}")
        imports.receive(created.data_import_id, "a.csv", b"digest")
        for _ in range(3):
            assert jobs.claim(JobType.RULE_EVALUATION) is None
            assert jobs.claim(JobType.DATA_IMPORT) is not None
            jobs.recover(JobType.DATA_IMPORT)
        assert jobs.claim(JobType.DATA_IMPORT) is None
        failed = imports.get(created.data_import_id)
        assert failed.status is ImportStatus.FAILED
        assert "the server ended 3 times" in failed.error_message
