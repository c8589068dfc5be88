"""Regular expressions of filters: those of RE2, as CEL has them.

RE2 takes time in proportion to the text, whatever the pattern, and other threads run meanwhile.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import re2

if TYPE_CHECKING:
    from collections.abc import Callable

PATTERN_MEMORY_BYTES_MAX = 512 * 1024
"""Memory of one compiled pattern. RE2 keeps the 128 that were used last."""

_options = re2.Options()
_options.max_mem = PATTERN_MEMORY_BYTES_MAX
_options.log_errors = False

_CACHED_PATTERNS = 64


class PatternError(ValueError):
    """It is no regular expression, or needs more memory than a pattern may take."""


def check(pattern: str) -> None:
    """Check that a pattern can be searched for.

    Raises:
        PatternError: It can't; says why.
    """
    _searcher(pattern)


def is_found(pattern: str, text: str | None) -> bool:
    """Return whether some part of a text is what the pattern says; of None, no part is.

    Raises:
        PatternError: As for `check`.
    """
    return text is not None and _searcher(pattern)(text) is not None


def escaped(text: str) -> str:
    """Return the pattern that finds exactly this text."""
    return str(re2.escape(text))


@functools.lru_cache(_CACHED_PATTERNS)
def _searcher(pattern: str) -> Callable[[str], object]:
    try:
        search: Callable[[str], object] = re2.compile(pattern, _options).search
    except re2.error as error:
        (reason,) = error.args
        raise PatternError(reason.decode() if isinstance(reason, bytes) else reason) from None
    return search
