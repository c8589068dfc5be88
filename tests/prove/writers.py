"""Those who send points, each in its own way, and know what they were told about them."""

from __future__ import annotations

import random
import threading
import time
import uuid
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np

from prove import rules
from prove.journal import Journal
from prove.points import CHANNELS, SOMETIMES, has_value, times_ns, values
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_py.grpc.retry import RetryPolicy
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    bool_value,
    double_value,
    int64_value,
    string_value,
    uint64_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.rule.config import RuleActionCreateDataReviewAnnotation, RuleConfig
from sift_py.ingestion.service import IngestionService
from support.serving import plain_channel
from support.telemetry import EMPTY, find_or_create_config, ingest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

FLOW = "readings"
CALL_TIMEOUT_S = 30
RETRY_INTERVAL_S = 0.02
RETRIES = RetryPolicy(attempts_max=3, first_wait_ms=20, wait_ms_max=50)
"""How often the client itself tries again, under the same key."""
ROWS_MAX = 120
"""Rows of a stream at the most, of most streams."""
MANY_ROWS_MAX = 3_000
"""Rows of the others."""


@dataclass(slots=True)
class Told:
    """A stream that was acknowledged; times of `time.monotonic_ns`."""

    begun_ns: int
    ended_ns: int


@dataclass(slots=True)
class State:
    """What is known of a writer's points.

    Attributes:
        acknowledged_rows: Rows from 0 on that were acknowledged, and are in the journal.
        sent_rows: Rows from 0 on that were sent, or began to be.
        batch_rows: Rows from 0 on to the end of the batch that is to be acknowledged next.
    """

    number: int
    journal: Journal
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    acknowledged_rows: int = 0
    batch_rows: int = 0
    sent_rows: int = 0
    told: list[Told] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    @property
    def asset(self) -> str:
        """Name of the writer's asset."""
        return f"asset {self.number}"


class Writer(ABC):
    """One way to send rows, from one server's start to its end."""

    def __init__(self, state: State, address: str, api_key: str) -> None:
        self.state = state
        self.open = ExitStack()

    @abstractmethod
    def send(self, rows: NDArray[np.int64]) -> None:
        """Send rows in one stream; they are acknowledged when this returns."""

    def also(self) -> None:  # noqa: B027 (most have nothing else to do)
        """Do something else between streams."""


class RowWriter(Writer):
    """The client's rows, with a rule on them."""

    def __init__(self, state: State, address: str, api_key: str) -> None:
        super().__init__(state, address, api_key)
        channel = self.open.enter_context(
            use_sift_channel({"uri": f"http://{address}", "apikey": api_key})
        )
        channels = {
            name: ChannelConfig(name, ChannelDataType(kind)) for name, kind in CHANNELS.items()
        }
        watched = {"channel_reference": "$1", "channel_config": channels[rules.CHANNEL]}
        rule = RuleConfig(
            rules.RULE,
            "",
            f"$1 < {rules.BOUND}",
            RuleActionCreateDataReviewAnnotation(),
            [watched],
        )
        config = TelemetryConfig(
            asset_name=state.asset,
            ingestion_client_key=state.asset,
            flows=[FlowConfig(FLOW, list(channels.values()))],
            rules=[rule],
        )
        self.service = IngestionService(channel, config, retry_policy=RETRIES)
        self._channel = channel

    def send(self, rows: NDArray[np.int64]) -> None:
        make: dict[str, Callable[[Any], Any]] = {
            "double": double_value,
            "int": int64_value,
            "text": string_value,
            "flag": bool_value,
            SOMETIMES: uint64_value,
        }
        columns = {name: values(self.state.number, name, rows) for name in CHANNELS}
        is_there = {name: has_value(name, rows) for name in CHANNELS}
        self.service.try_ingest_flows(
            *(
                {
                    "flow_name": FLOW,
                    "timestamp": time_ns,
                    "channel_values": [
                        {"channel_name": name, "value": make[name](columns[name][place])}
                        for name in CHANNELS
                        if is_there[name][place]
                    ],
                }
                for place, time_ns in enumerate(times_ns(rows).tolist())
            )
        )


class ColumnWriter(RowWriter):
    """The client's columns, in a run."""

    def __init__(self, state: State, address: str, api_key: str) -> None:
        super().__init__(state, address, api_key)
        self.service.attach_run(self._channel, f"the run of {state.asset}")

    def send(self, rows: NDArray[np.int64]) -> None:
        columns: dict[str, Any] = {name: values(self.state.number, name, rows) for name in CHANNELS}
        columns[SOMETIMES] = np.ma.masked_array(
            np.array(columns[SOMETIMES], np.uint64), ~has_value(SOMETIMES, rows)
        )
        self.service.ingest_columns(FLOW, times_ns(rows), columns)


