"""Rules: expressions over channels that make annotations where they are true.

An expression is CEL over channel references, `$1`, `$2` and so on, and may have *sub-expressions*:
named placeholders such as `$threshold` that are filled in when the `RuleConfig` is made.

Example:
    ```python
    RuleConfig(
        name="overheating",
        description="Checks for vehicle overheating",
        expression='$1 == "Accelerating" && $2 > $max_temperature',
        channel_references=[
            {"channel_reference": "$1", "channel_config": vehicle_state},
            {"channel_reference": "$2", "channel_identifier": "mainmotor.temperature"},
        ],
        sub_expressions={"$max_temperature": 80},
        action=RuleActionCreateDataReviewAnnotation(assignee="me@example.com", tags=["motor"]),
    )
    ```
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypedDict, cast

from sift.annotations.v1 import annotations_pb2 as annotations_pb
from sift.rules.v1 import rules_pb2 as rules_pb
from sift_py.errors import RuleConfigError
from sift_py.ingestion._internal.declared import checked_tags
from sift_py.ingestion._internal.shown import shown_plain
from sift_py.ingestion.channel import channel_fqn
from sift_py.ingestion.rule._sub_expressions import fill_in, refuse_left_over

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sift_py.ingestion.channel import ChannelConfig

__all__ = [
    "ExpressionChannelReference",
    "ExpressionChannelReferenceChannelConfig",
    "RuleAction",
    "RuleActionAnnotationKind",
    "RuleActionCreateDataReviewAnnotation",
    "RuleActionCreatePhaseAnnotation",
    "RuleActionKind",
    "RuleActionKindStrRep",
    "RuleConfig",
]


class ExpressionChannelReference(TypedDict):
    """What a channel reference of an expression stands for.

    Attributes:
        channel_reference: Such as `$1`.
        channel_identifier: Fully qualified name of the channel.
    """

    channel_reference: str
    channel_identifier: str


class ExpressionChannelReferenceChannelConfig(TypedDict):
    """What a channel reference of an expression stands for, given as the channel itself.

    Attributes:
        channel_reference: Such as `$1`.
        channel_config: The channel; only its fully qualified name is used.
    """

    channel_reference: str
    channel_config: ChannelConfig


class RuleActionKindStrRep(Enum):
    """How kinds of actions are spelled."""

    NOTIFICATION = "notification"
    ANNOTATION = "annotation"


class RuleActionKind(Enum):
    """What an action makes; `.value` is its number in `sift.rules.v1.ActionKind`."""

    NOTIFICATION = rules_pb.NOTIFICATION
    ANNOTATION = rules_pb.ANNOTATION

    @classmethod
    def from_str(cls, val: str) -> RuleActionKind | None:
        """Return the kind of a spelling, `annotation` or `ACTION_KIND_ANNOTATION`.

        Blanks around it don't matter; an unknown spelling gives None.
        """
        return _ACTION_KINDS_BY_SPELLING.get(val.strip())


_ACTION_KINDS_BY_SPELLING = {
    spelling: kind
    for kind in RuleActionKind
    for spelling in (RuleActionKindStrRep[kind.name].value, f"ACTION_KIND_{kind.name}")
}


class RuleActionAnnotationKind(Enum):
    """Which annotation an action makes; `.value` is its spelling in YAML and in JSON."""

    REVIEW = "review"
    PHASE = "phase"

    @classmethod
    def from_annotation_type(
        cls, annotation_type: annotations_pb.AnnotationType.ValueType
    ) -> RuleActionAnnotationKind:
        """Return the kind of an annotation's type.

        In the published client every type was PHASE.

        Raises:
            ValueError: The type is unspecified or unknown.
        """
        if annotation_type == annotations_pb.ANNOTATION_TYPE_DATA_REVIEW:
            return cls.REVIEW
        if annotation_type == annotations_pb.ANNOTATION_TYPE_PHASE:
            return cls.PHASE
        raise ValueError(f"No action makes annotations of type {annotation_type}.")

    @classmethod
    def from_str(cls, val: str) -> RuleActionAnnotationKind:
        """Return the kind of a spelling.

        Raises:
            ValueError: It is neither `review` nor `phase`.
        """
        try:
            return cls(val)
        except ValueError:
            raise ValueError(f"Expected 'review' or 'phase' but got '{val}'.") from None


class RuleAction(ABC):
    """What happens where a rule is true."""

    @abstractmethod
    def kind(self) -> RuleActionKind:
        """What the action makes."""


@dataclass(unsafe_hash=True)
class RuleActionCreateDataReviewAnnotation(RuleAction):
    """Makes an annotation for a person to review.

    Attributes:
        assignee: E-mail address of that person.
        tags: Names of tags for the annotation.

    Raises:
        RuleConfigError: `tags` is no list of str.
    """

    assignee: str | None = None
    tags: list[str] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        self.tags = checked_tags(self.tags, type(self).__name__, RuleConfigError)

    def kind(self) -> RuleActionKind:
        """Return `RuleActionKind.ANNOTATION`."""
        return RuleActionKind.ANNOTATION


@dataclass(unsafe_hash=True)
class RuleActionCreatePhaseAnnotation(RuleAction):
    """Makes an annotation that marks a phase.

    Attributes:
        tags: Names of tags for the annotation.

    Raises:
        RuleConfigError: `tags` is no list of str.
    """

    tags: list[str] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        self.tags = checked_tags(self.tags, type(self).__name__, RuleConfigError)

    def kind(self) -> RuleActionKind:
        """Return `RuleActionKind.ANNOTATION`."""
        return RuleActionKind.ANNOTATION


@dataclass(init=False, unsafe_hash=True)
class RuleConfig:
    """A rule of an asset. Equal by value; hashed by name alone.

    Attributes:
        name: Unique in a telemetry config.
        description: For people.
        expression: With its sub-expressions filled in.
        action: What happens where the expression is true.
        channel_references: The fully qualified name of each channel that the expression refers to.
    """

    name: str
    description: str = field(hash=False)
    expression: str = field(hash=False)
    action: RuleAction = field(hash=False)
    channel_references: list[ExpressionChannelReference] = field(hash=False)

    def __init__(
        self,
        name: str,
        description: str,
        expression: str,
        action: RuleAction,
        channel_references: Sequence[
            ExpressionChannelReference | ExpressionChannelReferenceChannelConfig
        ],
        sub_expressions: Mapping[str, Any] | None = None,
    ) -> None:
        """Fill in the sub-expressions.

        Args:
            name: Unique in a telemetry config.
            description: For people.
            expression: CEL over channel references and sub-expressions.
            action: What happens where the expression is true.
            channel_references: What `$1`, `$2` and so on stand for, by name or by config. Where
                both are given, the config counts.
            sub_expressions: What else stands for what, see `interpolate_sub_expressions`.

        Raises:
            RuleConfigError: A sub-expression is not in the expression, or has the name of a
                channel reference, or its value can't be in CEL; a channel reference names no
                channel; or a name such as `$limit` in the expression is none of either.
        """
        self.name = name
        self.description = description
        self.action = action
        try:
            self.channel_references = [_resolve(reference) for reference in channel_references]
            self.expression = self.interpolate_sub_expressions(expression, sub_expressions or {})
            _refuse_shared_names(self.channel_references, sub_expressions or {})
            names = {reference["channel_reference"] for reference in self.channel_references}
            refuse_left_over(self.expression, names)
        except RuleConfigError as error:
            raise RuleConfigError(f"Rule '{name}': {error}") from None

    def as_json(self) -> dict[str, Any]:
        """Return the rule as `UpdateJsonRules` takes it.

        Raises:
            TypeError: The action is not one of the two of this module.
        """
        as_json: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "expression": self.expression,
            "expression_channel_references": self.channel_references,
        }
        match self.action:
            case RuleActionCreateDataReviewAnnotation(assignee, tags):
                as_json["type"] = RuleActionAnnotationKind.REVIEW.value
                as_json["assignee"] = assignee
            case RuleActionCreatePhaseAnnotation(tags):
                as_json["type"] = RuleActionAnnotationKind.PHASE.value
            case _:
                raise TypeError(
                    f"Rule '{self.name}': expected its action to be a"
                    " RuleActionCreateDataReviewAnnotation or a RuleActionCreatePhaseAnnotation"
                    f" but it is a {type(self.action).__name__}."
                )
        if tags:
            as_json["tags"] = tags
        return as_json

    @staticmethod
    def interpolate_sub_expressions(expression: str, sub_expressions: Mapping[str, Any]) -> str:
        r"""Return an expression with its sub-expressions filled in.

        A string becomes a CEL string literal, quoted and escaped; a bool and None become `true`,
        `false` and `null`; integers of 64 bits, finite floats, NumPy's scalars of those, and lists
        of all of them are taken too. All are filled in at once, so that a value which looks like a
        placeholder stays what it is, and only whole names are: `$a` is not in `$abc`. A placeholder
        stands for all of a literal: inside quotes, and in comments, it is text and left alone.

        The published client did not escape, wrote `True`, and replaced `$a` inside `$abc` and
        inside quotes.

        Raises:
            RuleConfigError: A sub-expression is not in the expression, or its value is no such
                value.

        Example:
            ```python
            >>> RuleConfig.interpolate_sub_expressions(
            ...     "contains($1, $word) && $2 > $limit", {"$word": 'say "hi"', "$limit": 5}
            ... )
            'contains($1, "say \\"hi\\"") && $2 > 5'
            ```
        """
        return fill_in(expression, sub_expressions)


def _resolve(
    reference: ExpressionChannelReference | ExpressionChannelReferenceChannelConfig,
) -> ExpressionChannelReference:
    """Name the channel of a reference."""
    if not isinstance(reference, dict):
        raise RuleConfigError(f"a channel reference must be a dict, got {shown_plain(reference)}.")
    either = cast("dict[str, Any]", reference)
    try:
        config = either.get("channel_config")
        identifier = channel_fqn(config) if config is not None else either["channel_identifier"]
        return {
            "channel_reference": either["channel_reference"],
            "channel_identifier": identifier,
        }
    except KeyError as missing:
        raise RuleConfigError(
            f"the channel reference {either!r} has no {missing}; it needs 'channel_reference', such"
            " as '$1', and either 'channel_identifier' or 'channel_config'."
        ) from None


def _refuse_shared_names(
    channel_references: list[ExpressionChannelReference], sub_expressions: Mapping[str, Any]
) -> None:
    for reference in channel_references:
        if reference["channel_reference"] in sub_expressions:
            raise RuleConfigError(
                f"'{reference['channel_reference']}' is both a channel reference, to"
                f" '{reference['channel_identifier']}', and a sub-expression; rename the latter."
            )
