"""Evaluates the rules as data is acknowledged."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Protocol

from sift_server.rules.arrivals import WatchedChannels
from sift_server.rules.budget import StretchBudget
from sift_server.rules.memory import CONDITIONS_BYTES_MAX
from sift_server.rules.run_evaluation import Found, RunEvaluation, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sift_server.lake import PointBlock
    from sift_server.rules.condition import Condition
    from sift_server.rules.part import Part
    from sift_server.rules.trouble import Trouble

Extents = dict[str, dict[str, "Part"]]
"""Times of points, by run id and channel id."""

Place = tuple[object, str]
"""The key of a condition, and a run id."""

TICK_MS = 50
"""How often the rules are evaluated at the most: what came meanwhile is evaluated as one."""

QUEUE_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of points that wait to be evaluated. Of more only the times are remembered, and the points
are read from what is stored."""

RUNS_MAX = 1_000
"""How many runs are remembered with their latest points; others are read from what is stored."""

RUNS_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of the latest points of all runs, with which runs are remembered."""

OPEN_INTERVAL_MS = 1_000
"""How often it is written how far open stretches have come."""

TOLD_AT_ONCE_MAX = 100
"""How many conditions people are told of in a tick that are in trouble; of others in later ones."""

SETTLE_MS_MAX = 1_000
"""How long a flush waits for the rules; what they did not evaluate by then is written down."""

RETRY_INTERVAL_MS = 1_000
"""How long to wait after something that was found could not be written."""

_logger = logging.getLogger(__name__)


class RuleBook(Stored, Protocol):
    """Where rules come from, and where what they find goes to. Safe from many threads."""

    @property
    def changes(self) -> int:
        """A number that is another one whenever `conditions` may be."""

    def conditions(self) -> Sequence[Condition]:
        """The conditions that are to be evaluated, each for an asset."""

    @property
    def misfits(self) -> Mapping[object, str]:
        """The keys of conditions that `conditions` left out, and why."""

    def write(self, found: Sequence[Found]) -> None:
        """Store what was found, all of it or nothing; durable when this returns."""

    def tell(self, troubles: Mapping[Place, Trouble | str], over: Iterable[Place]) -> None:
        """Tell people which conditions are in trouble, or are something else now; durably.

        Args:
            troubles: Those, and why they are not evaluated.
            over: Those that are in trouble no more.
        """

    def forget_troubles(self) -> None:
        """No condition is in trouble any more."""

    def backlog(self) -> Extents:
        """What `write_backlog` has stored."""

    def write_backlog(self, extents: Extents) -> None:
        """Store the times of points that are still to be evaluated, instead of those before."""


class LiveRules:
    """The rules, evaluated by a thread of their own. Safe from many threads.

    Ingesting never waits for it. A condition that fails, or finds too much, rests for a while, and
    people are told; all others go on.
    """

    def __init__(self, book: RuleBook, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._book = book
        self._clock_s = clock_s
        self._changed = threading.Condition()
        self._queue: list[tuple[int, Sequence[PointBlock]]] = []
        self._queue_bytes = 0
        self._taken: Sequence[tuple[int, Sequence[PointBlock]]] = ()
        """What was taken from the queue and is being evaluated."""
        self._missed: Extents = {}
        self._late: Extents = {}
        """As it was when the last tick ended."""
        self._watched_by_queue = WatchedChannels(frozenset())
        self._is_watching = False
        self._stopping = False
        self._settle_wanted = 0
        self._settled = 0
        self._had_backlog = False
        self._thread = threading.Thread(target=self._run, name="sift-rules", daemon=True)
        # Of the thread alone:
        self._runs: dict[str, RunEvaluation] = {}
        self._conditions: dict[str, list[Condition]] = {}
        """Conditions by the channels that they name."""
        self._watched = WatchedChannels(frozenset())
        self._live_from_position_max = 0
        self._known_changes: int | None = None
        self._unwritten: list[list[Found]] = []
        """What was found, in the order in which it is to be written."""
        self._open_due_s = 0.0
        self._budget = StretchBudget()
        self._told: dict[Place, Trouble | str] = {}
        """What people were told of conditions in trouble."""

    def start(self) -> None:
        """Begin to evaluate, with what was left before; called before anything is published."""
        self._book.forget_troubles()
        self._reload()
        backlog = self._book.backlog()
        self._had_backlog = bool(backlog)
        with self._changed:
            _merge(self._missed, backlog)
        self._thread.start()

    def publish(self, position: int, blocks: Sequence[PointBlock]) -> None:
        """Tell of points that can be read now; `position` is where the log has them."""
        # A rule that was made a moment ago is not loaded yet, and wants these points.
        is_changing = self._book.changes != self._known_changes
        if not (self._is_watching or is_changing):
            return
        nbytes = sum(block.nbytes for block in blocks)
        with self._changed:
            if self._queue_bytes + nbytes <= QUEUE_BYTES_MAX or is_changing:
                self._queue.append((position, blocks))
                self._queue_bytes += nbytes
            else:
                _merge(self._missed, self._watched_by_queue.extents(blocks))
            self._changed.notify_all()

    def settle(self) -> None:
        """Write down how far the rules are, before the log forgets what was published so far.

        Waits for them to evaluate it, `SETTLE_MS_MAX` at the most.
        """
        with self._changed:
            if not self._thread.is_alive():
                return
            self._settle_wanted += 1
            wanted = self._settle_wanted
            self._changed.notify_all()
            is_settled = self._changed.wait_for(
                lambda: self._settled >= wanted, SETTLE_MS_MAX / 1_000
            )
            unfinished = self._unfinished()
        if unfinished or self._had_backlog or not is_settled:
            self._book.write_backlog(unfinished)
            self._had_backlog = bool(unfinished)

    def stop(self) -> None:
        """Evaluate what was published, and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _unfinished(self) -> Extents:
        unfinished: Extents = {}
        for _, blocks in [*self._taken, *self._queue]:
            _merge(unfinished, self._watched_by_queue.extents(blocks))
        _merge(unfinished, self._missed)
        _merge(unfinished, self._late)
        return unfinished

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, self._wait_s())
                is_last = self._stopping
                settling = self._settle_wanted
            began_s = self._clock_s()
            try:
                self._tick(is_settling=is_last or settling > self._settled)
            except Exception:
                _logger.exception("what rules found could not be written; trying again")
                settling, is_urgent = self._settled, self._is_stopping
                rest_s = RETRY_INTERVAL_MS / 1_000
            else:
                is_urgent = self._is_urgent
                took_s = self._clock_s() - began_s
                # Half of the time at the most: ingesting needs the interpreter as well.
                rest_s = max(TICK_MS / 1_000 - took_s, took_s)
            with self._changed:
                self._settled = settling
                self._changed.notify_all()
                if is_last:
                    return
                self._changed.wait_for(is_urgent, rest_s)

    def _is_stopping(self) -> bool:
        return self._stopping

    def _is_urgent(self) -> bool:
        return self._stopping or self._settle_wanted > self._settled

    def _has_work(self) -> bool:
        return bool(self._queue or self._missed or self._is_urgent())

    def _wait_s(self) -> float:
        """How long to wait for points, before something else is due."""
        due_s = [self._open_due_s]
        due_s += [due for run in self._runs.values() if (due := run.next_late_s) is not None]
        return max(min(due_s) - self._clock_s(), 0)

    def _tick(self, *, is_settling: bool) -> None:
        """Evaluate what came, and write what was found."""
        self._write()
        if self._book.changes != self._known_changes:
            self._reload()
        with self._changed:
            self._taken, self._queue = self._queue, []
            self._queue_bytes = 0
            missed, self._missed = self._missed, {}
        now_s = self._clock_s()
        found = []
        for position, blocks in self._as_one(self._taken):
            for run_id, channels in self._watched.points(blocks).items():
                conditions = self._of_channels(channels, position)
                found += self._run_of(run_id).take(conditions, channels, now_s)
        for run_id, extents in missed.items():
            self._run_of(run_id).miss(self._of_channels(extents, None), extents, now_s)
        self._write(found)
        for run in self._runs.values():
            self._write(run.take_late(now_s, self._clock_s))
        is_due = now_s >= self._open_due_s
        if is_due:
            self._bound_memory(now_s)
        if is_settling or is_due:
            self._write([one for run in self._runs.values() for one in run.open_stretches()])
            self._open_due_s = now_s + OPEN_INTERVAL_MS / 1_000
        self._tell(is_due=is_due)
        self._note()

    def _write(self, *found: list[Found]) -> None:
        """Write what was found, after what could not be written before."""
        self._unwritten += filter(None, found)
        while self._unwritten:
            self._book.write(self._unwritten[0])
            del self._unwritten[0]

    def _bound_memory(self, now_s: float) -> None:
        """Give up the conditions that remember most, if all together remember too much."""
        sizes = [
            (nbytes, run, key)
            for run in self._runs.values()
            for key, nbytes in run.memory_bytes().items()
        ]
        total = sum(nbytes for nbytes, _, _ in sizes)
        sizes.sort(key=lambda each: each[0])
        while total > CONDITIONS_BYTES_MAX:
            nbytes, run, key = sizes.pop()
            run.give_up(key, nbytes, now_s)
            total -= nbytes

    def _tell(self, *, is_due: bool) -> None:
        """Tell people what is new of conditions in trouble; and once in a while, how long it is."""
        now: dict[Place, Trouble | str] = {
            (key, run_id): trouble
            for run_id, run in self._runs.items()
            for key, trouble in run.troubles.items()
        }
        now |= {(key, ""): message for key, message in self._book.misfits.items()}
        told = self._told
        changed = [place for place in now if place not in told]
        if is_due:
            changed += [place for place in now if place in told and told[place] != now[place]]
        # The others are told by the next ticks.
        changed = changed[:TOLD_AT_ONCE_MAX]
        over = [place for place in told if place not in now][:TOLD_AT_ONCE_MAX]
        if changed or over:
            self._book.tell({place: now[place] for place in changed}, over)
            for place in over:
                del told[place]
            told.update((place, now[place]) for place in changed)

    def _note(self) -> None:
        """Make known what others may ask for, and forget the runs that are too many."""
        late: Extents = {}
        for run_id, run in self._runs.items():
            for condition, part in run.late:
                _merge(late, {run_id: dict.fromkeys(condition.channel_ids, part)})
        with self._changed:
            self._taken = ()
            self._late = late
        idle = [run_id for run_id in self._runs if run_id not in late]
        recent_bytes = sum(run.recent_bytes for run in self._runs.values())
        for run_id in idle:
            if len(self._runs) <= RUNS_MAX and recent_bytes <= RUNS_BYTES_MAX:
                break
            recent_bytes -= self._runs.pop(run_id).recent_bytes

    def _as_one(
        self, entries: Sequence[tuple[int, Sequence[PointBlock]]]
    ) -> list[tuple[int | None, Sequence[PointBlock]]]:
        """Entries that mean the same to all conditions as one; others one by one."""
        late = [entry for entry in entries if entry[0] > self._live_from_position_max]
        early = [entry for entry in entries if entry[0] <= self._live_from_position_max]
        together = [block for _, blocks in late for block in blocks]
        return [*early, (None, together)] if together else list(early)

    def _of_channels(
        self, channel_ids: Mapping[str, object], position: int | None
    ) -> list[Condition]:
        conditions = {
            condition.key: condition
            for channel_id in channel_ids
            for condition in self._conditions.get(channel_id, ())
            if position is None or position > condition.live_from_position
        }
        return list(conditions.values())

    def _run_of(self, run_id: str) -> RunEvaluation:
        # The one that was used last is the last one.
        run = self._runs.pop(run_id, None) or RunEvaluation(run_id, self._book, self._budget)
        self._runs[run_id] = run
        return run

    def _reload(self) -> None:
        changes = self._book.changes
        conditions = self._book.conditions()
        by_channel: dict[str, list[Condition]] = {}
        for condition in conditions:
            for channel_id in sorted(condition.channel_ids):
                by_channel.setdefault(channel_id, []).append(condition)
        keys = {condition.key for condition in conditions}
        for run in self._runs.values():
            run.keep_only(keys)
        self._conditions = by_channel
        self._watched = WatchedChannels(frozenset(by_channel))
        self._live_from_position_max = max(
            (condition.live_from_position for condition in conditions), default=0
        )
        with self._changed:
            self._watched_by_queue = WatchedChannels(frozenset(by_channel))
            self._is_watching = bool(conditions)
            self._known_changes = changes


def _merge(into: Extents, extents: Extents) -> None:
    for run_id, channels in extents.items():
        mine = into.setdefault(run_id, {})
        for channel_id, part in channels.items():
            mine[channel_id] = part.with_part(mine.get(channel_id, part))
