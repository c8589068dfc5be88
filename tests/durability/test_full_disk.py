"""A full disk: streams are told when to try again, reads go on, and so does the server after it."""

from __future__ import annotations

import errno
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from sift_server.api.ingest_stream import DISK_FULL_RETRY_DELAY_MS
from sift_server.errors import DiskFullError
from sift_server.faults import PLAN_VARIABLE, WHILE_VARIABLE
from sift_server.ingest import PendingRejects
from sift_server.lake import PointStore, StoreLimits
from sift_server.log import LogLimits
from sift_wire.columns import DataType
from support.points import make_block, make_layout
from support.serving import plain_channel, serving
from support.telemetry import Type, create_config, ingest, read_points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024 * 1024
T0 = 1_700_000_000_000_000_000
FLOWS = {"readings": {"x": Type.CHANNEL_DATA_TYPE_DOUBLE}}
TEXTS = {"texts": {"text": Type.CHANNEL_DATA_TYPE_STRING}}
RECOVERY_TIMEOUT_S = 30


def assert_refused_for_want_of_space(error: grpc.RpcError) -> None:
    """RESOURCE_EXHAUSTED, and `google.rpc.RetryInfo` as gRPC's rich errors have it."""
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "Free some space" in error.details()
    (details,) = [value for key, value in error.trailing_metadata() if key.endswith("-details-bin")]
    status = status_pb2.Status.FromString(details)
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert status.message == error.details()[: len(status.message)]
    retry = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == DISK_FULL_RETRY_DELAY_MS


def until_taken(send) -> None:
    """Send again and again, as a client does that was told to."""
    deadline = time.monotonic() + RECOVERY_TIMEOUT_S
    while is_refused(send):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_refused(send) -> bool:
    try:
        send()
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise
        return True
    return False


@pytest.mark.proves("full-disk-refuses", "full-disk-reads", "full-disk-recovers")
def test_a_log_without_room_refuses_and_recovers(tmp_path: Path):
    """ENOSPC on every append while a file is there; streams before and after it are taken."""
    full = tmp_path / "full"
    data = tmp_path / "data"
    plan = {PLAN_VARIABLE: "log.write@1+=ENOSPC", WHILE_VARIABLE: str(full)}
    with serving(data, **plan) as server, plain_channel(server.address, server.api_key) as channel:
        config = create_config(channel, FLOWS)
        ingest(channel, [config.row("readings", T0, [0.0])])
        full.touch()
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                ingest(channel, [config.row("readings", T0 + 1, [1.0])])
            assert_refused_for_want_of_space(caught.value)
            assert read_points(channel, config.asset_id, "x") == [(T0, 0.0)]
        full.unlink()
        ingest(channel, [config.row("readings", T0 + 2, [2.0])])
        assert read_points(channel, config.asset_id, "x") == [(T0, 0.0), (T0 + 2, 2.0)]


@pytest.mark.proves("full-disk-refuses", "full-disk-reads", "full-disk-recovers")
def test_a_table_without_room_refuses_when_memory_is_full_too(tmp_path: Path):
    """ENOSPC on every data file: points are taken while there is memory, then refused."""
    full = tmp_path / "full"
    full.touch()
    plan = {PLAN_VARIABLE: "file.write@1+=ENOSPC", WHILE_VARIABLE: str(full)}
    with (
        serving(tmp_path / "data", "--hot-mib", "2", **plan) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        config = create_config(channel, TEXTS)
        taken = 0

        def send() -> None:
            ingest(channel, [config.row("texts", T0 + taken, ["x" * 100_000])], timeout=60)

        with pytest.raises(grpc.RpcError) as caught:  # noqa: PT012
            while True:
                send()
                taken += 1
        assert_refused_for_want_of_space(caught.value)
        assert taken >= 2 * MIB / 100_000
        assert len(read_points(channel, config.asset_id, "text")) == taken
        full.unlink()
        until_taken(send)
        assert len(read_points(channel, config.asset_id, "text")) == taken + 1


@contextmanager
def small_disk(path: Path, size_bytes: int) -> Iterator[None]:
    """A file system of a few megabytes, if this machine lets us mount one."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file systems can't be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.slow
@pytest.mark.proves("full-disk-refuses", "full-disk-reads", "full-disk-recovers")
def test_a_real_disk_may_fill_up_and_be_cleared(tmp_path: Path):
    """What was taken stays and is read; after there is room again, all goes on."""
    disk = tmp_path / "disk"
    reserve = LogLimits().free_bytes_min
    with (
        small_disk(disk, reserve + 48 * MIB),
        serving(disk / "data") as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        config = create_config(channel, TEXTS)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(40 * MIB))
        taken = 0

        def send() -> None:
            ingest(channel, [config.row("texts", T0 + taken, ["x" * 100_000])], timeout=60)

        with pytest.raises(grpc.RpcError) as caught:  # noqa: PT012
            for _ in range(400):
                send()
                taken += 1
        assert_refused_for_want_of_space(caught.value)
        assert len(read_points(channel, config.asset_id, "text")) == taken
        ballast.unlink()
        until_taken(send)
        taken += 1
        assert len(read_points(channel, config.asset_id, "text")) == taken
        assert server.stop() == 0
        with (
            serving(disk / "data") as again,
            plain_channel(again.address, again.api_key) as other,
        ):
            assert len(read_points(other, config.asset_id, "text")) == taken


def test_hot_columns_that_can_not_be_flushed_say_so(tmp_path: Path, monkeypatch):
    """Who waits for room is told at once; any other failure is waited for."""
    layout = make_layout("flow", {"a": DataType.DOUBLE})
    store = PointStore.open(tmp_path, StoreLimits(hot_bytes_max=1))
    # Large enough for streams to wait, and not for a flush.
    store.publish(1, [make_block(layout, ("channel",), [(T0, [1.0])])])
    failure = OSError(errno.EIO, "broken")

    def fail(*_: object) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(store._lake, "commit", fail)
        assert not store.is_flush_due()
        with pytest.raises(OSError, match="broken"):
            store.flush()
        assert store.is_flush_due()
        assert not store.wait_for_room(0.01)
        failure = OSError(errno.ENOSPC, "no space")
        with pytest.raises(OSError, match="no space"):
            store.flush()
        with pytest.raises(DiskFullError, match="no space"):
            store.wait_for_room(60)
    store.flush()
    assert store.wait_for_room(0)
    store.close()


def test_rejected_messages_that_can_not_be_kept_say_so(monkeypatch):
    """They wait for the catalog; when there is room again they are written."""
    monkeypatch.setattr("sift_server.ingest.rejects.REJECTS_PENDING_BYTES_MAX", 1)
    kept: list[object] = []
    failures = [DiskFullError("no space")]

    def persist(entries) -> None:
        if failures:
            raise failures.pop()
        kept.extend(entries)

    rejects = PendingRejects(persist)
    entry = _Entry()
    rejects.add([entry])
    with pytest.raises(DiskFullError):
        rejects.persist()
    with pytest.raises(DiskFullError):
        rejects.wait_for_room(60)
    rejects.persist()
    assert rejects.wait_for_room(0)
    assert kept == [entry]


class _Entry:
    size_bytes = 500
    reason = "why"
