"""The thread that sends what is on disk, and those who wait for it."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from typing import TYPE_CHECKING

import grpc

from sift_py._internal import unsent
from sift_py.errors import NotAcknowledgedError
from sift_py.grpc._retrying import asked_wait_ms, code_of, is_transient
from sift_py.ingestion._internal.spill.delivery import RECORD_BYTES
from sift_py.ingestion.spill import SpillStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift_py.grpc.retry import RetryPolicy
    from sift_py.ingestion._internal.spill.delivery import Delivery
    from sift_py.ingestion._internal.spill.folder import SpillFolder
    from sift_py.ingestion._internal.spill.lane import Lane

RELEASE_WAIT_S = 5.0
"""How long a call that runs is waited for when the folder is left to others."""

APPEND_WAIT_S = 0.1
FILES_SHOWN_MAX = 3

_logger = logging.getLogger(__name__)


class LaneSender:
    """Sends lanes one after the other: those of programs that ended, then the own one.

    The thread runs while there is something to send. Safe from many threads.

    Attributes:
        is_away: Whether this program has something on disk that was not sent.
        last_error: Why sending failed last; None if it did not.
    """

    def __init__(self, delivery: Delivery, folder: SpillFolder, policy: RetryPolicy) -> None:
        """Begin to send what others left.

        Args:
            delivery: Sends a record.
            folder: Where the lanes are.
            policy: How long to wait after failures, and how long `flush` has patience. Its clock
                is not used: who waits is woken.
        """
        self._delivery = delivery
        self._folder = folder
        self._policy = policy
        # Guards what follows.
        self._state = threading.Condition()
        self._own: Lane | None = None
        self.is_away = False
        self._is_appending = False
        self._lanes: list[Lane] = list(folder.adopt_lanes())
        self._checked: set[Lane] = set()
        """Lanes that are for this server."""
        self._attempts = 0
        """How often sending failed since something was sent, or somebody began to wait for it."""
        self._sent = 0
        self._is_nudged = False
        self.last_error: Exception | None = None
        self._is_closed = False
        self._thread: threading.Thread | None = None
        with self._state:
            self._start()

    @contextlib.contextmanager
    def own_lane(self) -> Iterator[Lane]:
        """The lane to append to, from one thread at a time; it is not closed in the block.

        Raises:
            OSError: There is none yet, and it can't be made.
        """
        with self._state:
            if self._own is None:
                self._own = self._folder.new_lane()
                self._checked.add(self._own)
                self._lanes.append(self._own)
            self.is_away = self._is_appending = True
            own = self._own
        try:
            yield own
        finally:
            with self._state:
                self._is_appending = False
                self._start()

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until something was sent, or a while; whether there is a point in waiting on.

        What was appended in a block of `own_lane` is sent meanwhile.
        """
        with self._state:
            self._start()
            self._state.wait(timeout_s)
            return not self._is_closed

    def status(self) -> SpillStatus:
        """What is on disk."""
        with self._state:
            return SpillStatus(
                sum(lane.pending_bytes for lane in self._lanes),
                tuple(str(path) for lane in self._lanes for path in lane.files),
                tuple(self._folder.set_aside_files),
                self.last_error,
            )

    def flush(self) -> None:
        """Wait until everything on disk is acknowledged.

        As long as batches are acknowledged it goes on; without, the retry policy says for how long.

        Raises:
            NotAcknowledgedError: Something is not; says what, where it is, and why. What can't be
                sent at all, because it is damaged or refused, is told once.
        """
        with self._state:
            self._attempts = 0
            self._is_nudged = True
            self._start()
            sent = -1
            deadline_s = 0.0
            while self._lanes:
                if self._sent != sent:
                    sent = self._sent
                    deadline_s = time.monotonic() + self._policy.total_ms_max / 1e3
                left_s = min(deadline_s - time.monotonic(), threading.TIMEOUT_MAX)
                is_hopeless = self._is_tried_enough or self._thread is None
                if is_hopeless or left_s <= 0:
                    raise self._not_acknowledged()
                self._state.wait(left_s)
            losses = self._folder.take_losses()
        if losses:
            raise _lost(losses)

    def release(self) -> None:
        """Leave the folder to other programs, now. Once is enough."""
        with self._state:
            self._is_closed = True
            self._state.notify_all()
            thread = self._thread
        if thread is not None:
            # A call that hangs is waited for by nobody.
            thread.join(RELEASE_WAIT_S)
        for lane in self._lanes:
            lane.close()
        unsent.release(self)

    @property
    def _is_tried_enough(self) -> bool:
        return self._attempts >= self._policy.attempts_max

    def _not_acknowledged(self) -> NotAcknowledgedError:
        status = self.status()
        files = ", ".join(status.files[:FILES_SHOWN_MAX])
        if len(status.files) > FILES_SHOWN_MAX:
            files += f" and {len(status.files) - FILES_SHOWN_MAX} more"
        error = status.last_error
        details = getattr(error, "details", None)
        return NotAcknowledgedError(
            (code_of(error) if error else None) or grpc.StatusCode.UNAVAILABLE,
            str(details() if callable(details) else error or "the server has not answered yet"),
            f"{status.pending_bytes} bytes are not acknowledged. They are on disk in {files} and"
            " are sent when that is possible, by this program or the next one on the folder.",
            status.files,
        )

    def _start(self) -> None:
        """Wake the thread, or start it; with the state held."""
        self._state.notify_all()
        if not self._lanes or self._is_closed:
            return
        unsent.hold(self, self.flush, is_last=True)
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="sift-spill", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                # At the end of the program none can be started. The next one sends it.
                self.last_error = error
            else:
                self._thread = thread

    # In the thread

    def _run(self) -> None:
        while True:
            with self._state:
                if self._is_closed or not self._lanes:
                    self._thread = None
                    self._state.notify_all()
                    if not self._lanes:
                        unsent.release(self)
                    return
                lane = self._lanes[0]
            try:
                self._send_next(lane)
            except Exception as error:  # noqa: BLE001 - a thread has no caller; flush raises it
                self._wait_after(error)

    def _send_next(self, lane: Lane) -> None:
        record = lane.peek(RECORD_BYTES)
        if record is None:
            self._finish(lane)
            return
        if lane not in self._checked and not self._delivery.is_for_this_server(lane, record):
            self._drop(lane)
            return
        self._checked.add(lane)
        refused = self._delivery.deliver(record, is_tried_enough=self._is_tried_enough)
        if refused:
            data = b"".join(each.frame for each in refused)
            why = f"the server refuses {len(refused)} messages ({refused[0].error})"
            self._folder.set_aside(lane.files[0], data, why, is_lost=True)
        lane.discard(record)
        with self._state:
            self._attempts = 0
            self._sent += 1
            self.last_error = None
            self._state.notify_all()

    def _finish(self, lane: Lane) -> None:
        with self._state:
            if lane is not self._own:
                self._drop(lane)
            elif self._is_appending:
                self._state.wait(APPEND_WAIT_S)
            # Else something was appended since.
            elif not lane.pending_bytes:
                self._own = None
                self.is_away = False
                self._drop(lane)
                _logger.info("The server is back, and has what was spilled.")

    def _drop(self, lane: Lane) -> None:
        with self._state:
            self._lanes.remove(lane)
            self._checked.discard(lane)
            self._state.notify_all()
        lane.close()

    def _wait_after(self, error: Exception) -> None:
        with self._state:
            self.last_error = error
            # For what does not pass by itself nobody waits in vain.
            self._attempts = (
                self._attempts + 1 if is_transient(error) else self._policy.attempts_max
            )
            self._state.notify_all()
            asked_ms = asked_wait_ms(error) if isinstance(error, grpc.RpcError) else None
            chance = random.random()  # noqa: S311 - no secret
            wait_s = self._policy.wait_ms(self._attempts, chance, asked_ms) / 1e3
            self._state.wait_for(
                lambda: self._is_nudged or self._is_closed, min(wait_s, threading.TIMEOUT_MAX)
            )
            self._is_nudged = False


def _lost(losses: Sequence[tuple[str, str]]) -> NotAcknowledgedError:
    """What was taken, and can't be sent any more."""
    files = tuple(dict.fromkeys(where for where, _ in losses))
    shown = ", ".join(files[:FILES_SHOWN_MAX])
    more = len(files) - FILES_SHOWN_MAX
    return NotAcknowledgedError(
        grpc.StatusCode.DATA_LOSS,
        "; ".join(dict.fromkeys(why for _, why in losses[:FILES_SHOWN_MAX])),
        f"What can't be sent was set aside: {shown}{f' and {more} more' if more > 0 else ''}."
        " All else is acknowledged.",
        files,
    )
