"""Values that come at a steady rate while something else is measured."""

from __future__ import annotations

import multiprocessing
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.servers import API_KEY
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.service import IngestionService

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.sharedctypes import Synchronized
    from multiprocessing.synchronize import Event

    from numpy.typing import NDArray

    from benchmarks.servers import BenchmarkServer
    from sift_py.ingestion.config.telemetry import TelemetryConfig

CHANNELS = 100
VALUES_PER_S = 1_000_000
CALL_S = 0.05
"""How often some of it is sent."""
TRUE_EVERY_S = 10
"""How often values are high, for a second."""


def sensor_values(times_ns: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Noise of a sensor around 20, and for a second in ten around 25."""
    chance = np.random.default_rng(seed)
    is_high = times_ns // 1_000_000_000 % TRUE_EVERY_S == seed % TRUE_EVERY_S
    return np.round(20 + 5.0 * is_high + chance.uniform(-0.4, 0.4, len(times_ns)), 4)


@contextmanager
def steady_load(server: BenchmarkServer, config: TelemetryConfig) -> Iterator[Synchronized[int]]:
    """Ingest `VALUES_PER_S` into the flow `all` of a config, of channels `sensor.0`, ... meanwhile.

    By a process of its own, which takes no turn of the interpreter from what measures. Gives how
    many values were acknowledged so far.
    """
    processes = multiprocessing.get_context("spawn")
    sent, is_stopping = processes.Value("q", 0), processes.Event()
    process = processes.Process(target=_send, args=(server.address, config, sent, is_stopping))
    process.start()
    try:
        while not sent.value and process.is_alive():
            time.sleep(0.01)
        yield sent
        if not process.is_alive():
            raise RuntimeError("what ingests meanwhile has ended")
    finally:
        is_stopping.set()
        process.join()


def _send(
    address: str, config: TelemetryConfig, sent: Synchronized[int], is_stopping: Event
) -> None:
    rows = int(VALUES_PER_S * CALL_S) // CHANNELS
    step_ns = int(CALL_S * 1e9) // rows
    with use_sift_channel({"uri": f"http://{address}", "apikey": API_KEY}) as channel:
        service = IngestionService(channel, config)
        begin_ns, begin_s = time.time_ns(), time.perf_counter()
        number = 0
        while not is_stopping.is_set():
            times_ns = begin_ns + (np.arange(rows) + number * rows) * step_ns
            columns = {f"sensor.{n}": sensor_values(times_ns, n) for n in range(CHANNELS)}
            service.ingest_columns("all", times_ns, columns)
            sent.value += rows * CHANNELS
            number += 1
            time.sleep(max(0.0, begin_s + number * CALL_S - time.perf_counter()))
