r"""What CEL text is cut into before it is parsed, in time that its length bounds.

The parser's own patterns of strings try every way to read an escape: the ten characters of
`"\n\n\n\n\n`, twice as often with each more, take it seconds. And it makes a tree before anybody
sees how deep that is. So strings are cut out here, by patterns that never go back, and the parser
gets a text in which each of them is a row of the same letter, as long as it was: whatever it says
of a position is true of the text.
"""

from __future__ import annotations

import re

DEPTH_MAX = 64
"""How deep parentheses, calls and `!` may stand in each other."""

CHAIN_MAX = 256
"""How many operators such as `+` may stand side by side, as in `a + b + c`."""

_TOKEN = re.compile(
    r"""
      [ \t\n\f\r]+
    | (?P<comment> //[^\n]* )
    | (?P<string>
          \"{3} (?: [^"\\] | \\. | "(?!"") )*+ \"{3}
        | '{3}  (?: [^'\\] | \\. | '(?!'') )*+ '{3}
        | (?!\"{3}) " (?: [^"\\\n] | \\[^\n] )*+ "
        | (?!'{3})  ' (?: [^'\\\n] | \\[^\n] )*+ '
      )
    | (?P<quote> ["'] )
    | (?P<open> [(\[{] )
    | (?P<close> [)\]}] )
    | (?P<prefix> !(?!=) | - )
    | \w++
    | .
    """,
    re.VERBOSE | re.DOTALL,
)

_UNREADABLE = "#"


class TooDeepError(Exception):
    """A text is nested more than `DEPTH_MAX` levels deep."""


class TooManyTokensError(Exception):
    """A text has more names, literals and signs than it may have."""


def without_strings(text: str, tokens_max: int) -> str:
    """Return a text with nothing in its strings and comments that looks like anything.

    Raises:
        TooDeepError: It is nested too deeply.
        TooManyTokensError: It has more than `tokens_max` names, literals and signs.
    """
    pieces: list[str] = []
    end = 0
    tokens = depth = prefixes = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "comment":
            pieces += text[end : match.start()], " " * len(match[0])
            end = match.end()
            continue
        if kind is None and match[0].isspace():
            continue
        tokens += 1
        if tokens > tokens_max:
            raise TooManyTokensError
        prefixes = prefixes + 1 if kind == "prefix" else 0
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind == "quote":
            # A string without an end: the parser says where the text is wrong, there or before.
            return "".join([*pieces, text[end : match.start()], _UNREADABLE])
        elif kind == "string":
            pieces += text[end : match.start()], _blank(match[0])
            end = match.end()
        if depth > DEPTH_MAX or prefixes > DEPTH_MAX:
            raise TooDeepError
    return "".join([*pieces, text[end:]])


def _blank(literal: str) -> str:
    quotes = literal[:3] if literal[:3] in ('"""', "'''") else literal[0]
    return quotes + "x" * (len(literal) - 2 * len(quotes)) + quotes
