"""Reading back: points into Arrow, how soon an answer begins, and how soon a point is there."""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.load import CHANNELS, VALUES_PER_S, sensor_values, steady_load
from benchmarks.report import Section, console, rate
from benchmarks.senders.workload import START_NS, STEP_NS
from benchmarks.servers import API_KEY, sift_serve
from benchmarks.services import connect
from benchmarks.streams import wait_until_idle
from sift_py.data import follow, read_channels, read_overview
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_server.lake.checksums import ChecksummedFile
from sift_server.lake.files import ROW_GROUP_POINTS, parquet_writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.servers import BenchmarkServer
    from benchmarks.sizes import Size
    from sift_py.grpc.transport import SiftChannel

POINTS_PER_CALL = 2_000_000
PIXELS = 2_000
FOLLOWERS = 100
FOLLOW_WAIT_S = 30
TARGET_POINTS = 10_000_000
"""What the target in seconds is about; fewer points count in proportion."""
_READ_BYTES = 256 * 1024


def run(size: Size) -> list[Section]:
    """Measure reading."""
    reading = Section(
        "Reading",
        "All points of a channel of doubles in the table, by `read_channels`, until they are an"
        " Arrow table in the client; and the same two columns by `pyarrow.parquet.read_table` from"
        " one file, as pyarrow writes it and as our table is written. In turn, medians. Overview:"
        f" by `read_overview`, of all points, {PIXELS:,} pixels.",
        ["what", "reached"],
    )
    _throughput(reading, size)
    reading.show()
    live = Section(
        "Live",
        f"While {VALUES_PER_S / 1e6:.0f} million values a second come of {CHANNELS} channels."
        " First byte: from the question until the first byte of the answer's body, over HTTP, of"
        " the latest second of a channel, and of a second in the table. Following: from a row's"
        f" acknowledgement until its point is there, alone and with {FOLLOWERS} others who follow"
        " a channel each.",
        ["what", "p50", "p99"],
    )
    _latencies(live, size)
    live.show()
    return [reading, live]


def _fill(channel: SiftChannel, count: int, begin: int = 0) -> None:
    """Ingest points of one channel, from one number to before another."""
    config = TelemetryConfig(
        asset_name="stored",
        ingestion_client_key="stored",
        flows=[FlowConfig("one", [ChannelConfig("sensor", ChannelDataType.DOUBLE)])],
    )
    service = IngestionService(channel, config)
    for first in range(begin, count, POINTS_PER_CALL):
        steps = np.arange(first, min(first + POINTS_PER_CALL, count), dtype=np.int64)
        times_ns = steps * STEP_NS + START_NS
        service.ingest_columns("one", times_ns, {"sensor": sensor_values(times_ns, 1)})


def _throughput(section: Section, size: Size) -> None:
    console.print("[dim]reading into Arrow", highlight=False)
    count = size.read_points
    with (
        tempfile.TemporaryDirectory(prefix="sift-benchmark-") as folder,
        sift_serve() as server,
        connect(server) as channel,
    ):
        _fill(channel, count)
        time.sleep(size.flush_wait_s)
        wait_until_idle(server)
        table = read_channels("stored", source=channel)["sensor"]
        plain, like_ours = _files(Path(folder), table)
        taken: dict[str, list[float]] = {"ours": [], "plain": [], "like ours": []}
        cpu_s = []
        # Once before, so that no first time is measured.
        for path in (plain, like_ours):
            pq.read_table(path)
        for _ in range(size.rounds):
            before_s, begin_s = server.cpu_s(), time.perf_counter()
            read = read_channels("stored", source=channel).to_arrow()
            taken["ours"].append(time.perf_counter() - begin_s)
            cpu_s.append(server.cpu_s() - before_s)
            if read.num_rows != count:
                raise RuntimeError(f"{read.num_rows:,} points were read of {count:,}")
            for name, path in (("plain", plain), ("like ours", like_ours)):
                begin_s = time.perf_counter()
                pq.read_table(path)
                taken[name].append(time.perf_counter() - begin_s)
        _overviews(section, server, channel, size)
        section.note_memory(server.peak_memory_bytes())
    ours_s, plain_s, like_s = (statistics.median(each) for each in taken.values())
    section.figures["10 million points into Arrow"] = ours_s * TARGET_POINTS / count
    section.figures["reading points / pyarrow, a file as pyarrow writes it"] = plain_s / ours_s
    section.figures["reading points / pyarrow, a file as our table is written"] = like_s / ours_s
    section.rows += [
        [f"{count:,} points into Arrow", f"{ours_s:.3f} s"],
        ["points", rate(count / ours_s)],
        ["processor time of the server", f"{statistics.median(cpu_s):.3f} s"],
        ["pyarrow, a file as it writes it", f"{plain_s:.3f} s"],
        ["pyarrow, a file as our table is written", f"{like_s:.3f} s"],
    ]


