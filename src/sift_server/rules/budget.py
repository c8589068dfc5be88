"""How many stretches conditions may find: a rule that is true and false all the time is noise."""

from __future__ import annotations

STRETCHES_AT_ONCE_MAX = 10_000
"""Stretches that a condition may find at once on an asset, in a run."""

STRETCHES_PER_S_MAX = 100
"""Stretches that it may find in a second, from then on."""

ALL_AT_ONCE_MAX = 50_000
"""Stretches that all conditions together may find at once..."""

ALL_PER_S_MAX = 1_000
"""...and in a second, from then on."""

QUIET_STRETCHES_MAX = 100
"""A condition that found no more than these is not noisy, whatever the others do."""

_KNOWN_MIN = 1_000
"""Conditions after which those are forgotten that have found nothing for long."""


class _Bucket:
    """What is left: fills up by and by."""

    def __init__(self, size: int, per_s: int, now_s: float) -> None:
        self.left: float = size
        self._size = size
        self._per_s = per_s
        self._at_s = now_s

    def fill(self, now_s: float) -> None:
        self.left = min(self.left + (now_s - self._at_s) * self._per_s, self._size)
        self._at_s = now_s

    @property
    def is_full(self) -> bool:
        return self.left == self._size


class StretchBudget:
    """What conditions may still find. Not thread-safe."""

    def __init__(self) -> None:
        self._of_each: dict[object, _Bucket] = {}
        self._of_all: _Bucket | None = None
        self._forget_at = _KNOWN_MIN

    def allows(self, key: object, count: int, now_s: float) -> bool:
        """Whether a condition may have found so many more stretches; if so, they are counted.

        Args:
            key: The condition, and the run.
            count: How many.
            now_s: The time, by a clock that only goes forward.
        """
        if count <= 0:
            return True
        if self._of_all is None:
            self._of_all = _Bucket(ALL_AT_ONCE_MAX, ALL_PER_S_MAX, now_s)
        mine = self._of_each.get(key)
        if mine is None:
            self._forget_quiet(now_s)
            mine = _Bucket(STRETCHES_AT_ONCE_MAX, STRETCHES_PER_S_MAX, now_s)
            self._of_each[key] = mine
        mine.fill(now_s)
        self._of_all.fill(now_s)
        is_quiet = mine.left - count >= STRETCHES_AT_ONCE_MAX - QUIET_STRETCHES_MAX
        if not is_quiet and count > min(mine.left, self._of_all.left):
            # It may begin anew with nothing counted: until then it finds nothing.
            del self._of_each[key]
            return False
        mine.left -= count
        self._of_all.left = max(self._of_all.left - count, 0)
        return True

    def _forget_quiet(self, now_s: float) -> None:
        if len(self._of_each) < self._forget_at:
            return
        for bucket in self._of_each.values():
            bucket.fill(now_s)
        self._of_each = {key: one for key, one in self._of_each.items() if not one.is_full}
        self._forget_at = max(2 * len(self._of_each), _KNOWN_MIN)
