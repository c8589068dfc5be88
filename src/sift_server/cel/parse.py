"""CEL text to a small tree, by the parser of cel-python."""

from __future__ import annotations

import functools
import math
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sift_server.cel.nodes import (
    Call,
    Choice,
    Either,
    Entry,
    Every,
    ListOf,
    Literal,
    Name,
    Negative,
    Node,
    Not,
    Operation,
)
from sift_server.cel.text import (
    CHAIN_MAX,
    DEPTH_MAX,
    TooDeepError,
    TooManyTokensError,
    without_strings,
)
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER_CHARS_MAX = 400
"""Longest number; no number of 64 bits needs as many."""

TEXTS_CACHED_MAX = 256
"""How many trees are remembered."""

_CACHED_CHARS_MAX = 4 * 1024
"""Longest text of which the tree is remembered."""

INT_64_MIN = -(2**63)
INT_64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""What a kind of text may have of CEL, and how errors speak of it.

    Attributes:
        noun: What the text is.
        chars_max: Longest text.
        tokens_max: How many names, literals and signs it may have.
        too_long: What to do with one that is too long.
        example: What one looks like.
        elements: What it is made of, as a sentence goes on.
        is_arithmetic: Whether it may have `* / %` and `? :`.
        has_references: Whether names may begin with `$`.
        has_exact_escapes: Whether a `\x` or `\u` without its digits is refused. Otherwise it is
            what is written, for clients that do not escape the backslashes of names.
    """

    noun: str
    chars_max: int
    tokens_max: int
    too_long: str
    example: str
    elements: str
    is_arithmetic: bool = False
    has_references: bool = False
    has_exact_escapes: bool = False


def parse(text: str, dialect: Dialect) -> Node:
    """Parse a text; safe from many threads.

    Raises:
        InvalidArgumentError: It is not CEL, or more of it than the dialect has, too long, or too
            deep; says where.
    """
    if len(text) > dialect.chars_max:
        raise InvalidArgumentError(
            f"the {dialect.noun} has {len(text):,} characters, the limit is"
            f" {dialect.chars_max:,}; {dialect.too_long}"
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidArgumentError(
                f"the {dialect.noun} has {text[error.start]!a} at column {error.start + 1}, half"
                " of a character of UTF-16; write the whole character"
            ) from None
    if len(text) > _CACHED_CHARS_MAX:
        return _parse(text, dialect)
    return _parse_cached(text, dialect)


def _parse(text: str, dialect: Dialect) -> Node:
    from celpy.celparser import CELParseError  # noqa: PLC0415 - slow to import, rarely needed

    try:
        plain = without_strings(text, dialect.tokens_max)
        if dialect.has_references:
            plain = _REFERENCE.sub("_", plain)
        tree = _parser()(plain)
    except TooDeepError:
        raise _too_deep(text, dialect) from None
    except TooManyTokensError:
        raise InvalidArgumentError(
            f"the {dialect.noun} has more than {dialect.tokens_max:,} names, literals and signs;"
            f" {dialect.too_long}"
        ) from None
    except CELParseError as error:
        where = _where(text, error.line, error.column)
        raise InvalidArgumentError(
            f"the {dialect.noun} {shortened(text)} can't be read{where}; {_word_hint(plain)}it"
            f" should look like `{dialect.example}`, with quotes inside of a string escaped by a"
            " backslash"
        ) from None
    return _Reader(text, dialect).node(tree, 0)


def _where(text: str, line: int | None, column: int | None) -> str:
    """Where the parser stopped, in columns of the whole text as everywhere."""
    if line is None or column is None or line < 1 or column < 1:
        return " at its end"
    lines_before = text.split("\n")[: line - 1]
    return f" at column {sum(len(each) + 1 for each in lines_before) + column}"


_SIGNS = {"and": "&&", "or": "||", "not": "!"}
_WORD = re.compile(rf"\b(?:{'|'.join(_SIGNS)})\b", re.IGNORECASE)


def _word_hint(plain: str) -> str:
    """What to write for operators that are words elsewhere, if a text without strings has some."""
    words = dict.fromkeys(match[0].lower() for match in _WORD.finditer(plain))
    told = [f"{word} is written `{_SIGNS[word]}`" for word in words]
    return f"{', '.join(told)}; " if told else ""


_REFERENCE = re.compile(r"\$(?=\w)")
"""A letter of a name to the parser; the name is read from the text as it was."""


def _too_deep(text: str, dialect: Dialect) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"the {dialect.noun} {shortened(text)} is nested more than {DEPTH_MAX} levels deep"
        f" (DEPTH_MAX); {dialect.too_long}"
    )


_parse_cached = functools.lru_cache(TEXTS_CACHED_MAX)(_parse)

_building = threading.Lock()


def _parser() -> Callable[[str], Any]:
    with _building:
        return _build_parser()


@functools.cache
def _build_parser() -> Callable[[str], Any]:
    # Slow to import, and rarely needed.
    from celpy.celparser import CELParser  # noqa: PLC0415
    from lark import Token  # noqa: PLC0415

    class Parser(CELParser):
        """The parser, of which `true` and `false` know where they stand."""

        @staticmethod
        def ambiguous_literals(t: Token) -> Token:
            if t.value in ("true", "false"):
                return Token.new_borrow_pos("BOOL_LIT", t.value, t)
            return t

    CELParser.CEL_PARSER = None
    Parser()  # builds the grammar's tables, which all parsers share
    # A parser remembers the text of its last call, so that every call gets a parser of its own.
    return lambda text: Parser().parse(text)


class _Reader:
    """Turns the parser's tree, a node a grammar rule, into ours."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text = text
        self._dialect = dialect

    def node(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        """Read one node and those below it."""
        if depth > DEPTH_MAX:
            raise _too_deep(self._text, self._dialect)
        # Most rules of the grammar only say how tightly operators bind.
        while tree.data in _PASSED_THROUGH and len(tree.children) == 1:
            tree = tree.children[0]
        read = getattr(self, f"_{tree.data}", None)
        if read is None:
            raise self._unsupported(tree)
        node: Node = read(tree, depth + 1)
        return node

    def _expr(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        if not self._dialect.is_arithmetic:
            raise self._unsupported(tree)
        condition, yes, no = (self.node(child, depth) for child in tree.children)
        return Choice(condition, yes, no, at=_start(tree))

    def _conditionaland(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return Every(self._chain(tree, depth), at=_start(tree))

    def _conditionalor(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return Either(self._chain(tree, depth), at=_start(tree))

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

    def _multiplication(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        if not self._dialect.is_arithmetic:
            raise self._unsupported(tree)
        return self._operation(tree, depth)

    def _operation(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        # `a + b + c` is ((a + b) + c) in the tree: read from the right, without recursion.
        rule, start = tree.data, _start(tree)
        steps = []
        while tree.data == rule and len(tree.children) > 1:
            head, right = tree.children
            steps.append((_OPERATORS[head.data], right))
            tree = head.children[0]
        if len(steps) > CHAIN_MAX:
            raise InvalidArgumentError(
                f"the {self._dialect.noun} {shortened(self._text)}, at column {start + 1}, has"
                f" {len(steps):,} operators side by side, the limit is {CHAIN_MAX} (CHAIN_MAX); put"
                " parts of it in parentheses"
            )
        node = self.node(tree, depth)
        for operator, right in reversed(steps):
            node = Operation(operator, node, self.node(right, depth), at=start)
        return node

    def _unary(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        sign, operand = tree.children
        node = self.node(operand, depth)
        kind = Not if sign.data == "unary_not" else Negative
        return kind(node, at=_start(tree))

    def _paren_expr(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return self.node(tree.children[0], depth)

    def _ident(self, tree: Any, _depth: int) -> Node:  # noqa: ANN401
        (token,) = tree.children
        return Name(self._word(token), at=token.start_pos)

    def _ident_arg(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        name, *arguments = tree.children
        return Call(self._word(name), self._arguments(arguments, depth), at=_start(tree))

    def _member_dot_arg(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        receiver, name, *arguments = tree.children
        everything = (self.node(receiver, depth), *self._arguments(arguments, depth))
        return Call(self._word(name), everything, at=_start(tree))

    def _word(self, token: Any) -> str:  # noqa: ANN401
        # The parser did not see a `$`.
        return self._text[token.start_pos : token.end_pos]

    def _arguments(self, lists: list[Any], depth: int) -> tuple[Node, ...]:
        return tuple(self.node(child, depth) for one in lists for child in one.children)

    def _member_dot(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        target, key = tree.children
        return Entry(self.node(target, depth), self._word(key), is_quoted=True, at=_start(tree))

    def _member_index(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        target, key = tree.children
        node = self.node(key, depth)
        if isinstance(node, Literal) and isinstance(node.value, str):
            return Entry(self.node(target, depth), node.value, is_quoted=True, at=_start(tree))
        # Published clients forget the quotes of a metadata key.
        written = self._text[key.meta.start_pos : key.meta.end_pos]
        return Entry(self.node(target, depth), written, is_quoted=False, at=_start(tree))

    def _list_lit(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return ListOf(self._arguments(tree.children, depth), at=_start(tree))

    def _literal(self, tree: Any, _depth: int) -> Node:  # noqa: ANN401
        (token,) = tree.children
        if token.type == "BYTES_LIT":
            raise self._unsupported(tree)
        written = str(token)
        if token.type in _STRINGS:
            # The parser did not see what is in it.
            written = self._word(token)
        try:
            value = _literal(token.type, written, self._dialect)
        except _LiteralError as error:
            raise InvalidArgumentError(
                f"the {self._dialect.noun} {shortened(self._text)}, at column"
                f" {token.start_pos + error.offset + 1}, has {error}"
            ) from None
        return Literal(value, at=token.start_pos)

    def _unsupported(self, tree: Any) -> InvalidArgumentError:  # noqa: ANN401
        written = self._text[tree.meta.start_pos : tree.meta.end_pos]
        return InvalidArgumentError(
            f"{self._dialect.noun}s can't have {shortened(written)}, at column {_start(tree) + 1}:"
            f" they are made of {self._dialect.elements}"
        )


def _start(tree: Any) -> int:  # noqa: ANN401
    start: int = tree.meta.start_pos
    return start


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
    "multiplication_mul": "*",
    "multiplication_div": "/",
    "multiplication_mod": "%",
}


class _LiteralError(Exception):
    """What is wrong in a literal, and how many characters behind its start."""

    def __init__(self, what: str, offset: int = 0) -> None:
        super().__init__(what)
        self.offset = offset


def _literal(kind: str, text: str, dialect: Dialect) -> str | int | float | bool | None:
    if kind in _STRINGS:
        return _string(text, dialect)
    if kind == "BOOL_LIT":
        return text == "true"
    if kind == "NULL_LIT":
        return None
    if len(text) > NUMBER_CHARS_MAX:
        raise _LiteralError(
            f"the number {shortened(text)}, which has more than {NUMBER_CHARS_MAX} characters"
        )
    if kind == "FLOAT_LIT":
        double = float(text)
        if math.isinf(double):
            raise _LiteralError(
                f"the number {shortened(text)}, which is beyond all doubles: they end at 1.8e308"
            )
        return double
    digits = text.rstrip("uU")
    number = int(digits, 16 if "x" in digits else 10)
    if not INT_64_MIN <= number <= INT_64_MAX:
        raise _LiteralError(
            f"the number {shortened(text)}, which does not fit a signed integer of 64 bits; write"
            " larger ones as doubles, such as 1e19"
        )
    return number


def _string(text: str, dialect: Dialect) -> str:
    is_raw = text[0] in "rR"
    body = text[1:] if is_raw else text
    quotes = 3 if body[:3] in ('"""', "'''") else 1
    body = body[quotes:-quotes]
    if is_raw:
        return body
    pattern = _EXACT_ESCAPE if dialect.has_exact_escapes else _ESCAPE
    return pattern.sub(lambda match: _unescape_one(match, quotes + match.start()), body)


def unescape(text: str, noun: str) -> str:
    """Replace CEL's escapes; a backslash before anything else stays, as in a regex.

    Raises:
        InvalidArgumentError: One stands for no character; `noun` is what the text is part of.
    """
    try:
        return _ESCAPE.sub(lambda match: _unescape_one(match, match.start()), text)
    except _LiteralError as error:
        raise InvalidArgumentError(f"the {noun} has {error}") from None


_ESCAPES = (
    r"([abfnrtv\\'\"`?])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})"
)
_ESCAPE = re.compile(rf"\\(?:{_ESCAPES})")
_EXACT_ESCAPE = re.compile(rf"\\(?:{_ESCAPES}|(?:x(?!{{)|u|U))")
"""Also those that lack digits; `\\x{...}` is one of regular expressions."""
_SINGLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _unescape_one(match: re.Match[str], offset: int) -> str:
    single, *hexadecimal, octal = match.groups()
    if single is not None:
        return _SINGLE.get(single, single)
    if octal is None and not any(hexadecimal):
        raise _LiteralError(
            f"{match[0]} without its digits, as in \\x41, \\u0041 and \\U00000041; a backslash is"
            " written \\\\",
            offset,
        )
    code = int(octal, 8) if octal else int(next(filter(None, hexadecimal)), 16)
    if 0xD800 <= code < 0xE000 or code > 0x10FFFF:  # noqa: PLR2004 - what Unicode has no character for
        raise _LiteralError(f"{match[0]}, which is not a character", offset)
    return chr(code)


def shortened(text: str, chars_max: int = 100) -> str:
    """Quote what a client wrote, for a message."""
    return repr(text if len(text) <= chars_max else f"{text[:chars_max]}...")
