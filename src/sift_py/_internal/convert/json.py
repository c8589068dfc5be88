"""Values that have a JSON form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class AsJson(Protocol):
    """Has a JSON form."""

    def as_json(self) -> Any:  # noqa: ANN401  # whatever `json` can write
        """Return what `json.dumps` can write."""


def to_json(items: Iterable[AsJson]) -> str:
    """Write items as one JSON array, ASCII only: the form of `UpdateJsonRules.rules_json`."""
    return json.dumps([item.as_json() for item in items])
