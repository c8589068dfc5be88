"""What an expression can name: a channel, an element of a bit field, or another expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sift_server.expressions.values import Type


@dataclass(frozen=True, slots=True)
class Source:
    """A channel, or an element of one.

    Attributes:
        name: What people call it.
        key: What tells it from others, for whoever brings its points.
        type: Type of its values; None of a bit field, of which only elements can be named, and of
            bytes, of which nothing can.
        choices: The names of an enum, beside which it can be digits; None if it can be any string.
        elements: Of a bit field: its elements by name.
        named_digits: Of an enum: the digits of the numbers that have names, which it is not.
    """

    name: str
    key: object
    type: Type | None
    choices: frozenset[str] | None = None
    elements: Mapping[str, Source] = field(default_factory=dict)
    named_digits: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Nested:
    """An expression that stands for a name in another one: a calculated channel.

    It means what it would mean if it were written there, in parentheses.

    Attributes:
        name: What people call it.
        key: What it means: whatever has the same key means the same.
        text: The expression.
        find: Finds what its own references and names stand for, or returns None.
        references: Its references.
        owner: What it is a version of, if that is known: nothing is inside of itself.
    """

    name: str
    key: object
    text: str
    find: Callable[[str], Named | None]
    references: Collection[str] = ()
    owner: object = None


Named = Source | Nested
