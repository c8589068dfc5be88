"""What is done to a server: made from a seed before anything starts, so that it can be done again.

The moments at which threads and disks get to what they do are not in the plan: the same plan breaks
a server in the same places, not at the same nanosecond.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prove.serve import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where a kill is tried, and at which pass at the most.
KILL_POINTS = {
    "log.write": 60,
    "log.sync": 60,
    "log.synced": 60,
    "log.rotate": 3,
    "log.rotate.written": 3,
    "log.rotate.synced": 3,
    "log.discard": 4,
    "log.discarded": 3,
    "flush": 5,
    "flush.decided": 4,
    "flush.committed": 4,
    "file.write": 12,
    "file.sync": 12,
    "file.synced": 12,
    "commit.sync": 5,
    "commit.synced": 5,
    "commit.named": 5,
    "merge.written": 2,
    "merge.replaced": 2,
    "vacuum": 6,
    "vacuum.removed": 6,
    "checkpoint": 2,
    "checkpoint.written": 2,
    "checkpoint.synced": 2,
    "catalog.commit": 4,
    "catalog.committed": 4,
}

# Plans of faults that a server survives, or fails for good after.
FAILURES = (
    "log.sync@{n}=EIO",
    "log.sync@{n}=EIO",
    "log.write@{n}=EIO",
    "log.write@{n}=short",
    "log.write@{n}+=short",
    "log.write@{n}+=ENOSPC",
    "log.rotate@1=ENOSPC",
    "log.rotate.written@1=kill",
    "log.discard@1=EIO",
    "flush@1=EIO",
    "file.write@{few}+=ENOSPC",
    "file.write@{few}=EIO",
    "file.sync@{few}=EIO",
    "commit.sync@1=EIO",
    "commit.synced@1=EIO",
    "commit.named@1=EIO",
    "merge.written@1=EIO",
    "merge.replaced@1=EIO",
    "checkpoint.written@1=EIO",
    "vacuum@1=EIO",
    "catalog.commit@1=EIO",
)

# A write that ends in the middle, and the process with it.
TEAR = "log.write@{n}=short,log.write@{next}=kill"

START_POINTS = ("log.rotate.written", "log.write", "catalog.commit", "log.discard", "flush")


@dataclass(frozen=True, slots=True)
class Round:
    """A server's life, from its start to its kill.

    Attributes:
        faults: Plan of faults, or an empty string.
        during_start: Whether faults and kill come while the server starts, or after it was found
            to have everything.
        kill_after_s: When it is killed, if no fault did it: after its start, or after the faults.
        stop_first_s: How long before it is killed it is asked to stop; None for not at all.
    """

    faults: str
    during_start: bool
    kill_after_s: float
    stop_first_s: float | None

    @property
    def kills_itself(self) -> bool:
        """Whether a fault is to kill the server."""
        return "=kill" in self.faults


@dataclass(frozen=True, slots=True)
class Folder:
    """A data folder, and what its servers have to go through."""

    limits: Limits
    rounds: tuple[Round, ...]


def plan(seed: int, kills: int, folder_kills: int = 20) -> Iterator[Folder]:
    """Folders with `kills` rounds together."""
    choose = random.Random(seed)
    points = _in_turns(choose, list(KILL_POINTS))
    failures = _in_turns(choose, list(FAILURES))
    while kills > 0:
        count = min(folder_kills, kills)
        kills -= count
        limits = Limits(
            segment_bytes_max=choose.choice((20_000, 200_000)),
            flush_interval_ms=choose.choice((30, 100, 300)),
            checkpoint_commits=choose.choice((2, 5)),
            merge_files=choose.choice((2, 4)),
        )
        rounds = tuple(_round(choose, next(points), failures) for _ in range(count))
        yield Folder(limits, rounds)


def _in_turns(choose: random.Random, each: list[str]) -> Iterator[str]:
    """Every one as often as the others, in any order."""
    while True:
        choose.shuffle(each)
        yield from each


def _round(choose: random.Random, point: str, failures: Iterator[str]) -> Round:
    kind = choose.choices(("random", "point", "failure", "tear", "start"), (30, 35, 23, 5, 7))[0]
    kill_after_s = choose.uniform(0.02, 0.8)
    stop_first_s = None
    during_start = False
    faults = ""
    n = choose.randint(1, 60)
    match kind:
        case "point":
            faults = f"{point}@{choose.randint(1, KILL_POINTS[point])}=kill"
        case "failure":
            faults = next(failures).format(n=n, few=choose.randint(1, 5))
        case "tear":
            faults = TEAR.format(n=n, next=n + 1)
        case "start":
            during_start = True
            kill_after_s = choose.uniform(0.3, 2.0)
            if choose.random() < 0.5:
                faults = f"{choose.choice(START_POINTS)}@1=kill"
        case _:
            if choose.random() < 0.2:
                stop_first_s = choose.uniform(0.0, 0.3)
    return Round(faults, during_start, kill_after_s, stop_first_s)
