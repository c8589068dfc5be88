"""Sentences of docs/durability.md that no other test proves; each test names its own."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import sqlite3
import threading
import uuid
from contextlib import closing, nullcontext, suppress
from pathlib import Path

import grpc
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from sift.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from sift_server.faults import PLAN_VARIABLE, WHILE_VARIABLE
from sift_server.ingest.acknowledged import AcknowledgedKeys
from sift_server.lake import PointStore
from sift_server.log import FileLog, LogLimits
from sift_server.log.files import Disk
from sift_server.server import Server, ServerSettings
from sift_wire.columns import DataType
from support.points import make_block, make_layout
from support.serving import ServeProcess, plain_channel, serving
from support.telemetry import Type, create_config, find_or_create_config, ingest, read_points

T0 = 1_700_000_000_000_000_000
DAY_NS = 86_400_000_000_000
FLOWS = {"readings": {"x": Type.CHANNEL_DATA_TYPE_DOUBLE, "y": Type.CHANNEL_DATA_TYPE_STRING}}
ASSET = "rig"
ROWS = 20


def rows_of(config, first: int = 0, run_id: str = "") -> list:
    """Rows of some days; the same numbers give the same rows."""
    return [
        config.row("readings", T0 + i + i % 3 * DAY_NS, [float(i), f"line {i}"], run_id)
        for i in range(first, first + ROWS)
    ]


def points_of(channel: grpc.Channel, asset_id: str) -> tuple[list, list]:
    return read_points(channel, asset_id, "x"), read_points(channel, asset_id, "y")


def everything() -> list:
    return sorted((T0 + i + i % 3 * DAY_NS, float(i)) for i in range(ROWS))


class RecordingDisk(Disk):
    """Writes down what it is asked for, and waits at a gate before it syncs bytes."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def write(self, descriptor, buffers, offset: int) -> None:
        self.calls.append(("write", _name(descriptor)))
        super().write(descriptor, buffers, offset)

    def sync(self, descriptor: int) -> None:
        self.gate.wait(30)
        super().sync(descriptor)
        self.calls.append(("sync", _name(descriptor)))

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self.calls.append(("sync", folder.name))


