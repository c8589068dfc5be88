"""Tells followers what was published, by a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from sift_server.errors import ResourceExhaustedError
from sift_server.follow.backlog import Backlog, spanning
from sift_server.follow.follower import Follower
from sift_server.follow.history import History
from sift_server.follow.pieces import Piece, Plan, Stream, piece_of, stream_of
from sift_server.query import RunInfo, channel_info
from sift_wire import kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sift_server.catalog import Catalog
    from sift_server.follow.selection import Selection
    from sift_server.lake import PointBlock, PointFlow, PointStore
    from sift_wire.columns import FlowRows

    _Wanted = tuple[Selection, Plan]

FOLLOWERS_MAX = 128
"""Followers at a time."""

FOLLOWERS_BYTES_MAX = 64 * 1024 * 1024
"""Bytes that wait for being sent to all of them, who have even parts of it. What comes when there
are more a follower reads from the store later. As much again may be on its way to each."""

FOLLOWER_BYTES_MAX = 4 * 1024 * 1024
"""Part of a follower at the most."""

QUEUE_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of blocks that wait for the thread; what comes when there are more is read from the store,
by everybody who follows."""

FLOWS_KNOWN_MAX = 100_000
"""Flows of which it is remembered who follows them; when there are more, all are forgotten."""

TICK_MS = 10
"""How long what comes is gathered, at the least: then it is encoded together."""

_STOPPING = "the server stops; follow again when it is back"
_FAILED = "what came could not be told; follow again (the server's log says why)"

_logger = logging.getLogger(__name__)


