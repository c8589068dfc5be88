"""An end returns when everything is acknowledged, or says what is not and where it is."""
# ruff: noqa: PT012 - faults are made in the middle of what is tested

from __future__ import annotations

import pickle
import re
import signal
import threading
import time

import grpc
import pytest

from sift_py.errors import (
    IngestionStreamError,
    IngestionValidationError,
    NotAcknowledgedError,
    ServiceClosedError,
    SpillFullError,
)
from sift_py.ingestion.buffer import DEFAULT_BUFFER_BYTES_MAX
from sift_py.ingestion.manager import IngestionServicesManager
from sift_py.ingestion.spill import SpillLimits
from sift_py.testing import LocalServer
from support.spilling import (
    QUICK,
    WAIT_S,
    config,
    numbers,
    program,
    row,
    spill_files,
    up_to,
    wait_for,
)


class TestServices:
    """Flush, close, and the end of a with-block."""

    def test_flush_and_close_say_what_is_not_acknowledged(
        self, server, proxy, open_service, asset, spill_dir
    ):
        """How much, where, and why; the next service on the folder sends it."""
        service = open_service()
        proxy.refuse()
        service.ingest_flows(row(1))
        for end in (service.flush, service.close):
            with pytest.raises(NotAcknowledgedError) as error:
                end()
            (path,) = spill_files(spill_dir)
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE
            assert error.value.files == (str(path),)
            assert "bytes are not acknowledged. They are on disk in" in str(error.value)
            assert str(path) in str(error.value)
        with pytest.raises(ServiceClosedError, match="the ingestion service is closed"):
            service.ingest_flows(row(2))
        service.close()
        proxy.heal()
        with open_service():
            pass
        assert numbers(server, asset) == [1]
        assert list(spill_dir.iterdir()) == []

    def test_a_block_ends_when_all_is_acknowledged(self, server, proxy, open_service, asset):
        """Or raises; the block's own error has a note."""
        with pytest.raises(NotAcknowledgedError), open_service() as service:
            proxy.refuse()
            service.ingest_flows(row(1))
        with pytest.raises(ZeroDivisionError) as error:
            proxy.heal()
            with open_service() as service:
                proxy.refuse()
                service.ingest_flows(row(2))
                _ = 1 / 0
        assert "are not acknowledged" in error.value.__notes__[0]
        proxy.heal()
        with open_service():
            proxy.delay_ms = 50
        assert numbers(server, asset) == [1, 2]

    def test_a_service_without_a_folder_has_nothing_to_flush(self, open_service):
        """Its calls return acknowledged."""
        with open_service(spill_dir=None) as service:
            service.flush()
            assert service.spill_status.files == ()

    def test_a_service_sends_what_its_buffers_have(self, server, open_service, asset):
        """When it is flushed, and when it is closed."""
        service = open_service(spill_dir=None)
        buffered = service.buffered_ingestion()
        buffered.ingest_flows(row(1))
        service.flush()
        assert numbers(server, asset) == [1]
        buffered.ingest_flows(row(2))
        service.close()
        assert numbers(server, asset) == [1, 2]

    def test_a_closed_service_tells_of_what_stays_in_a_buffer(self, proxy, open_service):
        """It can be taken out."""
        service = open_service(spill_dir=None)
        buffered = service.buffered_ingestion()
        buffered.ingest_flows(row(1))
        proxy.refuse()
        with pytest.raises(NotAcknowledgedError, match="They are in the buffer"):
            service.close()
        with pytest.raises(ServiceClosedError) as error:
            buffered.flush()
        assert "1 requests" in error.value.__notes__[0]
        assert len(buffered.discard()) == 1

    def test_a_manager_ends_all_its_services(self, server, proxy, channel, asset, spill_dir):
        """They share a folder; the first failure has the others as notes."""
        names = [f"{asset} {number}" for number in range(3)]
        with (
            pytest.raises(NotAcknowledgedError) as error,
            IngestionServicesManager.from_telemetry_configs(
                channel,
                {name: config(name) for name in names},
                retry_policy=QUICK,
                spill_dir=spill_dir,
            ) as manager,
        ):
            proxy.refuse()
            for name in names:
                with pytest.raises(NotAcknowledgedError), manager.ingestion_service(name) as one:
                    one.ingest_flows(row(1))
        assert len(error.value.__notes__) == 2
        proxy.heal()
        IngestionServicesManager.from_telemetry_configs(
            channel, {names[0]: config(names[0])}, spill_dir=spill_dir
        ).close()
        assert [numbers(server, name) for name in names] == [[1]] * 3


