"""What happens as flows, clients and the lake grow: processor time, latency and memory."""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.clients import CLIENT_HZ, Clients
from benchmarks.report import Section, console
from benchmarks.senders.workload import START_NS, STEP_NS
from benchmarks.servers import API_KEY, BenchmarkServer, sift_serve
from benchmarks.services import connect, row_of, service_of
from benchmarks.streams import channel_id_of, read_times_ns, wait_until_idle
from support.serving import plain_channel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.sizes import Size

WIDTH_VALUES = 20_000_000
FLOW_VALUES = 10_000_000
POINTS_PER_CALL = 4_000_000
LAKE_PARTS = 5
"""The first and the last of them are compared."""
READ_EVERY = 10
"""Every such small batch is read back as soon as it is acknowledged."""


def run(size: Size) -> list[Section]:
    """Measure what grows, and small batches."""
    return [_cost(size), _small_batches(size)]


def _cost(size: Size) -> Section:
    cost = Section(
        "Cost as work grows",
        "Processor time of the server, user and system, for a million values: received, logged,"
        " acknowledged, and written to the table; merging of files is part of it. Flows have sent a"
        " row each before.",
        ["what", "s per million values", "peak memory, MiB"],
    )
    per_width = [_width(cost, channels, int(WIDTH_VALUES * size.part)) for channels in size.widths]
    per_flow = [_flows(cost, flows, int(FLOW_VALUES * size.part)) for flows in size.flows]
    per_part = _lake(cost, size)
    for name, costs in (
        (f"cost a value, {size.widths[-1]:,} / {size.widths[0]:,} channels a flow", per_width),
        (f"cost a value, {size.flows[-1]:,} flows / one", per_flow),
        ("cost a value, last / first part of a growing lake", per_part),
    ):
        # So little work that the clock did not tick costs nothing, and tells nothing.
        cost.figures[name] = costs[-1] / costs[0] if costs[0] else math.nan
    cost.show()
    return cost


def _small_batches(size: Size) -> Section:
    small = Section(
        "Small batches",
        "Latency: one row of 10 channels in a stream of its own, until it is acknowledged, on an"
        f" idle server, {size.latency_calls} times; every {READ_EVERY}th is read back at once."
        f" Clients: {size.clients} connections, {CLIENT_HZ} rows a second each, for"
        f" {size.clients_s:.0f} s; with a stream that stays open, as the published Rust client"
        " does; with a stream a second, as a buffer does; with a stream for each row. All clients"
        " are one process, which may be too slow: `at full rate` is what the server would take"
        " for all rows at what it took for each that came.",
        [
            "what", "p50, ms", "p99, ms", "rows/s", "server, cores", "at full rate",
            "peak memory, MiB",
        ],
    )  # fmt: skip
    _latency(small, size.latency_calls)
    _clients(small, size, "an open stream each", None)
    _clients(small, size, "a stream a second each", CLIENT_HZ)
    _clients(small, size, "a stream a row each", 1)
    small.show()
    return small


def _note(section: Section, server: BenchmarkServer, name: str, values: int, cpu_s: float) -> float:
    """Add a row of cost; return the cost of a value."""
    section.note_memory(server.peak_memory_bytes())
    memory = server.peak_memory_bytes() / 2**20
    section.rows.append([name, f"{cpu_s / values * 1e6:.3f}", f"{memory:.0f}"])
    return cpu_s / values


