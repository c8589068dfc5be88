"""How much a run of the benchmarks does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Amounts of work.

    Attributes:
        rounds: How often each figure of `streams` and `alone` is taken.
        part: Part of the ordinary number of values.
        channels: Channels of the flows that are streamed.
        alone_channels: Channels of the flows that the parts are measured with.
        widths: Channels a flow, for the cost as flows get wider.
        flows: Numbers of flows, for the cost as there are more.
        lake_points: Points that a lake grows to.
        flush_wait_s: How long a lake is left alone so that everything is written to it.
        latency_calls: Small batches, one after the other.
        clients: Clients at once.
        clients_s: How long they stream.
        rule_latencies: How often it is measured how soon an annotation is there.
        read_points: Points of the channel that is read.
        overview_points: Points that there is an overview of, beside that of `read_points`.
        read_latencies: How often it is measured how soon an answer begins, or a point is there.
    """

    rounds: int
    part: float
    channels: tuple[int, ...]
    alone_channels: tuple[int, ...]
    widths: tuple[int, ...]
    flows: tuple[int, ...]
    lake_points: int
    flush_wait_s: float
    latency_calls: int
    clients: int
    clients_s: float
    rule_latencies: int
    read_points: int
    overview_points: int
    read_latencies: int


FULL = Size(
    rounds=3,
    part=1.0,
    channels=(1, 10, 100, 1_000),
    alone_channels=(10, 100, 1_000),
    widths=(100, 1_000, 10_000),
    flows=(1, 100, 5_000),
    lake_points=1_000_000_000,
    flush_wait_s=11.0,
    latency_calls=1_000,
    clients=200,
    clients_s=20.0,
    rule_latencies=400,
    read_points=10_000_000,
    overview_points=100_000_000,
    read_latencies=200,
)
QUICK = Size(
    rounds=1,
    part=0.2,
    channels=(10, 100),
    alone_channels=(10, 100),
    widths=(100, 10_000),
    flows=(1, 5_000),
    lake_points=40_000_000,
    flush_wait_s=11.0,
    latency_calls=200,
    clients=200,
    clients_s=5.0,
    rule_latencies=100,
    read_points=2_000_000,
    overview_points=10_000_000,
    read_latencies=50,
)
SMOKE = Size(
    rounds=1,
    part=0.002,
    channels=(10,),
    alone_channels=(10,),
    widths=(10, 100),
    flows=(1, 10),
    lake_points=400_000,
    flush_wait_s=0.0,
    latency_calls=10,
    clients=3,
    clients_s=0.5,
    rule_latencies=3,
    read_points=20_000,
    overview_points=50_000,
    read_latencies=3,
)
"""Measures nothing; shows that everything runs."""
