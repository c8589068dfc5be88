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
from sift.data.v2.data_pb2 import ChannelQuery, GetDataRequest, Query
from sift.data.v2.data_pb2_grpc import DataServiceStub
from support.peer_env import peer_python
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLISHED_PYTHON = "sift-stack-py==0.1.0"
PUBLISHED_RUST = "sift-stream-bindings==0.6.1"

CHANNELS = (1, 10, 100, 1_000)
KINDS = ("double", "mixed")
SEND_TIMEOUT_S = 300
IDLE_WAIT_S = 15
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

    def rows(self, channels: int, part: float) -> int:
        """How many rows a run sends."""
        return max(10, int(self.values[CHANNELS.index(channels)] * part) // channels)


_SLOW = (10_000, 70_000, 250_000, 300_000)
_MIDDLE = (200_000, 1_000_000, 1_500_000, 1_500_000)
ALL = (
    Sender("published Python, buffered", "rows", "buffered", PUBLISHED_PYTHON, "", _SLOW),
    Sender("published Python, ordered", "rows", "ordered", PUBLISHED_PYTHON, "", _SLOW),
    Sender(
        "published Rust", "rust", "", PUBLISHED_RUST, "published Python, buffered",
        (500_000, 4_000_000, 6_000_000, 6_000_000),
    ),
    Sender("ours, buffered", "rows", "buffered", "", "published Python, buffered", _MIDDLE),
    Sender("ours, ordered", "rows", "ordered", "", "published Python, ordered", _MIDDLE),
    Sender(
        "ours, buffered, plain values", "rows", "plain", "", "published Python, buffered", _MIDDLE
    ),
    Sender(
        "ours, ordered, plain values", "rows", "plain-ordered", "", "published Python, ordered",
        _MIDDLE,
    ),
    Sender(
        "ours, columns", "columns", "", "", "published Python, buffered",
        (4_000_000, 20_000_000, 40_000_000, 40_000_000),
    ),
)  # fmt: skip


def run(rounds: int, part: float, *, with_peers: bool) -> list[Section]:
    """Measure every sender with every workload.

    Args:
        rounds: How often each is run; senders take turns.
        part: Part of the ordinary number of rows.
        with_peers: Whether the published clients take part.
    """
    senders = [sender for sender in ALL if with_peers or not sender.package]
    sections = [_compare(kind, senders, rounds, part) for kind in KINDS]
    if with_peers:
        sections.append(_against_throwaway(rounds, part))
    return sections


def _compare(kind: str, senders: Sequence[Sender], rounds: int, part: float) -> Section:
    names = [f"{channels:,} ch" for channels in CHANNELS]
    columns = ["client"]
    for name in names:
        columns += [name, "x Python", "x Rust"]
    section = Section(
        f"Values a second into one durable server: {kind}",
        "From the first call until the server has acknowledged the last value, which is then read"
        " back. Client and server share the machine's cores. `x Python`: against the published"
        " Python client used in the same way (columns: buffered). `x Rust`: against the published"
        " Rust client."
        + (" A third of the values is absent; they count." if kind == "mixed" else ""),
        columns,
    )
    cells: dict[str, list[str]] = {sender.name: [sender.name] for sender in senders}
    for channels in CHANNELS:
        rates: dict[str, list[float]] = {sender.name: [] for sender in senders}
        with sift_serve() as server:
            for _ in range(rounds):
                for sender in senders:
                    what = Workload(channels, kind, sender.rows(channels, part))
                    rates[sender.name].append(what.values / send(server, sender, what))
        median = {name: statistics.median(each) for name, each in rates.items()}
        for sender in senders:
            mine = median[sender.name]
            cells[sender.name] += [
                rate(mine),
                ratio(mine, median.get(sender.baseline)),
                ratio(mine, median.get("published Rust") if sender.name != "published Rust" else 0),
            ]
    section.rows = list(cells.values())
    section.show()
    return section


def _against_throwaway(rounds: int, part: float) -> Section:
    """The published Rust client into our server, and into one that forgets everything."""
    section = Section(
        "The published Rust client into our server and into one that throws everything away",
        "The second server is ours with another ingest handler, which reads the bytes and answers.",
        ["channels", "ours", "throw-away", "part reached"],
    )
    sender = next(each for each in ALL if each.name == "published Rust")
    with sift_serve() as real, throwaway() as forgetful:
        for channels in (10, 100):
            what = Workload(channels, "double", sender.rows(channels, part))
            rates: tuple[list[float], list[float]] = ([], [])
            for _ in range(rounds + 2):
                rates[0].append(what.values / send(real, sender, what))
                rates[1].append(what.values / send(forgetful, sender, what, keeps=False))
            ours, most = map(statistics.median, rates)
            section.rows.append([f"{channels}", rate(ours), rate(most), f"{ours / most:.2f}"])
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
    """Read back the last row's first channel.

    Raises:
        RuntimeError: It is not there, or not equal.
    """
    column = what.columns()[0]
    row = max(at for at in range(what.rows) if column[at % len(column)] is not None)
    start_ns = START_NS + row * STEP_NS
    with plain_channel(server.address, API_KEY) as channel:
        assets = AssetServiceStub(channel).ListAssets(
            ListAssetsRequest(filter=f"name == '{asset}'")
        )
        asset_id = assets.assets[0].asset_id
        listed = ChannelServiceStub(channel).ListChannels(
            ListChannelsRequest(filter=f"asset_id == '{asset_id}' && name == '{what.names()[0]}'")
        )
        query = Query(channel=ChannelQuery(channel_id=listed.channels[0].channel_id))
        request = GetDataRequest(queries=[query])
        request.start_time.FromNanoseconds(start_ns)
        request.end_time.FromNanoseconds(start_ns + 1)
        page = DataServiceStub(channel).GetData(request)
    if len(page.data) != 1:
        raise RuntimeError(f"{asset}: row {row} of {what} is not readable")
