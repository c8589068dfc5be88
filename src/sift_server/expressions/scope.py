"""What names mean in an expression, and how large it may be with all that is nested in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sift_server import cel
from sift_server.errors import InvalidArgumentError
from sift_server.expressions.names import dotted
from sift_server.expressions.source import Nested, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sift_server.expressions.source import Named

EXPRESSION_CHARS_MAX = 10_000
"""Longest expression."""

EXPRESSION_TOKENS_MAX = 4_000
"""How many names, literals and signs an expression may have, with all that is nested in it."""

EXPRESSION_CHANNELS_MAX = 100
"""How many channels an expression may name, with all that is nested in it."""

NESTING_MAX = 8
"""How many calculated channels may be inside of each other."""

NESTED_DEPTH_MAX = 128
"""How deep a part of a nested expression may stand in the whole, which is computed recursively."""

_SHOWN_MAX = 12
"""How many names a message lists."""

DIALECT = cel.Dialect(
    noun="expression",
    chars_max=EXPRESSION_CHARS_MAX,
    tokens_max=EXPRESSION_TOKENS_MAX,
    too_long="split it into several rules",
    example='$1 > 400 && contains($2, "ERROR")',
    elements=(
        "channels, literals, lists, `== != < <= > >= in && || ! ? : + - * / %`, parentheses and"
        " functions"
    ),
    is_arithmetic=True,
    has_references=True,
    has_exact_escapes=True,
)


class ExpressionError(InvalidArgumentError):
    """An expression is wrong; the message says at which column, and what to write instead."""


def parsed(text: str) -> cel.Node:
    """Parse an expression, without a look at what it names.

    Raises:
        InvalidArgumentError: It is not CEL, or too large.
    """
    return cel.parse(text, DIALECT)


@dataclass(slots=True)
class Whole:
    """What an expression and all that is nested in it have together.

    Attributes:
        sources: The channels that are named, each once.
        nested: The keys of what the outermost one names that is nested in it.
        nodes: How many parts were compiled.
        depth: How deep the part stands that is being compiled.
    """

    sources: list[Source] = field(default_factory=list)
    nested: dict[object, None] = field(default_factory=dict)
    nodes: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Where names mean the same: the text of the expression, or of one that is nested in it.

    Attributes:
        keys: The keys of those that it is nested in, from the outside, and its own.
        owners: What this one and those are versions of.
    """

    text: str
    find: Callable[[str], Named | None]
    references: Collection[str]
    whole: Whole
    keys: tuple[object, ...]
    owners: tuple[object, ...]

    def source_index(self, node: cel.Node, source: Source) -> int:
        """Where the points of a channel are among the inputs."""
        sources = self.whole.sources
        for index, known in enumerate(sources):
            if known.key == source.key:
                return index
        if len(sources) == EXPRESSION_CHANNELS_MAX:
            raise self.error(
                node,
                f"names more than {EXPRESSION_CHANNELS_MAX} channels (EXPRESSION_CHANNELS_MAX);"
                f" {DIALECT.too_long}",
            )
        sources.append(source)
        return len(sources) - 1

    def named(self, node: cel.Node) -> Named:
        """What a name stands for; not a channel without values."""
        name = dotted(node)
        if name is None:
            raise self.error(
                node, "takes an element of what is no channel; write `channel.element`"
            )
        found = self.find(name)
        if found is None and isinstance(node, cel.Entry):
            owner_name = dotted(node.target)
            owner = None if owner_name is None else self.find(owner_name)
            if owner is not None:
                elements = owner.elements if isinstance(owner, Source) else {}
                found = elements.get(node.key)
                if found is None:
                    raise self.error(node, _no_element(owner.name, elements, node.key))
        if found is None:
            raise self.error(node, self._no_channel(name))
        if isinstance(found, Source) and found.type is None:
            what = (
                f"is a bit field: name one of its elements, {listed(found.elements)}, such as"
                f" `{_element_of(name, next(iter(found.elements)))}`"
                if found.elements
                else "is a channel of bytes, which expressions can't read"
            )
            raise self.error(node, f"names {name}, which {what}")
        return found

    def inside(self, node: cel.Node, nested: Nested) -> Scope:
        """The scope of what is nested here."""
        if nested.owner is not None and nested.owner in self.owners:
            raise self.error(
                node, f"names {nested.name}, of which it is a part itself, so that it has no end"
            )
        if len(self.keys) == NESTING_MAX:
            raise self.error(
                node,
                f"names {nested.name}, and has more than {NESTING_MAX} calculated channels"
                " inside of each other (NESTING_MAX); write the expression of one of them out",
            )
        if not self.keys:
            self.whole.nested[nested.key] = None
        keys, owners = (*self.keys, nested.key), (*self.owners, nested.owner)
        return Scope(nested.text, nested.find, nested.references, self.whole, keys, owners)

    def count(self, node: cel.Node) -> None:
        """Count a part, before those inside of it."""
        whole = self.whole
        whole.nodes += 1
        if whole.nodes > EXPRESSION_TOKENS_MAX:
            raise self.error(
                node,
                f"has, with what is nested in it, more than {EXPRESSION_TOKENS_MAX:,} names,"
                f" literals and signs (EXPRESSION_TOKENS_MAX); {DIALECT.too_long}",
            )
        if self.keys and whole.depth > NESTED_DEPTH_MAX:
            raise self.error(
                node,
                f"stands, with what it is nested in, more than {NESTED_DEPTH_MAX} levels deep"
                " (NESTED_DEPTH_MAX); have fewer parentheses, calls or calculated channels inside"
                " of each other",
            )

    def _no_channel(self, name: str) -> str:
        if name.startswith("$"):
            known = listed(list(self.references)) if self.references else "none"
            return f"names {name}, which stands for no channel; the references are {known}"
        return (
            f"names {name}, which is neither a reference such as $1 nor a channel of the asset;"
            " check how the channel is written"
        )

    def error(self, node: cel.Node, what: str) -> ExpressionError:
        """An error that says where."""
        written = cel.shortened(self.text)
        return ExpressionError(f"the expression {written}, at column {node.at + 1}, {what}")


def listed(names: Mapping[str, object] | Sequence[str]) -> str:
    """Names in a message, the first ones."""
    shown = [repr(name) for name in list(names)[:_SHOWN_MAX]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _no_element(name: str, elements: Mapping[str, Source], key: str) -> str:
    if not elements:
        return f"names .{key} of {name}, which has no elements"
    return f"names .{key} of {name}, whose elements are {listed(elements)}"


def _element_of(name: str, element: str) -> str:
    if element.isascii() and element.isidentifier():
        return f"{name}.{element}"
    return f"{name}[{json.dumps(element, ensure_ascii=False)}]"
