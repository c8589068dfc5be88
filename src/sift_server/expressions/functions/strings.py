"""Functions of strings; regular expressions are RE2, whose time grows with the text only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_server.cel import shortened
from sift_server.expressions.functions.base import (
    AT_GAPS,
    Example,
    FunctionError,
    Library,
    Pointwise,
)
from sift_server.expressions.values import Column, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PATTERN_CHARS_MAX = 1_000
"""Longest regular expression of `matches`."""


def _searching(
    name: str, meaning: str, search: Callable[[Any, str], Any], example: Example
) -> Pointwise:
    def type_of(types: Sequence[Type]) -> Type:
        if tuple(types) != (Type.STRING, Type.STRING):
            given = ", ".join(each.value for each in types) or "nothing"
            raise FunctionError(f"takes two strings, not {given}")
        return Type.BOOL

    def check(literals: Sequence[Any]) -> None:
        if literals[1] is None:
            raise FunctionError("takes a string literal as its second argument")
        if len(literals[1]) > PATTERN_CHARS_MAX:
            raise FunctionError(
                f"takes at most {PATTERN_CHARS_MAX:,} characters (PATTERN_CHARS_MAX) as its second"
                f" argument, not {len(literals[1]):,}"
            )
        try:
            search(pa.array(["x"], pa.large_string()), literals[1])
        except pa.ArrowException as error:
            raise FunctionError(
                f"can't search for {shortened(literals[1])}: {str(error).strip()}"
            ) from None

    def call(columns: Sequence[Column]) -> Column:
        texts, pattern = columns
        found = search(texts.values.strings, pattern.values).to_numpy(zero_copy_only=False)
        return Column(Type.BOOL, texts.values.spread(found), texts.known)

    return Pointwise(
        name,
        Library.STRING,
        f"{name}(text, '...')",
        "bool",
        meaning,
        AT_GAPS,
        example,
        type_of,
        call,
        check,
    )


def _size_type(types: Sequence[Type]) -> Type:
    if tuple(types) != (Type.STRING,):
        given = ", ".join(each.value for each in types) or "nothing"
        raise FunctionError(f"takes a string, not {given}")
    return Type.INT


def _size(columns: Sequence[Column]) -> Column:
    (texts,) = columns
    lengths = pc.utf8_length(texts.values.strings).to_numpy().astype(np.int64)
    return Column(Type.INT, texts.values.spread(lengths), texts.known)


STRINGS: tuple[Pointwise, ...] = (
    _searching(
        "contains",
        "Whether a text is part of it.",
        pc.match_substring,
        Example('contains($1, "ERR")', ["ERROR 7", "ok"], [True, False]),
    ),
    _searching(
        "startsWith",
        "Whether it begins with a text.",
        pc.starts_with,
        Example('startsWith($1, "ERR")', ["ERROR 7", "no ERROR"], [True, False]),
    ),
    _searching(
        "endsWith",
        "Whether it ends with a text.",
        pc.ends_with,
        Example('$1.endsWith("7")', ["ERROR 7", "ok"], [True, False]),
    ),
    _searching(
        "matches",
        "Whether a regular expression (RE2) is found in it.",
        pc.match_substring_regex,
        Example("matches($1, '[0-9]+$')", ["ERROR 7", "ok"], [True, False]),
    ),
    Pointwise(
        "size",
        Library.STRING,
        "size(text)",
        "integer",
        "How many characters it has.",
        AT_GAPS,
        Example("size($1)", ["on", ""], [2, 0]),
        _size_type,
        _size,
    ),
)
