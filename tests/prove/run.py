"""Breaks servers by a plan, and looks after each start whether all is there that has to be."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pyarrow.compute as pc
from deltalake import DeltaTable

from prove import rules
from prove.points import CHANNELS, Verdict, judge
from prove.server_process import ServerProcess
from prove.writers import WRITERS, KeyedWriter, RowWriter, Writing, new_states
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.doctor import examine
from support.serving import plain_channel
from support.telemetry import channel_ids, find_or_create_config, read_points

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from prove.plan import Folder, Round

FAULT_TIMEOUT_S = 4
PROGRESS_TIMEOUT_S = 20
SIGKILL = -9
TABLE_COLUMNS = {
    "double": "value_double",
    "int": "value_int64",
    "text": "value_string",
    "flag": "value_bool",
    "sometimes": "value_uint64",
}


@dataclass(slots=True)
class Report:
    """What was done, and what came of it.

    Attributes:
        kills: Servers that were killed.
        kills_at: How many of them where: at a fault point, while starting, or at a random moment.
        faults: Faults by kind and point.
        checks: How often everything was read back.
        verdict: What was found at the end of each folder.
        annotations: Those that were compared with what evaluating everything gives, at all starts.
        failures: What went wrong, in words.
    """

    kills: int = 0
    kills_at: Counter[str] = field(default_factory=Counter)
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    checks: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    annotations: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, doubled, altered or otherwise wrong."""
        return self.verdict.is_good and not self.failures

    def text(self) -> str:
        """The report as people read it."""
        by_kind: Counter[str] = Counter()
        for (kind, _), count in self.faults.items():
            by_kind[kind] += count
        points = sorted({point for _, point in self.faults})
        lines = [
            f"kills: {self.kills} ({_counts(self.kills_at)})",
            f"faults: {_counts(by_kind)}; at {len(points)} points: {', '.join(points)}",
            f"starts after which everything was read back: {self.checks}",
            f"points acknowledged: {self.verdict.acknowledged}",
            f"points lost: {self.verdict.lost}",
            f"points twice: {self.verdict.twice}",
            f"points altered: {self.verdict.altered}",
            f"rows in part: {self.verdict.in_part}",
            f"annotations compared: {self.annotations}",
            *self.verdict.words,
            *self.failures,
        ]
        return "\n".join(lines)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counter.items())) or "none"


def prove(folders: Iterable[Folder], root: Path, seed: int, report: Report) -> None:
    """Do what a plan says, folder after folder; stops at the first that is not as it should be."""
    for number, folder in enumerate(folders):
        path = root / f"folder {number}"
        path.mkdir()
        _Proof(folder, path, f"{seed} {number}", report).run()
        if not report.is_good:
            report.failures.append(f"what there is of it: {path}")
            return