class Feed:
    """Where followers come, and what is published goes. Safe from many threads.

    Publishing costs nothing while nobody follows, and a note in a queue otherwise. A thread encodes
    what is noted, once for all who follow the same, and rests as long as that took: at least half
    of the time is left to ingesting.
    """

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        self._catalog = catalog
        self._store = store
        self._changed = threading.Condition()
        self._followers: list[Follower] = []
        self._queue: list[tuple[int, Sequence[PointBlock]]] = []
        self._queue_bytes = 0
        self._skipped: tuple[int, int] | None = None
        """Time of what did not fit the queue."""
        self._is_stopping = False
        self._telling = threading.Lock()
        """Held while followers are told what came."""
        self._plans: dict[Selection, dict[int, Plan]] = {}
        """By the `id` of a flow, which the plan keeps."""
        self._wanting: dict[int, tuple[PointFlow, Sequence[_Wanted]]] = {}
        """Who wants something of a flow; the same."""
        self._thread = threading.Thread(target=self._run, name="sift-follow", daemon=True)

    def start(self) -> None:
        """Begin to tell followers."""
        self._thread.start()

    def publish(self, position: int, blocks: Sequence[PointBlock]) -> None:
        """Tell of points that can be read now; `position` is where the log has them."""
        if not self._followers:
            return
        nbytes = sum(block.nbytes for block in blocks)
        with self._changed:
            if self._queue_bytes + nbytes <= QUEUE_BYTES_MAX or not self._queue:
                self._queue.append((position, blocks))
                self._queue_bytes += nbytes
            else:
                for block in blocks:
                    times_ns = block.timestamps_ns
                    if len(times_ns):
                        self._skipped = spanning(
                            self._skipped, int(times_ns.min()), int(times_ns.max())
                        )
            self._changed.notify()

    def follow(
        self, selection: Selection, backlog: Backlog, wake: Callable[[], None]
    ) -> tuple[Follower, History]:
        """Begin to tell somebody of all that is published from now on.

        Waits for what is being told.

        Args:
            selection: What is followed.
            backlog: What of that which is there is to be given, too.
            wake: See `Follower`.

        Returns:
            The follower, and its backlog. No point is left out between the two, and none is in
            both.

        Raises:
            ResourceExhaustedError: There are too many.
        """
        follower = Follower(selection, wake)
        with self._telling:
            with self._changed:
                if len(self._followers) >= FOLLOWERS_MAX:
                    raise ResourceExhaustedError(
                        f"the server has FOLLOWERS_MAX = {FOLLOWERS_MAX} callers who follow points,"
                        " which is the limit; try again when others are done"
                    )
                self._followers = [*self._followers, follower]
                if self._is_stopping:
                    follower.end(_STOPPING)
            snapshot = self._store.snapshot()
            follower.from_position = snapshot.position
        return follower, History(self._catalog, selection, backlog, snapshot)

    def unfollow(self, follower: Follower) -> None:
        """Tell somebody nothing more."""
        with self._changed:
            self._followers = [each for each in self._followers if each is not follower]

    def missed(self, follower: Follower) -> History:
        """What a follower missed.

        Points that are given to it from now on may be in it, too, if they came late.
        """
        backlog = follower.take_missed()
        return History(self._catalog, follower.selection, backlog, self._store)

    def ask_to_stop(self) -> None:
        """End all that is followed."""
        with self._changed:
            self._is_stopping = True
            for follower in self._followers:
                follower.end(_STOPPING)

    def stop(self) -> None:
        """End the thread."""
        self.ask_to_stop()
        with self._changed:
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._queue or self._skipped is not None or self._is_stopping
                )
                if self._is_stopping:
                    return
            began_s = time.monotonic()
            with self._telling:
                followers = self._followers
                try:
                    self._tell(followers)
                except Exception:
                    _logger.exception("followers could not be told what came")
                    for follower in followers:
                        follower.end(_FAILED)
            took_s = time.monotonic() - began_s
            with self._changed:
                self._changed.wait_for(
                    lambda: self._is_stopping, max(TICK_MS / 1_000 - took_s, took_s)
                )

    def _tell(self, followers: Sequence[Follower]) -> None:
        with self._changed:
            queue, self._queue, self._queue_bytes = self._queue, [], 0
            skipped, self._skipped = self._skipped, None
        alike: dict[int, dict[Selection, list[Follower]]] = {}
        for follower in followers:
            known = follower.from_position if queue and queue[0][0] <= follower.from_position else 0
            alike.setdefault(known, {}).setdefault(follower.selection, []).append(follower)
        selections = {follower.selection for follower in followers}
        if selections != self._plans.keys():
            self._plans = {each: self._plans.get(each, {}) for each in selections}
            self._wanting.clear()
        share_bytes = min(FOLLOWER_BYTES_MAX, FOLLOWERS_BYTES_MAX // max(1, len(followers)))
        for known, by_selection in alike.items():
            blocks = [block for position, blocks in queue if position > known for block in blocks]
            for selection, piece in self._pieces(blocks, by_selection.keys()):
                for follower in by_selection[selection]:
                    follower.give(piece, share_bytes)
        if skipped is not None:
            for follower in followers:
                follower.miss_all(*skipped)

    def _pieces(
        self, blocks: Sequence[PointBlock], selections: Iterable[Selection]
    ) -> Iterator[tuple[Selection, Piece]]:
        """What blocks have for those who follow something, flow by flow."""
        wanted_by = set(selections)
        found: dict[tuple[int, str], tuple[Sequence[_Wanted], list[FlowRows]]] = {}
        for block in blocks:
            for group, number in enumerate(block.groups[:, kernels.FLOW].tolist()):
                flow = block.flows[number]
                wanted = self._wanting_of(flow)
                if not wanted:
                    continue
                run_id = block.run_ids[block.groups[group, kernels.RUN]]
                _, parts = found.setdefault((id(flow), run_id), (wanted, []))
                parts.append(block.rows(group))
        for (_, run_id), (wanted, parts) in found.items():
            for selection, plan in wanted:
                if selection in wanted_by and selection.run_id in (None, run_id):
                    yield selection, piece_of(self._stream(plan, run_id), parts)

    def _wanting_of(self, flow: PointFlow) -> Sequence[_Wanted]:
        known = self._wanting.get(id(flow))
        if known is None:
            if len(self._wanting) >= FLOWS_KNOWN_MAX:
                self._wanting.clear()
                self._plans = {each: {} for each in self._plans}
            plans = [(each, self._plan(each, flow)) for each in self._plans]
            known = self._wanting[id(flow)] = (
                flow,
                [(selection, plan) for selection, plan in plans if plan.places],
            )
        return known[1]

    def _plan(self, selection: Selection, flow: PointFlow) -> Plan:
        plans = self._plans[selection]
        plan = plans.get(id(flow))
        if plan is None:
            places = selection.places_in(flow)
            known = self._catalog.channels.with_ids(flow.channel_ids[place] for place in places)
            # A channel that the catalog does not know can't be described, nor read.
            there = [place for place in places if flow.channel_ids[place] in known]
            infos = [channel_info(known[flow.channel_ids[place]]) for place in there]
            plan = plans[id(flow)] = Plan(flow, there, infos)
        return plan

    def _stream(self, plan: Plan, run_id: str) -> Stream:
        stream = plan.streams.get(run_id)
        if stream is None:
            run = None
            if run_id:
                run = RunInfo(run_id, self._catalog.runs.names([run_id]).get(run_id, ""))
            stream = plan.streams[run_id] = stream_of(plan, run)
        return stream
