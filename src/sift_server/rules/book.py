"""The rules of a catalog and the points of a store, as evaluating them wants both."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, NamedTuple

from sift_server.catalog import (
    ConditionStretches,
    ConditionTrouble,
    LinkedChannel,
    TroublePlace,
    Waiting,
)
from sift_server.catalog.stretches import Stretch as AnnotationStretch
from sift_server.errors import InvalidArgumentError
from sift_server.rules.checks import AssetSources, Written, compiled
from sift_server.rules.condition import Condition
from sift_server.rules.nesting import Nesting
from sift_server.rules.part import Part
from sift_server.rules.stretches import Stretch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sift_server.catalog import Catalog, RuleCondition
    from sift_server.lake import PointStore
    from sift_server.rules.late import Views
    from sift_server.rules.live import Extents, Place
    from sift_server.rules.run_evaluation import Found
    from sift_server.rules.trouble import Trouble
    from sift_wire.columns import DataType

_logger = logging.getLogger(__name__)


class ConditionKey(NamedTuple):
    """What tells conditions from each other: a version of one, for an asset."""

    condition_version_id: str
    asset_id: str


class CatalogBook:
    """See `sift_server.rules.live.RuleBook`. Safe from many threads."""

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        """Take the catalog, and where the points are."""
        self._catalog = catalog
        self._store = store
        self.misfits: Mapping[object, str] = {}
        """See `RuleBook`."""
        self._rules: Mapping[object, RuleCondition] = {}
        """What the conditions belong to that were given out last; another one each time."""

    @property
    def changes(self) -> int:
        """Another number whenever rules may be others."""
        return self._catalog.rules.changes

    def conditions(self) -> list[Condition]:
        """The conditions of all live rules.

        One that does not fit the channels any more, because they were described anew, is left out,
        and is among `misfits`. What is pending of any other condition ends where it is:
        nothing that was found of it may be written any more.
        """
        live = self._catalog.rules.live()
        misfits: dict[object, str] = {}
        conditions = list(self.compiled(live, misfits))
        rules: dict[object, RuleCondition] = {
            ConditionKey(rule.condition_version_id, asset_id): rule
            for rule in live
            for asset_id in rule.asset_ids
        }
        self._rules, self.misfits = rules, misfits
        keys = (condition.key for condition in conditions)
        self._catalog.annotations.settle({key for key in keys if isinstance(key, ConditionKey)})
        return conditions

    def is_live(self, key: object) -> bool:
        """Whether a condition is evaluated while data comes."""
        return key in self._rules

    def compiled(
        self, rules: Iterable[RuleCondition], misfits: dict[object, str] | None = None
    ) -> Iterable[Condition]:
        """Compile the conditions of rules for each of their assets, if they fit the channels.

        Those that do not fit are put among `misfits`.
        """
        sources: dict[str, AssetSources] = {}
        nesting = Nesting(self._catalog)
        rules = list(rules)
        nesting.load(
            one for rule in rules for one in (*rule.versions.values(), *rule.pins.values())
        )
        for rule in rules:
            for asset_id in rule.asset_ids:
                known = sources.get(asset_id)
                if known is None:
                    named = functools.partial(self._catalog.channels.named, asset_id)
                    known = sources[asset_id] = AssetSources(named)
                key = ConditionKey(rule.condition_version_id, asset_id)
                try:
                    expression = compiled(Written.of_rule(rule), known, nesting)
                except InvalidArgumentError as error:
                    _logger.warning("the rule %r is not evaluated: %s", rule.name, error)
                    if misfits is not None:
                        misfits[key] = str(error)
                    continue
                yield Condition(key, expression, rule.live_from_position)

    def views(self, channels: Mapping[str, DataType]) -> Views:
        """What there is of some channels now."""
        return {
            channel_id: (self._store.view(channel_id, data_type), data_type)
            for channel_id, data_type in channels.items()
        }

    def stretches(
        self, conditions: Iterable[Condition], run_id: str
    ) -> dict[object, list[Stretch]]:
        """The stretches of conditions in a run, as the annotations say, by their keys."""
        keys = [condition.key for condition in conditions]
        pairs = [key for key in keys if isinstance(key, ConditionKey)]
        found = self._catalog.annotations.stretches(pairs, run_id)
        return {key: [Stretch(*one) for one in found[key]] for key in pairs}

    def write(self, found: Sequence[Found]) -> None:
        """Make annotations what was found, in one transaction."""
        rules = self._rules
        self._catalog.annotations.replace(
            [
                condition_stretches(rules[one.condition.key], one)
                for one in found
                if one.condition.key in rules
            ]
        )

    def forget_troubles(self) -> None:
        """End what pending annotations said of conditions in trouble."""
        self._catalog.annotations.end_troubles()

    def tell(self, troubles: Mapping[Place, Trouble | str], over: Iterable[Place]) -> None:
        """Have pending annotations say which conditions are in trouble, in one transaction."""
        told = [
            _condition_trouble(self._rules[key], key, run_id, trouble)
            for (key, run_id), trouble in troubles.items()
            if isinstance(key, ConditionKey)
        ]
        ended = [
            TroublePlace(*key, run_id) for key, run_id in over if isinstance(key, ConditionKey)
        ]
        self._catalog.annotations.tell_troubles(told, ended)

    def backlog(self) -> Extents:
        """What was not evaluated yet when the log forgot it."""
        extents: Extents = {}
        for one in self._catalog.rule_backlog.read():
            part = Part(one.first_ns, one.last_ns)
            extents.setdefault(one.run_id, {})[one.channel_id] = part
        return extents

    def write_backlog(self, extents: Extents) -> None:
        """Keep what is not evaluated yet."""
        self._catalog.rule_backlog.replace(
            [
                Waiting(run_id, channel_id, part.first_ns, part.last_ns)
                for run_id, channels in extents.items()
                for channel_id, part in channels.items()
            ]
        )


def _condition_trouble(
    rule: RuleCondition, key: ConditionKey, run_id: str, trouble: Trouble | str
) -> ConditionTrouble:
    place = TroublePlace(*key, run_id)
    if isinstance(trouble, str):
        return ConditionTrouble(rule, place, trouble, None)
    times_ns = trouble.part.first_ns, trouble.part.last_ns
    return ConditionTrouble(rule, place, trouble.message, times_ns, trouble.noisy_count)


def condition_stretches(rule: RuleCondition, found: Found) -> ConditionStretches:
    """What was found, as the catalog takes it."""
    condition = found.condition
    assert isinstance(condition.key, ConditionKey)  # noqa: S101 - see `CatalogBook.compiled`
    change = found.change
    return ConditionStretches(
        condition=rule,
        asset_id=condition.key.asset_id,
        run_id=found.run_id,
        from_ns=change.first_ns,
        until_ns=change.last_ns,
        stretches=[
            AnnotationStretch(one.start_ns, one.end_ns, one.is_open) for one in change.stretches
        ],
        linked_channels=(
            *(LinkedChannel(version_id=str(key)) for key in condition.expression.nested),
            *(LinkedChannel(one.channel_id, one.element_name) for one in condition.sources),
        ),
    )
