"""Names that tell channels apart, also those that have the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable


Thing: TypeAlias = str | tuple[str, ...]


def labels_of(things: Iterable[Thing], taken: Iterable[str] = ()) -> list[str]:
    """A name for each thing: the same for the same one, different ones for others.

    Args:
        things: The name, or a tuple that begins with it and has what else tells them apart.
        taken: Names that nothing may have.

    Returns:
        Names; where one is taken, `_2`, `_3`, ... is put behind it. A name that can stay as it is
        is not changed for another.
    """
    wanted = list(things)
    found: dict[Thing, str] = {}
    used = set(taken)
    for thing in wanted:
        name = _name(thing)
        if thing not in found and name not in used:
            found[thing] = name
            used.add(name)
    for thing in wanted:
        if thing in found:
            continue
        name, number = _name(thing), 2
        while f"{name}_{number}" in used:
            number += 1
        found[thing] = f"{name}_{number}"
        used.add(found[thing])
    return [found[thing] for thing in wanted]


def _name(thing: Thing) -> str:
    return thing if isinstance(thing, str) else thing[0]
