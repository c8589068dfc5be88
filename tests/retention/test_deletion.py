"""What somebody names is deleted: points, annotations, runs; the rest stays."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from retention.conftest import NOW_NS, Stand
from sift.server.v1 import retention_pb2
from sift.server.v1.retention_pb2_grpc import RetentionServiceStub
from sift_py.data import read_channels
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_server.catalog import AnnotationDraft, RunDraft
from sift_server.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from sift_server.retention import Deleted
from support.serving import ServeProcess

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = TelemetryConfig(
    asset_name="rover",
    flows=[FlowConfig("motor", [ChannelConfig("speed", ChannelDataType.DOUBLE)])],
)


def test_a_run_goes_with_its_points_and_annotations(stand: Stand):
    catalog = stand.catalog
    run = catalog.runs.create(RunDraft("first"))
    other = catalog.runs.create(RunDraft("second"))
    for asset in ("rover", "glider"):
        stand.publish(asset, [1, 2], run.run_id)
        stand.publish(asset, [1, 3], other.run_id)
        stand.publish(asset, [4])
    for run_id in (run.run_id, other.run_id, ""):
        rover = stand.asset_id("rover")
        catalog.annotations.create(AnnotationDraft("note", 1, 2, asset_ids=(rover,), run_id=run_id))
    counted = stand.deletion.of_run(run.run_id, only_count=True)
    assert stand.times("rover", run_id=run.run_id) == [1, 2]

    deleted = stand.deletion.of_run(run.run_id, only_count=False)

    assert (deleted.points, deleted.annotations, deleted.runs) == (8, 1, 1)
    assert deleted == counted
    for asset in ("rover", "glider"):
        assert stand.times(asset, run_id=run.run_id) == []
        assert stand.times(asset) == [1, 3, 4]
    assert [row.name for row in catalog.listing.runs()] == ["second"]
    assert [row.run_id or "" for row in catalog.listing.annotations()] == [other.run_id, ""]
    with pytest.raises(NotFoundError):
        stand.deletion.of_run(run.run_id, only_count=True)


def test_of_an_asset_channels_and_times_are_chosen(stand: Stand):
    for asset in ("rover", "glider"):
        stand.publish(asset, list(range(10)))
    rover = stand.asset_id("rover")

    deleted = stand.deletion.of_asset(rover, ["speed"], 3, 6, only_count=False)

    assert deleted.points == 3
    assert stand.times("rover") == [0, 1, 2, 6, 7, 8, 9]
    assert stand.times("rover", "count") == list(range(10))
    assert stand.times("glider") == list(range(10))
    assert stand.deletion.of_asset(rover, [], None, 2, only_count=False).points == 4
    assert stand.deletion.of_asset(rover, only_count=False).points == 5 + 8
    assert stand.deletion.of_asset(rover, only_count=False) == Deleted(0, 0)
    assert stand.times("rover") == stand.times("rover", "count") == []
    assert stand.times("glider") == list(range(10))


def test_the_ends_of_time_are_within_reach(stand: Stand):
    stand.publish("rover", [-(2**63), 2**63 - 1])

    assert stand.deletion.of_asset(stand.asset_id("rover"), only_count=True).points == 4


def test_what_is_not_there_is_said(stand: Stand):
    rover = stand.asset_id("rover")
    with pytest.raises(NotFoundError, match="no channel 'sped'"):
        stand.deletion.of_asset(rover, ["sped"], only_count=False)
    with pytest.raises(NotFoundError):
        stand.deletion.of_asset("none", only_count=False)
    with pytest.raises(InvalidArgumentError, match="not behind its start"):
        stand.deletion.of_asset(rover, [], 5, 5, only_count=False)


def test_a_deletion_is_abandoned_when_the_server_stops(stand: Stand):
    stand.publish("rover", [NOW_NS])
    stand.deletion.stop()

    with pytest.raises(FailedPreconditionError, match="nothing was deleted"):
        stand.deletion.of_asset(stand.asset_id("rover"), only_count=False)

    assert stand.times("rover") == [NOW_NS]


def test_one_deletion_waits_for_another_and_then_gives_up(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sift_server.retention.deletion.WAIT_MS_MAX", 10)
    began, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        go_on.wait(10)

    stand.deletion._flush = wait
    rover = stand.asset_id("rover")
    thread = threading.Thread(
        target=stand.deletion.of_asset, args=(rover,), kwargs={"only_count": True}
    )
    thread.start()
    began.wait(10)

    with pytest.raises(ResourceExhaustedError, match="another deletion"):
        stand.deletion.of_asset(rover, only_count=True)

    go_on.set()
    thread.join()


@pytest.mark.proves("delete-gone")
def test_what_was_deleted_stays_away_after_a_kill(tmp_path: Path):
    """Points that were hot, and in the log, when they were deleted."""
    folder = tmp_path / "telemetry"
    server = ServeProcess(folder)
    with use_sift_channel({"uri": f"http://{server.address}", "apikey": server.api_key}) as channel:
        service = IngestionService(channel, CONFIG)
        service.attach_run(channel, "first")
        service.ingest_columns("motor", np.arange(100), {"speed": np.arange(100.0)})
        stub = RetentionServiceStub(channel)
        deleted = stub.DeletePoints(
            retention_pb2.DeletePointsRequest(
                asset_id=service.ingestion_config.asset_id,
                start_time={"nanos": 10},
                end_time={"nanos": 90},
            )
        )
        assert deleted.points == 80
    server.kill()

    again = ServeProcess(folder)
    config = {"uri": f"http://{again.address}", "apikey": again.api_key}
    assert read_channels("rover", source=config).points == 20
    assert again.stop() == 0
