"""Rules: what they cost ingesting, how soon there are annotations, evaluating what is stored."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.load import CHANNELS, VALUES_PER_S, sensor_values, steady_load
from benchmarks.report import Section, console, rate
from benchmarks.senders.workload import START_NS, STEP_NS
from benchmarks.servers import API_KEY, sift_serve
from benchmarks.services import connect
from benchmarks.streams import wait_until_idle
from sift.annotations.v1.annotations_pb2 import ListAnnotationsRequest
from sift.annotations.v1.annotations_pb2_grpc import AnnotationServiceStub
from sift.rule_evaluation.v1.rule_evaluation_pb2 import EvaluateRulesRequest
from sift.rule_evaluation.v1.rule_evaluation_pb2_grpc import RuleEvaluationServiceStub
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.rule.config import RuleActionCreateDataReviewAnnotation, RuleConfig
from sift_py.ingestion.service import IngestionService
from support.serving import plain_channel

if TYPE_CHECKING:
    from benchmarks.servers import BenchmarkServer
    from benchmarks.sizes import Size

RULES = 100
COST_VALUES = 40_000_000
STORED_VALUES = 40_000_000
POINTS_PER_CALL = 4_000_000
POLL_S = 0.002
ANNOTATION_WAIT_S = 30


def run(size: Size) -> list[Section]:
    """Measure rules."""
    section = Section(
        "Rules",
        "Latency: a row makes a rule true; from its acknowledgement until `ListAnnotations` has the"
        f" annotation, asked every {POLL_S * 1e3:.0f} ms, while {VALUES_PER_S / 1e6:.0f} million"
        f" values a second come of {CHANNELS} channels with {RULES} rules. Ingesting: as many"
        f" values as the server takes, with {RULES} comparisons on {CHANNELS} channels and without,"
        " in turn, the median of the pairs; processor time"
        " until all is evaluated and written. Evaluating: one comparison on the points of a channel"
        " in the table, by `EvaluateRules`.",
        ["what", "reached"],
    )
    _latency(section, size)
    _cost(section, size)
    _explicit(section, size)
    section.show()
    return [section]


def _config(asset: str, rules: int) -> TelemetryConfig:
    """A flow `all` of sensors with a comparison on each, and a flow `probe` with one."""
    sensors = [ChannelConfig(f"sensor.{n}", ChannelDataType.DOUBLE) for n in range(CHANNELS)]
    probe = ChannelConfig("probe", ChannelDataType.DOUBLE)
    return TelemetryConfig(
        asset,
        asset,
        flows=[FlowConfig("all", sensors), FlowConfig("probe", [probe])],
        rules=[
            *(_rule(f"rule {n}", "$1 > 24.5", sensors[n % CHANNELS]) for n in range(rules)),
            _rule("probe", "$1 > 0", probe),
        ],
    )


def _rule(name: str, expression: str, channel: ChannelConfig) -> RuleConfig:
    return RuleConfig(
        name,
        "",
        expression,
        RuleActionCreateDataReviewAnnotation(),
        [{"channel_reference": "$1", "channel_config": channel}],
    )


def _latency(section: Section, size: Size) -> None:
    console.print("[dim]rules, latency", highlight=False)
    taken_ms: list[float] = []
    config = _config("latency", RULES)
    with (
        sift_serve() as server,
        connect(server) as probing,
        plain_channel(server.address, API_KEY) as plain,
    ):
        probe = IngestionService(probing, config)
        probe.ingest_flows(_probe_row(0.0))
        wait_until_idle(server)
        with steady_load(server, config) as sent:
            before, begin_s = sent.value, time.perf_counter()
            for _ in range(size.rule_latencies):
                time.sleep(np.random.default_rng().uniform(0.05, 0.15))
                row = _probe_row(1.0)
                probe.ingest_flows(row)
                taken_ms.append(_wait_annotation_s(plain, int(row["timestamp"])) * 1e3)
                probe.ingest_flows(_probe_row(0.0))
            came = (sent.value - before) / (time.perf_counter() - begin_s)
        section.note_memory(server.peak_memory_bytes())
    p50_ms, p99_ms = np.percentile(taken_ms, [50, 99]).tolist()
    section.figures["an annotation readable, p99"] = p99_ms
    section.rows += [
        ["values that came meanwhile", rate(came)],
        ["annotation readable after the acknowledgement, p50", f"{p50_ms:.0f} ms"],
        ["annotation readable after the acknowledgement, p99", f"{p99_ms:.0f} ms"],
    ]


def _probe_row(value: float) -> dict[str, object]:
    return {"flow_name": "probe", "timestamp": time.time_ns(), "channel_values": [value]}


def _wait_annotation_s(plain: object, start_ns: int) -> float:
    """Seconds until there is the annotation of the probe that starts at a time."""
    stub = AnnotationServiceStub(plain)
    request = ListAnnotationsRequest(filter='name == "probe"', page_size=1)
    begin_s = time.perf_counter()
    while True:
        found = stub.ListAnnotations(request).annotations
        now_s = time.perf_counter()
        if found and found[0].start_time.ToNanoseconds() == start_ns:
            return now_s - begin_s
        if now_s - begin_s > ANNOTATION_WAIT_S:
            raise RuntimeError("a rule made no annotation")
        time.sleep(POLL_S)


def _cost(section: Section, size: Size) -> None:
    """Ingest with rules and without, each time into a new server."""
    rates: dict[int, list[float]] = {RULES: [], 0: []}
    costs: dict[int, list[float]] = {RULES: [], 0: []}
    rows = max(10, int(COST_VALUES * size.part) // CHANNELS)
    times_ns = START_NS + np.arange(rows, dtype=np.int64) * STEP_NS
    columns = {f"sensor.{n}": sensor_values(times_ns, n) for n in range(CHANNELS)}
    for number in range(2 * size.rounds + 1):
        # Whoever is first in one pair is second in the next.
        for rules in sorted(rates, reverse=bool(number % 2)):
            console.print(f"[dim]rules, ingesting with {rules}", highlight=False)
            with sift_serve() as server, connect(server) as channel:
                service = IngestionService(channel, _config("cost", rules))
                service.ingest_columns("all", times_ns[:1] - 1, {each: [20.0] for each in columns})
                wait_until_idle(server)
                before_s, begin_s = server.cpu_s(), time.perf_counter()
                service.ingest_columns("all", times_ns, columns)
                rates[rules].append(rows * CHANNELS / (time.perf_counter() - begin_s))
                # What rules have not come to meanwhile is on their bill, too.
                wait_until_idle(server)
                server.stop()
                costs[rules].append(server.cpu_s() - before_s)
                section.note_memory(server.peak_memory_bytes())
    pairs = [of / to for of, to in zip(rates[RULES], rates[0], strict=True)]
    cost = statistics.median(costs[RULES]) / statistics.median(costs[0])
    section.figures[f"ingesting, {RULES} rules / none"] = statistics.median(pairs)
    section.rows += [
        ["ingested without rules", rate(statistics.median(rates[0]))],
        [f"ingested with {RULES} rules", rate(statistics.median(rates[RULES]))],
        ["part that is left of it", f"{statistics.median(pairs):.2f}"],
        ["processor time of the server, with rules / without", f"{cost:.2f} x"],
    ]


def _explicit(section: Section, size: Size) -> None:
    console.print("[dim]rules, evaluating what is stored", highlight=False)
    sensor = ChannelConfig("sensor", ChannelDataType.DOUBLE)
    count = int(STORED_VALUES * size.part)
    flows = [FlowConfig("one", [sensor])]
    with sift_serve() as server, connect(server) as channel:
        service = IngestionService(channel, TelemetryConfig("stored", "stored", flows=flows))
        for first in range(0, count, POINTS_PER_CALL):
            steps = np.arange(first, min(first + POINTS_PER_CALL, count), dtype=np.int64)
            times_ns = steps * STEP_NS + START_NS
            service.ingest_columns("one", times_ns, {"sensor": sensor_values(times_ns, 1)})
        time.sleep(size.flush_wait_s)
        wait_until_idle(server)
        rules = [_rule("high", "$1 > 24.5", sensor)]
        config = TelemetryConfig("stored", "stored", flows=flows, rules=rules)
        IngestionService(channel, config)
        rates = []
        for _ in range(size.rounds):
            begin_s = time.perf_counter()
            _evaluate(server, "stored")
            rates.append(count / (time.perf_counter() - begin_s))
        section.note_memory(server.peak_memory_bytes())
    reached = statistics.median(rates)
    section.figures["a comparison on what is stored"] = reached / 1e6
    section.rows.append(["evaluated of what is stored", rate(reached)])


def _evaluate(server: BenchmarkServer, asset: str) -> None:
    request = EvaluateRulesRequest(all_applicable_rules=True)
    request.assets.assets.names.names.append(asset)
    request.assets.start_time.CopyFrom(Timestamp(seconds=START_NS // 10**9 - 1))
    request.assets.end_time.CopyFrom(Timestamp(seconds=START_NS // 10**9 + 10**7))
    with plain_channel(server.address, API_KEY) as channel:
        RuleEvaluationServiceStub(channel).EvaluateRules(request)
