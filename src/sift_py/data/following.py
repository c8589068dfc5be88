"""Points as they come."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import grpc

from sift_py.data._finding import Finder
from sift_py.data._live import LiveStream, Marks
from sift_py.data._moments import to_ns
from sift_py.data._pieces import arrow_streams
from sift_py.data._source import connected
from sift_py.data.readings import Readings
from sift_py.errors import DataError, DataReadError
from sift_py.grpc._channel import TargetChannel
from sift_py.grpc._retrying import is_transient
from sift_py.grpc.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from sift_py.data._moments import Moment
    from sift_py.data._source import Source
    from sift_py.grpc._answers import Answer
    from sift_py.grpc.transport import SiftChannel

__all__ = ["Following", "follow"]

FOLLOW_PATH = "/arrow/v1/follow"

WAITING_BYTES_MAX = 16 * 1024 * 1024
"""Bytes that came and were not asked for yet; when there are more, the server is not read from."""

RECONNECTING = RetryPolicy(attempts_max=1_000, wait_ms_max=2_000, total_ms_max=120_000)
"""How long a server is waited for that is gone: two minutes."""

_ENDED = (grpc.StatusCode.UNAVAILABLE, "the server ended what was followed")

_LOOK_S = 1.0
"""How long Ctrl-C may wait on systems where a lock can't be interrupted."""

_logger = logging.getLogger(__name__)


def follow(
    asset: str,
    channels: str | Sequence[str] = "*",
    *,
    run: str | None = None,
    since: Moment | None = None,
    timeout: float | None = None,
    source: Source | None = None,
) -> Following:
    """Follow channels of an asset: give every point that is acknowledged from now on.

    Iterate over what is returned: each `Readings` has what came together. A point is there some
    20 ms after it was acknowledged; points come in the order of their arrival, late ones too, and
    once for each time that they were sent. Channels that are new are followed from their first
    point on, if they are among `channels`.

    If the connection breaks, it is made again for up to two minutes, and what came meanwhile is
    given: of each channel what is later than the latest point that was given before.

    Args:
        asset: Name of the asset.
        channels: Names, `component.name` where there is a component; `*`, `?` and `[...]` stand for
            what they do in a shell.
        run: Name, id or client key of a run; an empty string for what has no run, None for all.
        since: Also give the points that are there since this time, first; see `read_channels` for
            how it is written. None is nothing of what is there.
        timeout: Seconds after which the iteration ends if nothing came; None waits for ever.
        source: A channel, a URI or the folder of a server, as in `read_channels`. It needs a server
            of this project.

    Raises:
        DataError: There is no asset, channel or run of the name, several runs are, or the time
            can't be used.
        DataReadError: The server refused, or can't be reached.
        grpc.RpcError: Another call failed.

    Example:
        ```python
        with follow("test-stand-3", "chamber_*", source="./telemetry") as live:
            for readings in live:
                for channel in readings:
                    print(channel.name, channel.values[-1].as_py(), channel.unit)
        ```
    """
    names = [channels] if isinstance(channels, str) else list(channels)
    since_ns = None if since is None else to_ns(since, "since")
    with ExitStack() as opened:
        channel = opened.enter_context(connected(source))
        finder = Finder(channel, asset)
        finder.check_names(names)
        question: dict[str, Any] = {"asset_id": finder.asset_id, "channels": names}
        run_id = finder.run_id(run)
        if run_id is not None:
            question["run_id"] = run_id
        return Following(channel, question, since_ns, timeout, opened.pop_all())