def _overviews(section: Section, server: BenchmarkServer, channel: SiftChannel, size: Size) -> None:
    """How long the overview of a channel takes, and how that grows with its points."""
    counts = [size.read_points, size.overview_points]
    taken_ms = [_overview_ms(channel, size.rounds)]
    console.print("[dim]reading, overviews", highlight=False)
    _fill(channel, counts[1], counts[0])
    time.sleep(size.flush_wait_s)
    wait_until_idle(server)
    taken_ms.append(_overview_ms(channel, size.rounds))
    section.figures["overview of 2,000 pixels, many points"] = taken_ms[1]
    section.figures["overview, part by which it grew / part by which points did"] = (
        taken_ms[1] / taken_ms[0] / (counts[1] / counts[0])
    )
    section.rows += [
        [f"overview of {count:,} points, {PIXELS:,} pixels", f"{each_ms:.0f} ms"]
        for count, each_ms in zip(counts, taken_ms, strict=True)
    ]


def _overview_ms(channel: SiftChannel, rounds: int) -> float:
    taken_ms = []
    for _ in range(rounds):
        begin_s = time.perf_counter()
        overview = read_overview("stored", "sensor", pixels=PIXELS, source=channel)
        taken_ms.append((time.perf_counter() - begin_s) * 1e3)
        if not PIXELS // 2 <= len(overview) <= PIXELS:
            raise RuntimeError(f"the overview has {len(overview)} of {PIXELS} pixels")
    return statistics.median(taken_ms)


def _files(folder: Path, points: Any) -> tuple[Path, Path]:  # noqa: ANN401 (readings)
    """The same points in one Parquet file, as pyarrow writes it and as our table is written."""
    times = points.times.cast(pa.int64())
    table = pa.table({"timestamp_ns": times, "value_double": points.values})
    plain, like_ours = folder / "plain.parquet", folder / "ours.parquet"
    pq.write_table(table, plain)
    with (
        like_ours.open("wb") as file,
        parquet_writer(ChecksummedFile(file), table.schema) as writer,
    ):
        writer.write_table(table, ROW_GROUP_POINTS)
    return plain, like_ours


def _latencies(section: Section, size: Size) -> None:
    console.print("[dim]reading, latencies", highlight=False)
    config = TelemetryConfig(
        asset_name="live",
        ingestion_client_key="live",
        flows=[
            FlowConfig(
                "all",
                [ChannelConfig(f"sensor.{n}", ChannelDataType.DOUBLE) for n in range(CHANNELS)],
            ),
            FlowConfig("probe", [ChannelConfig("probe", ChannelDataType.DOUBLE)]),
        ],
    )
    with sift_serve() as server, connect(server) as channel, connect(server) as probing:
        _fill(channel, size.read_points)
        time.sleep(size.flush_wait_s)
        probe = IngestionService(probing, config)
        probe.ingest_flows(_row())
        wait_until_idle(server)
        with steady_load(server, config) as sent:
            before, begin_s = sent.value, time.perf_counter()
            time.sleep(1)
            sensors = read_channels("live", "sensor.*", time.time_ns() - 10**9, source=probing)
            sensor_ids = [each.channel_id for each in sensors]
            stored_id = (
                read_channels("stored", end=START_NS + 1, source=probing).channels[0].channel_id
            )
            hot = _first_bytes(server, sensor_ids[0], size.read_latencies, None)
            stored = _first_bytes(server, stored_id, size.read_latencies, START_NS)
            _add(section, "first byte of hot points", hot)
            _add(section, "first byte of stored points", stored)
            read, at_once = _readable(probe, probing, size.read_latencies)
            _add(section, "a point just acknowledged, by read_channels", read)
            section.figures["points readable when acknowledged, part"] = at_once
            _add(
                section,
                "a point there for who follows",
                _followed(probe, probing, size.read_latencies),
            )
            with _following(server, sensor_ids):
                _add(
                    section,
                    f"a point there for who follows, with {FOLLOWERS} others",
                    _followed(probe, probing, size.read_latencies),
                )
            came = (sent.value - before) / (time.perf_counter() - begin_s)
        section.note_memory(server.peak_memory_bytes())
    section.rows.append(["values that came meanwhile", rate(came), ""])


