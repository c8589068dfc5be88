"""Texts for the states of an enum: one for each key, and no two the same.

A state has its name for a text, and its number if it has none. Where that could mean two keys,
because two states have one name, or one is called as the number of another, the key is behind it:
`on (7)`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["StateTexts", "key_of"]

_WITH_KEY = re.compile(r".*\((\d{1,10})\)", re.DOTALL)
_KEY = re.compile(r"\d{1,10}")


class StateTexts:
    """The texts of an enum's states."""

    def __init__(self, names: Mapping[int, str]) -> None:
        """Take the names of states by key; an empty one is none."""
        self._names = {key: name for key, name in names.items() if name}
        self._counts = Counter(self._names.values())

    def of(self, key: int) -> str:
        """The text of a key, whether its state has a name or not."""
        name = self._names.get(key)
        if name is not None and self._counts[name] == 1:
            return name
        text = name or str(key)
        while text in self._counts:
            text = f"{text} ({key})"
        return text

    def keys(self) -> dict[str, int]:
        """Keys by text, of the states that have names."""
        return {self.of(key): key for key in self._names}


def key_of(text: str, keys: Mapping[str, int]) -> int | None:
    """The key that a text stands for, or None.

    Args:
        text: As `StateTexts` gives it.
        keys: Keys by text, as far as they are known.
    """
    if text in keys:
        return keys[text]
    match = _WITH_KEY.fullmatch(text)
    if match is not None:
        return int(match[1])
    return int(text) if _KEY.fullmatch(text) else None
