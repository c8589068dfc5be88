"""Buffered ingestion: what is sent when, and what becomes of rows that could not be sent."""
# ruff: noqa: PT012 - the with-block of the buffer is what is tested

from __future__ import annotations

import gc
import itertools
import logging
import threading
import weakref

import grpc
import pytest

from sift_py.errors import IngestionValidationError
from sift_py.ingestion.buffer import DEFAULT_BUFFER_SIZE, BufferedIngestionService
from sift_py.ingestion.channel import int32_value, string_value
from sift_py.ingestion.service import IngestionService
from support.telemetry_configs import NOW, log_row, named, telemetry_config

INGEST = "IngestWithConfigDataStream"
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
INTERVAL_S = 0.02


@pytest.fixture
def service(server, channel):
    """A service that tries nothing again, with the calls of its construction forgotten."""
    service = IngestionService(channel, telemetry_config(), retry_policy=None)
    server.calls.clear()
    return service


def rows(count, start=0):
    return [log_row(f"row {number}") for number in range(start, start + count)]


def sent(server):
    """The texts of the rows of each answered stream, as numbers."""
    return [
        [int(row.channel_values[0].string.removeprefix("row ")) for row in stream]
        for stream in server.streams
    ]


def test_rows_go_when_the_buffer_is_full_and_when_the_block_ends(server, service):
    """In batches of the buffer's size, in order; the rest at the end."""
    with service.buffered_ingestion(3) as buffered:
        buffered.try_ingest_flows(*rows(2))
        assert sent(server) == []
        buffered.try_ingest_flows(*rows(6, start=2))
        assert sent(server) == [[0, 1, 2], [3, 4, 5]]
    assert sent(server) == [[0, 1, 2], [3, 4, 5], [6, 7]]


@pytest.mark.parametrize("buffer_size", [None, 0])
def test_the_default_is_a_thousand_requests(server, service, buffer_size):
    """None and 0 mean the default."""
    assert DEFAULT_BUFFER_SIZE == 1000
    with service.buffered_ingestion(buffer_size) as buffered:
        buffered.try_ingest_flows(*rows(1001))
        assert [len(stream) for stream in server.streams] == [1000]
    assert [len(stream) for stream in server.streams] == [1000, 1]


def test_a_flush_by_hand_sends_what_is_there(server, service):
    """And nothing, not even an empty stream, when there is nothing."""
    with service.buffered_ingestion() as buffered:
        buffered.flush()
        buffered.try_ingest_flows(*rows(2))
        buffered.flush()
        assert sent(server) == [[0, 1]]
    assert sent(server) == [[0, 1]]


def test_rows_are_taken_in_every_form(server, service):
    """One or many, by name or in order; also without a with-block, as the published class."""
    ordered = {"flow_name": "logs", "timestamp": NOW, "channel_values": [string_value("row 9")]}
    buffered = BufferedIngestionService(service, 100)
    buffered.try_ingest_flow(log_row("row 1"))
    buffered.ingest_flow(ordered)
    buffered.ingest_flows(ordered, ordered)
    buffered.flush()
    assert sent(server) == [[1, 9, 9, 9]]


def test_an_invalid_row_keeps_its_call_from_being_buffered(server, service):
    """Rows of other calls stay, and go at the end."""
    with (
        pytest.raises(IngestionValidationError, match="'log' expected to be a 'string'"),
        service.buffered_ingestion() as buffered,
    ):
        buffered.try_ingest_flows(log_row("row 1"))
        buffered.try_ingest_flows(log_row("row 2"), named("logs", log=int32_value(1)))
    assert sent(server) == [[1]]


@pytest.mark.parametrize("buffer_size", [-1, -1000])
def test_a_negative_size_is_refused(service, buffer_size):
    """The message shows it."""
    with pytest.raises(IngestionValidationError, match=f"buffer_size .*{buffer_size}"):
        service.buffered_ingestion(buffer_size)


@pytest.mark.parametrize("interval_s", [0, -1, float("nan"), float("inf")])
def test_an_interval_that_never_ends_is_refused(service, interval_s):
    """No timed flush is None."""
    with pytest.raises(IngestionValidationError, match="flush_interval_sec"):
        service.buffered_ingestion(flush_interval_sec=interval_s)