def _width(section: Section, channels: int, values: int) -> float:
    name = f"{channels:,} channels a flow"
    console.print(f"[dim]{name}", highlight=False)
    rows = max(64, values // channels)
    times_ns = np.arange(rows, dtype=np.int64) * STEP_NS + START_NS
    column = _sensor(rows)
    with sift_serve() as server:
        with connect(server) as channel:
            service = service_of(channel, 1, channels)
            wait_until_idle(server)
            before = server.cpu_s()
            service.ingest_columns(
                "flow.0", times_ns, {f"sensor.0.{index}": column for index in range(channels)}
            )
        server.stop()
    return _note(section, server, name, rows * channels, server.cpu_s() - before)


def _flows(section: Section, flows: int, values: int) -> float:
    channels = 10
    name = f"{flows:,} flows of {channels} channels, a row each in turn"
    console.print(f"[dim]{name}", highlight=False)
    rounds = max(1, values // channels // flows)
    calls = min(rounds, 40)
    sent = rounds * flows * channels
    with sift_serve() as server:
        with connect(server) as channel:
            service = service_of(channel, flows, channels)
            service.ingest_flows(*_rounds(range(-1, 0), flows, channels))
            wait_until_idle(server)
            before = server.cpu_s()
            for call in range(calls):
                steps = range(rounds * call // calls, rounds * (call + 1) // calls)
                service.ingest_flows(*_rounds(steps, flows, channels))
        server.stop()
    return _note(section, server, name, sent, server.cpu_s() - before)


def _rounds(steps: range, flows: int, channels: int) -> list[dict[str, object]]:
    return [
        {
            "flow_name": f"flow.{flow}",
            "timestamp": START_NS + step * STEP_NS,
            "channel_values": [float(step)] * channels,
        }
        for step in steps
        for flow in range(flows)
    ]


def _lake(section: Section, size: Size) -> list[float]:
    """Fill a lake; return the cost of a value in its first, middle and last part."""
    channels = 100
    rows = min(size.lake_points // LAKE_PARTS, POINTS_PER_CALL) // channels
    calls_per_part = size.lake_points // LAKE_PARTS // (rows * channels)
    columns = {f"sensor.0.{index}": _sensor(rows, index) for index in range(channels)}
    parts = (range(1), range(1, LAKE_PARTS - 1), range(LAKE_PARTS - 1, LAKE_PARTS))
    costs = []
    with sift_serve() as server, connect(server) as channel:
        service = service_of(channel, 1, channels)
        wait_until_idle(server)
        before = server.cpu_s()
        for part in parts:
            calls = range(part.start * calls_per_part, part.stop * calls_per_part)
            name = (
                f"a lake grows from {calls.start * rows * channels / 1e6:,.0f}"
                f" to {calls.stop * rows * channels / 1e6:,.0f} million points"
            )
            console.print(f"[dim]{name}", highlight=False)
            for call in calls:
                steps = np.arange(call * rows, (call + 1) * rows, dtype=np.int64)
                service.ingest_columns("flow.0", steps * STEP_NS + START_NS, columns)
            # What is hot yet is written and merged on the bill of its own part.
            time.sleep(size.flush_wait_s)
            wait_until_idle(server)
            now = server.cpu_s()
            costs.append(_note(section, server, name, len(calls) * rows * channels, now - before))
            before = now
    return costs


def _sensor(rows: int, seed: int = 0) -> NDArray[np.float64]:
    chance = np.random.default_rng(seed)
    return np.round(20 + 5 * np.sin(np.arange(rows) / 50) + chance.normal(0, 0.05, rows), 4)


def _latency(section: Section, calls: int) -> None:
    console.print("[dim]latency", highlight=False)
    taken: list[float] = []
    readable: list[bool] = []
    with (
        sift_serve() as server,
        connect(server) as channel,
        plain_channel(server.address, API_KEY) as plain,
    ):
        service = service_of(channel, 1, 10)
        service.ingest_flows(row_of(0))
        channel_id = channel_id_of(plain, service.ingestion_config.asset_id, "sensor.0.0")
        wait_until_idle(server)
        for number in range(calls):
            row = row_of(number)
            start = time.perf_counter()
            service.ingest_flows(row)
            taken.append(time.perf_counter() - start)
            if number % READ_EVERY == 0:
                found = read_times_ns(plain, channel_id, row["timestamp"], row["timestamp"] + 1)
                readable.append(found == [row["timestamp"]])
            time.sleep(0.005)
        memory = server.peak_memory_bytes()
    section.note_memory(memory)
    p50_ms, p99_ms = _percentiles_ms(taken)
    section.figures["a small batch, p50"] = p50_ms
    section.figures["a small batch, p99"] = p99_ms
    section.figures["a small batch, part readable when acknowledged"] = statistics.mean(readable)
    section.rows.append(
        [
            "latency, one client", f"{p50_ms:.1f}", f"{p99_ms:.1f}", "", "", "",
            f"{memory / 2**20:.0f}",
        ]
    )  # fmt: skip


def _clients(section: Section, size: Size, how: str, rows_per_stream: int | None) -> None:
    name = f"{size.clients} clients, {how}"
    console.print(f"[dim]{name}", highlight=False)
    with sift_serve() as server:
        senders = Clients(server, size.clients, size.clients_s)
        wait_until_idle(server)
        before = server.cpu_s()
        seconds = senders.run(rows_per_stream)
        cores = (server.cpu_s() - before) / seconds
        memory = server.peak_memory_bytes()
        senders.close()
    cuts_ms = _percentiles_ms(senders.taken_s)
    section.note_memory(memory)
    full_rate = size.clients * CLIENT_HZ
    rows_per_s = senders.rows_sent / seconds
    section.figures[name] = cores * full_rate / rows_per_s
    section.rows.append(
        [
            name,
            *("-" if math.isnan(each) else f"{each:.1f}" for each in cuts_ms),
            f"{rows_per_s:.0f}",
            f"{cores:.2f}",
            f"{section.figures[name]:.2f}",
            f"{memory / 2**20:.0f}",
        ]
    )


def _percentiles_ms(taken_s: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile; not numbers if there is nothing to tell."""
    if len(taken_s) < 2:
        return math.nan, math.nan
    cuts = statistics.quantiles(taken_s, n=100)
    return cuts[49] * 1e3, cuts[98] * 1e3