class TestBuffers:
    """A buffer is in memory: it is bounded, and keeps what was not acknowledged."""

    def test_a_failed_flush_says_what_is_in_the_buffer(self, server, proxy, open_service, asset):
        """Without a folder; the failure of the call is its cause."""
        buffered = open_service(spill_dir=None).buffered_ingestion()
        buffered.ingest_flows(row(1), row(2))
        proxy.refuse()
        for end in (buffered.flush, buffered.close):
            with pytest.raises(NotAcknowledgedError) as error:
                end()
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE
            assert re.search(r"2 requests \(\d+ bytes\) .* in the buffer", str(error.value))
            assert proxy.address in error.value.details()
            assert isinstance(error.value.__cause__, grpc.RpcError)
        proxy.heal()
        buffered.close()
        assert numbers(server, asset) == [1, 2]

    def test_a_buffer_has_room_for_so_many_bytes(self, server, proxy, open_service, asset):
        """However many requests that is: it sends them then, and takes no more if it can't."""
        assert DEFAULT_BUFFER_BYTES_MAX == 128 * 1024 * 1024
        service = open_service(spill_dir=None)
        text = {"flow_name": "logs", "timestamp": 1, "channel_values": ["x" * 10_000]}
        buffered = service.buffered_ingestion(1_000_000, buffer_bytes_max=100_000)
        proxy.refuse()
        for _ in range(9):
            buffered.ingest_flows(text)
        with pytest.raises(grpc.RpcError):
            buffered.ingest_flows(text)
        with pytest.raises(grpc.RpcError) as error:
            buffered.ingest_flows(text)
        assert "were not taken" in error.value.__notes__[-1]
        assert len(buffered.discard()) == 10
        proxy.heal()
        buffered.ingest_flows(*[{**text, "timestamp": number} for number in range(20)])
        assert len(server.points(asset, "log")) == 20
        assert buffered.discard() == []

    @pytest.mark.parametrize("bytes_max", [0, -1, float("nan")])
    def test_a_size_that_is_none_is_refused(self, open_service, bytes_max):
        """The message shows it."""
        with pytest.raises(IngestionValidationError, match=f"buffer_bytes_max .*{bytes_max}"):
            open_service().buffered_ingestion(buffer_bytes_max=bytes_max)

    def test_with_a_folder_only_an_end_waits(self, server, proxy, open_service, asset, spill_dir):
        """Flushes because of size or time return when the rows are on disk, and are no failures."""
        service = open_service()
        with (
            pytest.raises(NotAcknowledgedError) as error,
            service.buffered_ingestion(5, flush_interval_sec=0.02) as buffered,
        ):
            proxy.refuse()
            for number in range(12):
                buffered.ingest_flows(row(number))
            wait_for(lambda: not buffered._buffer)
            buffered.ingest_flows(row(12))
        assert list(error.value.files) == [str(path) for path in spill_files(spill_dir)]
        assert buffered.discard() == []
        proxy.heal()
        buffered.flush()
        assert numbers(server, asset) == up_to(13)

    def test_a_full_folder_leaves_rows_in_the_buffer(self, server, proxy, open_service, asset):
        """The error says so."""
        limits = SpillLimits(folder_bytes_max=500, full_wait_ms=0)
        buffered = open_service(spill_limits=limits).buffered_ingestion()
        proxy.refuse()
        buffered.ingest_flows(*[row(number) for number in range(100)])
        with pytest.raises(SpillFullError) as error:
            buffered.flush()
        assert "100 requests" in error.value.__notes__[0]
        proxy.heal()
        wait_for(lambda: not buffered._service._spilling._sender.is_away)
        buffered.flush()
        assert numbers(server, asset) == up_to(100)

    def test_ctrl_c_in_a_flush_keeps_the_rows(self, server, proxy, asset):
        """It ends the flush at once; the rows are in the buffer, and it says so."""
        text = """
buffered = service.buffered_ingestion()
buffered.ingest_flows(row(1), row(2))
sys.stdin.readline()
try:
    buffered.flush()
except KeyboardInterrupt as error:
    print(*error.__notes__, flush=True)
sys.stdin.readline()
buffered.flush()
channel.close()
"""
        with program(text, proxy.uri, server.apikey, asset) as running:
            assert running.stdout.readline() == "ready\n"
            proxy.black_hole()
            tell(running)
            time.sleep(0.5)
            running.send_signal(signal.SIGINT)
            assert "2 requests" in running.stdout.readline()
            proxy.heal()
            tell(running)
            assert running.wait(WAIT_S) == 0
        assert numbers(server, asset) == [1, 2]