class TestFailures:
    """Rows leave the buffer when the server has answered, and not before."""

    def test_a_failed_flush_keeps_the_rows(self, server, service):
        """The next flush sends them again, in order."""
        buffered = service.buffered_ingestion()
        buffered.try_ingest_flows(*rows(2))
        server.fail(INGEST, UNAVAILABLE)
        with pytest.raises(grpc.RpcError):
            buffered.flush()
        buffered.try_ingest_flows(*rows(1, start=2))
        buffered.flush()
        assert sent(server) == [[0, 1], [0, 1, 2]]

    def test_a_call_whose_flush_fails_has_its_rows_in_the_buffer(self, server, service):
        """All of them: the rest is sent by the next flush, still in batches of the size."""
        buffered = service.buffered_ingestion(2)
        server.fail(INGEST, UNAVAILABLE)
        with pytest.raises(grpc.RpcError) as error:
            buffered.try_ingest_flows(*rows(5))
        assert not hasattr(error.value, "__notes__")
        buffered.flush()
        assert sent(server) == [[0, 1], [0, 1], [2, 3], [4]]

    def test_a_full_buffer_takes_nothing_more(self, server, service):
        """The error says so in a note; when the server is back, the rows are taken again."""
        buffered = service.buffered_ingestion(2)
        server.fail(INGEST, UNAVAILABLE, times=2)
        with pytest.raises(grpc.RpcError):
            buffered.try_ingest_flows(*rows(2))
        with pytest.raises(grpc.RpcError) as error:
            buffered.try_ingest_flows(*rows(1, start=2))
        assert "the rows of this call were not taken" in error.value.__notes__[0]
        buffered.try_ingest_flows(*rows(1, start=2))
        buffered.flush()
        assert sent(server)[2:] == [[0, 1], [2]]

    def test_a_block_that_raises_is_flushed_and_raises(self, server, service):
        """What was measured before the fault is worth most."""
        with pytest.raises(ZeroDivisionError), service.buffered_ingestion() as buffered:
            buffered.try_ingest_flows(*rows(2))
            _ = 1 / 0
        assert sent(server) == [[0, 1]]

    def test_a_failing_last_flush_raises(self, server, service):
        """A block that ends well does not hide that its rows were not taken."""
        server.fail(INGEST, UNAVAILABLE)
        with pytest.raises(grpc.RpcError), service.buffered_ingestion() as buffered:
            buffered.try_ingest_flows(*rows(2))

    def test_a_failing_last_flush_does_not_hide_the_error_of_the_block(self, server, service):
        """It is a note on it, with the number of rows."""
        server.fail(INGEST, UNAVAILABLE, "the way is cut")
        with (
            pytest.raises(ZeroDivisionError) as error,
            service.buffered_ingestion() as buffered,
        ):
            buffered.try_ingest_flows(*rows(2))
            _ = 1 / 0
        (note,) = error.value.__notes__
        assert "2 requests (86 bytes) are not acknowledged. They are in the buffer" in note
        assert "the way is cut" in note

    def test_on_error_is_called_in_place_of_the_last_flush(self, server, service):
        """With the error, the rows that wait, and the flush; the error goes on."""
        seen = []

        def on_error(error, buffer, flush):
            seen.append((str(error), [row.channel_values[0].string for row in buffer]))
            assert sent(server) == []
            del buffer[0]
            flush()

        with (
            pytest.raises(RuntimeError, match="boom"),
            service.buffered_ingestion(on_error=on_error) as buffered,
        ):
            buffered.try_ingest_flows(*rows(2))
            raise RuntimeError("boom")
        assert seen == [("boom", ["row 0", "row 1"])]
        assert sent(server) == [[1]]

    def test_rows_of_a_failed_flush_are_still_those_of_on_error(self, server, service):
        """Who catches the failure of the flush can rescue them."""
        server.fail(INGEST, grpc.StatusCode.UNAVAILABLE)
        rescued = []

        def on_error(_, buffer, flush):
            with pytest.raises(grpc.RpcError):
                flush()
            rescued.extend(row.channel_values[0].string for row in buffer)
            flush()
            assert buffer == []

        with (
            pytest.raises(RuntimeError, match="boom"),
            service.buffered_ingestion(on_error=on_error) as buffered,
        ):
            buffered.try_ingest_flows(*rows(2))
            raise RuntimeError("boom")
        assert rescued == ["row 0", "row 1"]
        assert sent(server)[-1] == [0, 1]

    def test_what_the_server_refuses_for_ever_can_be_taken_out(self, server, service):
        """The note of the error says how; later rows go on."""
        server.fail(INGEST, grpc.StatusCode.INVALID_ARGUMENT, times=2)
        with service.buffered_ingestion(1) as buffered:
            with pytest.raises(grpc.RpcError):
                buffered.try_ingest_flows(*rows(1))
            with pytest.raises(grpc.RpcError) as error:
                buffered.try_ingest_flows(*rows(1))
            assert "discard()" in "".join(error.value.__notes__)
            assert [row.channel_values[0].string for row in buffered.discard()] == ["row 0"]
            buffered.try_ingest_flows(*rows(1))
        assert sent(server)[-1] == [0]

    def test_on_error_is_not_called_when_all_is_well(self, server, service):
        """The rest is flushed as ever."""
        with service.buffered_ingestion(on_error=pytest.fail) as buffered:
            buffered.try_ingest_flows(*rows(1))
        assert sent(server) == [[0]]


