"""Takes rules into the catalog, once their expressions fit the channels of their assets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.catalog import json_rules
from sift_server.errors import InvalidArgumentError
from sift_server.rules.checks import AssetSources, check, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sift_server.catalog import (
        Catalog,
        JsonRule,
        PutRules,
        Rule,
        RuleContent,
        RuleDraft,
        RulesUpdate,
    )

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
        errors = self._json_errors(asset_id, wanted)
        if errors:
            more = len(errors) - ERRORS_TOLD_MAX
            rest = [f"and {more:,} more"] if more > 0 else []
            raise InvalidArgumentError(
                f"the rules of the asset {asset.name!r} were refused: "
                + "; ".join(errors[:ERRORS_TOLD_MAX] + rest)
            )
        return self._catalog.rules.replace_json(asset_id, rules_json, wanted, dry_run=dry_run)

    def create(self, draft: RuleDraft) -> Rule:
        """Create a rule.

        Raises:
            InvalidArgumentError: It does not fit the channels of an asset, or can't be stored.
            AlreadyExistsError: Another rule has the client key.
            NotFoundError: An asset, tag or user does not exist.
            ResourceExhaustedError: An asset would have too many rules.
        """
        self._check(draft)
        return self._catalog.rules.create(draft)

    def update(self, draft: RuleDraft) -> Rule:
        """Make a rule what a draft says, whose id or client key says which one.

        Raises:
            NotFoundError: There is no such rule, asset, tag or user.
            InvalidArgumentError: As for `create`, or the client key would change.
            ResourceExhaustedError: As for `create`.
        """
        self._catalog.rules.get(draft.rule_id, draft.client_key)
        self._check(draft)
        (rule_id,) = self._catalog.rules.put([draft]).rule_ids
        return self._catalog.rules.get(rule_id)

    def put(self, drafts: Sequence[RuleDraft], *, dry_run: bool = False) -> PutRules:
        """Create and update rules, all or none, without a look at expressions.

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

    def problems(self, contents: Iterable[RuleContent]) -> list[list[Problem]]:
        """Return, for each rule, why it does not fit those of its assets that it does not fit.

        Raises:
            NotFoundError: There is no asset of an id.
        """
        found: dict[str, tuple[str, AssetSources]] = {}
        return [self._problems(content, found) for content in contents]

    def _problems(
        self, content: RuleContent, known: dict[str, tuple[str, AssetSources]]
    ) -> list[Problem]:
        problems = []
        for asset_id in self._catalog.rules.assets_of(content):
            if asset_id not in known:
                known[asset_id] = self._catalog.assets.get(asset_id).name, self._sources(asset_id)
            asset_name, sources = known[asset_id]
            for condition in content.conditions:
                try:
                    check(condition.expression, sources)
                except InvalidArgumentError as error:
                    problems.append(Problem(asset_id, asset_name, str(error)))
        return problems

    def _check(self, draft: RuleDraft) -> None:
        ((*problems,),) = self.problems([draft.content])
        if problems:
            first = problems[0]
            raise InvalidArgumentError(
                f"the rule {draft.content.name!r} does not fit the asset {first.asset_name!r}:"
                f" {first.message}"
            )

    def _json_errors(self, asset_id: str, wanted: Sequence[JsonRule]) -> list[str]:
        sources = self._sources(asset_id)
        sources.load(name for rule in wanted for _, name in named(rule.expression.references))
        errors = []
        for rule in wanted:
            try:
                check(rule.expression, sources)
            except InvalidArgumentError as error:
                errors.append(f"rule {rule.name!r}: {error}")
        return errors

    def _sources(self, asset_id: str) -> AssetSources:
        return AssetSources(lambda names: self._catalog.channels.named(asset_id, names))