def tell(running):
    """Let a program go on that waits for a line."""
    running.stdin.write("\n")
    running.stdin.flush()


class TestExits:
    """A program that forgets to close: its rest is sent, or told on stderr."""

    @pytest.fixture
    def end(self, server, proxy, asset, spill_dir):
        """Runs a program that takes rows and ends; the server may be away from some point on."""

        def end_one(text, *, is_away, spills):
            folder = str(spill_dir) if spills else ""
            with program(text, proxy.uri, server.apikey, asset, folder) as running:
                assert running.stdout.readline() == "ready\n"
                if is_away:
                    proxy.refuse()
                _, errors = running.communicate("\n", timeout=WAIT_S)
            proxy.heal()
            return running.returncode, errors

        return end_one

    @pytest.mark.parametrize("spills", [False, True])
    @pytest.mark.parametrize(
        ("ending", "status"), [("", 0), ("raise SystemExit(3)", 3), ("raise ValueError('own')", 1)]
    )
    def test_a_forgotten_buffer_is_sent(self, server, asset, end, spills, ending, status):
        """Also one that nobody refers to any more, and however the program ends."""
        text = f"service.buffered_ingestion().ingest_flows(row(1), row(2))\n{ending}"
        returned, errors = end(text, is_away=False, spills=spills)
        assert returned == status
        assert "not sent" not in errors
        assert numbers(server, asset) == [1, 2]

    def test_other_threads_may_go_on(self, server, asset, end):
        """When the main thread has ended, the rest of what they take is sent, too."""
        text = """
import threading, time
buffered = service.buffered_ingestion()

def go_on():
    threading.main_thread().join()
    time.sleep(0.3)
    buffered.ingest_flows(row(2))

buffered.ingest_flows(row(1))
threading.Thread(target=go_on).start()
"""
        _, errors = end(text, is_away=False, spills=False)
        assert "not sent" not in errors
        assert numbers(server, asset) == [1, 2]

    def test_what_a_buffer_could_not_send_is_told(self, server, asset, end):
        """It ends with the program."""
        text = """
service.buffered_ingestion().ingest_flows(row(1), row(2))
sys.stdin.readline()
"""
        _, errors = end(text, is_away=True, spills=False)
        assert "the program ends with data that was not sent" in errors
        assert "2 requests" in errors
        assert errors.count("NotAcknowledgedError") == 1
        assert numbers(server, asset) == []

    def test_what_was_spilled_is_told(self, server, asset, end, spill_dir, open_service):
        """Once, with the file; the next program sends it."""
        text = """
buffered = service.buffered_ingestion()
buffered.ingest_flows(row(1), row(2))
sys.stdin.readline()
service.ingest_flows(row(0))
"""
        _, errors = end(text, is_away=True, spills=True)
        (path,) = spill_files(spill_dir)
        assert f"They are on disk in {path}" in errors
        assert errors.count("NotAcknowledgedError") == 1
        open_service().close()
        assert numbers(server, asset) == up_to(3)

    def test_a_channel_that_is_closed_before_is_told(self, end):
        """There is no way left."""
        text = "service.buffered_ingestion().ingest_flows(row(1))\nchannel.close()"
        _, errors = end(text, is_away=False, spills=False)
        assert "the channel is closed" in errors
        assert "1 requests" in errors

    def test_what_a_block_has_told_is_not_told_again(self, end):
        """Nor tried again."""
        text = """
with service.buffered_ingestion() as buffered:
    buffered.ingest_flows(row(1))
    sys.stdin.readline()
"""
        returned, errors = end(text, is_away=True, spills=False)
        assert returned == 1
        assert "1 requests" in errors
        assert "the program ends" not in errors

    def test_an_embedded_server_is_still_there(self, tmp_path):
        """It is stopped after the rest was sent."""
        text = "service.buffered_ingestion().ingest_flows(row(1), row(2))"
        with program(text, f"embedded:{tmp_path}", "", "rig") as running:
            _, errors = running.communicate(timeout=WAIT_S)
        assert "not sent" not in errors
        with LocalServer(tmp_path) as server:
            assert numbers(server, "rig") == [1, 2]

    def test_no_thread_is_needed(self, server, open_service, asset, monkeypatch):
        """Later Pythons start none when a program ends: calls are made where they are then."""
        service = open_service()
        start = threading.Thread.start

        def refuse(thread):
            if thread.name.startswith("sift-s"):
                raise RuntimeError("can't create new thread at interpreter shutdown")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)
        service.ingest_flows(row(1))
        assert numbers(server, asset) == [1]

    def test_without_threads_what_is_spilled_waits(
        self, server, proxy, open_service, asset, monkeypatch, spill_dir
    ):
        """For the next program: the end says so, and does not hang."""
        service = open_service()
        proxy.refuse()
        start = threading.Thread.start

        def refuse(thread):
            if thread.name.startswith("sift-s"):
                raise RuntimeError("can't create new thread at interpreter shutdown")
            start(thread)

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            service.ingest_flows(row(1))
            with pytest.raises(NotAcknowledgedError, match="new thread"):
                service.close()
        assert spill_files(spill_dir)
        proxy.heal()
        open_service().close()
        assert numbers(server, asset) == [1]


