"""Names as people type them: with the signs of a shell, or without."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

Patterns = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Only these; *, ? and [...] stand for what they do in a shell. Put them in quotes.",
    ),
]


def matches(name: str, patterns: Sequence[str] | None) -> bool:
    """Whether a name is one of some; all are if there are no patterns."""
    return not patterns or any(name == each or fnmatchcase(name, each) for each in patterns)
