"""Evaluates rules when somebody asks: over a run, or over some time of assets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sift_server.errors import FailedPreconditionError, InvalidArgumentError
from sift_server.rules.book import ConditionKey, condition_stretches
from sift_server.rules.evaluation import Change
from sift_server.rules.explicit import evaluate_range, within
from sift_server.rules.part import TIME_NS_MAX, TIME_NS_MIN
from sift_server.rules.run_evaluation import Found
from sift_server.rules.stretches import Stretch, spliced, touches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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

    @property
    def bounds(self) -> tuple[int, int]:
        """The earliest time, and the one behind the latest."""
        return self.first_ns, TIME_NS_MAX if self.end_ns is None else self.end_ns


@dataclass(frozen=True, slots=True)
class ForReport:
    """The rule of a report that an evaluation is for.

    Attributes:
        report_rule_version_id: The rule of the report; it has no annotation yet.
        go_on: Asked now and then whether to go on.
    """

    report_rule_version_id: str
    go_on: Callable[[], bool]


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
            FailedPreconditionError: A condition does not fit the channels of any of its assets.
            ResourceExhaustedError: A condition becomes true too often.
        """
        return [
            AskedStretches(rule, key.asset_id, run_id, tuple(within(stretches, time.first_ns)))
            for rule, key, _, run_id, stretches in self._evaluated(rules, time)
        ]

    def evaluate(
        self,
        rules: Sequence[RuleCondition],
        time: AskedTime,
        more_tags: tuple[str, ...] = (),
        report: ForReport | None = None,
        *,
        only_fitting: bool = False,
    ) -> int:
        """Evaluate rules, and make annotations of what they find; returns how many are new.

        Annotations that these versions of the rules have made before are changed or removed, as far
        as they are within the time.

        Args:
            rules: The conditions.
            time: What to evaluate them on.
            more_tags: Tags that new annotations get, beside those of the rule.
            report: The rule of a report that it is for.
            only_fitting: Leave conditions out that fit the channels of none of their assets.

        Raises:
            FailedPreconditionError: A condition does not fit the channels of any of its assets,
                and is not to be left out.
            EvaluationStoppedError: A report was not to go on; what was not written then is not.
            ResourceExhaustedError: A condition becomes true too often.
        """
        created = 0
        for rule, _, condition, run_id, stretches in self._evaluated(
            rules, time, report, only_fitting=only_fitting
        ):
            change = self._change(condition, run_id, time, stretches)
            found = condition_stretches(rule, Found(condition, run_id, change))
            report_rule_id = "" if report is None else report.report_rule_version_id
            batch = [replace(found, more_tags=more_tags, report_rule_version_id=report_rule_id)]
            created += self._catalog.annotations.replace(batch).created_count
        return created

    def places(self, rules: Sequence[RuleCondition], time: AskedTime) -> dict[str, tuple[str, ...]]:
        """Return, by the id of a version, which of the assets of a rule have points in a run.

        An asset has some if a channel has that a rule on it names. An asset on which no rule fits
        the channels has none.
        """
        run_id = time.run_id or ""
        has_points: dict[str, bool] = {}
        with_points: set[str] = set()
        for condition in self._book.compiled(rules):
            key = condition.key
            assert isinstance(key, ConditionKey)  # noqa: S101 - see `CatalogBook.compiled`
            for channel_id, data_type in condition.data_types.items():
                if key.asset_id in with_points:
                    break
                if channel_id not in has_points:
                    ((view, _),) = self._book.views({channel_id: data_type}).values()
                    has_points[channel_id] = run_id in view.run_ids(*time.bounds)
                if has_points[channel_id]:
                    with_points.add(key.asset_id)
        return {
            rule.rule_version_id: tuple(one for one in rule.asset_ids if one in with_points)
            for rule in rules
        }

    def _evaluated(
        self,
        rules: Sequence[RuleCondition],
        time: AskedTime,
        report: ForReport | None = None,
        *,
        only_fitting: bool = False,
    ) -> Iterator[tuple[RuleCondition, ConditionKey, Condition, str, list[Stretch]]]:
        by_version = {rule.condition_version_id: rule for rule in rules}
        start_ns, end_ns = time.bounds
        go_on = (lambda: True) if report is None else report.go_on
        if time.asset_ids is not None:
            rules = [
                replace(one, asset_ids=tuple(a for a in one.asset_ids if a in time.asset_ids))
                for one in rules
            ]
        misfits: dict[object, str] = {}
        conditions = self._book.compiled(rules, misfits)
        if not only_fitting:
            conditions = list(conditions)
            if report is not None and misfits:
                # The report says of which rule and asset it is.
                raise FailedPreconditionError(next(iter(misfits.values())))
            self._check_fit(rules, misfits)
        for condition in conditions:
            key = condition.key
            assert isinstance(key, ConditionKey)  # noqa: S101 - see `CatalogBook.compiled`
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
                found = evaluate_range(condition, views, run_id, start_ns, end_ns, go_on)
                yield by_version[key.condition_version_id], key, condition, run_id, found

    def _check_fit(self, rules: Iterable[RuleCondition], misfits: Mapping[object, str]) -> None:
        for rule in rules:
            keys = [ConditionKey(rule.condition_version_id, one) for one in rule.asset_ids]
            if not keys or any(key not in misfits for key in keys):
                continue
            asset_name = self._catalog.assets.get(keys[0].asset_id).name
            others = f", or any other of its {len(keys)} assets" if len(keys) > 1 else ""
            raise FailedPreconditionError(
                f"the rule {rule.name!r} does not fit the asset {asset_name!r}{others}:"
                f" {misfits[keys[0]]}"
            )

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
