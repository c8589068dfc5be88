"""Looking up many values by questions of a bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VALUES_PER_QUERY = 500
"""How many values one question to the database asks for."""

T = TypeVar("T")


def chunks(values: Sequence[T], count: int = VALUES_PER_QUERY) -> Iterator[Sequence[T]]:
    """Cut values into as many as one question asks for."""
    for start in range(0, len(values), count):
        yield values[start : start + count]