class TestForks:
    """A forked child has its parent's objects, and none of its threads."""

    def test_a_child_is_told(self, server, proxy, asset, spill_dir):
        """By everything that would wait for ever; what the parent has is the parent's."""
        text = """
import os
from sift_py.errors import ServiceClosedError

buffered = service.buffered_ingestion(flush_interval_sec=60)
buffered.ingest_flows(row(1))
sys.stdin.readline()
service.ingest_flows(row(0))
calls = {
    "ingest_flows": lambda: service.ingest_flows(row(2)),
    "ingest_columns": lambda: service.ingest_columns("f", [2], {"x": [2.0]}),
    "attach_run": lambda: service.attach_run(channel, "run"),
    "flush": service.flush,
    "status": lambda: service.spill_status,
    "add": lambda: buffered.ingest_flows(row(2)),
    "send": buffered.flush,
    "discard": buffered.discard,
    "close": service.close,
    "open": lambda: type(service)(channel, config(asset)),
}
if os.fork() == 0:
    for name, call in calls.items():
        try:
            call()
        except ServiceClosedError as error:
            assert "before this process was forked" in str(error), error
            print(name, flush=True)
    sys.exit()
os.wait()
print("parent", flush=True)
sys.stdin.readline()
service.close()
channel.close()
"""
        with program(text, proxy.uri, server.apikey, asset, str(spill_dir)) as running:
            assert running.stdout.readline() == "ready\n"
            proxy.refuse()
            tell(running)
            said = [running.stdout.readline().strip() for _ in range(11)]
            assert len(spill_files(spill_dir)) == 1
            proxy.heal()
            _, errors = running.communicate("\n", timeout=WAIT_S)
        assert said == [
            "ingest_flows", "ingest_columns", "attach_run", "flush", "status",
            "add", "send", "discard", "close", "open", "parent",
        ]  # fmt: skip
        assert "Traceback" not in errors
        assert numbers(server, asset) == [0, 1]


def test_an_error_of_what_waits_can_be_copied():
    """As all of them."""
    error = NotAcknowledgedError(grpc.StatusCode.UNAVAILABLE, "gone", "5 bytes wait", ("a",))
    twin = pickle.loads(pickle.dumps(error))
    assert isinstance(twin, IngestionStreamError)
    assert str(twin) == str(error) == "UNAVAILABLE: gone - 5 bytes wait"
    assert (twin.code(), twin.details(), twin.files) == (error.code(), "gone", ("a",))
