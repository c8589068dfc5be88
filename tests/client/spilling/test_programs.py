"""Programs and servers that are killed lose nothing that was taken."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

import pytest

from sift_py.ingestion.service import IngestionService
from sift_py.testing import LocalServer
from support.serving import ServeProcess
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

ROWS = """
first, last = map(int, arguments)
with service:
    for number in range(first, last):
        service.ingest_flows(row(number))
        print(number, flush=True)
channel.close()
"""


def next_number(process):
    return int(process.stdout.readline())


@pytest.mark.slow
def test_a_program_that_is_killed_loses_nothing_that_it_took(server, proxy, asset, spill_dir):
    """Killed while it spills, three times; the next program sends what the last one left."""
    first = 0
    for _ in range(3):
        proxy.heal()
        with program(ROWS, proxy.uri, server.apikey, asset, spill_dir, first, 10**9) as process:
            assert process.stdout.readline() == "ready\n"
            for _ in range(20):
                next_number(process)
            proxy.refuse()
            for _ in range(200):
                first = next_number(process) + 1
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
            first = int(rest[-1]) + 1 if rest else first
    assert spill_files(spill_dir)
    proxy.heal()
    with program(ROWS, proxy.uri, server.apikey, asset, spill_dir, first, first + 1) as process:
        process.communicate(timeout=WAIT_S)
        assert process.returncode == 0
    got = numbers(server, asset)
    assert got[: first + 1] == up_to(first + 1)
    assert len(got) == first + 1
    assert spill_files(spill_dir) == []


@pytest.mark.slow
def test_two_programs_share_a_folder(server, proxy, asset, spill_dir):
    """Both spill, one is killed, the other goes on and sends its own; the next sends the rest."""
    with (
        program(ROWS, proxy.uri, server.apikey, asset, spill_dir, 0, 10**9) as one,
        program(ROWS, proxy.uri, server.apikey, f"{asset} 2", spill_dir, 0, 400) as two,
    ):
        for process in (one, two):
            assert process.stdout.readline() == "ready\n"
            next_number(process)
        proxy.refuse()
        for _ in range(100):
            reached = next_number(one)
            next_number(two)
        one.send_signal(signal.SIGKILL)
        rest = one.stdout.read().split()
        reached = int(rest[-1]) if rest else reached
        proxy.heal()
        two.communicate(timeout=WAIT_S)
        assert two.returncode == 0
    assert numbers(server, f"{asset} 2") == up_to(400)
    with program(ROWS, proxy.uri, server.apikey, f"{asset} 3", spill_dir, 0, 0) as three:
        three.communicate(timeout=WAIT_S)
    assert numbers(server, asset)[: reached + 1] == up_to(reached + 1)
    assert spill_files(spill_dir) == []


@pytest.mark.slow
def test_a_server_that_is_killed_gets_everything(tmp_path, asset, spill_dir):
    """SIGKILL in the middle of streams, again and again: every row is there, and once."""
    stop = threading.Event()
    running = []
    with contextlib.ExitStack() as opened:
        running.append(ServeProcess(tmp_path / "data"))
        opened.callback(lambda: running[-1].kill())  # noqa: PLW0108 - the last one then
        address = running[0].address
        local = LocalServer(tmp_path / "data")
        local._port = int(address.rpartition(":")[2])
        channel = opened.enter_context(local.channel())
        service = IngestionService(channel, config(asset), retry_policy=QUICK, spill_dir=spill_dir)
        count = 0

        def ingest():
            nonlocal count
            while not stop.is_set():
                service.ingest_flows(*[row(count + number) for number in range(100)])
                count += 100

        calling = threading.Thread(target=ingest)
        calling.start()
        for _ in range(3):
            reached = count
            wait_for(lambda reached=reached: count > reached + 2_000)
            running[-1].kill()
            time.sleep(0.1)
            running.append(ServeProcess(tmp_path / "data", "--listen", address))
        stop.set()
        calling.join(WAIT_S)
        service.close()
        assert numbers(local, asset) == up_to(count)


def test_a_program_of_the_published_client_goes_on_as_it_was(server, proxy, asset):
    """It knows of no folder and closes nothing; streams are cut, and every row is there once."""
    text = """
def on_error(error, buffer, flush):
    print(type(error).__name__, len(buffer), flush=True)
    flush()

with service.buffered_ingestion(buffer_size=10, on_error=on_error) as buffered:
    for number in range(1000):
        buffered.ingest_flows(row(number))
    sys.stdin.readline()
    buffered.ingest_flows(*[row(number) for number in range(1000, 1005)])
    raise ValueError("of the program")
"""
    with program(text, proxy.uri, server.apikey, asset) as running:
        assert running.stdout.readline() == "ready\n"
        for _ in range(5):
            proxy.cut_after(2_000)
            time.sleep(0.05)
        said, errors = running.communicate("\n", timeout=WAIT_S)
    assert said == "ValueError 5\n"
    assert errors.endswith("ValueError: of the program\n")
    assert numbers(server, asset) == up_to(1005)
