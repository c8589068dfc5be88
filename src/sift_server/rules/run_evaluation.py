"""The conditions of a run, evaluated as its points come."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sift_server.errors import ResourceExhaustedError
from sift_server.lake.points import joined_points, kind_of
from sift_server.rules.budget import STRETCHES_AT_ONCE_MAX, STRETCHES_PER_S_MAX
from sift_server.rules.evaluation import MARKS_MAX, Change, ConditionProgress
from sift_server.rules.late import Views, evaluate_part
from sift_server.rules.memory import memory_bytes, too_much
from sift_server.rules.part import TIME_NS_MAX, Part
from sift_server.rules.recent import RecentPoints
from sift_server.rules.replay import NoisyError
from sift_server.rules.stretches import Stretch
from sift_server.rules.trouble import Trouble, Troubles

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from sift_server.expressions import Signal
    from sift_server.lake import Points
    from sift_server.rules.budget import StretchBudget
    from sift_server.rules.condition import Condition
    from sift_server.rules.sources import SourceKey
    from sift_wire.columns import DataType

LATE_WAIT_MS_MAX = 1_000
"""How long late points of a condition wait for more of them at the most."""

MARKS_OF_ALL_MAX = 64_000
"""How many places in time one can go back to, of all conditions of a run together."""

LATE_TICK_MS_MAX = 100
"""How long late points of a run are evaluated at a time; others wait, for others do too."""

RECENT_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of recent points of a run, of all channels together, that are kept to go back to."""

_LATE_WAIT_FACTOR = 10
"""How many times as long as evaluating late points took they wait the next time."""

_LATE_TOGETHER = 100
"""Conditions with late points whose stretches are read together."""

_logger = logging.getLogger(__name__)


class Stored(Protocol):
    """What is stored elsewhere."""

    def views(self, channels: Mapping[str, DataType]) -> Views:
        """What there is of some channels, by their ids."""

    def stretches(
        self, conditions: Iterable[Condition], run_id: str
    ) -> Mapping[object, Sequence[Stretch]]:
        """The stretches that are known of conditions in a run, sorted, by the conditions' keys."""


@dataclass(frozen=True, slots=True)
class Found:
    """What changed of a condition."""

    condition: Condition
    run_id: str
    change: Change


@dataclass(frozen=True, slots=True)
class _Late:
    """Late points of a condition that wait.

    Attributes:
        condition: The condition.
        part: The time in which they are.
        due_s: When they are evaluated.
    """

    condition: Condition
    part: Part
    due_s: float


