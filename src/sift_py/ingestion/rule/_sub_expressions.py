"""Sub-expressions: placeholders of an expression, and what they are filled in with. Pure.

What is inside a string literal or a comment of the expression is text, and is left alone.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sift_py.errors import RuleConfigError
from sift_py.ingestion._internal.declared import is_unicode
from sift_py.ingestion._internal.shown import shown_plain

if TYPE_CHECKING:
    from collections.abc import Collection

INT_MIN, INT_MAX = -(2**63), 2**64 - 1
"""The integers of CEL: those of `int`, and those of `uint`."""

_TEXT = r"""
    (?<!\w)[bB]?[rR][bB]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
    | \"{3}(?:\\.|[^\\])*?\"{3}
    | '{3}(?:\\.|[^\\])*?'{3}
    | "(?:\\.|[^"\\\n])*"
    | '(?:\\.|[^'\\\n])*'
    | //[^\n]*
"""
"""String literals of CEL, the raw ones first, and comments."""
_NAME = r"\$[A-Za-z_]\w*"
_TEXT_OR_NAME = re.compile(f"(?P<text>{_TEXT})|{_NAME}", re.ASCII | re.DOTALL | re.VERBOSE)


def fill_in(expression: str, sub_expressions: Mapping[str, Any]) -> str:
    """Return an expression with its placeholders filled in, all at once.

    Raises:
        RuleConfigError: A placeholder is not in the expression, or its value can't be in CEL; or
            the arguments are no such things.
    """
    if not isinstance(expression, str) or not is_unicode(expression):
        raise RuleConfigError(
            f"the expression must be a str of Unicode, got {shown_plain(expression)}."
        )
    if not isinstance(sub_expressions, Mapping):
        raise RuleConfigError(
            "sub_expressions must be a dict, such as {'$limit': 5}, got"
            f" {shown_plain(sub_expressions)}."
        )
    for name in sub_expressions:
        if not isinstance(name, str):
            raise RuleConfigError(
                f"a sub-expression's name must be a str, got {shown_plain(name)}."
            )
    if not sub_expressions:
        return expression
    # A name that another one begins with comes after it.
    names = "|".join(
        f"(?:{_whole_name(name)})" for name in sorted(sub_expressions, key=len, reverse=True)
    )
    literals = {name: _literal(name, value) for name, value in sub_expressions.items()}
    used: set[str] = set()

    def replaced(found: re.Match[str]) -> str:
        if found["text"] is not None:
            return found[0]
        used.add(found[0])
        return literals[found[0]]

    text_or_name = re.compile(f"(?P<text>(?x:{_TEXT}))|{names}", re.ASCII | re.DOTALL)
    filled = text_or_name.sub(replaced, expression)
    for name in sub_expressions:
        if name not in used:
            quoted = " outside of quotes" if name and name in expression else ""
            raise RuleConfigError(
                f"Couldn't find the sub-expression '{name}' in the expression"
                f" '{expression}'{quoted}; use it there or remove it."
            )
    return filled


def refuse_left_over(expression: str, channel_references: Collection[str]) -> None:
    """Check that names such as `$limit` in a filled-in expression are channel references.

    Raises:
        RuleConfigError: One is not; names it.
    """
    for found in _TEXT_OR_NAME.finditer(expression):
        if found["text"] is None and found[0] not in channel_references:
            raise RuleConfigError(
                f"'{found[0]}' in the expression '{expression}' is neither a channel reference nor"
                " a sub-expression; add it to one of them."
            )


def _whole_name(placeholder: str) -> str:
    """Pattern of a placeholder where it is not a part of a longer name."""
    if not placeholder:
        return r"(?!)"
    before = r"(?<![\w$])" if re.match(r"\w", placeholder, re.ASCII) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", placeholder, re.ASCII) else ""
    return before + re.escape(placeholder) + after


def _literal(placeholder: str, value: object) -> str:
    literal = _to_cel(value)
    if literal is None:
        raise RuleConfigError(
            f"the sub-expression '{placeholder}' can't be {shown_plain(value)}, a"
            f" {type(value).__name__}: expected a str, a bool, an int of 64 bits, a finite float,"
            " None, or a list of those."
        )
    return literal


def _to_cel(value: object) -> str | None:
    """Return the literal that means a value, or None where there is none."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        # NumPy's scalars, without NumPy.
        value = value.item()
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            # Every escape of a JSON string is one of CEL.
            literal = json.dumps(value, ensure_ascii=False)
            return literal if is_unicode(literal) else None
        case int():
            return str(int(value)) if INT_MIN <= value <= INT_MAX else None
        case float():
            return repr(float(value)) if math.isfinite(value) else None
        case list() | tuple():
            items = [_to_cel(item) for item in value]
            return None if None in items else f"[{', '.join(map(str, items))}]"
        case _:
            return None