class Following:
    """Points as they come; made by `follow`. Iterated over by one thread; `close` by any.

    A thread reads what the server sends, and waits while nobody takes it. `close`, or the end of a
    with-block, ends it.
    """

    def __init__(
        self,
        channel: SiftChannel,
        question: dict[str, Any],
        since_ns: int | None,
        timeout_s: float | None,
        opened: ExitStack,
    ) -> None:
        """Begin; returns when the server follows.

        Args:
            channel: One that `use_sift_channel` opened.
            question: What is followed, as the server is asked.
            since_ns: From when on points are given that are there.
            timeout_s: As in `follow`.
            opened: What is closed at the end.
        """
        if not isinstance(channel, TargetChannel):
            raise DataError("to follow needs a channel that `use_sift_channel` opened.")
        self._channel = channel
        self._question = question
        self._since_ns = since_ns
        self._timeout_s = timeout_s
        self._opened = opened
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Readings, int]] = deque()
        self._waiting_bytes = 0
        self._has_begun = False
        self._is_closed = False
        self._error: Exception | None = None
        self._answer: Answer | None = None
        self._thread = threading.Thread(target=self._run, name="sift-follow", daemon=True)
        # Of the thread alone:
        self._marks = Marks()
        self._began_ns = 0
        self._is_fresh = False
        """Whether the server answered since it was asked last."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._has_begun or self._error)
            error = self._error
        if error is not None:
            self.close()
            raise error

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Readings:
        """What came next; waits for it.

        Raises:
            StopIteration: It is closed, or nothing came for as long as `timeout`.
            DataReadError: The server refused to go on, or was gone for too long.
        """
        readings = self.next(self._timeout_s)
        if readings is None:
            raise StopIteration
        return readings

    def next(self, timeout: float | None) -> Readings | None:
        """What came next; waits for it, for so many seconds at the most.

        Returns:
            None if nothing came, or it is closed.

        Raises:
            DataReadError: The server refused to go on, or was gone for too long.
        """
        due_s = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not (self._waiting or self._error or self._is_closed):
                left_s = _LOOK_S if due_s is None else due_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(min(left_s, _LOOK_S))
            if self._is_closed:
                return None
            if not self._waiting:
                assert self._error is not None  # noqa: S101 - nothing else ends the loop
                raise self._error
            readings, nbytes = self._waiting.popleft()
            self._waiting_bytes -= nbytes
            self._changed.notify_all()
        return readings

    def close(self) -> None:
        """End it, and the channel if it was opened by `follow`. Once is enough."""
        with self._changed:
            was_closed, self._is_closed = self._is_closed, True
            answer = self._answer
            self._changed.notify_all()
        if was_closed:
            return
        if answer is not None:
            answer.break_off()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # The thread

    def _run(self) -> None:
        failures, since_s = 0, time.monotonic()
        while True:
            began = self._has_begun
            try:
                self._read()
                error: Exception = DataReadError(*_ENDED)
            except Exception as failed:  # noqa: BLE001 - told where it is waited for
                error = failed
            if self._is_closed:
                return
            if self._is_fresh:
                failures, since_s = 0, time.monotonic()
            failures += 1
            wait_ms = RECONNECTING.wait_ms(failures, random.random())  # noqa: S311 - no secret
            spent_ms = (time.monotonic() - since_s) * 1e3
            if (
                (not began and not self._has_begun)
                or not is_transient(error)
                or spent_ms + wait_ms > RECONNECTING.total_ms_max
            ):
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            _logger.info("following broke off, connecting again in %d ms: %s", wait_ms, error)
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, wait_ms / 1e3)

    def _read(self) -> None:
        """Follow until it breaks off."""
        self._is_fresh = False
        with self._channel.answers().ask(FOLLOW_PATH, self._asked()) as answer:
            with self._changed:
                self._answer = answer
                if self._is_closed:
                    return
            is_resuming = self._has_begun
            for schema, batches in arrow_streams(answer):
                stream = LiveStream(schema)
                if stream.is_beat:
                    # The first one is the beginning, the next one is behind what was stored.
                    is_resuming = is_resuming and not self._is_fresh
                    self._note_begin()
                for batch in batches:
                    readings = stream.readings(batch)
                    if is_resuming:
                        readings = self._marks.behind(readings)
                    if readings:
                        self._marks.note(readings)
                        self._put(Readings(readings), batch.nbytes)
                if self._is_closed:
                    return

    def _asked(self) -> dict[str, Any]:
        """The question; from the second time on, to go on behind what came."""
        question = dict(self._question)
        from_ns = self._since_ns
        if self._has_begun:
            question["marks"] = self._marks.question()
            if from_ns is None:
                # What is new since then begins there, most likely.
                from_ns = self._marks.latest_ns
            if from_ns is None:
                from_ns = self._began_ns
        if from_ns is not None:
            question["from_ns"] = from_ns
        return question

    def _note_begin(self) -> None:
        self._is_fresh = True
        with self._changed:
            if not self._has_begun:
                self._began_ns = time.time_ns()
                self._has_begun = True
                self._changed.notify_all()

    def _put(self, readings: Readings, nbytes: int) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    not self._waiting
                    or self._waiting_bytes + nbytes <= WAITING_BYTES_MAX
                    or self._is_closed
                )
            )
            self._waiting.append((readings, nbytes))
            self._waiting_bytes += nbytes
            self._changed.notify_all()