class TestTimedFlush:
    """Rows wait no longer than the interval."""

    def test_rows_go_when_the_interval_is_over(self, server, service):
        """Again and again, without another call; never an empty stream."""
        with service.buffered_ingestion(flush_interval_sec=INTERVAL_S) as buffered:
            buffered.try_ingest_flows(*rows(1))
            server.wait_for_calls(INGEST, 1)
            buffered.try_ingest_flows(*rows(1, start=1))
            server.wait_for_calls(INGEST, 2)
        assert sent(server) == [[0], [1]]

    def test_the_timer_ends_with_the_block(self, server, service):
        """No thread is left."""
        with service.buffered_ingestion(flush_interval_sec=60) as buffered:
            buffered.try_ingest_flows(*rows(1))
            thread = buffered._interval._thread
            assert thread.is_alive()
        assert sent(server) == [[0]]
        assert not thread.is_alive()

    def test_the_timer_does_not_keep_a_forgotten_buffer(self, service):
        """Without a with-block, the garbage collector ends it."""
        buffered = service.buffered_ingestion(flush_interval_sec=INTERVAL_S)
        buffered.try_ingest_flows(*rows(1))
        buffered.flush()
        thread = buffered._interval._thread
        forgotten = weakref.ref(buffered)
        del buffered
        thread.join(30)
        gc.collect()
        assert not thread.is_alive()
        assert forgotten() is None

    def test_a_failed_timed_flush_is_logged_and_tried_again(self, server, service, caplog):
        """The rows are kept; when the server is back, they are sent without another call."""
        server.fail(INGEST, UNAVAILABLE, "the way is cut")
        with (
            caplog.at_level(logging.WARNING, "sift_py.ingestion.buffer"),
            service.buffered_ingestion(flush_interval_sec=INTERVAL_S) as buffered,
        ):
            buffered.try_ingest_flows(*rows(2))
            server.wait_for_calls(INGEST, 2)
        assert sent(server) == [[0, 1], [0, 1]]
        assert "A timed flush failed; 2 requests are kept" in caplog.text
        assert "the way is cut" in caplog.text

    def test_the_next_call_tells_of_a_failed_timed_flush(self, server, service):
        """It tries at once, raises while the failure lasts, and has its rows in the buffer."""
        server.fail(INGEST, UNAVAILABLE, times=1_000_000)
        with service.buffered_ingestion(flush_interval_sec=INTERVAL_S) as buffered:
            buffered.try_ingest_flows(*rows(1))
            # The second try begins when the failure of the first is known.
            server.wait_for_calls(INGEST, 2)
            with pytest.raises(grpc.RpcError):
                buffered.try_ingest_flows(*rows(1, start=1))
            server.heal(INGEST)
        assert sent(server)[-1] == [0, 1]

    def test_the_end_of_the_block_tells_of_a_failed_timed_flush(self, server, service):
        """What could not be sent until then raises there."""
        server.fail(INGEST, UNAVAILABLE, times=1_000_000)
        with (
            pytest.raises(grpc.RpcError),
            service.buffered_ingestion(flush_interval_sec=INTERVAL_S) as buffered,
        ):
            buffered.try_ingest_flows(*rows(1))
            server.wait_for_calls(INGEST, 2)

    def test_a_flush_starts_the_interval_anew(self, server, service):
        """The timer counts from the last flush, whoever made it."""
        buffered = service.buffered_ingestion(flush_interval_sec=60)
        buffered.try_ingest_flows(*rows(1))
        buffered._interval._deadline_s = 0.0
        buffered.flush()
        assert buffered._interval._deadline_s > 0
        buffered._interval.stop()


class TestThreads:
    """Many threads may share a buffer."""

    def test_every_row_goes_once(self, server, service):
        """With several threads, a small buffer, flushes by hand and by time."""
        threads, per_thread = 8, 50
        with service.buffered_ingestion(7, flush_interval_sec=INTERVAL_S) as buffered:

            def ingest(start):
                for row in rows(per_thread, start):
                    buffered.try_ingest_flows(row)
                buffered.flush()

            running = [
                threading.Thread(target=ingest, args=(number * per_thread,))
                for number in range(threads)
            ]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join()
        streams = sent(server)
        assert sorted(itertools.chain(*streams)) == list(range(threads * per_thread))
        assert max(map(len, streams)) <= 7
        for number in range(threads):
            own = [row for stream in streams for row in stream if row // per_thread == number]
            assert own == sorted(own)

    def test_rows_are_taken_while_a_flush_is_on_its_way(self, server, service):
        """A slow server does not hold up who only adds a row."""
        reached, go_on = threading.Event(), threading.Event()

        def hold(method):
            if method == INGEST:
                reached.set()
                assert go_on.wait(30)

        buffered = service.buffered_ingestion(100)
        buffered.try_ingest_flows(*rows(1))
        server.before_reply = hold
        flushing = threading.Thread(target=buffered.flush)
        flushing.start()
        assert reached.wait(30)
        buffered.try_ingest_flows(*rows(1, start=1))
        go_on.set()
        flushing.join()
        buffered.flush()
        assert sent(server) == [[0], [1]]
