"""Evaluates rules when somebody asks: over a run, or over some time of assets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sift_server.errors import InvalidArgumentError
from sift_server.rules.book import ConditionKey, condition_stretches
from sift_server.rules.evaluation import Change
from sift_server.rules.explicit import evaluate_range, within
from sift_server.rules.part import TIME_NS_MAX, TIME_NS_MIN
from sift_server.rules.run_evaluation import Found
from sift_server.rules.stretches import Stretch, spliced, touches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift_server.catalog import Catalog, RuleCondition
    from sift_server.rules.book import CatalogBook
    from sift_server.rules.condition import Condition


@dataclass(frozen=True, slots=True)
class AskedTime:
    """What rules are to be evaluated on.

    Attributes:
        run_id: A run; None for all runs, and what has none.
        asset_ids: Only these assets; None for all that the rules are about.
        start_ns: The start; None for no limit.
        end_ns: The end, which is excluded; None for no limit.
    """

    run_id: str | None = None
    asset_ids: frozenset[str] | None = None
    start_ns: int | None = None
    end_ns: int | None = None

    def __post_init__(self) -> None:
        """Check the times.

        Raises:
            InvalidArgumentError: The end is not behind the start.
        """
        if self.start_ns is not None and self.end_ns is not None and self.end_ns <= self.start_ns:
            raise InvalidArgumentError("the end of the time must be behind its start")

    @property
    def first_ns(self) -> int:
        """The earliest time."""
        return TIME_NS_MIN if self.start_ns is None else self.start_ns


@dataclass(frozen=True, slots=True)
class AskedStretches:
    """What a condition is true for, on an asset and in a run."""

    rule: RuleCondition
    asset_id: str
    run_id: str
    stretches: tuple[Stretch, ...]


class RuleEvaluation:
    """Evaluates rules over what is stored. Safe from many threads."""

    def __init__(self, catalog: Catalog, book: CatalogBook) -> None:
        """Take the catalog, and the book of its rules."""
        self._catalog = catalog
        self._book = book

    def look(self, rules: Sequence[RuleCondition], time: AskedTime) -> list[AskedStretches]:
        """Evaluate rules without making annotations.

        Raises:
            ResourceExhaustedError: A condition becomes true too often.
        """
        return [
            AskedStretches(rule, key.asset_id, run_id, tuple(within(stretches, time.first_ns)))
            for rule, key, _, run_id, stretches in self._evaluated(rules, time)
        ]

    def evaluate(
        self, rules: Sequence[RuleCondition], time: AskedTime, more_tags: tuple[str, ...] = ()
    ) -> int:
        """Evaluate rules, and make annotations of what they find; returns how many are new.

        Annotations that these versions of the rules have made before are changed or removed, as far
        as they are within the time.

        Args:
            rules: The conditions.
            time: What to evaluate them on.
            more_tags: Tags that new annotations get, beside those of the rule.

        Raises:
            ResourceExhaustedError: A condition becomes true too often.
        """
        created = 0
        for rule, _, condition, run_id, stretches in self._evaluated(rules, time):
            change = self._change(condition, run_id, time, stretches)
            found = condition_stretches(rule, Found(condition, run_id, change))
            batch = [replace(found, more_tags=more_tags)]
            created += self._catalog.annotations.replace(batch).created_count
        return created

    def _evaluated(
        self, rules: Sequence[RuleCondition], time: AskedTime
    ) -> Iterator[tuple[RuleCondition, ConditionKey, Condition, str, list[Stretch]]]:
        by_version = {rule.condition_version_id: rule for rule in rules}
        start_ns = time.first_ns
        end_ns = TIME_NS_MAX if time.end_ns is None else time.end_ns
        for condition in self._book.compiled(by_version.values()):
            key = condition.key
            assert isinstance(key, ConditionKey)  # noqa: S101 - see `CatalogBook.compiled`
            if time.asset_ids is not None and key.asset_id not in time.asset_ids:
                continue
            views = self._book.views(condition.data_types)
            run_ids = (
                {time.run_id}
                if time.run_id is not None
                else {
                    run_id
                    for view, _ in views.values()
                    for run_id in view.run_ids(start_ns, end_ns)
                }
            )
            for run_id in sorted(run_ids):
                found = evaluate_range(condition, views, run_id, start_ns, end_ns)
                yield by_version[key.condition_version_id], key, condition, run_id, found

    def _change(
        self, condition: Condition, run_id: str, time: AskedTime, stretches: list[Stretch]
    ) -> Change:
        first_ns = time.first_ns
        last_ns = None if time.end_ns is None else time.end_ns - 1
        known = self._book.stretches([condition], run_id)[condition.key]
        touched = [one for one in known if touches(one, first_ns, last_ns)]
        found = spliced(touched, stretches, first_ns, last_ns)
        if last_ns is not None or not self._book.is_live(condition.key):
            # What comes behind was not asked about: nothing is known to go on there. And if the
            # rule is not live, nobody would ever end it.
            found = [
                Stretch(one.start_ns, one.end_ns, one.is_open and one in touched) for one in found
            ]
        return Change(min([first_ns, *(one.end_ns for one in found)]), last_ns, tuple(found))
