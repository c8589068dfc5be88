"""What can be said of a rule without its channels: its form, and how large it may be.

Annotations are made of a rule by the thousand, and a version of it with every change, so that all
that it says has a limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.catalog.attributes import TAGS_MAX, check_metadata
from sift_server.catalog.rule_content import ActionKind
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from sift_server.catalog.rule_content import Action, RuleContent

RULE_NAME_CHARS_MAX = 1_000
"""Longest name of a rule."""

RULE_DESCRIPTION_CHARS_MAX = 10_000
"""Longest description of a rule."""

CONDITIONS_PER_RULE_MAX = 100
"""How many conditions a rule may have."""

ACTIONS_PER_CONDITION_MAX = 10
"""How many actions a condition may have."""


def check_form(content: RuleContent) -> None:
    """Check what can be said of a rule without its channels.

    Raises:
        InvalidArgumentError: It has no name or no condition, a condition would make two annotations
            at once, or something is too large; says what.
    """
    if not content.name.strip():
        raise InvalidArgumentError("a rule needs a name that is not blank")
    if len(content.name) > RULE_NAME_CHARS_MAX:
        raise InvalidArgumentError(
            f"the name of a rule has {len(content.name):,} characters; the limit is"
            f" {RULE_NAME_CHARS_MAX:,}"
        )
    where = f"the rule {content.name!r}"
    if len(content.description) > RULE_DESCRIPTION_CHARS_MAX:
        raise InvalidArgumentError(
            f"{where} has a description of {len(content.description):,} characters; the limit is"
            f" {RULE_DESCRIPTION_CHARS_MAX:,}"
        )
    if not 0 < len(content.conditions) <= CONDITIONS_PER_RULE_MAX:
        count = f"{len(content.conditions):,} conditions" if content.conditions else "no condition"
        raise InvalidArgumentError(f"{where} has {count}; give it 1 to {CONDITIONS_PER_RULE_MAX}")
    check_metadata(where, content.metadata)
    for condition in content.conditions:
        _check_actions(where, condition.actions)


def _check_actions(where: str, actions: tuple[Action, ...]) -> None:
    if len(actions) > ACTIONS_PER_CONDITION_MAX:
        raise InvalidArgumentError(
            f"{where} has a condition with {len(actions):,} actions; the limit is"
            f" {ACTIONS_PER_CONDITION_MAX}"
        )
    if [action.kind for action in actions].count(ActionKind.ANNOTATION) > 1:
        raise InvalidArgumentError(
            f"{where} has a condition with two actions that make annotations; one is enough, with"
            " all the tags"
        )
    for action in actions:
        check_metadata(f"an action of {where}", action.metadata)
        if len(action.tag_ids) > TAGS_MAX:
            raise InvalidArgumentError(
                f"an action of {where} has {len(action.tag_ids):,} tags; the limit is {TAGS_MAX:,}"
            )