class _Proof:
    """One folder, from its first server to its last."""

    def __init__(self, folder: Folder, path: Path, seed: str, report: Report) -> None:
        self._folder = folder
        self._path = path
        self._seed = seed
        self._report = report
        self._states = new_states(path)
        self._number = 0

    def run(self) -> None:
        """Go through all rounds, and look at the table itself in the end."""
        for number, one in enumerate(self._folder.rounds):
            self._number = number
            if one.during_start:
                self._start_and_kill(one)
            else:
                self._round(one)
            if not self._report.is_good:
                return
        self._end()
        for state in self._states:
            state.journal.close()

    def _start(self, faults: str = "", *, at_once: bool = False) -> ServerProcess:
        faulty = self._path / "faulty"
        faulty.unlink(missing_ok=True)
        if at_once:
            faulty.touch()
        output = self._path / f"server {self._number}"
        return ServerProcess(self._path / "data", self._folder.limits, output, faults, faulty)

    def _start_and_kill(self, one: Round) -> None:
        server = self._start(one.faults, at_once=True)
        server.wait_end(one.kill_after_s)
        self._killed(server, "while starting")

    def _round(self, one: Round) -> None:
        server = self._start(one.faults)
        if not server.wait_ready():
            self._fail(f"a server did not start: {server.words()[-2000:]}")
        else:
            verdict = self._check(server)
            if not verdict.is_good:
                self._report.verdict.add(verdict)
        if not self._report.is_good:
            server.kill()
            return
        seed = f"{self._seed} {self._number}"
        writing = [
            Writing(state, server.address, server.api_key, f"{seed} {state.number}")
            for state in self._states
        ]
        (self._path / "faulty").touch()
        for each in writing:
            each.start()
        try:
            where = self._break(server, one)
        finally:
            for each in writing:
                each.stopping.set()
            self._killed(server, where)
            for each in writing:
                each.join(2 * PROGRESS_TIMEOUT_S)
        if any(each.is_alive() for each in writing):
            self._fail("a writer hangs although its server is gone")
        self._check_failed_syncs(server)
        for state in self._states:
            self._report.failures += state.unexpected

    def _break(self, server: ServerProcess, one: Round) -> str:
        """Let faults come, or none; returns what the kill is to be called."""
        if one.kills_itself:
            return "at fault points" if server.wait_end(FAULT_TIMEOUT_S) else "at random moments"
        if one.faults and server.wait_fault(FAULT_TIMEOUT_S):
            if "=ENOSPC" in one.faults or "+=short" in one.faults:
                time.sleep(one.kill_after_s)
                (self._path / "faulty").unlink()
                self._wait_progress(server)
            else:
                server.wait_end(one.kill_after_s)
            return "after faults"
        server.wait_end(one.kill_after_s)
        if one.stop_first_s is not None:
            server.ask_to_stop()
            server.wait_end(one.stop_first_s)
            return "while stopping"
        return "at random moments"

    def _wait_progress(self, server: ServerProcess) -> None:
        begin_ns = time.monotonic_ns()
        deadline = time.monotonic() + PROGRESS_TIMEOUT_S
        while not all(state.told and state.told[-1].begun_ns > begin_ns for state in self._states):
            if time.monotonic() > deadline or server.process.poll() is not None:
                self._fail("a server did not go on when its disk was well again")
                return
            time.sleep(0.02)

    def _killed(self, server: ServerProcess, where: str) -> None:
        status = server.kill()
        for fault in server.faults():
            self._report.faults[fault.action, fault.point] += 1
        if status == SIGKILL:
            self._report.kills += 1
            self._report.kills_at[where] += 1
        elif status:
            self._fail(f"a server ended with status {status}: {server.words()[-2000:]}")
        data = self._path / "data"
        if not (data / "format").exists():
            return  # It was killed before it had a folder.
        for problem in examine(data).report.problems:
            self._fail(f"the folder is not sound: {problem.where}: {problem.what}")

    def _check_failed_syncs(self, server: ServerProcess) -> None:
        """Nothing that was begun after the log's fsync failed may be acknowledged."""
        failed = [
            fault.at_ns
            for fault in server.faults()
            if fault.point == "log.sync" and fault.action == "EIO"
        ]
        for state in self._states:
            # Of a batch with a key it may be known that it was durable before.
            is_told = state.told and WRITERS[state.number] is not KeyedWriter
            if failed and is_told and state.told[-1].begun_ns > failed[0]:
                self._fail(f"writer {state.number} was told OK after an fsync of the log failed")

    def _check(self, server: ServerProcess) -> Verdict:
        """Read everything back."""
        try:
            verdict = self._judge(server)
        except grpc.RpcError as error:
            self._fail(f"reading failed: {error}")
            return Verdict()
        self._report.checks += 1
        return verdict

    def _judge(self, server: ServerProcess) -> Verdict:
        verdict = Verdict()
        with plain_channel(server.address, server.api_key) as channel:
            for state in self._states:
                config = find_or_create_config(channel, {"readings": CHANNELS}, state.asset)
                there = channel_ids(channel, config.asset_id)
                read = {name: read_points(channel, config.asset_id, name) for name in there}
                verdict.add(judge(state.number, read, state.journal.rows(), state.sent_rows))
                if issubclass(WRITERS[state.number], RowWriter):
                    self._check_annotations(channel, state.asset, read.get(rules.CHANNEL, []))
            names = {
                run.name
                for run in runs_pb2_grpc.RunServiceStub(channel)
                .ListRuns(runs_pb2.ListRunsRequest(page_size=10_000))
                .runs
            }
        for state in self._states:
            lost = set(state.journal.texts("run")) - names
            if lost:
                self._fail(f"runs lost: {sorted(lost)}")
        return verdict

    def _check_annotations(
        self, channel: grpc.Channel, asset: str, points: list[tuple[int, Any]]
    ) -> None:
        wrong = rules.wrong_annotations(channel, asset, points)
        if wrong is not None:
            self._fail(wrong)
        self._report.annotations += len(rules.expected(points))

    def _end(self) -> None:
        """Start once more, read, stop in order; then look at table and error queue from outside."""
        self._number += 1
        server = self._start()
        if not server.wait_ready():
            self._fail(f"the last server did not start: {server.words()[-2000:]}")
            server.kill()
            return
        self._report.verdict.add(self._check(server))
        server.ask_to_stop()
        server.wait_end(PROGRESS_TIMEOUT_S)
        status = server.kill()
        if status:
            self._fail(f"the last server ended with status {status}: {server.words()[-2000:]}")
        data = self._path / "data"
        with closing(sqlite3.connect(data / "catalog.sqlite")) as catalog:
            kept = {flow for (flow,) in catalog.execute("SELECT flow_name FROM error_queue")}
        table = DeltaTable(str(data / "lake")).to_pyarrow_table()
        for state in self._states:
            lost = set(state.journal.texts("misfit")) - kept
            if lost:
                self._fail(f"rejected messages lost: {sorted(lost)}")
            verdict = judge(
                state.number, _of_asset(table, state.asset), state.journal.rows(), state.sent_rows
            )
            if not verdict.is_good:
                self._fail("the table itself: " + "; ".join(verdict.words))

    def _fail(self, words: str) -> None:
        self._report.failures.append(f"{self._path.name}, round {self._number}: {words}")


def _of_asset(table: Any, asset: str) -> dict[str, list[tuple[int, Any]]]:
    """Distinct points of an asset in the table, by channel."""
    mine = table.filter(pc.equal(table["asset"], asset))
    points: dict[str, list[tuple[int, Any]]] = {}
    for channel, column in TABLE_COLUMNS.items():
        some = mine.filter(pc.equal(mine["channel"], channel))
        times = some["timestamp_ns"].to_pylist()
        found = some[column].to_pylist()
        if channel == "sometimes":
            found = np.array([int(each) for each in found], np.uint64).tolist()
        points[channel] = sorted(set(zip(times, found, strict=True)))
    return points
