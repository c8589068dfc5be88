"""Names of columns: with the unit taken off, and each there once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["name_and_unit", "unique"]

_IN_BRACKETS = re.compile(r"^(?P<name>.*\S)\s*(?:\((?P<round>[^()]*)\)|\[(?P<square>[^\[\]]*)\])$")


def name_and_unit(header: str) -> tuple[str, str]:
    """The name and the unit of a header such as `speed (m/s)` or `speed [m/s]`."""
    header = header.strip()
    found = _IN_BRACKETS.match(header)
    if found is None:
        return header, ""
    # A number is an index, as in `cell[3]`, and no unit.
    unit = (found["round"] or found["square"] or "").strip()
    return (header, "") if not unit or unit.isdecimal() else (found["name"].strip(), unit)


def unique(names: Iterable[str]) -> list[str]:
    """The names, with `_2`, `_3` and so on behind those that were there before."""
    names = list(names)
    taken = set(names)
    seen: dict[str, int] = {}
    made = []
    for name in names:
        count = seen.get(name, 0) + 1
        seen[name] = count
        made.append(name)
        if count > 1:
            while (other := f"{name}_{count}") in taken:
                count += 1
            taken.add(other)
            seen[name] = count
            made[-1] = other
    return made
