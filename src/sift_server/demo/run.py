"""The demo from start to end, through the client library's public API."""

from __future__ import annotations

import importlib.resources
import platform
import time
from collections import Counter
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sift_py.data import read_channels
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import channel_fqn
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.manager import IngestionServicesManager
from sift_server.demo.exercise import Exercise
from sift_server.demo.found import found_table
from sift_server.demo.machine import Machine, process_flow, processor_config
from sift_server.demo.summary import format_value, table_of
from sift_server.readback import wait_for_annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rich.console import Console

    from sift_py.data import ChannelReadings
    from sift_py.grpc.transport import SiftChannel
    from sift_py.ingestion.buffer import BufferedIngestionService
    from sift_py.ingestion.flow import Flow
    from sift_py.ingestion.service import IngestionService

SAMPLE_INTERVAL_S = 0.05
LOG_EVERY_SAMPLES = 10
FLUSH_INTERVAL_S = 0.5


class _Sent:
    """Counts what was sent: points by asset and channel."""

    def __init__(self) -> None:
        self.points: Counter[tuple[str, str]] = Counter()
        self.rows = 0

    def count(self, asset_name: str, flow: Flow) -> None:
        self.rows += 1
        for value in flow["channel_values"]:
            self.points[asset_name, channel_fqn(value)] += 1


def run_demo(seconds: float, data_dir: Path, console: Console) -> int:
    """Stream this machine's telemetry into a folder for a while, and read it back.

    For some of the time it keeps a core busy, so that its rules have something to find.

    Args:
        seconds: How long to stream.
        data_dir: Folder of the embedded server; made when missing, added to when not.
        console: Where to show it.

    Returns:
        Exit status: 0 when every point came back, and the rules found as the data came what they
        find in all of it at once.
    """
    console.print(f"Streaming this machine's telemetry into [bold]{data_dir}[/bold]")
    with use_sift_channel({"uri": f"embedded:{data_dir}"}) as channel:
        manager = IngestionServicesManager.from_telemetry_configs(
            channel, {"processor": processor_config(platform.node()), "machine": _yaml_config()}
        )
        run_name = time.strftime("demo %Y-%m-%d %H:%M:%S")
        services = list(manager.ingestion_services.values())
        for service in services:
            service.attach_run(channel, run_name)
        sent = _stream(manager, seconds, console)
        complete = True
        for service in services:
            series = _read_back(channel, service)
            console.print()
            console.print(table_of(series, f"{service.asset_name}, run “{run_name}”"))
            complete &= _is_complete(series, service.asset_name, sent, console)
            complete &= _show_found(channel, service, series, console)
    size_bytes = sum(file.stat().st_size for file in data_dir.rglob("*") if file.is_file())
    points = sum(sent.points.values())
    console.print()
    if not complete:
        console.print("[bold red]Not everything came back.[/bold red]")
        return 1
    console.print(
        f"[bold green]{points:,} points sent, {points:,} read back.[/bold green]"
        f" On disk: {format_value(size_bytes, 'B')} in {data_dir}"
    )
    asset = services[-1].asset_name
    console.print(
        f"Look further: sift plot load 'memory.*' --asset {asset} --data-dir {data_dir}",
        soft_wrap=True,
        highlight=False,
    )
    return 0


def _yaml_config() -> TelemetryConfig:
    folder = importlib.resources.files(__package__)
    with (
        importlib.resources.as_file(folder / "machine.yml") as config,
        importlib.resources.as_file(folder / "expressions.yml") as expressions,
    ):
        return TelemetryConfig.try_from_yaml(config, [expressions])


def _stream(manager: IngestionServicesManager, seconds: float, console: Console) -> _Sent:
    machine = Machine()
    sent = _Sent()
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rates]}"),
        console=console,
    )
    with (
        progress,
        Exercise(seconds) as exercise,
        manager.ingestion_service("processor") as processor_service,
        manager.ingestion_service("machine") as machine_service,
        processor_service.buffered_ingestion(flush_interval_sec=FLUSH_INTERVAL_S) as processor,
        machine_service.buffered_ingestion(flush_interval_sec=FLUSH_INTERVAL_S) as around,
    ):
        task = progress.add_task("streaming", total=seconds, rates="")
        # Declared nowhere, created when it is needed.
        machine_service.try_create_flow(process_flow())
        names = {
            id(processor): processor_service.asset_name,
            id(around): machine_service.asset_name,
        }
        started = due = time.monotonic()
        samples = 0
        while (elapsed := time.monotonic() - started) < seconds:
            is_exercising = exercise.is_on(elapsed)
            for service, flow in _rows(machine, processor, around, samples, is_exercising):
                service.try_ingest_flows(flow)
                sent.count(names[id(service)], flow)
            samples += 1
            points = sum(sent.points.values())
            rates = (
                f"{sent.rows:,} rows, {points:,} points"
                f"  ({points / max(elapsed, SAMPLE_INTERVAL_S):,.0f} points/s)"
            )
            progress.update(task, completed=elapsed, rates=rates)
            due += SAMPLE_INTERVAL_S
            time.sleep(max(0.0, due - time.monotonic()))
        progress.update(task, completed=seconds)
    return sent


def _rows(
    machine: Machine,
    processor: BufferedIngestionService,
    around: BufferedIngestionService,
    samples: int,
    is_exercising: bool,
) -> Iterable[tuple[BufferedIngestionService, Flow]]:
    rows: list[tuple[BufferedIngestionService, Callable[[], Flow]]] = [
        (processor, machine.cpu),
        (processor, machine.activity),
        (around, machine.memory),
        (around, machine.traffic),
        (around, machine.process),
    ]
    if samples % LOG_EVERY_SAMPLES == 0:
        rows.append((around, lambda: machine.log(is_exercising=is_exercising)))
    return ((service, sample()) for service, sample in rows)


def _read_back(channel: SiftChannel, service: IngestionService) -> list[ChannelReadings]:
    """Every channel of the run that a service streamed into."""
    return list(
        read_channels(service.asset_name, run=service.run_id, source=channel, progress=False)
    )


def _show_found(
    channel: SiftChannel, service: IngestionService, series: list[ChannelReadings], console: Console
) -> bool:
    """Show what the rules found; whether it is what they find in all of the run at once."""
    try:
        found = wait_for_annotations(
            channel, service.run_id or "", [service.ingestion_config.asset_id]
        )
    except TimeoutError as error:
        console.print(f"[red]{service.asset_name}: {error}[/red]")
        return False
    if not found:
        console.print(f"The rules of {service.asset_name} found nothing.")
        return True
    title = f"What the rules of {service.asset_name} found"
    start_ns = min(int(one.timestamps_ns[0]) for one in series)
    end_ns = max(int(one.timestamps_ns[-1]) for one in series)
    console.print(found_table(found, title, start_ns, end_ns))
    return True


def _is_complete(
    series: list[ChannelReadings], asset_name: str, sent: _Sent, console: Console
) -> bool:
    """Whether every channel has as many points as were sent; says where not."""
    read = {one.name: len(one) for one in series}
    complete = True
    for (asset, name), count in sent.points.items():
        if asset != asset_name:
            continue
        # A bit field comes back element by element.
        found = {length for each, length in read.items() if f"{each}.".startswith(f"{name}.")}
        if found != {count}:
            console.print(f"[red]{name}: {count} points sent, {sorted(found)} read[/red]")
            complete = False
    return complete