def _path(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def _name(descriptor: int) -> str:
    return _path(descriptor).name


@pytest.mark.proves("ok-durable", "sync-group")
def test_nothing_is_acknowledged_before_its_fsync(tmp_path: Path):
    """While the disk is busy nobody is told anything; one fsync then is for all that came."""
    disk = RecordingDisk()
    log = FileLog.open(tmp_path, disk=disk)
    disk.gate.clear()
    disk.calls.clear()
    told: list[int] = []
    futures = [log.append(b"%d" % number, told.append) for number in range(50)]
    assert not any(future.done() for future in futures)
    assert not told
    disk.gate.set()
    assert [future.result(10) for future in futures] == told
    # The first may have gone alone; the others had to wait for it.
    assert [call for call, _ in disk.calls] in (["write", "sync"], ["write", "sync"] * 2)
    log.close()


@pytest.mark.proves("sync-segment")
def test_a_segment_is_on_disk_before_anything_is_in_it(tmp_path: Path):
    """Header and folder entry are synced, then records are written."""
    disk = RecordingDisk()
    log = FileLog.open(tmp_path / "log", LogLimits(segment_bytes_max=30), disk)
    log.append(b"one", lambda _: None).result(10)
    position = log.append(b"two", lambda _: None).result(10)
    first, second, *_ = sorted(path.name for path in (tmp_path / "log").glob("*.log"))
    assert int(second.partition(".")[0]) < position
    assert disk.calls == [
        ("write", first), ("sync", first), ("sync", "log"),
        ("write", first), ("sync", first),
        ("write", second), ("sync", second), ("sync", "log"),
        ("write", second), ("sync", second),
    ]  # fmt: skip
    log.close()


@pytest.mark.proves("sync-file", "sync-commit")
def test_a_commit_is_named_when_its_files_are_on_disk(tmp_path: Path, monkeypatch):
    """File, its folder, the commit, its folder: in that order, and then `flush` returns."""
    store = PointStore.open(tmp_path)
    layout = make_layout("flow", {"a": DataType.DOUBLE})
    store.publish(1, [make_block(layout, ("channel",), [(T0, [1.0])])])
    synced: list[str] = []
    sync = os.fsync

    def recording(descriptor: int) -> None:
        sync(descriptor)
        # The overview beside the file may be lost: it is made anew.
        if "_overview" not in _path(descriptor).parts:
            synced.append(_name(descriptor))

    monkeypatch.setattr(os, "fsync", recording)
    link = Path.hardlink_to

    def linking(path: Path, target: Path) -> None:
        synced.append("named")
        link(path, target)

    monkeypatch.setattr(Path, "hardlink_to", linking)
    store.flush()
    kinds = [
        "folder" if "date=" in name or name == "_delta_log" else Path(name).suffix or name
        for name in synced
    ]
    assert kinds[-5:] == [".parquet", "folder", ".tmp", "named", "folder"]
    store.close()


@pytest.mark.proves("commit-covers")
@pytest.mark.parametrize("fault", ["file.write@1+=EIO", "file.sync@1+=EIO", "commit.sync@1+=EIO"])
def test_the_log_keeps_what_no_commit_covers(tmp_path: Path, fault: str):
    """While the table can't be written no segment goes, and a kill loses nothing."""
    plan = {PLAN_VARIABLE: fault}
    with (
        serving(tmp_path, **plan) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        config = create_config(channel, FLOWS, ASSET, ASSET)
        ingest(channel, rows_of(config))
        # A stop flushes, and fails; what it leaves is what a kill leaves.
        assert server.stop() != 0
    with serving(tmp_path) as server, plain_channel(server.address, server.api_key) as channel:
        assert sorted(points_of(channel, config.asset_id)[0]) == everything()


@pytest.mark.proves("ok-readable", "stop-commits", "restart-nothing", "restart-replays")
def test_restarts_change_nothing(tmp_path: Path):
    """Points are read as soon as they are acknowledged, and after any number of ends."""
    ends = [ServeProcess.kill, ServeProcess.kill, ServeProcess.stop, ServeProcess.kill]
    asset_id = ""
    for number, end in enumerate([*ends, ServeProcess.stop]):
        with (
            serving(tmp_path) as server,
            plain_channel(server.address, server.api_key) as channel,
        ):
            if not number:
                config = create_config(channel, FLOWS, ASSET, ASSET)
                asset_id = config.asset_id
                ingest(channel, rows_of(config))
            assert read_points(channel, asset_id, "x") == everything()
            assert end(server) in (None, 0)
    table = DeltaTable(str(tmp_path / "lake")).to_pyarrow_table()
    assert len(table) == 2 * ROWS
    assert pc.sum(table["value_double"]).as_py() == sum(range(ROWS))


@pytest.mark.proves("replay-nothing", "replay-window", "merge-one")
def test_a_stream_sent_five_times_reads_back_once(tmp_path: Path):
    """Whether the first ones are in memory, in the log, in the table, or merged there."""
    with Server(ServerSettings(tmp_path, port=0)) as server:
        channel = plain_channel(server.address, server.api_key)
        config = create_config(channel, FLOWS, ASSET, ASSET)
        ingest(channel, rows_of(config))
        ingest(channel, rows_of(config))
        before = points_of(channel, config.asset_id)
        assert before[0] == everything()
        channel.close()
    for _ in range(3):
        with serving(tmp_path) as server:
            channel = plain_channel(server.address, server.api_key)
            again = find_or_create_config(channel, FLOWS, ASSET)
            assert points_of(channel, again.asset_id) == before
            ingest(channel, rows_of(again))
            assert points_of(channel, again.asset_id) == before
            channel.close()
            assert server.stop() == 0
    store = PointStore.open(tmp_path / "lake")
    # Each flush kept them once, until files are merged; the first two came before the first flush.
    assert store.stats().table_points == 4 * 2 * ROWS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sift_server.lake.compaction.MERGE_FILES", 2)
        while store.compact():
            pass
    assert store.stats().table_points < 4 * 2 * ROWS
    store.close()
    with serving(tmp_path) as server, plain_channel(server.address, server.api_key) as channel:
        assert points_of(channel, config.asset_id) == before


@pytest.mark.proves("replay-nothing")
def test_a_key_is_forgotten_with_the_log_that_had_its_batch(tmp_path: Path):
    """Who moves a damaged log away loses what is in it; a retry brings it again."""
    key = uuid.uuid4()
    with serving(tmp_path) as server, plain_channel(server.address, server.api_key) as channel:
        config = create_config(channel, FLOWS, ASSET, ASSET)
        server.kill()
    shutil.rmtree(tmp_path / "log")
    keys = AcknowledgedKeys(tmp_path / "keys")
    keys.add([key.bytes])
    keys.persist()
    with serving(tmp_path) as server, plain_channel(server.address, server.api_key) as channel:
        for _ in range(2):
            ingest(channel, rows_of(config), metadata=[("sift-idempotency-key", str(key))])
            assert read_points(channel, config.asset_id, "x") == everything()


@pytest.mark.proves("point-same")
def test_two_points_differ_by_channel_run_time_or_value(tmp_path: Path):
    """Two values at one time are both kept, and so is one value in two runs."""
    with (
        Server(ServerSettings(tmp_path, port=0)) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        config = create_config(channel, FLOWS, ASSET, ASSET)
        runs = ["", *(create_run(channel, name) for name in ("one", "two"))]
        each = itertools.product((T0, T0 + 1), (1.0, 2.0), runs)
        rows = [
            config.row("readings", time_ns, [value, "same"], run_id)
            for time_ns, value, run_id in each
        ]
        for _ in range(2):
            ingest(channel, rows)
        for run_id in runs:
            assert sorted(read_points(channel, config.asset_id, "x", run_id)) == [
                (T0, 1.0), (T0, 2.0), (T0 + 1, 1.0), (T0 + 1, 2.0)
            ]  # fmt: skip
            assert read_points(channel, config.asset_id, "y", run_id) == [
                (T0, "same"), (T0 + 1, "same")
            ]  # fmt: skip


def create_run(channel: grpc.Channel, name: str) -> str:
    from sift.runs.v2 import runs_pb2, runs_pb2_grpc  # noqa: PLC0415

    stub = runs_pb2_grpc.RunServiceStub(channel)
    return stub.CreateRun(runs_pb2.CreateRunRequest(name=name)).run.run_id


@pytest.mark.proves("misfit-kept", "misfit-again")
def test_a_misfit_is_kept_as_often_as_it_was_sent(tmp_path: Path):
    """With its bytes; a replay of the log adds none."""
    with serving(tmp_path) as server, plain_channel(server.address, server.api_key) as channel:
        config = create_config(channel, FLOWS, ASSET, ASSET)
        misfit = config.row("readings", T0, [1.0, "text"])
        misfit.flow = "typo"
        for _ in range(2):
            ingest(channel, [*rows_of(config), misfit])
        server.kill()
    for _ in range(2):
        with serving(tmp_path) as server:
            server.kill()
    with serving(tmp_path) as server:
        assert server.stop() == 0
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as catalog:
        kept = catalog.execute("SELECT flow_name, message FROM error_queue").fetchall()
    assert kept == [("typo", misfit.SerializeToString())] * 2


@pytest.mark.proves("fail-told")
def test_a_stream_is_told_of_a_failure_when_it_happens(tmp_path: Path):
    """Not hours later, at its end; what was taken before stays, and to send all again is right."""
    faulty = tmp_path / "faulty"
    plan = {PLAN_VARIABLE: "log.write@1=EIO", WHILE_VARIABLE: str(faulty)}
    with (
        serving(tmp_path / "data", **plan) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        config = create_config(channel, FLOWS, ASSET, ASSET)
        rows = rows_of(config)
        ended = threading.Event()

        def trickle():
            yield rows[0]
            ended.wait(1)
            faulty.touch()
            for row in rows[1:]:
                yield row
                if ended.wait(0.2):
                    return
            ended.wait(60)

        call = IngestServiceStub(channel).IngestWithConfigDataStream.future(trickle(), timeout=90)
        with pytest.raises(grpc.RpcError) as caught:
            call.result(50)
        ended.set()
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert len(read_points(channel, config.asset_id, "x")) < ROWS
        ingest(channel, rows)
        assert read_points(channel, config.asset_id, "x") == everything()


@pytest.mark.proves("fsync-failed")
def test_after_a_failed_fsync_nothing_is_acknowledged_until_a_restart(tmp_path: Path):
    """Although the disk would say that all is well; what was acknowledged is read on."""
    faulty = tmp_path / "faulty"
    plan = {PLAN_VARIABLE: "log.sync@1=EIO", WHILE_VARIABLE: str(faulty)}
    data = tmp_path / "data"
    with serving(data, **plan) as server, plain_channel(server.address, server.api_key) as channel:
        config = create_config(channel, FLOWS, ASSET, ASSET)
        ingest(channel, rows_of(config))
        faulty.touch()
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                ingest(channel, rows_of(config, ROWS))
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
            assert "could not make data durable" in caught.value.details()
        assert read_points(channel, config.asset_id, "x") == everything()
        server.kill()
    with serving(data) as server, plain_channel(server.address, server.api_key) as channel:
        again = find_or_create_config(channel, FLOWS, ASSET)
        ingest(channel, rows_of(again, ROWS))
        points = read_points(channel, again.asset_id, "x")
        assert sorted(value for _, value in points) == list(map(float, range(2 * ROWS)))


@pytest.mark.proves("write-failed")
@pytest.mark.parametrize("fault", ["log.write@1=EIO", "log.write@1=ENOSPC", "log.write@1+=short"])
def test_a_write_that_fails_in_the_middle_is_undone_or_finished(tmp_path: Path, fault: str):
    """The stream is refused, or all of it is taken; the next one is right in any case."""
    faulty = tmp_path / "faulty"
    plan = {PLAN_VARIABLE: fault, WHILE_VARIABLE: str(faulty)}
    data = tmp_path / "data"
    with serving(data, **plan) as server, plain_channel(server.address, server.api_key) as channel:
        config = create_config(channel, FLOWS, ASSET, ASSET)
        faulty.touch()
        with nullcontext() if "short" in fault else suppress(grpc.RpcError):
            ingest(channel, rows_of(config))
        faulty.unlink()
        ingest(channel, rows_of(config))
        server.kill()
    with serving(data) as server, plain_channel(server.address, server.api_key) as channel:
        assert read_points(channel, config.asset_id, "x") == everything()


def test_a_disk_that_takes_nothing_ends_the_write(monkeypatch):
    """Instead of trying for ever."""
    monkeypatch.setattr(os, "pwritev", lambda *_: 0)
    with pytest.raises(OSError, match="takes no bytes") as caught:
        Disk().write(-1, [b"bytes"], 0)
    assert caught.value.errno == errno.EIO
