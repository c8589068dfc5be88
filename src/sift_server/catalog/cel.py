"""Filter text to a small tree, by the parser of cel-python.

The tree has what filters use of CEL: literals, names, members, calls, lists, comparisons, `+`, `-`
and logic. A receiver is the first argument of its call, so that `name.contains('x')` and
`contains(name, 'x')` are one.
"""

from __future__ import annotations

import functools
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sift_server.catalog.cel_text import (
    FILTER_DEPTH_MAX,
    TooDeepError,
    without_strings,
)
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

FILTER_CHARS_MAX = 512 * 1024
"""Longest filter text."""

NUMBER_CHARS_MAX = 400
"""Longest number in a filter; no number of 64 bits needs as many."""

FILTERS_CACHED_MAX = 256
"""How many parsed filters are remembered."""

_CACHED_CHARS_MAX = 4 * 1024
"""Longest filter text that is remembered."""

INT_64_MIN = -(2**63)
INT_64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number, bool or null."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Name:
    """A field."""

    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """`target.key` or `target[key]`; unquoted keys of the second form are taken as written."""

    target: Node
    key: str
    is_quoted: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments; of a method, the receiver comes first."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """`[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """`left operator right`, of `== != < <= > >= in + -`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Not:
    """`!operand`."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Negative:
    """`-operand`."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Every:
    """`a && b && c`."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """`a || b || c`."""

    operands: tuple[Node, ...]


Node = Literal | Name | Entry | Call | ListOf | Operation | Not | Negative | Every | Either


def parse(text: str) -> Node:
    """Parse a filter; safe from many threads.

    Raises:
        InvalidArgumentError: It is not CEL, too long, or too deep; says where.
    """
    if len(text) > FILTER_CHARS_MAX:
        raise InvalidArgumentError(
            f"the filter has {len(text):,} characters, the limit is {FILTER_CHARS_MAX:,};"
            " ask in several calls"
        )
    if len(text) > _CACHED_CHARS_MAX:
        return _parse(text)
    return _parse_cached(text)


def _parse(text: str) -> Node:
    from celpy.celparser import CELParseError  # noqa: PLC0415 - slow to import, rarely needed

    try:
        tree = _parser()(without_strings(text))
    except TooDeepError:
        raise _too_deep(text) from None
    except CELParseError as error:
        where = f" at column {error.column}" if error.column and error.column > 0 else ""
        raise InvalidArgumentError(
            f"the filter {shortened(text)} can't be read{where}; it should look like"
            """ `name == "a" && created_date > timestamp("2026-01-01T00:00:00Z")`, with"""
            " quotes inside of a string escaped by a backslash"
        ) from None
    return _Reader(text).node(tree, 0)


def _too_deep(text: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"the filter {shortened(text)} is nested more than {FILTER_DEPTH_MAX} levels deep"
    )


_parse_cached = functools.lru_cache(FILTERS_CACHED_MAX)(_parse)

_building = threading.Lock()


def _parser() -> Callable[[str], Any]:
    with _building:
        return _build_parser()


@functools.cache
def _build_parser() -> Callable[[str], Any]:
    from celpy.celparser import CELParser  # noqa: PLC0415 - slow to import, rarely needed

    CELParser()  # builds the grammar's tables, which all parsers share
    # A parser remembers the text of its last call, so that every call gets a parser of its own.
    return lambda text: CELParser().parse(text)


class _Reader:
    """Turns the parser's tree, a node a grammar rule, into ours."""

    def __init__(self, text: str) -> None:
        self._text = text

    def node(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        """Read one node and those below it."""
        if depth > FILTER_DEPTH_MAX:
            raise _too_deep(self._text)
        # Most rules of the grammar only say how tightly operators bind.
        while tree.data in _PASSED_THROUGH and len(tree.children) == 1:
            tree = tree.children[0]
        read = getattr(self, f"_{tree.data}", None)
        if read is None:
            raise self._unsupported(tree)
        node: Node = read(tree, depth + 1)
        return node

    def _conditionaland(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return Every(self._chain(tree, depth))

    def _conditionalor(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return Either(self._chain(tree, depth))

    def _chain(self, tree: Any, depth: int) -> tuple[Node, ...]:  # noqa: ANN401
        # `a && b && c` is ((a && b) && c) in the tree: read from the right, without recursion.
        rule = tree.data
        operands = []
        while tree.data == rule and len(tree.children) > 1:
            tree, right = tree.children
            operands.append(self.node(right, depth))
        operands.append(self.node(tree, depth))
        return tuple(reversed(operands))

    def _relation(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return self._operation(tree, depth)

    def _addition(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return self._operation(tree, depth)

    def _operation(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        head, right = tree.children
        return Operation(
            _OPERATORS[head.data],
            self.node(head.children[0], depth),
            self.node(right, depth),
        )

    def _unary(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        sign, operand = tree.children
        node = self.node(operand, depth)
        return Not(node) if sign.data == "unary_not" else Negative(node)

    def _paren_expr(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return self.node(tree.children[0], depth)

    def _ident(self, tree: Any, _depth: int) -> Node:  # noqa: ANN401
        return Name(str(tree.children[0]))

    def _ident_arg(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        name, *arguments = tree.children
        return Call(str(name), self._arguments(arguments, depth))

    def _member_dot_arg(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        receiver, name, *arguments = tree.children
        return Call(str(name), (self.node(receiver, depth), *self._arguments(arguments, depth)))

    def _arguments(self, lists: list[Any], depth: int) -> tuple[Node, ...]:
        return tuple(self.node(child, depth) for one in lists for child in one.children)

    def _member_dot(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        target, key = tree.children
        return Entry(self.node(target, depth), str(key), is_quoted=True)

    def _member_index(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        target, key = tree.children
        node = self.node(key, depth)
        if isinstance(node, Literal) and isinstance(node.value, str):
            return Entry(self.node(target, depth), node.value, is_quoted=True)
        # Published clients forget the quotes of a metadata key.
        written = self._text[key.meta.start_pos : key.meta.end_pos]
        return Entry(self.node(target, depth), written, is_quoted=False)

    def _list_lit(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return ListOf(self._arguments(tree.children, depth))

    def _literal(self, tree: Any, _depth: int) -> Node:  # noqa: ANN401
        (token,) = tree.children
        if token.type == "BYTES_LIT":
            raise self._unsupported(tree)
        written = str(token)
        if token.type in _STRINGS:
            # The parser did not see what is in it.
            written = self._text[token.start_pos : token.end_pos]
        return Literal(_literal(token.type, written))

    def _unsupported(self, tree: Any) -> InvalidArgumentError:  # noqa: ANN401
        written = self._text[tree.meta.start_pos : tree.meta.end_pos]
        return InvalidArgumentError(
            f"filters can't have {shortened(written)}: they are made of fields, literals, lists,"
            " `== != < <= > >= in && || ! + -`, parentheses and functions"
        )


_PASSED_THROUGH = frozenset(
    {
        "expr",
        "conditionalor",
        "conditionaland",
        "relation",
        "addition",
        "multiplication",
        "unary",
        "member",
        "primary",
    }
)
_STRINGS = ("STRING_LIT", "MLSTRING_LIT")
_OPERATORS = {
    "relation_eq": "==",
    "relation_ne": "!=",
    "relation_lt": "<",
    "relation_le": "<=",
    "relation_gt": ">",
    "relation_ge": ">=",
    "relation_in": "in",
    "addition_add": "+",
    "addition_sub": "-",
}


def _literal(kind: str, text: str) -> str | int | float | bool | None:
    if kind in _STRINGS:
        return _string(text)
    if kind == "BOOL_LIT":
        return text == "true"
    if kind == "NULL_LIT":
        return None
    if len(text) > NUMBER_CHARS_MAX:
        raise InvalidArgumentError(
            f"the number {shortened(text)} in the filter has more than {NUMBER_CHARS_MAX}"
            " characters"
        )
    if kind == "FLOAT_LIT":
        return float(text)
    digits = text.rstrip("uU")
    number = int(digits, 16 if "x" in digits else 10)
    if not INT_64_MIN <= number <= INT_64_MAX:
        raise InvalidArgumentError(f"the number {shortened(text)} in the filter has over 64 bits")
    return number


def _string(text: str) -> str:
    is_raw = text[0] in "rR"
    body = text[1:] if is_raw else text
    quotes = 3 if body[:3] in ('"""', "'''") else 1
    body = body[quotes:-quotes]
    return body if is_raw else unescape(body)


def unescape(text: str) -> str:
    """Replace CEL's escapes; a backslash before anything else stays, as in a regex."""
    return _ESCAPE.sub(_unescape_one, text)


_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"`?])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))"
)
_SINGLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _unescape_one(match: re.Match[str]) -> str:
    single, *hexadecimal, octal = match.groups()
    if single is not None:
        return _SINGLE.get(single, single)
    code = int(octal, 8) if octal else int(next(filter(None, hexadecimal)), 16)
    if 0xD800 <= code < 0xE000 or code > 0x10FFFF:  # noqa: PLR2004 - what Unicode has no character for
        raise InvalidArgumentError(f"{match[0]} in the filter is not a character")
    return chr(code)


def shortened(text: str, chars_max: int = 100) -> str:
    """Quote what a client wrote, for a message."""
    return repr(text if len(text) <= chars_max else f"{text[:chars_max]}...")