class RawWriter(Writer):
    """Messages of the gRPC library; between them runs, and messages that do not fit."""

    def __init__(self, state: State, address: str, api_key: str) -> None:
        super().__init__(state, address, api_key)
        self._channel = self.open.enter_context(plain_channel(address, api_key))
        self._config = find_or_create_config(self._channel, {FLOW: CHANNELS}, state.asset)
        self._others = len(state.journal.texts("run"))

    def send(self, rows: NDArray[np.int64]) -> None:
        columns = [values(self.state.number, name, rows) for name in CHANNELS]
        has = has_value(SOMETIMES, rows)
        last = len(columns) - 1
        ingest(
            self._channel,
            [
                self._config.row(
                    FLOW,
                    time_ns,
                    [
                        EMPTY if number == last and not has[place] else column[place]
                        for number, column in enumerate(columns)
                    ],
                )
                for place, time_ns in enumerate(times_ns(rows).tolist())
            ],
            timeout=CALL_TIMEOUT_S,
            metadata=self.metadata(rows),
        )

    def metadata(self, rows: NDArray[np.int64]) -> tuple[tuple[str, str], ...]:
        """Metadata of a stream."""
        return ()

    def also(self) -> None:
        self._others += 1
        name = f"{self.state.asset} {self._others}"
        request = runs_pb2.CreateRunRequest(name=name)
        runs_pb2_grpc.RunServiceStub(self._channel).CreateRun(request, timeout=CALL_TIMEOUT_S)
        self.state.journal.note(("run", name))
        misfit = self._config.row(FLOW, 1, [EMPTY] * len(CHANNELS))
        misfit.flow = f"no flow of {name}"
        ingest(self._channel, [misfit], timeout=CALL_TIMEOUT_S)
        self.state.journal.note(("misfit", misfit.flow))


class KeyedWriter(RawWriter):
    """The same, and each batch has an idempotency key, which it keeps over the server's restarts.

    So an OK may mean that the server knows the key: then it must have the points.
    """

    def metadata(self, rows: NDArray[np.int64]) -> tuple[tuple[str, str], ...]:
        name = f"{self.state.key} {rows[0]} {rows[-1]}"
        return (("sift-idempotency-key", str(uuid.uuid5(uuid.NAMESPACE_OID, name))),)


WRITERS: tuple[type[Writer], ...] = (RowWriter, ColumnWriter, RawWriter, KeyedWriter)


def new_states(folder: Path) -> list[State]:
    """A state for each writer, with a journal in a folder."""
    return [State(number, Journal(folder / f"writer {number}")) for number in range(len(WRITERS))]


class Writing(threading.Thread):
    """A writer that sends stream after stream, until it is stopped and its server is gone.

    What was not acknowledged is sent again; now and then, what was as well.
    """

    def __init__(self, state: State, address: str, api_key: str, seed: str) -> None:
        super().__init__(name=f"writer {state.number}", daemon=True)
        self._state = state
        self._address = address
        self._api_key = api_key
        self._choose = random.Random(seed)
        self.stopping = threading.Event()

    def run(self) -> None:
        """Write."""
        while not self.stopping.is_set():
            try:
                writer = WRITERS[self._state.number](self._state, self._address, self._api_key)
            except grpc.RpcError as error:
                self._failed(error)
                continue
            with writer.open:
                while not self.stopping.is_set():
                    try:
                        self._step(writer)
                    except grpc.RpcError as error:
                        self._failed(error)

    def _failed(self, error: grpc.RpcError) -> None:
        # What is refused for good would mean that something right was taken for wrong.
        if error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
            self._state.unexpected.append(f"writer {self._state.number}: {error}")
        self.stopping.wait(RETRY_INTERVAL_S)

    def _step(self, writer: Writer) -> None:
        state = self._state
        kind = self._choose.random()
        if kind < 0.1:
            writer.also()
        elif kind < 0.3 and state.acknowledged_rows:
            first = self._choose.randrange(state.acknowledged_rows)
            last = min(first + ROWS_MAX, state.acknowledged_rows)
            writer.send(np.arange(first, last))
        else:
            if state.batch_rows == state.acknowledged_rows:
                most = MANY_ROWS_MAX if self._choose.random() < 0.02 else ROWS_MAX
                state.batch_rows += self._choose.randint(1, most)
            last = state.sent_rows = state.batch_rows
            begun_ns = time.monotonic_ns()
            writer.send(np.arange(state.acknowledged_rows, last))
            state.told.append(Told(begun_ns, time.monotonic_ns()))
            state.journal.note(("rows", str(last)))
            state.acknowledged_rows = last
