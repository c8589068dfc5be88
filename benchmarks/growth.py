"""What happens as flows, clients and the lake grow: processor time, latency and memory."""

from __future__ import annotations

import statistics
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.report import Section, console
from benchmarks.senders.workload import START_NS, STEP_NS
from benchmarks.servers import API_KEY, BenchmarkServer, sift_serve
from benchmarks.streams import wait_until_idle
from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService

if TYPE_CHECKING:
    from sift_py.grpc.transport import SiftChannel

LATENCY_CALLS = 500
CLIENTS = 200
CLIENT_HZ = 10
CLIENTS_S = 20.0
LAKE_POINTS = 1_000_000_000
POINTS_PER_CALL = 20_000_000


def run(part: float) -> list[Section]:
    """Measure; `part` is the part of the ordinary amount of work."""
    cost = Section(
        "Cost as work grows",
        "Processor time of the server, user and system, for a million values: received, logged,"
        " acknowledged, and written to the table.",
        ["what", "s per million values", "peak memory, MiB"],
    )
    for channels in (100, 1_000, 10_000):
        cost.rows.append(_width(channels, int(20_000_000 * part)))
    for flows in (1, 100, 5_000):
        cost.rows.append(_flows(flows, int(2_000_000 * part)))
    cost.rows += _lake(int(LAKE_POINTS * part))
    cost.show()
    small = Section(
        "Small batches",
        "Latency: one row of 10 channels in a stream of its own, until it is acknowledged, on an"
        f" idle server; {LATENCY_CALLS} times. Clients: {CLIENTS} connections, each with"
        f" {CLIENT_HZ} rows a second, for {CLIENTS_S:.0f} s.",
        ["what", "p50, ms", "p99, ms", "server, part of a core"],
    )
    small.rows.append(_latency())
    small.rows.append(_clients(part, rows_per_stream=1))
    small.rows.append(_clients(part, rows_per_stream=CLIENT_HZ))
    small.show()
    return [cost, small]


def _service(channel: SiftChannel, flows: int, channels: int) -> IngestionService:
    asset = f"growth-{flows}-{channels}-{time.time_ns()}"
    config = TelemetryConfig(
        asset,
        asset,
        flows=[
            FlowConfig(
                f"flow.{flow}",
                [
                    ChannelConfig(f"sensor.{flow}.{index}", ChannelDataType.DOUBLE)
                    for index in range(channels)
                ],
            )
            for flow in range(flows)
        ],
    )
    return IngestionService(channel, config)


def _connect(server: BenchmarkServer) -> SiftChannel:
    return use_sift_channel(SiftChannelConfig(uri=f"http://{server.address}", apikey=API_KEY))


def _flushed(server: BenchmarkServer) -> None:
    """Wait until what was sent is in the table, which takes some seconds at the most."""
    deadline = time.monotonic() + 60
    before = -1
    while time.monotonic() < deadline:
        wait_until_idle(server)
        size = server.table_bytes()
        if size == before:
            return
        before = size
        time.sleep(10.5)


def _cost(server: BenchmarkServer, name: str, values: int, cpu_s: float) -> list[str]:
    memory = server.peak_memory_bytes() / 2**20
    console.print(f"[dim]{name}", highlight=False)
    return [name, f"{cpu_s / values * 1e6:.3f}", f"{memory:.0f}"]


