"""What every part of the catalog stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.catalog.changes import RuleChanges
    from sift_server.catalog.database import Database


@dataclass(frozen=True, slots=True)
class Context:
    """The database, the clock and the source of ids.

    Attributes:
        database: Where the tables are.
        now_ns: Nanoseconds since 1970-01-01T00:00:00Z.
        new_id: Makes an id that no other resource has.
        rule_changes: Told of whatever may change what rules make of data.
    """

    database: Database
    now_ns: Callable[[], int]
    new_id: Callable[[], str]
    rule_changes: RuleChanges
