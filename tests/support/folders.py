"""A data folder with something in each of its parts, and what has to be readable from it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from sift.channels.v3 import channels_pb2, channels_pb2_grpc
from sift_server.lake import StoreLimits, delta, upkeep
from sift_server.lake.delta_log import write_checkpoint
from sift_server.log import LogLimits, files
from sift_server.server import Server, ServerSettings
from support.serving import plain_channel
from support.telemetry import Type, create_config, ingest, read_points

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T0 = 1_700_000_000_000_000_000
DAY_NS = 86_400_000_000_000
ASSET = "rig"
FLOWS = {"readings": {"x": Type.CHANNEL_DATA_TYPE_DOUBLE, "y": Type.CHANNEL_DATA_TYPE_STRING}}
ROWS_A_CALL = 300
DAYS = 2
CALLS_MERGED_MIN = 8
"""So many files of a day are merged; a call has one, or more if it was flushed in parts."""
CALLS_MERGED_MAX = 30
CALLS_NOT_MERGED = 2
CALLS_IN_LOG = 6
"""The last ones, which are in the log only."""
ROW_GROUP_POINTS = 128

Points = set[tuple[str, int, object]]


def points_of(call: int) -> Points:
    """What one ingest call sends; every call has points of its own on two days."""
    found: Points = set()
    for row in range(call * ROWS_A_CALL, (call + 1) * ROWS_A_CALL):
        timestamp = T0 + row * 1_000_003 + row % DAYS * DAY_NS
        found |= {("x", timestamp, row / 7), ("y", timestamp, f"line {row * 7919}")}
    return found


class Folder:
    """A folder of a server that was killed: table, log, catalog with its write-ahead log."""

    def __init__(self, path: Path, in_table: Points, in_log: Points, calls: int) -> None:
        self.path = path
        self.in_table = in_table
        self.in_log = in_log
        self.calls = calls
        """How many calls sent all this."""

    def __repr__(self) -> str:
        return f"Folder({self.path})"

    @property
    def all(self) -> Points:
        return self.in_table | self.in_log


def make_folder(path: Path, scratch: Path) -> Folder:
    """Stream to servers: the first writes to its table, the second is killed before it does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delta, "ROW_GROUP_POINTS", ROW_GROUP_POINTS)
        patch.setattr(upkeep, "COMPACT_INTERVAL_MS", 50)
        # Two or three calls fill a segment.
        patch.setattr(files, "LogLimits", lambda: LogLimits(segment_bytes_max=30_000))
        often = StoreLimits(flush_interval_ms=250)
        with Server(ServerSettings(scratch, port=0, store_limits=often)) as server:
            channel = plain_channel(server.address, server.api_key)
            config = create_config(channel, FLOWS, ASSET)
            flushed = 0
            while operations(scratch).count("OPTIMIZE") < DAYS:
                _send_and_flush(channel, config, flushed, scratch)
                flushed += 1
                if flushed >= CALLS_MERGED_MIN:
                    time.sleep(0.3)
                assert flushed < CALLS_MERGED_MAX, "nothing was merged"
            write_checkpoint(scratch / "lake")
            for call in range(flushed, flushed + CALLS_NOT_MERGED):
                _send_and_flush(channel, config, call, scratch)
            flushed += CALLS_NOT_MERGED
            misfit = config.row("readings", T0, [0.0, ""])
            misfit.channel_values[0].string = "no number"
            ingest(channel, [misfit])
            channel.close()
        seldom = StoreLimits(flush_interval_ms=10**9)
        with Server(ServerSettings(scratch, port=0, store_limits=seldom)) as server:
            channel = plain_channel(server.address, server.api_key)
            config = dataclasses.replace(config, channel=channel)
            for call in range(flushed, flushed + CALLS_IN_LOG):
                send(channel, config, call)
            channel.close()
            # Nothing is on its way now: this is what a kill would leave.
            shutil.copytree(scratch, path)
    assert len(list(path.glob("log/*.log"))) > 1
    return Folder(
        path,
        set().union(*map(points_of, range(flushed))),
        set().union(*map(points_of, range(flushed, flushed + CALLS_IN_LOG))),
        flushed + CALLS_IN_LOG,
    )


def _send_and_flush(channel, config, call: int, path: Path) -> None:
    """Send a call, and wait for a flush; it may have a part of it, if the machine is busy."""
    before = operations(path).count("WRITE")
    send(channel, config, call)
    _wait(lambda: operations(path).count("WRITE") > before)


def send(channel, config, call: int) -> None:
    """Send what `points_of` a call says, in one stream under a key."""
    rows: dict[int, dict] = {}
    for name, timestamp, value in points_of(call):
        rows.setdefault(timestamp, {})[name] = value
    ingest(
        channel,
        [config.row("readings", at, [row["x"], row["y"]]) for at, row in sorted(rows.items())],
        metadata=[("sift-idempotency-key", str(uuid.uuid4()))],
    )


def operations(path: Path) -> list[str]:
    """What the commits of a folder's table did."""
    commits = sorted((path / "lake" / "_delta_log").glob("*.json"))
    lines = [line for commit in commits for line in commit.read_text().splitlines()]
    infos = [json.loads(line).get("commitInfo", {}) for line in lines]
    return [info["operation"] for info in infos if "operation" in info]


def _wait(until: Callable[[], bool], timeout_s: float = 30) -> None:
    end_s = time.monotonic() + timeout_s
    while not until():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def read_folder(path: Path) -> list[tuple[str, int, object]]:
    """Serve a folder, and read all points of both channels; fails if the server does not start."""
    with Server(ServerSettings(path, port=0)) as server:
        channel = plain_channel(server.address, server.api_key)
        found = channels_pb2_grpc.ChannelServiceStub(channel).ListChannels(
            channels_pb2.ListChannelsRequest(page_size=1_000)
        )
        points = [
            (each.name, *point)
            for each in found.channels
            for point in read_points(channel, each.asset_id, each.name)
        ]
        channel.close()
    return points


def digests(path: Path) -> dict[str, str]:
    """Every file and folder with what is in it."""
    return {
        each.relative_to(path).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest()
        if each.is_file()
        else ""
        for each in path.rglob("*")
    }