def _width(channels: int, values: int) -> list[str]:
    rows = max(64, values // channels)
    times_ns = np.arange(rows, dtype=np.int64) * STEP_NS + START_NS
    with sift_serve() as server, _connect(server) as channel:
        service = _service(channel, 1, channels)
        column = np.round(np.sin(np.arange(rows) / 50), 4)
        wait_until_idle(server)
        before = server.cpu_s()
        service.ingest_columns(
            "flow.0", times_ns, {f"sensor.0.{index}": column for index in range(channels)}
        )
        _flushed(server)
        return _cost(
            server, f"{channels:,} channels a flow", rows * channels, server.cpu_s() - before
        )


def _flows(flows: int, values: int) -> list[str]:
    channels = 10
    rounds = max(1, values // channels // flows)
    with sift_serve() as server, _connect(server) as channel:
        service = _service(channel, flows, channels)
        wait_until_idle(server)
        before = server.cpu_s()
        calls = max(1, min(rounds, 40))
        for call in range(calls):
            service.ingest_flows(
                *[
                    {
                        "flow_name": f"flow.{flow}",
                        "timestamp": START_NS + step * STEP_NS,
                        "channel_values": [float(step)] * channels,
                    }
                    for step in range(rounds * call // calls, rounds * (call + 1) // calls)
                    for flow in range(flows)
                ]
            )
        _flushed(server)
        name = f"{flows:,} flows of 10 channels, a row each in turn"
        return _cost(server, name, rounds * channels * flows, server.cpu_s() - before)


def _lake(points: int) -> list[list[str]]:
    """Fill a lake; the cost of the first and of the last call."""
    channels = 100
    rows = min(points, POINTS_PER_CALL) // channels
    rounds = max(2, points // (rows * channels))
    column = np.round(np.sin(np.arange(rows) / 50), 4)
    found = []
    with sift_serve() as server, _connect(server) as channel:
        service = _service(channel, 1, channels)
        columns = {f"sensor.0.{index}": column for index in range(channels)}
        for number in range(rounds):
            measured = number in {1, rounds - 1}
            if measured:
                _flushed(server)
                before = server.cpu_s()
            first = START_NS + number * rows * STEP_NS
            times_ns = np.arange(rows, dtype=np.int64) * STEP_NS + first
            service.ingest_columns("flow.0", times_ns, columns)
            if measured:
                _flushed(server)
                name = (
                    f"100 channels, a lake of {number * rows * channels / 1e6:,.0f} million points"
                )
                found.append(_cost(server, name, rows * channels, server.cpu_s() - before))
    return found


def _row(number: int) -> dict[str, object]:
    return {
        "flow_name": "flow.0",
        "timestamp": time.time_ns(),
        "channel_values": [float(number)] * 10,
    }


def _latency() -> list[str]:
    with sift_serve() as server, _connect(server) as channel:
        service = _service(channel, 1, 10)
        service.ingest_flows(_row(0))
        taken = []
        for number in range(LATENCY_CALLS):
            start = time.perf_counter()
            service.ingest_flows(_row(number))
            taken.append(time.perf_counter() - start)
            time.sleep(0.005)
    return ["latency, one client", *_percentiles(taken), ""]


def _clients(part: float, *, rows_per_stream: int) -> list[str]:
    seconds = max(3.0, CLIENTS_S * part)
    taken: list[float] = []
    failed: list[BaseException] = []
    with sift_serve() as server:
        channels = [_connect(server) for _ in range(CLIENTS)]
        services = [_service(channel, 1, 10) for channel in channels]
        for service in services:
            # Connections are opened by the first call.
            service.ingest_flows(_row(0))
        wait_until_idle(server)
        before = server.cpu_s()
        begin = time.perf_counter() + 0.5

        def client(number: int) -> None:
            period = rows_per_stream / CLIENT_HZ
            due = begin + period * number / CLIENTS
            try:
                while due < begin + seconds:
                    time.sleep(max(0.0, due - time.perf_counter()))
                    start = time.perf_counter()
                    services[number].ingest_flows(*map(_row, range(rows_per_stream)))
                    taken.append(time.perf_counter() - start)
                    due += period
            except BaseException as error:  # noqa: BLE001 - told below
                failed.append(error)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        share = (server.cpu_s() - before) / seconds
        for channel in channels:
            channel.close()
    if failed:
        raise failed[0]
    rows = "a row" if rows_per_stream == 1 else f"{rows_per_stream} rows"
    return [f"{CLIENTS} clients, {rows} a stream", *_percentiles(taken), f"{share:.2f}"]


def _percentiles(taken: list[float]) -> list[str]:
    cuts = statistics.quantiles(taken, n=100)
    return [f"{cuts[49] * 1e3:.1f}", f"{cuts[98] * 1e3:.1f}"]
