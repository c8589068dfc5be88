"""Rules and their sub-expressions."""

from __future__ import annotations

import json
from typing import Any

import celpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift.annotations.v1.annotations_pb2 import (
    ANNOTATION_TYPE_DATA_REVIEW,
    ANNOTATION_TYPE_PHASE,
    ANNOTATION_TYPE_UNSPECIFIED,
)
from sift_py._internal.convert.json import to_json
from sift_py.errors import RuleConfigError
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.rule.config import (
    RuleAction,
    RuleActionAnnotationKind,
    RuleActionCreateDataReviewAnnotation,
    RuleActionCreatePhaseAnnotation,
    RuleActionKind,
    RuleConfig,
)

CEL = celpy.Environment()
VELOCITY = ChannelConfig("velocity", ChannelDataType.DOUBLE, component="mainmotor")


def make_rule(expression: str = "$1 > 5", **changes: Any) -> RuleConfig:
    arguments = {
        "name": "overspeed",
        "description": "Too fast",
        "action": RuleActionCreatePhaseAnnotation(),
        "channel_references": [{"channel_reference": "$1", "channel_config": VELOCITY}],
    }
    return RuleConfig(expression=expression, **arguments | changes)


def interpolate(expression: str, **values: object) -> str:
    sub_expressions = {f"${name}": value for name, value in values.items()}
    return RuleConfig.interpolate_sub_expressions(expression, sub_expressions)


def test_a_review_rule_as_json() -> None:
    """Keys, their order and their spelling are the protocol's."""
    rule = make_rule(
        action=RuleActionCreateDataReviewAnnotation("me@example.com", ["motor", "speed"])
    )
    assert json.dumps(rule.as_json()) == (
        '{"name": "overspeed", "description": "Too fast", "expression": "$1 > 5", '
        '"expression_channel_references": '
        '[{"channel_reference": "$1", "channel_identifier": "mainmotor.velocity"}], '
        '"type": "review", "assignee": "me@example.com", "tags": ["motor", "speed"]}'
    )


@pytest.mark.parametrize("tags", [None, []])
def test_assignee_and_tags_as_json_where_there_are_none(tags: list[str] | None) -> None:
    """A review without assignee says null, a phase has none; tags appear only where there are."""
    review = make_rule(action=RuleActionCreateDataReviewAnnotation(tags=tags)).as_json()
    assert review["assignee"] is None
    assert "tags" not in review
    phase = make_rule(action=RuleActionCreatePhaseAnnotation(tags)).as_json()
    assert phase["type"] == "phase"
    assert not {"assignee", "tags"} & phase.keys()


def test_rules_are_sent_as_one_ascii_array() -> None:
    """Texts beyond ASCII are escaped, as in the published client."""
    assert to_json([]) == "[]"
    (rule,) = json.loads(to_json([make_rule(description="zu schnell für uns")]))
    assert rule["description"] == "zu schnell für uns"
    assert to_json([make_rule(description="ü")]).isascii()


def test_another_action_is_a_type_error() -> None:
    """Only the two actions of the module have a JSON form; the message names the rule."""

    class Notify(RuleAction):
        def kind(self) -> RuleActionKind:
            return RuleActionKind.NOTIFICATION

    with pytest.raises(TypeError, match=r"Rule 'overspeed': .* but it is a Notify"):
        make_rule(action=Notify()).as_json()


def test_channels_are_referred_to_by_config_or_by_name() -> None:
    """A config stands for its fully qualified name, and counts where both are given."""
    rule = make_rule(
        channel_references=[
            {"channel_reference": "$1", "channel_identifier": "voltage"},
            {"channel_reference": "$2", "channel_config": VELOCITY, "channel_identifier": "x"},
        ]
    )
    assert rule.channel_references == [
        {"channel_reference": "$1", "channel_identifier": "voltage"},
        {"channel_reference": "$2", "channel_identifier": "mainmotor.velocity"},
    ]


@pytest.mark.parametrize("missing", ["channel_reference", "channel_identifier"])
def test_a_reference_that_is_not_complete_is_named(missing: str) -> None:
    """The message names the rule, what is there and what is missing."""
    reference = {"channel_reference": "$1", "channel_identifier": "voltage"}
    del reference[missing]
    with pytest.raises(RuleConfigError, match=rf"Rule 'overspeed': .* has no '{missing}'"):
        make_rule(channel_references=[reference])


