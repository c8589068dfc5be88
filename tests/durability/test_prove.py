"""The short form of `make prove`, and the judge that it trusts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from prove import rules
from prove.plan import FAILURES, KILL_POINTS, plan
from prove.points import CHANNELS, DAY_NS, T0_NS, has_value, judge, rows_at, times_ns, values
from prove.run import Report, prove
from sift_server import faults

KILLS = 5
SEED = 4
SOURCES = Path(faults.__file__).parent


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.proves(
    "ok-durable", "ok-readable", "ok-survives", "row-whole", "fail-unknown", "replay-nothing",
    "restart-replays", "catalog-durable", "misfit-kept", "commit-covers", "annotations-same",
)  # fmt: skip
def test_kills_and_faults_lose_nothing(tmp_path: Path):
    """A few servers that are killed and made to fail; `make prove` has hundreds."""
    report = Report()
    prove(plan(SEED, KILLS), tmp_path, SEED, report)
    assert report.is_good, report.text()
    assert report.kills >= KILLS - 1
    assert report.verdict.acknowledged > 1_000
    assert report.annotations > 10


def test_the_plain_evaluation_of_rules():
    """Up to the first point that is not, ten minutes at the most; the last may be pending."""
    low, high, minute_ns = 1.0, 2.0 * rules.BOUND, 60_000_000_000
    points = [(0, high), (1, low), (2, low), (3, high), (4, low), (20 * minute_ns, low)]
    assert rules.expected(points) == [
        (1, 3, False), (4, 4 + 10 * minute_ns, False), (20 * minute_ns, 20 * minute_ns, True),
    ]  # fmt: skip


def rows_read(writer: int, rows: np.ndarray) -> dict[str, list]:
    return {
        name: list(
            zip(
                times_ns(rows[has_value(name, rows)]).tolist(),
                values(writer, name, rows[has_value(name, rows)]),
                strict=True,
            )
        )
        for name in CHANNELS
    }


def test_the_judge_finds_nothing_wrong_with_what_is_right():
    """All that was acknowledged, and some of what was not."""
    verdict = judge(1, rows_read(1, np.arange(120)), 100, 150)
    assert verdict.is_good
    assert verdict.acknowledged == 100 * 4 + sum(row % 7 != 3 for row in range(100))


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda read: read["int"].pop(5), {"lost", "in_part"}),
        (lambda read: read["text"].append(read["text"][3]), {"twice"}),
        (lambda read: read["flag"].__setitem__(7, (read["flag"][7][0], None)), {"altered"}),
        (lambda read: read["int"].append((T0_NS + 1, 5)), {"altered"}),
        (lambda read: read["int"].append((T0_NS + 3 * DAY_NS, 5)), {"altered"}),
        (lambda read: read["double"].pop(), {"in_part"}),
        (lambda read: read.pop("double"), {"lost", "in_part"}),
    ],
)
def test_the_judge_finds_what_is_wrong(damage, what: set[str]):
    """Rows 0 to 99 were acknowledged, 100 to 119 are there, 149 was the last that was sent."""
    read = rows_read(1, np.arange(120))
    damage(read)
    verdict = judge(1, read, 100, 150)
    kinds = ("lost", "twice", "altered", "in_part")
    assert {kind for kind in kinds if getattr(verdict, kind)} == what
    assert verdict.words


def test_rows_and_times_are_each_others_inverse():
    """Every row has a time of its own."""
    rows = np.arange(100_000)
    assert (rows_at(times_ns(rows)) == rows).all()
    assert len(np.unique(times_ns(rows))) == len(rows)


def test_a_seed_gives_a_plan_again():
    """So that what was found can be looked for again; another seed gives another."""
    assert list(plan(1, 50)) == list(plan(1, 50)) != list(plan(2, 50))
    assert sum(len(folder.rounds) for folder in plan(1, 50)) == 50


def test_a_long_plan_comes_to_every_point():
    """Every fault point but those of deletions is killed at, or made to fail, in 250 rounds.

    What is deleted on purpose would be missed in the end: `lake/test_removal.py` kills there.
    """
    points = {point for point in faults.POINTS if not point.startswith("remove.")}
    tried = " ".join(each.faults for folder in plan(1, 250) for each in folder.rounds)
    assert {point for point in faults.POINTS if f"{point}@" in tried} == points
    assert set(KILL_POINTS) == points
    assert all(f"{failure.partition('@')[0]}@" in tried for failure in FAILURES)


def test_every_fault_point_is_in_the_server():
    """And the server has no other."""
    calls = re.compile(r'faults\.reach(?:_write)?\(\s*"([a-z.]+)"')
    found = {point for path in SOURCES.rglob("*.py") for point in calls.findall(path.read_text())}
    assert found == faults.POINTS
