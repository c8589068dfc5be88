"""End to end: the same rows with each client into one durable server, in turn."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import Section, console, rate, ratio
from benchmarks.senders.workload import START_NS, STEP_NS, Workload
from benchmarks.servers import API_KEY, BenchmarkServer, sift_serve, throwaway
from sift.assets.v1.assets_pb2 import ListAssetsRequest
from sift.assets.v1.assets_pb2_grpc import AssetServiceStub
from sift.channels.v3.channels_pb2 import ListChannelsRequest
from sift.channels.v3.channels_pb2_grpc import ChannelServiceStub
from sift.data.v2.data_pb2 import ChannelQuery, DoubleValues, GetDataRequest, Query
from sift.data.v2.data_pb2_grpc import DataServiceStub
from support.peer_env import peer_python
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

    from benchmarks.sizes import Size

PUBLISHED_PYTHON = "sift-stack-py==0.1.0"
PUBLISHED_RUST = "sift-stream-bindings==0.6.1"

CHANNELS = (1, 10, 100, 1_000)
KINDS = ("double", "mixed")
SEND_TIMEOUT_S = 300
IDLE_WAIT_S = 15
ROWS_READ = 100
"""How many of the last rows are read back."""
SENDERS = Path(__file__).parent / "senders"


@dataclass(frozen=True)
class Sender:
    """A client and a way of using it.

    Attributes:
        name: As the table has it.
        program: The file in `senders`.
        how: Its last argument, if it takes one.
        package: The published package that it needs; empty for ours.
        baseline: Name of the published Python client's sender that it replaces.
        values: Values that a run sends at 1, 10, 100 and 1,000 channels.
    """

    name: str
    program: str
    how: str
    package: str
    baseline: str
    values: Sequence[int]

    def workload(self, channels: int, kind: str, part: float) -> Workload:
        """What a run sends; `part` of the ordinary number of values."""
        values = int(self.values[CHANNELS.index(channels)] * part)
        return Workload(channels, kind, max(10, values // channels))


_SLOW = (10_000, 70_000, 250_000, 300_000)
_MIDDLE = (200_000, 1_000_000, 1_500_000, 1_500_000)
_FAST = (4_000_000, 20_000_000, 40_000_000, 40_000_000)
"""At 10 channels and more so many that most are written to the table before the end is reached."""

PYTHON_BUFFERED = Sender(
    "published Python, buffered", "rows", "buffered", PUBLISHED_PYTHON, "", _SLOW
)
PYTHON_ORDERED = Sender("published Python, ordered", "rows", "ordered", PUBLISHED_PYTHON, "", _SLOW)
RUST = Sender("published Rust", "rust", "", PUBLISHED_RUST, PYTHON_BUFFERED.name, _FAST)
ALL = (
    PYTHON_BUFFERED,
    PYTHON_ORDERED,
    RUST,
    Sender("ours, buffered", "rows", "buffered", "", PYTHON_BUFFERED.name, _MIDDLE),
    Sender("ours, ordered", "rows", "ordered", "", PYTHON_ORDERED.name, _MIDDLE),
    Sender("ours, buffered, plain values", "rows", "plain", "", PYTHON_BUFFERED.name, _MIDDLE),
    Sender(
        "ours, ordered, plain values", "rows", "plain-ordered", "", PYTHON_ORDERED.name, _MIDDLE
    ),
    Sender("ours, columns", "columns", "", "", PYTHON_BUFFERED.name, _FAST),
)


def run(size: Size, *, with_peers: bool) -> list[Section]:
    """Measure every sender with every workload.

    Args:
        size: How much.
        with_peers: Whether the published clients take part.
    """
    senders = [sender for sender in ALL if with_peers or not sender.package]
    sections = [_compare(kind, senders, size) for kind in KINDS]
    if with_peers:
        sections.append(_against_throwaway(size))
    return sections


def _compare(kind: str, senders: Sequence[Sender], size: Size) -> Section:
    columns = ["client"]
    for channels in size.channels:
        columns += [f"{channels:,} ch", "x Python", "x Rust"]
    section = Section(
        f"Values a second into one durable server: {kind}",
        "From the first call until the server has acknowledged the last value; what was sent last"
        " is then read back. Client and server share the machine's cores. `x Python`: against the"
        " published Python client used in the same way (columns: buffered). `x Rust`: against the"
        " published Rust client. All but `plain values` send what was made before; rows that repeat"
        " share their values."
        + (" A third of the values is absent; they count." if kind == "mixed" else ""),
        columns,
    )
    cells: dict[str, list[str]] = {sender.name: [sender.name] for sender in senders}
    for channels in size.channels:
        rates: dict[str, list[float]] = {sender.name: [] for sender in senders}
        with sift_serve() as server:
            for _ in range(size.rounds):
                for sender in senders:
                    what = sender.workload(channels, kind, size.part)
                    rates[sender.name].append(what.values / send(server, sender, what))
        section.note_memory(server.peak_memory_bytes())
        median = {name: statistics.median(each) for name, each in rates.items()}
        where = f"{channels} channels, {kind}"
        for sender in senders:
            mine = median[sender.name]
            python = median.get(sender.baseline)
            rust = median.get(RUST.name) if sender is not RUST else None
            cells[sender.name] += [rate(mine), ratio(mine, python), ratio(mine, rust)]
            section.figures[f"{sender.name}, {where}"] = mine / 1e6
            if python:
                section.figures[f"{sender.name} / published Python, {where}"] = mine / python
            if rust:
                section.figures[f"{sender.name} / published Rust, {where}"] = mine / rust
    section.rows = list(cells.values())
    section.show()
    return section


def _against_throwaway(size: Size) -> Section:
    """The published Rust client into our server, and into one that forgets everything."""
    section = Section(
        "The published Rust client into our server and into one that throws everything away",
        "The second server is ours with another ingest handler, which reads the bytes and answers.",
        ["channels", "ours", "throw-away", "part reached"],
    )
    with sift_serve() as real, throwaway() as forgetful:
        for channels in (10, 100):
            what = RUST.workload(channels, "double", size.part)
            rates: tuple[list[float], list[float]] = ([], [])
            for _ in range(2 * size.rounds - 1):
                rates[0].append(what.values / send(real, RUST, what))
                rates[1].append(what.values / send(forgetful, RUST, what, keeps=False))
            ours, most = map(statistics.median, rates)
            section.rows.append([f"{channels}", rate(ours), rate(most), f"{ours / most:.2f}"])
            section.figures[
                f"server / throw-away server, fed by published Rust, {channels} channels"
            ] = ours / most
    section.note_memory(real.peak_memory_bytes())
    section.show()
    return section


def send(server: BenchmarkServer, sender: Sender, what: Workload, *, keeps: bool = True) -> float:
    """Run a sender to its end; return the seconds that it measured."""
    wait_until_idle(server)
    console.print(f"[dim]{sender.name}, {what.name}, {what.values:,} values", highlight=False)
    python = peer_python((sender.package,)) if sender.package else Path(sys.executable)
    command = [python, SENDERS / f"{sender.program}.py", server.address, API_KEY]
    command += [what.channels, what.kind, what.rows, sender.how]
    done = subprocess.run(
        [str(each) for each in command if each != ""],
        capture_output=True,
        text=True,
        timeout=SEND_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{sender.name} failed with {what}:\n{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    if keeps:
        check_readable(server, result["asset"], what)
    return result["seconds"]


def wait_until_idle(server: BenchmarkServer) -> None:
    """Wait until the server has nothing to do, such as a flush of what came before."""
    deadline = time.monotonic() + IDLE_WAIT_S
    before = server.cpu_s()
    while time.monotonic() < deadline:
        time.sleep(0.3)
        now = server.cpu_s()
        if now - before < 0.03:
            return
        before = now


def check_readable(server: BenchmarkServer, asset: str, what: Workload) -> None:
    """Read back the first channel in the last rows.

    Raises:
        RuntimeError: Other points are there than were sent.
    """
    first = max(0, what.rows - ROWS_READ)
    column = what.column(0)
    sent_ns = [
        START_NS + row * STEP_NS
        for row in range(first, what.rows)
        if column[row % len(column)] is not None
    ]
    with plain_channel(server.address, API_KEY) as channel:
        assets = AssetServiceStub(channel).ListAssets(
            ListAssetsRequest(filter=f"name == '{asset}'")
        )
        channel_id = channel_id_of(channel, assets.assets[0].asset_id, what.names()[0])
        found_ns = read_times_ns(
            channel, channel_id, START_NS + first * STEP_NS, START_NS + what.rows * STEP_NS
        )
    if found_ns != sent_ns:
        raise RuntimeError(f"{asset}: the last {len(sent_ns)} points are not readable")


def channel_id_of(channel: grpc.Channel, asset_id: str, name: str) -> str:
    """Ask the server for the id of an asset's channel."""
    request = ListChannelsRequest(filter=f"asset_id == '{asset_id}' && name == '{name}'")
    return ChannelServiceStub(channel).ListChannels(request).channels[0].channel_id


def read_times_ns(channel: grpc.Channel, channel_id: str, start_ns: int, end_ns: int) -> list[int]:
    """Read the times of a double channel's points from a time on, and before another."""
    request = GetDataRequest(queries=[Query(channel=ChannelQuery(channel_id=channel_id))])
    request.start_time.FromNanoseconds(start_ns)
    request.end_time.FromNanoseconds(end_ns)
    found = DoubleValues()
    for packed in DataServiceStub(channel).GetData(request).data:
        found.MergeFromString(packed.value)
    return [point.timestamp.ToNanoseconds() for point in found.values]
