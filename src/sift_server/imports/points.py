"""Columns on their way into the server, through the door that streams take."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from sift_server.errors import DiskFullError, InvalidArgumentError
from sift_server.imports.columns import column_of, points_of
from sift_server.job_worker import JobStoppedError
from sift_wire.encode import encode
from sift_wire.frames import Frames
from sift_wire.messages import message_ends

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from sift_server.catalog import ChannelConfig, FlowConfig
    from sift_server.ingest import Ingestor

CHUNKS_ON_THEIR_WAY_MAX = 16
"""Chunks of messages, of some 512 KiB each, that wait for the log's disk."""

FULL_DISK_WAIT_MS = 1_000
"""How long to wait until a disk that is full is tried again."""


class ImportStoppedError(JobStoppedError):
    """The import is to end, or to wait for the next start."""


class PointsIn:
    """Sends rows of an import's flows. For one thread.

    What it sends is durable and readable when `settle` returned.
    """

    def __init__(
        self,
        ingestor: Ingestor,
        ingestion_config_id: str,
        run_id: str,
        flows: Sequence[FlowConfig],
        goes_on: Callable[[], bool],
    ) -> None:
        """Take the ingestor, what the rows are of, and whether to go on."""
        self._ingestor = ingestor
        self._flows = {flow.name: flow for flow in flows}
        self._ends = {
            flow.name: message_ends(
                ingestion_config_id, flow.name, run_id, "", end_stream_on_error=True
            )
            for flow in flows
        }
        self._goes_on = goes_on
        self._on_their_way: deque[Future[int]] = deque()
        self._pause = threading.Event()

    def send(self, flow: str, times_ns: NDArray[np.int64], columns: Mapping[str, Any]) -> int:
        """Send rows of a flow; returns how many points they have.

        Args:
            flow: Name of the flow.
            times_ns: Time of each row, in nanoseconds since 1970 in UTC.
            columns: By the name of the channel, see `column_of`; none of a channel that is not
                there.

        Raises:
            InvalidArgumentError: A value does not fit its channel.
            ImportStoppedError: The import is to end.
            LogFailedError: The log can't take any more.
        """
        channels: tuple[ChannelConfig, ...] = self._flows[flow].channels
        given = [
            column_of(channel, columns[channel.fqn]) if channel.fqn in columns else None
            for channel in channels
        ]
        for chunk in encode(self._ends[flow], times_ns, given):
            self._take(Frames.from_payload(chunk.data))
        return sum(points_of(column, len(times_ns)) for column in given)

    def settle(self) -> None:
        """Wait until what was sent is durable and readable.

        Raises:
            LogFailedError: It could not be made durable.
        """
        while self._on_their_way:
            self._on_their_way.popleft().result()

    def _take(self, frames: Frames) -> None:
        rest: Frames | None = frames
        while rest is not None:
            if not self._goes_on():
                raise ImportStoppedError
            try:
                taken = self._ingestor.take(rest)
            except DiskFullError:
                self._pause.wait(FULL_DISK_WAIT_MS / 1_000)
                continue
            if taken.refusal is not None:
                raise InvalidArgumentError(taken.refusal.reason)
            if taken.durable is not None:
                self._on_their_way.append(taken.durable)
            rest = taken.rest
            if len(self._on_their_way) > CHUNKS_ON_THEIR_WAY_MAX:
                self._on_their_way.popleft().result()
