"""Points as they come, from a real server, by `sift_py.data.follow`."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from sift_py.data import follow, read_channels
from sift_py.errors import DataError, DataReadError
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.service import IngestionService
from sift_server.follow import feed as feed_module
from support.numbered_rows import START_NS, STEP_NS, telemetry, times_ns
from support.serving import ServeProcess


def followed(live, count: int, name: str = "a") -> list[int]:
    """The first so many points of a channel, as the numbers of their rows."""
    found: list[int] = []
    for readings in live:
        for each in readings:
            if each.name == name:
                assert (each.timestamps_ns - START_NS == each.values.to_numpy() * STEP_NS).all()
                found += each.values.to_numpy().astype(int).tolist()
        if len(found) >= count:
            break
    return found


def test_what_is_acknowledged_from_now_on_comes(bench):
    bench.send(0, 10)
    with follow("rig", source=bench.channel, timeout=20) as live:
        bench.send(10, 5)
        readings = next(live)
    assert readings.names == ["a", "b.x", "b.y"]
    assert readings["a"].values.to_pylist() == [10, 11, 12, 13, 14]
    assert (readings["a"].unit, readings["a"].asset) == ("m", "rig")


def test_what_is_there_comes_first_without_a_gap_and_without_a_double(bench):
    """While rows are sent one after the other, also while what is there is read."""
    bench.send(0, 1_000)
    is_done = threading.Event()

    def sending():
        for first in range(1_000, 4_000, 10):
            bench.send(first, 10)
        is_done.set()

    sender = threading.Thread(target=sending)
    sender.start()
    for _ in range(10):
        if is_done.is_set():
            break
        with follow("rig", "a", since=START_NS, source=bench.channel, timeout=20) as live:
            found = followed(live, 2_000)
            assert found == list(range(len(found)))
    with follow("rig", "a", since=START_NS, source=bench.channel, timeout=20) as live:
        assert followed(live, 4_000) == list(range(4_000))
    sender.join()


def test_since_leaves_out_what_was_before(bench):
    bench.send(0, 10)
    with follow("rig", "a", since=START_NS + 7 * STEP_NS, source=bench.channel) as live:
        assert followed(live, 3) == [7, 8, 9]


def test_late_points_come_when_they_come(bench):
    bench.send(100, 1)
    with follow("rig", "a", source=bench.channel, timeout=20) as live:
        bench.send(200, 1)
        bench.send(5, 1)
        bench.send(201, 1)
        assert followed(live, 3) == [200, 5, 201]


def test_channels_that_are_new_are_followed_and_others_are_not(bench):
    with follow("rig", ["b.*"], source=bench.channel, timeout=20) as live:
        late = IngestionService(bench.channel, telemetry("b.z", "c", flow="late"))
        late.ingest_columns("late", times_ns(0, 1), {"b.z": [1.0], "c": [2.0]})
        other = IngestionService(bench.channel, telemetry("b.x", asset="another"))
        other.ingest_columns("flow", times_ns(0, 1), {"b.x": [1.0]})
        bench.send(7, 1)
        names = [next(live).names, next(live).names]
    assert names == [["b.z"], ["b.x", "b.y"]]


def test_a_run_is_followed_alone(bench):
    bench.service.attach_run(bench.channel, "one")
    with follow("rig", "a", run="one", since=0, source=bench.channel, timeout=20) as live:
        bench.service.detach_run()
        bench.send(0, 1)
        bench.service.attach_run(bench.channel, "two")
        bench.send(1, 1)
        bench.service.attach_run(bench.channel, "one")
        bench.send(2, 1)
        assert followed(live, 1) == [2]
    with follow("rig", "a", run="", since=0, source=bench.channel, timeout=20) as live:
        assert followed(live, 1) == [0]


def test_rows_without_a_value_give_no_point(bench):
    with follow("rig", ["a", "b.x"], source=bench.channel, timeout=20) as live:
        bench.send(0, 3, a=[1.0, None, 3.0])
        readings = next(live)
    assert readings.names == ["a"]
    assert readings["a"].values.to_pylist() == [1.0, 3.0]
    assert readings["a"].timestamps_ns.tolist() == times_ns(0, 3)[::2].tolist()


def test_who_reads_too_slowly_loses_nothing(bench, monkeypatch):
    """What there is no room for is read from the store, by the follower and in the queue."""
    monkeypatch.setattr(feed_module, "FOLLOWER_BYTES_MAX", 4_096)
    monkeypatch.setattr(feed_module, "QUEUE_BYTES_MAX", 20_000)
    monkeypatch.setattr("sift_py.data.following.WAITING_BYTES_MAX", 1)
    rows = 300_000
    with follow("rig", "a", source=bench.channel, timeout=20) as live:
        for first in range(0, rows, 10_000):
            bench.send(first, 10_000)
        time.sleep(0.5)
        found = followed(live, rows)
    assert sorted(found) == list(range(rows))


def test_without_anything_new_it_ends_after_the_timeout(bench):
    with follow("rig", source=bench.channel, timeout=0.1) as live:
        assert list(live) == []


def test_it_can_be_closed_by_another_thread(bench):
    live = follow("rig", source=bench.channel)
    closing = threading.Timer(0.2, live.close)
    closing.start()
    assert list(live) == []
    closing.join()


def test_who_left_makes_room(bench, monkeypatch):
    monkeypatch.setattr(feed_module, "FOLLOWERS_MAX", 1)
    live = follow("rig", source=bench.channel)
    with pytest.raises(DataReadError, match="FOLLOWERS_MAX = 1"):
        follow("rig", source=bench.channel)
    live.close()
    due_s = time.monotonic() + 20
    while True:
        try:
            follow("rig", source=bench.channel).close()
            break
        except DataReadError:
            assert time.monotonic() < due_s
            time.sleep(0.05)


def test_what_there_is_not_is_said(bench):
    with pytest.raises(DataError, match=r"no channel 'aa'\. Did you mean 'a'"):
        follow("rig", ["aa"], source=bench.channel)
    with pytest.raises(DataError, match="no run 'none'"):
        follow("rig", run="none", source=bench.channel)
    with pytest.raises(DataError, match="no asset 'rug'"):
        follow("rug", source=bench.channel)


def test_the_end_of_the_server_ends_it_at_once_and_the_next_server_goes_on(tmp_path):
    folder = tmp_path / "telemetry"
    first = ServeProcess(folder)
    config = {"uri": f"http://{first.address}", "apikey": first.api_key}
    with use_sift_channel(config) as channel:
        service = IngestionService(channel, telemetry("a"))
        service.ingest_columns("flow", times_ns(0, 3), {"a": np.arange(3.0)})
        with follow("rig", "a", since=0, source=channel, timeout=60) as live:
            assert followed(live, 3) == [0, 1, 2]
            began_s = time.monotonic()
            assert first.stop() == 0
            assert time.monotonic() - began_s < 5
            again = ServeProcess(folder, "--listen", first.address)
            try:
                service.ingest_columns("flow", times_ns(3, 2), {"a": np.arange(3.0, 5.0)})
                assert followed(live, 2) == [3, 4]
                again.kill()
                again = ServeProcess(folder, "--listen", first.address)
                service.ingest_columns("flow", times_ns(5, 1), {"a": [5.0]})
                assert followed(live, 1) == [5]
            finally:
                again.stop()


def test_it_gives_the_same_as_reading(bench):
    with follow("rig", source=bench.channel, timeout=20) as live:
        bench.send(0, 100)
        came = next(live)
    read = read_channels("rig", source=bench.channel)
    assert came.to_arrow().equals(read.to_arrow())