def test_sub_expressions_are_filled_in_at_construction() -> None:
    """They need no channel references."""
    rule = make_rule("$limit > 5", sub_expressions={"$limit": 7}, channel_references=[])
    assert rule.expression == "7 > 5"


def test_sub_expressions_replace_whole_names_only() -> None:
    """`$a` is not in `$abc`, `$a1` or `$a_b`, and `$1` is not in `$10`."""
    assert interpolate("$a + $abc + $a1 + $a_b", a=1) == "1 + $abc + $a1 + $a_b"
    assert interpolate("$1 + $10", **{"1": "x"}) == '"x" + $10'
    with pytest.raises(RuleConfigError, match="Couldn't find the sub-expression '\\$a'"):
        interpolate("$abc > 1", a=1)


def test_sub_expressions_may_have_digits_and_prefixes_of_each_other() -> None:
    """Each placeholder gets its own value, whatever their order."""
    for names in (["a", "a1", "a1b"], ["a1b", "a1", "a"]):
        values = {name: len(name) for name in names}
        assert interpolate("$a1b - $a1 - $a - $a", **values) == "3 - 2 - 1 - 1"


def test_values_that_look_like_placeholders_stay_what_they_are() -> None:
    """All sub-expressions are filled in at once."""
    assert interpolate("$a == $b", a="$b", b="$a") == '"$b" == "$a"'


def test_keys_may_be_any_text() -> None:
    """The published client takes keys without `$` too; they are whole names as well."""
    fill = RuleConfig.interpolate_sub_expressions
    assert fill("limit < $limit + limits", {"limit": 5}) == "5 < $limit + limits"
    assert fill("${limit}0", {"${limit}": 5}) == "50"


@pytest.mark.parametrize(
    ("value", "cel"),
    [
        (5, "5"),
        (-1.5, "-1.5"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_values_that_are_no_text(value: object, cel: str) -> None:
    """They are written as CEL has them."""
    assert interpolate("$a", a=value) == cel


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_texts_become_literals_that_mean_the_same(text: str) -> None:
    """A CEL parser reads back every text: quotes, backslashes, newlines, controls, emoji."""
    literal = interpolate("$text", text=text)
    assert CEL.program(CEL.compile(literal)).evaluate({}) == text


def test_a_name_is_not_both_a_reference_and_a_sub_expression() -> None:
    """`$1` stays a channel reference."""
    with pytest.raises(RuleConfigError, match=r"Rule 'overspeed': '\$1' is both .*velocity"):
        make_rule("$1 > 5", sub_expressions={"$1": 7})


def test_a_sub_expression_that_is_not_there_is_a_value_error() -> None:
    """The message names the rule, the placeholder and the expression."""
    message = r"Rule 'overspeed': Couldn't find .*'\$limit' in the expression '\$1 > 5'"
    with pytest.raises(ValueError, match=message):
        make_rule(sub_expressions={"$limit": 7})
    with pytest.raises(RuleConfigError):
        make_rule(sub_expressions={"": 7})


def test_rules_are_equal_by_value_and_hashable() -> None:
    """A rule with another action is another rule."""
    assert make_rule() == make_rule()
    assert len({make_rule(), make_rule()}) == 1
    assert make_rule() != make_rule(action=RuleActionCreatePhaseAnnotation(["a"]))


def test_kinds_of_annotations() -> None:
    """Data reviews and phases are told apart, by type and by spelling."""
    kind = RuleActionAnnotationKind
    assert kind.from_annotation_type(ANNOTATION_TYPE_DATA_REVIEW) is kind.REVIEW
    assert kind.from_annotation_type(ANNOTATION_TYPE_PHASE) is kind.PHASE
    with pytest.raises(ValueError, match="type 0"):
        kind.from_annotation_type(ANNOTATION_TYPE_UNSPECIFIED)
    assert kind.from_str("review") is kind.REVIEW
    assert kind.from_str("phase") is kind.PHASE
    with pytest.raises(ValueError, match="'Review'"):
        kind.from_str("Review")


def test_kinds_of_actions() -> None:
    """Both actions make annotations; a spelling that is not known is None."""
    assert RuleActionCreateDataReviewAnnotation().kind() is RuleActionKind.ANNOTATION
    assert RuleActionCreatePhaseAnnotation().kind() is RuleActionKind.ANNOTATION
    assert RuleActionKind.from_str(" annotation ") is RuleActionKind.ANNOTATION
    assert RuleActionKind.from_str("ACTION_KIND_NOTIFICATION") is RuleActionKind.NOTIFICATION
    assert RuleActionKind.from_str("ANNOTATION") is None
