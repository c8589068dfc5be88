"""Values that come at a steady rate while something else is measured."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from sift_py.ingestion.service import IngestionService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sift_py.grpc.transport import SiftChannel
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
def steady_load(channel: SiftChannel, config: TelemetryConfig) -> Iterator[list[int]]:
    """Ingest `VALUES_PER_S` into the flow `all` of a config, of channels `sensor.0`, ... meanwhile.

    Gives the list of how many values each call had.
    """
    service = IngestionService(channel, config)
    stopping = threading.Event()
    sent: list[int] = []
    rows = int(VALUES_PER_S * CALL_S) // CHANNELS
    step_ns = int(CALL_S * 1e9) // rows

    def send() -> None:
        begin_ns, begin_s = time.time_ns(), time.perf_counter()
        number = 0
        while not stopping.is_set():
            times_ns = begin_ns + (np.arange(rows) + number * rows) * step_ns
            columns = {f"sensor.{n}": sensor_values(times_ns, n) for n in range(CHANNELS)}
            service.ingest_columns("all", times_ns, columns)
            sent.append(rows * CHANNELS)
            number += 1
            time.sleep(max(0.0, begin_s + number * CALL_S - time.perf_counter()))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        stopping.set()
        thread.join()