class RunEvaluation:
    """The points of one run, and how far conditions were evaluated on them. Not thread-safe."""

    def __init__(self, run_id: str, stored: Stored, budget: StretchBudget) -> None:
        """Take the run, what is stored, and how much all runs together may find."""
        self._run_id = run_id
        self._stored = stored
        self._budget = budget
        self._recent: dict[str, RecentPoints] = {}
        self._recent_bytes: dict[str, int] = {}
        self.recent_bytes = 0
        """Bytes of recent points of all channels."""
        self._last_ns: dict[str, int] = {}
        """Time of the last point of each channel that came."""
        self._progress: dict[object, ConditionProgress] = {}
        self._late: dict[object, _Late] = {}
        self._rest_until_s: dict[object, float] = {}
        """When late points of a condition are next evaluated at the earliest."""
        self.troubles = Troubles()
        """Conditions that are not evaluated, and why."""

    def take(
        self,
        conditions: Sequence[Condition],
        points: Mapping[str, tuple[DataType, Sequence[Points]]],
        now_s: float,
    ) -> list[Found]:
        """Evaluate points that came, as far as they are not late.

        Args:
            conditions: All that name any of the channels.
            points: Points by channel id, in any order.
            now_s: The time, by a clock that only goes forward.
        """
        extents: dict[str, Part] = {}
        for channel_id, (data_type, parts) in points.items():
            added = joined_points(kind_of(data_type), parts)
            if len(added):
                times_ns = added.timestamps_ns
                extents[channel_id] = Part(int(times_ns.min()), int(times_ns.max()))
                self._recent.setdefault(channel_id, RecentPoints(data_type)).add(added)
        self._came(extents)
        signals = _RecentSignals(self._recent)
        found = []
        for condition in conditions:
            part = _hull([extents[each] for each in condition.channel_ids if each in extents])
            if part is None:
                continue
            if condition.key in self.troubles:
                self.troubles.add(condition.key, part)
                continue
            advance = functools.partial(self._advance, condition, part, signals, now_s)
            found += self._guarded(condition, part, now_s, advance)
        self._forget(conditions, extents)
        return found

    def miss(
        self, conditions: Sequence[Condition], extents: Mapping[str, Part], now_s: float
    ) -> None:
        """Tell of points that came and are to be read from what is stored.

        Args:
            conditions: All that name any of the channels.
            extents: The time of the points of each channel.
            now_s: As in `take`.
        """
        self._came(extents)
        for condition in conditions:
            part = _hull([extents[each] for each in condition.channel_ids if each in extents])
            if part is None:
                continue
            if condition.key in self.troubles:
                self.troubles.add(condition.key, part)
            else:
                self._add_late(condition, part, now_s)

    @property
    def next_late_s(self) -> float | None:
        """When late points are to be evaluated; None if there are none."""
        dues_s = [late.due_s for late in self._late.values()]
        if (due_s := self.troubles.next_due_s) is not None:
            dues_s.append(due_s)
        return min(dues_s, default=None)

    @property
    def late(self) -> list[tuple[Condition, Part]]:
        """The points that wait to be evaluated: late ones, and those of conditions in trouble."""
        late = [(late.condition, late.part) for late in self._late.values()]
        return [*late, *self.troubles.to_evaluate]

    def take_late(self, now_s: float, clock_s: Callable[[], float]) -> list[Found]:
        """Evaluate the late points that have waited long enough, or as many as there is time for.

        What was found before must have been stored by now.
        """
        for condition, trouble in self.troubles.take_due(now_s):
            if not trouble.is_noisy:
                self._add_late(condition, trouble.part, now_s)
        found = []
        due = [each for each in self._late.values() if each.due_s <= now_s]
        until_s = clock_s() + LATE_TICK_MS_MAX / 1_000
        stored: _StoredNow | None = None
        for number, late in enumerate(due):
            began_s = clock_s()
            if number and began_s > until_s:
                break
            if stored is None or number % _LATE_TOGETHER == 0:
                conditions = [each.condition for each in due[number : number + _LATE_TOGETHER]]
                stored = _StoredNow(self._stored, conditions, self._run_id)
            key = late.condition.key
            del self._late[key]
            evaluate = functools.partial(self._evaluate_late, late.condition, late.part, stored)
            found += self._guarded(late.condition, late.part, now_s, evaluate)
            ended_s = clock_s()
            rest_s = min(_LATE_WAIT_FACTOR * (ended_s - began_s), LATE_WAIT_MS_MAX / 1_000)
            self._rest_until_s[key] = ended_s + rest_s
        return found

    def open_stretches(self) -> list[Found]:
        """The stretches that are open now, as far as they have come."""
        return [
            Found(progress.condition, self._run_id, change)
            for progress in self._progress.values()
            if (change := progress.open_change()) is not None
        ]

    def keep_only(self, keys: Container[object]) -> None:
        """Forget all conditions but these."""
        for known in (self._progress, self._late, self._rest_until_s):
            for key in [key for key in known if key not in keys]:
                del known[key]
        self.troubles.keep_only(keys)

    def memory_bytes(self) -> dict[object, int]:
        """Bytes that conditions remember, by their keys, of those that may remember much."""
        return {
            key: memory_bytes(progress.memories)
            for key, progress in self._progress.items()
            if progress.condition.remembers
        }

    def give_up(self, key: object, nbytes: int, now_s: float) -> None:
        """Let a condition rest that remembers too much, and forget that."""
        progress = self._progress[key]
        # What it found so far is known: it lacks what comes from here on.
        part = Part(progress.last_ns, progress.last_ns)
        message = str(too_much(progress.condition, nbytes))
        self._begin_trouble(progress.condition, Trouble(message, part), now_s)

    def _came(self, extents: Mapping[str, Part]) -> None:
        for channel_id, part in extents.items():
            last_ns = self._last_ns.get(channel_id, part.last_ns)
            self._last_ns[channel_id] = max(last_ns, part.last_ns)

    def _advance(
        self, condition: Condition, part: Part, signals: _RecentSignals, now_s: float
    ) -> Change | None:
        progress = self._progress.get(condition.key)
        if progress is None:
            self._add_late(condition, part, now_s)
            return None
        first_ns = part.first_ns
        if first_ns <= progress.earliest_ns:
            last_ns = min(part.last_ns, progress.earliest_ns)
            self._add_late(condition, Part(first_ns, last_ns), now_s)
            if part.last_ns <= progress.earliest_ns:
                return None
            first_ns = progress.earliest_ns + 1
        kept = max(min(MARKS_OF_ALL_MAX // len(self._progress), MARKS_MAX), 1)
        return progress.advance(
            first_ns, lambda time_ns: signals.later_than(condition.sources, time_ns), kept
        )

    def _add_late(self, condition: Condition, part: Part, now_s: float) -> None:
        key = condition.key
        known = self._late.get(key)
        if known is not None:
            self._late[key] = _Late(condition, part.with_part(known.part), known.due_s)
        else:
            due_s = max(now_s, self._rest_until_s.get(key, now_s))
            self._late[key] = _Late(condition, part, due_s)

    def _evaluate_late(self, condition: Condition, part: Part, stored: _StoredNow) -> Change:
        progress = self._progress.get(condition.key)
        views = stored.views(condition)
        old = stored.stretches[condition.key]
        if progress is not None:
            old = progress.brought_up_to_date(old)
        effect = part.with_effect(condition)
        if progress is None or effect.last_ns >= progress.earliest_ns:
            # The places to go back to are no more, and new ones are at the end only.
            effect = Part(part.first_ns, TIME_NS_MAX)
        end_ns = self._end_ns(condition, progress)
        evaluated = evaluate_part(condition, views, self._run_id, effect, end_ns, old)
        if evaluated.marks:
            self._progress[condition.key] = ConditionProgress(
                condition, evaluated.marks, evaluated.change.stretches
            )
            for piece in evaluated.recent:
                for channel_id, points in piece.items():
                    data_type = views[channel_id][1]
                    self._recent.setdefault(channel_id, RecentPoints(data_type)).add(points)
        elif progress is not None and evaluated.moved is not None:
            progress.move_start(*evaluated.moved)
        return evaluated.change

    def _end_ns(self, condition: Condition, progress: ConditionProgress | None) -> int:
        """Up to which time points are evaluated.

        What is stored may be ahead of what came here. To evaluate that too would make late points
        of it when it comes; but nothing else says where the run ends that was not evaluated yet.
        """
        if progress is None:
            return TIME_NS_MAX
        came = [self._last_ns[each] for each in condition.channel_ids if each in self._last_ns]
        return max(progress.last_ns, *came)

    def _guarded(
        self,
        condition: Condition,
        part: Part,
        now_s: float,
        evaluate: Callable[[], Change | None],
    ) -> list[Found]:
        """What evaluating a condition on a part gives, if that is possible, and not too much."""
        try:
            change = evaluate()
        except NoisyError as error:
            return self._give_up_noisy(condition, part, now_s, error.count, None)
        except ResourceExhaustedError as error:
            message = str(error)
        except Exception as error:
            _logger.exception("the condition %r can't be evaluated", condition.expression.text)
            message = f"{type(error).__name__}: {error}"
        else:
            if change is None:
                return []
            if self._budget.allows((condition.key, self._run_id), change.added, now_s):
                return [Found(condition, self._run_id, change)]
            return self._give_up_noisy(condition, part, now_s, change.added, change)
        self._begin_trouble(condition, Trouble(message, part), now_s)
        return []

    def _give_up_noisy(
        self, condition: Condition, part: Part, now_s: float, count: int, change: Change | None
    ) -> list[Found]:
        """Skip what a condition finds for a while; ends what was open."""
        message = (
            f"the condition {condition.expression.text!r} became true {count:,} times more, which"
            f" is too often: {STRETCHES_AT_ONCE_MAX:,} times at once (STRETCHES_AT_ONCE_MAX),"
            f" {STRETCHES_PER_S_MAX} times a second from then on (STRETCHES_PER_S_MAX), and all"
            " conditions together five times that; let it hold for some time with persistence(...)"
        )
        self._begin_trouble(condition, Trouble(message, part, count), now_s)
        known = self._stored.stretches([condition], self._run_id)[condition.key]
        was_open = next((one for one in known if one.is_open), None)
        if was_open is None:
            return []
        end_ns = was_open.end_ns
        if change is not None and change.stretches[0].start_ns == was_open.start_ns:
            end_ns = change.stretches[0].end_ns
        ended = Stretch(was_open.start_ns, end_ns)
        return [Found(condition, self._run_id, Change(ended.start_ns, None, (ended,)))]

    def _begin_trouble(self, condition: Condition, trouble: Trouble, now_s: float) -> None:
        key = condition.key
        late = self._late.pop(key, None)
        self._progress.pop(key, None)
        self.troubles.begin(condition, trouble, now_s)
        if late is not None:
            self.troubles.add(key, late.part)
        _logger.warning("a condition is not evaluated for a while: %s", trouble.message)

    def _forget(self, conditions: Sequence[Condition], extents: Mapping[str, Part]) -> None:
        """Forget the recent points that nobody can go back to, and more if they are too many."""
        self._forget_of(conditions, extents)
        while self.recent_bytes > RECENT_BYTES_MAX:
            forgot = [progress.forget_mark() for progress in self._progress.values()]
            everything = [progress.condition for progress in self._progress.values()]
            self._forget_of(everything, self._recent.keys())
            if not any(forgot):
                return

    def _forget_of(self, conditions: Iterable[Condition], channel_ids: Iterable[str]) -> None:
        earliest_ns: dict[str, int] = {}
        for condition in conditions:
            progress = self._progress.get(condition.key)
            if progress is not None:
                for channel_id in condition.channel_ids:
                    known_ns = earliest_ns.get(channel_id, progress.earliest_ns)
                    earliest_ns[channel_id] = min(known_ns, progress.earliest_ns)
        for channel_id in list(channel_ids):
            recent = self._recent.get(channel_id)
            if recent is None:
                continue
            if channel_id in earliest_ns:
                recent.forget(earliest_ns[channel_id])
            else:
                del self._recent[channel_id]
            self._count_recent(channel_id)

    def _count_recent(self, channel_id: str) -> None:
        recent = self._recent.get(channel_id)
        before = self._recent_bytes.pop(channel_id, 0)
        if recent is not None:
            self._recent_bytes[channel_id] = recent.nbytes
        self.recent_bytes += self._recent_bytes.get(channel_id, 0) - before


class _StoredNow:
    """What is stored of some conditions at one moment; what several of them want is read once."""

    def __init__(self, stored: Stored, conditions: Sequence[Condition], run_id: str) -> None:
        self._stored = stored
        self._views: Views = {}
        self.stretches = stored.stretches(conditions, run_id)

    def views(self, condition: Condition) -> Views:
        """The views of a condition's channels."""
        wanted = condition.data_types
        new = {each: kind for each, kind in wanted.items() if each not in self._views}
        self._views |= self._stored.views(new)
        return {each: self._views[each] for each in wanted}


class _RecentSignals:
    """Recent points as signals; those that several conditions want are made once."""

    def __init__(self, recent: Mapping[str, RecentPoints]) -> None:
        self._recent = recent
        self._made: dict[tuple[SourceKey, int], Signal] = {}

    def later_than(self, sources: Iterable[SourceKey], time_ns: int) -> list[Signal]:
        """A signal of each source, with the points later than a time."""
        return [self._of(source, time_ns) for source in sources]

    def _of(self, source: SourceKey, time_ns: int) -> Signal:
        made = self._made.get((source, time_ns))
        if made is None:
            recent = self._recent.get(source.channel_id)
            points = (
                joined_points(kind_of(source.data_type), [])
                if recent is None
                else recent.later_than(time_ns)
            )
            made = self._made[source, time_ns] = source.signal(points)
        return made


def _hull(parts: Sequence[Part]) -> Part | None:
    """The time from the first to the last of some parts; None if there are none."""
    return functools.reduce(Part.with_part, parts) if parts else None
