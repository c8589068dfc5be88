"""Faults on purpose: breaks a server where it hurts most, for the crash harness in `tests/prove`.

The server passes named *points* where a crash or a failing disk would be worst. What happens there
is in a plan: the environment variable `SIFT_FAULTS`, read once, when the process starts. Without
it, nothing happens, and nothing that a server is sent, and no file or option, makes it otherwise.

A plan is a list of `POINT@N=ACTION`, joined by commas: at the N-th pass of the point, counted from
1, or, as `POINT@N+=ACTION`, at that and all later ones. Actions:

```text
kill      the process ends as with `kill -9`
EIO       the call at the point fails with that error, as any other name of `errno` would have it
short     the write at the point writes a part of what it was given
```

If `SIFT_FAULTS_WHILE` names a file, the plan holds for as long as the file is there. Each fault is
told on standard error: `fault POINT@N ACTION at NANOSECONDS`, by the system's monotonic clock.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLAN_VARIABLE = "SIFT_FAULTS"
WHILE_VARIABLE = "SIFT_FAULTS_WHILE"

POINTS = frozenset(
    {
        "log.write",
        "log.sync",
        "log.synced",
        "log.rotate",
        "log.rotate.written",
        "log.rotate.synced",
        "log.discard",
        "log.discarded",
        "flush",
        "flush.decided",
        "flush.committed",
        "file.write",
        "file.sync",
        "file.synced",
        "commit.sync",
        "commit.synced",
        "commit.named",
        "merge.written",
        "merge.replaced",
        "remove.written",
        "remove.committed",
        "vacuum",
        "vacuum.removed",
        "checkpoint",
        "checkpoint.written",
        "checkpoint.synced",
        "catalog.commit",
        "catalog.committed",
    }
)
"""Where something can be made to fail."""

_STEP = re.compile(r"([a-z.]+)@([1-9]\d*)(\+?)=(\w+)")


@dataclass(frozen=True, slots=True)
class _Step:
    first: int
    and_later: bool
    action: str

    def is_due(self, count: int) -> bool:
        return count == self.first or (self.and_later and count > self.first)


class _Plan:
    """What is to happen, and how often each point was passed. Safe from many threads."""

    def __init__(self, steps: Mapping[str, Sequence[_Step]], while_there: Path | None) -> None:
        self._steps = steps
        self._while_there = while_there
        self._counts = dict.fromkeys(steps, 0)
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, text: str, while_there: str | None) -> Self:
        """Read a plan.

        Raises:
            ValueError: It is not one.
        """
        steps: dict[str, list[_Step]] = {}
        for part in text.split(","):
            match = _STEP.fullmatch(part)
            if match is None or match[1] not in POINTS or not _is_action(match[4]):
                raise ValueError(f"{PLAN_VARIABLE}: {part!r} is no fault")
            steps.setdefault(match[1], []).append(_Step(int(match[2]), bool(match[3]), match[4]))
        return cls(steps, Path(while_there) if while_there else None)

    def action(self, point: str) -> str | None:
        """Count a pass of a point, and say what is to happen there."""
        steps = self._steps.get(point)
        if steps is None or (self._while_there is not None and not self._while_there.exists()):
            return None
        with self._lock:
            self._counts[point] += 1
            count = self._counts[point]
        for step in steps:
            if step.is_due(count):
                line = f"fault {point}@{count} {step.action} at {time.monotonic_ns()}\n"
                os.write(2, line.encode("ascii"))
                return step.action
        return None


def _is_action(name: str) -> bool:
    return name in ("kill", "short") or hasattr(errno, name)


_plan = (
    _Plan.parse(os.environ[PLAN_VARIABLE], os.environ.get(WHILE_VARIABLE))
    if PLAN_VARIABLE in os.environ
    else None
)


def reach(point: str) -> None:
    """Pass a point.

    Raises:
        OSError: The plan says so.
    """
    if _plan is not None:
        _happen(_plan.action(point))


def reach_write(point: str, buffers: Sequence[bytes | memoryview]) -> Sequence[bytes | memoryview]:
    """Pass a point where buffers are about to be written; returns what is to be written.

    Raises:
        OSError: The plan says so.
    """
    if _plan is None:
        return buffers
    action = _plan.action(point)
    if action == "short":
        first = memoryview(buffers[0])
        return [first[: max(1, len(first) // 2)]] if len(buffers) == 1 else buffers[:-1]
    _happen(action)
    return buffers


def _happen(action: str | None) -> None:
    if action is None or action == "short":
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    code = getattr(errno, action)
    raise OSError(code, f"{os.strerror(code)} (a fault on purpose)")