def _add(section: Section, what: str, taken_ms: Sequence[float]) -> None:
    p50_ms, p99_ms = np.percentile(taken_ms, [50, 99]).tolist()
    section.rows.append([what, f"{p50_ms:.1f} ms", f"{p99_ms:.1f} ms"])
    section.figures[f"{what}, p99"] = p99_ms


def _row() -> dict[str, object]:
    return {"flow_name": "probe", "timestamp": time.time_ns(), "channel_values": [1.0]}


def _first_bytes(
    server: BenchmarkServer, channel_id: str, count: int, start_ns: int | None
) -> list[float]:
    """Milliseconds until the first byte about a second of a channel; the latest one if None."""
    host, port = server.address.split(":")
    connection = http.client.HTTPConnection(host, int(port))
    headers = {"authorization": f"Bearer {API_KEY}", "content-type": "application/json"}
    taken_ms = []
    for number in range(count):
        time.sleep(np.random.default_rng().uniform(0.01, 0.05))
        from_ns = time.time_ns() - 10**9 if start_ns is None else start_ns + number * STEP_NS
        question = {
            "queries": [{"channel": {"channelId": channel_id}}],
            "startTime": _text(from_ns),
            "endTime": _text(from_ns + 10**9),
        }
        body = json.dumps(question)
        begin_s = time.perf_counter()
        connection.request("POST", "/arrow/v1/data", body, headers)
        answer = connection.getresponse()
        if not answer.read(1):
            raise RuntimeError("there was no point")
        taken_ms.append((time.perf_counter() - begin_s) * 1e3)
        answer.read()
    connection.close()
    return taken_ms


def _text(time_ns: int) -> str:
    return f"{np.datetime64(time_ns, 'ns')}Z"


def _readable(
    probe: IngestionService, channel: SiftChannel, count: int
) -> tuple[list[float], float]:
    """Milliseconds that reading a point takes right behind its acknowledgement; and how many of
    them were there, as a part."""
    taken_ms, found = [], 0
    for _ in range(count):
        time.sleep(np.random.default_rng().uniform(0.01, 0.05))
        row = _row()
        probe.ingest_flows(row)
        begin_s = time.perf_counter()
        readings = read_channels("live", "probe", row["timestamp"], source=channel)
        taken_ms.append((time.perf_counter() - begin_s) * 1e3)
        found += readings.points
    return taken_ms, found / count


def _followed(probe: IngestionService, channel: SiftChannel, count: int) -> list[float]:
    """Milliseconds from the acknowledgement of a point until it is there; less than 0 is 0."""
    taken_ms = []
    with follow("live", "probe", source=channel, timeout=FOLLOW_WAIT_S) as live:
        for _ in range(count):
            time.sleep(np.random.default_rng().uniform(0.01, 0.05))
            row = _row()
            came_s: list[float] = []

            def wait(came_s: list[float] = came_s, wanted: Any = row["timestamp"]) -> None:  # noqa: ANN401
                for readings in live:
                    if wanted in readings["probe"].timestamps_ns:
                        came_s.append(time.perf_counter())
                        return

            waiting = threading.Thread(target=wait)
            waiting.start()
            probe.ingest_flows(row)
            acknowledged_s = time.perf_counter()
            waiting.join()
            if not came_s:
                raise RuntimeError("a point did not come to who follows")
            taken_ms.append(max(0.0, came_s[0] - acknowledged_s) * 1e3)
    return taken_ms


@contextmanager
def _following(server: BenchmarkServer, channel_ids: Sequence[str]) -> Iterator[None]:
    """Follow channels meanwhile, each by a connection of its own, and throw away what comes."""
    host, port = server.address.split(":")
    stopping = threading.Event()
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for number in range(FOLLOWERS):
            body = json.dumps({"channel_ids": [channel_ids[number % len(channel_ids)]]}).encode()
            head = (
                f"POST /arrow/v1/follow HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer"
                f" {API_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection = opened.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(head.encode() + body)
            selector.register(connection, selectors.EVENT_READ)

        def drain() -> None:
            while not stopping.is_set():
                for key, _ in selector.select(0.1):
                    if not key.fileobj.recv(_READ_BYTES):  # type: ignore[union-attr]  # a socket
                        selector.unregister(key.fileobj)

        draining = threading.Thread(target=drain)
        draining.start()
        try:
            yield
            if len(selector.get_map()) < FOLLOWERS:
                raise RuntimeError("followers were not told any more")
        finally:
            stopping.set()
            draining.join()
