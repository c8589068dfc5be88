"""What a version of a rule says: conditions over channels of some assets, and what they make.

`RuleContent` is what somebody declares. Stored, each condition and action has an id, which it keeps
from version to version, and one for the version: `StoredCondition` has them.
"""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from sift_server.catalog.attributes import MetadataValue

_INTEGERS_UNTIL = 2.0**53


class AnnotationType(enum.IntEnum):
    """What an annotation is for; the numbers are those of `sift.annotations.v1`."""

    REVIEW = 1
    PHASE = 2


class ActionKind(enum.IntEnum):
    """What an action does; the numbers are those of `sift.rules.v1`."""

    NOTIFICATION = 1
    ANNOTATION = 2
    WEBHOOK = 3


class Comparator(enum.Enum):
    """How a channel is compared with a threshold."""

    LESS_THAN = "<"
    LESS_THAN_OR_EQUAL = "<="
    GREATER_THAN = ">"
    GREATER_THAN_OR_EQUAL = ">="
    EQUAL = "=="
    NOT_EQUAL = "!="


@dataclass(frozen=True, slots=True)
class ChannelName:
    """The name of a channel, as a client wrote it: `component.name`, or `name` alone."""

    name: str
    component: str = ""

    @property
    def fqn(self) -> str:
        """The fully qualified name."""
        return f"{self.component}.{self.name}" if self.component else self.name


@dataclass(frozen=True, slots=True)
class Calculated:
    """An expression, and what its references stand for.

    Attributes:
        versions: References that stand for versions of calculated channels, by their ids, whatever
            `references` calls them.
        pins: What names stand for that are no channel of an asset: versions of calculated
            channels, by name.
        asked_version_ids: Versions of calculated channels that their names are to stand for. Where
            the rule is checked they become pins; they are not stored.
    """

    expression: str
    references: tuple[tuple[str, ChannelName], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    pins: tuple[tuple[str, str], ...] = ()
    asked_version_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One channel against a threshold: a number, a text, or None for the value before.

    It means the expression that it has, in which the channel is `$1`: of a bool, 1 is true and 0 is
    false; an enum is compared by the name of its value. `pins` is as that of `Calculated`.
    """

    channel: ChannelName
    comparator: Comparator
    threshold: float | str | None
    pins: tuple[tuple[str, str], ...] = ()

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """No reference stands for a version of a calculated channel; its name may be pinned."""
        return ()

    @property
    def asked_version_ids(self) -> tuple[str, ...]:
        """Nothing can be asked of it."""
        return ()

    @property
    def references(self) -> tuple[tuple[str, ChannelName], ...]:
        """What stands for the channel."""
        return (("$1", self.channel),)

    @property
    def expression(self) -> str:
        """The same in CEL."""
        return f"$1 {self.comparator.value} {_literal(self.threshold)}"


ConditionExpression = Calculated | Comparison


@dataclass(frozen=True, slots=True)
class Action:
    """What a condition makes while it is true. What does not belong to its kind is empty.

    Attributes:
        annotation_type: Of an annotation.
        tag_ids: Tags of an annotation.
        assigned_to_user_id: Whom an annotation is assigned to, or empty.
        metadata: Of an annotation.
        recipient_user_ids: Whom to notify. Kept, but nothing is sent.
        webhook_id: What to call. Kept, but nothing is called.
    """

    kind: ActionKind
    annotation_type: AnnotationType = AnnotationType.REVIEW
    tag_ids: tuple[str, ...] = ()
    assigned_to_user_id: str = ""
    metadata: tuple[tuple[str, MetadataValue], ...] = ()
    recipient_user_ids: tuple[str, ...] = ()
    webhook_id: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression, and what is made while it is true."""

    expression: ConditionExpression
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleContent:
    """What a version of a rule says.

    Attributes:
        asset_ids: Assets that it is about.
        tag_ids: It is about all assets with one of these tags, too.
        contextual_channels: What people may want to see with it.
        is_enabled: As clients of the first releases say it.
        is_live: Whether it is evaluated while data comes.
        is_external: Whether another program keeps it, and no list of rules.
    """

    name: str
    description: str = ""
    conditions: tuple[Condition, ...] = ()
    asset_ids: tuple[str, ...] = ()
    tag_ids: tuple[str, ...] = ()
    contextual_channels: tuple[ChannelName, ...] = ()
    metadata: tuple[tuple[str, MetadataValue], ...] = ()
    is_enabled: bool = True
    is_live: bool = True
    is_external: bool = False

    @property
    def calculated_version_ids(self) -> frozenset[str]:
        """The versions of calculated channels that its conditions name."""
        expressions = [condition.expression for condition in self.conditions]
        return frozenset(
            version_id for one in expressions for _, version_id in (*one.versions, *one.pins)
        )


@dataclass(frozen=True, slots=True)
class StoredAction:
    """The ids of an action. `created_ns` is when its first version was made."""

    action_id: str
    action_version_id: str
    created_ns: int


@dataclass(frozen=True, slots=True)
class StoredCondition:
    """The ids of a condition and its actions. `created_ns` is when its first version was made."""

    condition_id: str
    condition_version_id: str
    created_ns: int
    actions: tuple[StoredAction, ...]


def _literal(threshold: float | str | None) -> str:
    if threshold is None:
        return "prev($1)"
    if isinstance(threshold, str):
        # Every escape of JSON is one of CEL.
        return json.dumps(threshold, ensure_ascii=False)
    if not math.isfinite(threshold):
        raise InvalidArgumentError(
            f"the threshold {threshold} is no number that a channel can be compared with"
        )
    is_whole = threshold.is_integer() and abs(threshold) < _INTEGERS_UNTIL
    return str(int(threshold)) if is_whole else repr(threshold)
