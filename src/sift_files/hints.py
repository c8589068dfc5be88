"""What a person knows of a file before anybody looks into it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping  # noqa: TC003 (a field of a dataclass)
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sift_files.errors import PlanError
from sift_files.names import name_and_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_files.plan import DataType, TimeFormat

__all__ = ["NO_HINTS", "Hints", "names_of", "require_column"]

_NAMES_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of a file; what is left empty is found out.

    Columns are named by their path, their name in the file, or that name without its unit.

    Attributes:
        encoding: Of a CSV file.
        delimiter: Of a CSV file.
        no_value: Texts of a CSV file that stand for no value.
        time: The columns with the times.
        time_format: What the times mean.
        pattern: How dates are written, as in `TimePlan`.
        types: Data types by column.
    """

    encoding: str = ""
    delimiter: str = ""
    no_value: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    time_format: TimeFormat | None = None
    pattern: str = ""
    types: Mapping[str, DataType] = field(default_factory=dict)


NO_HINTS = Hints()


def require_column(wanted: str, columns: Sequence[tuple[str, ...]]) -> int:
    """The place of a column among others, each given by the names that it goes by.

    Raises:
        PlanError: There is none; says which are like it.
    """
    for at, names in enumerate(columns):
        if wanted in names:
            return at
    known = dict.fromkeys(name for names in columns for name in names[-1:])
    like = difflib.get_close_matches(wanted, known, _NAMES_SHOWN_MAX) or list(known)
    shown = ", ".join(repr(each) for each in like[:_NAMES_SHOWN_MAX])
    more = ", ..." if len(like) > _NAMES_SHOWN_MAX else ""
    raise PlanError(f"there is no column {wanted!r}; there are {shown}{more}")


def names_of(path: str, name: str, *others: str) -> tuple[str, ...]:
    """The names that a column goes by, the one for people last."""
    return (path, name_and_unit(name)[0], *others, name)
