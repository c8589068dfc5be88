"""Takes rules into the catalog, once their expressions fit the channels of their assets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sift_server.catalog import Calculated, json_rules
from sift_server.errors import InvalidArgumentError
from sift_server.rules.checks import AssetSources, Written, compiled
from sift_server.rules.nesting import Nesting
from sift_server.rules.pinning import Pinning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sift_server.catalog import (
        Catalog,
        JsonRule,
        PutRules,
        Rule,
        RuleDraft,
        RulesUpdate,
    )
    from sift_server.catalog.rule_content import ConditionExpression

RULES_PER_CALL_MAX = 1_000
"""How many rules one call may create or update, of those that are not in JSON."""

ERRORS_TOLD_MAX = 20
"""How many errors of a list of rules are told at once."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a rule does not fit an asset."""

    asset_id: str
    asset_name: str
    message: str


class RuleRegistration:
    """Where rules come into the catalog. Safe from many threads."""

    def __init__(self, catalog: Catalog) -> None:
        """Take the catalog."""
        self._catalog = catalog

    def update_json(self, asset_id: str, rules_json: str, *, dry_run: bool = False) -> RulesUpdate:
        """Replace the JSON rules of an asset: all of them, or nothing is changed.

        Args:
            asset_id: The asset.
            rules_json: See `sift_server.catalog.json_rules`.
            dry_run: Only see what would be.

        Raises:
            NotFoundError: There is no asset of that id.
            InvalidArgumentError: It is no list of rules, or one does not fit the channels; says
                all that is wrong, up to `ERRORS_TOLD_MAX`.
            ResourceExhaustedError: The asset would have too many rules.
        """
        asset = self._catalog.assets.get(asset_id)
        wanted = json_rules.parse(rules_json)
        rules, errors = self._json_checked(asset_id, wanted)
        if errors:
            more = len(errors) - ERRORS_TOLD_MAX
            rest = [f"and {more:,} more"] if more > 0 else []
            raise InvalidArgumentError(
                f"the rules of the asset {asset.name!r} were refused: "
                + "; ".join(errors[:ERRORS_TOLD_MAX] + rest)
            )
        return self._catalog.rules.replace_json(asset_id, rules_json, rules, dry_run=dry_run)

    def create(self, draft: RuleDraft) -> Rule:
        """Create a rule.

        Raises:
            InvalidArgumentError: It does not fit the channels of an asset, or can't be stored.
            AlreadyExistsError: Another rule has the client key.
            NotFoundError: An asset, tag or user does not exist.
            ResourceExhaustedError: An asset would have too many rules.
        """
        return self._catalog.rules.create(self._checked_draft(draft))

    def update(self, draft: RuleDraft) -> Rule:
        """Make a rule what a draft says, whose id or client key says which one.

        Raises:
            NotFoundError: There is no such rule, asset, tag or user.
            InvalidArgumentError: As for `create`, or the client key would change.
            ResourceExhaustedError: As for `create`.
        """
        self._catalog.rules.get(draft.rule_id, draft.client_key)
        (rule_id,) = self._catalog.rules.put([self._checked_draft(draft)]).rule_ids
        return self._catalog.rules.get(rule_id)

    def put(self, drafts: Sequence[RuleDraft], *, dry_run: bool = False) -> PutRules:
        """Create and update rules as `look_at` gave them, all or none, whether or not they fit.

        Raises:
            InvalidArgumentError: There are more than `RULES_PER_CALL_MAX`; and as for `update`.
            NotFoundError: As for `update`.
            AlreadyExistsError: As for `create`.
            ResourceExhaustedError: As for `create`.
        """
        if len(drafts) > RULES_PER_CALL_MAX:
            raise InvalidArgumentError(
                f"the call has {len(drafts):,} rules; it may have {RULES_PER_CALL_MAX:,}"
            )
        return self._catalog.rules.put(drafts, dry_run=dry_run)

    def look_at(self, drafts: Iterable[RuleDraft]) -> list[tuple[RuleDraft, list[Problem]]]:
        """Return each rule with what the names in it stand for now, and where it does not fit.

        Raises:
            NotFoundError: There is no asset of an id.
        """
        nesting = Nesting(self._catalog)
        pinning = Pinning(self._catalog, nesting)
        known: dict[str, AssetSources] = {}
        found = []
        for draft in drafts:
            assets = {}
            for asset_id in self._catalog.rules.assets_of(draft.content):
                if asset_id not in known:
                    self._catalog.assets.get(asset_id)
                    known[asset_id] = self._sources(asset_id)
                assets[asset_id] = known[asset_id]
            conditions, errors = [], []
            for condition in draft.content.conditions:
                expression, of_condition = _checked(condition.expression, assets, nesting, pinning)
                conditions.append(replace(condition, expression=expression))
                errors += of_condition
            problems = [
                Problem(asset_id, self._catalog.assets.get(asset_id).name, message)
                for asset_id, message in errors
            ]
            content = replace(draft.content, conditions=tuple(conditions))
            found.append((replace(draft, content=content), problems))
        return found

    def _checked_draft(self, draft: RuleDraft) -> RuleDraft:
        ((pinned, problems),) = self.look_at([draft])
        if problems:
            first = problems[0]
            raise InvalidArgumentError(
                f"the rule {draft.content.name!r} does not fit the asset {first.asset_name!r}:"
                f" {first.message}"
            )
        return pinned

    def _json_checked(
        self, asset_id: str, wanted: Sequence[JsonRule]
    ) -> tuple[list[JsonRule], list[str]]:
        sources = self._sources(asset_id)
        names = {one.fqn for rule in wanted for _, one in rule.expression.references}
        sources.load(names)
        nesting = Nesting(self._catalog)
        pinning = Pinning(self._catalog, nesting)
        pinning.load(name for name in names if sources.find(name) is None)
        rules, errors = [], []
        for rule in wanted:
            expression, problems = _checked(rule.expression, {asset_id: sources}, nesting, pinning)
            assert isinstance(expression, Calculated)  # noqa: S101 - as it was
            rules.append(replace(rule, expression=expression))
            errors += [f"rule {rule.name!r}: {message}" for _, message in problems]
        return rules, errors

    def _sources(self, asset_id: str) -> AssetSources:
        return AssetSources(lambda names: self._catalog.channels.named(asset_id, names))


def _checked(
    expression: ConditionExpression,
    assets: Mapping[str, AssetSources],
    nesting: Nesting,
    pinning: Pinning,
) -> tuple[ConditionExpression, list[tuple[str, str]]]:
    """An expression with its pins, and why it does not fit which assets."""
    try:
        references = Written.of(expression).references
        pins = pinning.pins(expression.expression, references, assets, expression.asked_version_ids)
    except InvalidArgumentError as error:
        return expression, [(asset_id, str(error)) for asset_id in assets]
    if isinstance(expression, Calculated):
        expression = replace(expression, pins=pins, asked_version_ids=())
    else:
        expression = replace(expression, pins=pins)
    problems = []
    for asset_id, sources in assets.items():
        try:
            compiled(Written.of(expression), sources, nesting)
        except InvalidArgumentError as error:
            problems.append((asset_id, str(error)))
    return expression, problems
