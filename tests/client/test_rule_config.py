"""Rules and their sub-expressions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import celpy
import numpy as np
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


@pytest.mark.parametrize(
    ("value", "cel"),
    [
        (np.bool_(True), "true"),
        (np.int16(-5), "-5"),
        (np.float64(0.5), "0.5"),
        (np.float32(0.25), "0.25"),
        (np.str_("a"), '"a"'),
        ([np.bool_(False), "a", True, None], '[false, "a", true, null]'),
        (2**64 - 1, "18446744073709551615"),
        (1e300, "1e+300"),
    ],
)
def test_values_of_numpy_and_in_lists(value: object, cel: str) -> None:
    """They are what they would be as values of Python, alone."""
    assert interpolate("$a", a=value) == cel


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        np.float32("inf"),
        2**64,
        b"bytes",
        {"a": 1},
        object(),
        Decimal(1),
        datetime(2024, 1, 1, tzinfo=UTC),
        np.datetime64("2024-01-01"),
        np.array([1, 2]),
        "\ud800",
        [1, float("nan")],
    ],
)
def test_values_that_have_no_literal_are_refused(value: object) -> None:
    """The message names rule and placeholder, and shows the value."""
    with pytest.raises(RuleConfigError) as refused:
        make_rule("$1 > $limit", sub_expressions={"$limit": value})
    start = f"Rule 'overspeed': the sub-expression '$limit' can't be {value!r}, a "
    assert refused.value.message.startswith(start)


@pytest.mark.parametrize(
    "text",
    [
        '"$a"',
        "'$a'",
        r'"\"$a"',
        r"'\\' + '$a'",
        '"""say "$a" """',
        "'''it's $a'''",
        r'r"\" + "$a"',
        "br'$a'",
        '"it\'s $a"',
        "$1 // it's $a",
    ],
)
def test_texts_of_the_expression_are_left_alone(text: str) -> None:
    """In quotes of every kind, and in comments; beside them placeholders are filled in."""
    assert interpolate(f"$a == {text}", a=5) == f"5 == {text}"
    assert make_rule(text).expression == text
    with pytest.raises(
        RuleConfigError, match=r"find the sub-expression '\$a' .* outside of quotes"
    ):
        interpolate(text, a=5)


def test_names_that_stand_for_nothing_are_refused() -> None:
    """A name that was misspelled, or not filled in; channel references may have names too."""
    message = r"Rule 'overspeed': '\$limt' in the expression .* neither a channel reference nor"
    with pytest.raises(RuleConfigError, match=message):
        make_rule("$1 > $limt")
    with pytest.raises(RuleConfigError, match=message):
        make_rule("$1 > $limt + $limit", sub_expressions={"$limit": 5})
    reference = {"channel_reference": "$speed", "channel_config": VELOCITY}
    rule = make_rule("$speed > 5", channel_references=[reference])
    assert rule.expression == "$speed > 5"
    # What is filled in is a text.
    assert make_rule("$1 == $word", sub_expressions={"$word": "$x"}).expression == '$1 == "$x"'


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expression": 5}, "the expression must be a str of Unicode, got 5."),
        ({"sub_expressions": [{"$a": 1}]}, "sub_expressions must be a dict, such as"),
        ({"sub_expressions": {5: 1}}, "a sub-expression's name must be a str, got 5."),
        ({"channel_references": ["$1"]}, "a channel reference must be a dict, got '$1'."),
    ],
)
def test_arguments_of_another_type_are_named(changes: dict[str, Any], message: str) -> None:
    """With the name of the rule."""
    with pytest.raises(RuleConfigError) as refused:
        make_rule(**{"expression": "$1 > 5", **changes})
    assert refused.value.message.startswith(f"Rule 'overspeed': {message}")


@pytest.mark.parametrize(
    "action_class", [RuleActionCreateDataReviewAnnotation, RuleActionCreatePhaseAnnotation]
)
def test_tags_of_an_action_are_a_list_of_texts(action_class: Any) -> None:
    """A text is no list of its letters."""
    name = action_class.__name__
    with pytest.raises(RuleConfigError) as refused:
        action_class(tags="abc")
    assert (
        refused.value.message == f"{name}: 'tags' must be a list of str, got 'abc': write ['abc']."
    )
    with pytest.raises(RuleConfigError, match=f"{name}: each of 'tags' must be .*, got 5"):
        action_class(tags=["a", 5])
    with pytest.raises(RuleConfigError, match=f"{name}: 'tags' must be a list of str, got 5"):
        action_class(tags=5)
    tags = ["a"]
    assert action_class(tags=tags).tags is tags
    assert action_class(tags=("a", "b")).tags == ["a", "b"]


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
