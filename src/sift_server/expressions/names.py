"""The names that stand in the tree of an expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server import cel

if TYPE_CHECKING:
    from collections.abc import Iterator


def dotted(node: cel.Node) -> str | None:
    """`a.b.c` as one name; None if it is none."""
    keys: list[str] = []
    while isinstance(node, cel.Entry):
        keys.append(node.key)
        node = node.target
    return ".".join([node.text, *reversed(keys)]) if isinstance(node, cel.Name) else None


def names_in(node: cel.Node) -> Iterator[tuple[str, str | None]]:
    """Every name that stands in an expression: channels, references and elements of either.

    Yields:
        The name, and what it is an element of if it is one: `a.b` may be a channel of that name, or
        the element `b` of `a`.
    """
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, cel.Name | cel.Entry):
            name = dotted(one)
            if name is not None:
                yield name, dotted(one.target) if isinstance(one, cel.Entry) else None
        else:
            waiting += _parts(one)


def _parts(node: cel.Node) -> tuple[cel.Node, ...]:
    match node:
        case cel.Operation(_, left, right):
            return (left, right)
        case cel.Call(_, parts) | cel.ListOf(parts) | cel.Every(parts) | cel.Either(parts):
            return parts
        case cel.Not(operand) | cel.Negative(operand):
            return (operand,)
        case cel.Choice(condition, yes, no):
            return (condition, yes, no)
        case _:
            return ()
