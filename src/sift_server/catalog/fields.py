"""What the rows of a resource can be filtered and ordered by."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Table, case, exists

from sift_server.catalog import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Condition = ColumnElement[bool]


class Kind(enum.Enum):
    """What a value is, as messages call it."""

    TEXT = "a string"
    NUMBER = "a number"
    BOOL = "a bool"
    TIME = "a timestamp"
    DURATION = "a duration"
    YEAR = "a year"
    NULL = "null"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a resource.

    Attributes:
        kind: What its values are. Times and durations are in nanoseconds.
        column: The values in SQL.
        is_nullable: Whether a value may be missing.
        within: For values in a table of their own: turns a condition on `column` into the
            condition that a row of the resource has such a value.
        names: All that a value can be, of one that the protocol has names for; else empty.
    """

    kind: Kind
    column: ColumnElement[Any]
    is_nullable: bool = False
    within: Callable[[Condition], Condition] | None = None
    names: tuple[str, ...] = ()

    @property
    def is_sortable(self) -> bool:
        """Whether rows can be ordered by it."""
        return self.within is None and self.kind is not Kind.BOOL


@dataclass(frozen=True, slots=True)
class MetadataField:
    """The metadata of a resource, `metadata["key"]` or `metadata.key`.

    Attributes:
        table: Its table, one of those that `tables` makes for metadata.
        owner_id: The resource's id column.
    """

    table: Table
    owner_id: ColumnElement[str]


@dataclass(frozen=True, slots=True)
class Filterable:
    """What the rows of a resource can be filtered and ordered by.

    Attributes:
        missing: Fields that clients may know and that can't be answered yet: why, and what to use
            instead.
    """

    resource: str
    fields: Mapping[str, Field | MetadataField]
    missing: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> str:
        """List the fields, for messages."""
        return ", ".join(
            f'{name}["key"]' if isinstance(one, MetadataField) else name
            for name, one in sorted(self.fields.items())
        )


def has_row(*conditions: Condition) -> Condition:
    """Return the condition that a table has a row for which all these are true."""
    return exists().where(*conditions)


def named_numbers_field(
    column: ColumnElement[int],
    prefix: str,
    names: Sequence[str],
    within: Callable[[Condition], Condition] | None = None,
) -> Field:
    """Return the field of numbers that the protocol has names for, the first of which is 1."""
    whole = [f"{prefix}{name}" for name in names]
    unspecified = f"{prefix}UNSPECIFIED"
    named = case(dict(enumerate(whole, 1)), value=column, else_=unspecified)
    return Field(Kind.TEXT, named, within=within, names=(*whole, unspecified))


def without_users(resource: str) -> dict[str, str]:
    """Return why a resource can't be asked for who made it; see `Filterable.missing`."""
    why = f"this server does not keep who made or changed {resource}; leave it out"
    return {"created_by_user_id": why, "modified_by_user_id": why}


def tags_field(table: Table, owner_id: ColumnElement[str]) -> Field:
    """Return the field of a resource's tag names."""
    return Field(
        Kind.TEXT, table.c.name, within=lambda that: has_row(table.c.owner_id == owner_id, that)
    )


def tag_ids_field(table: Table, owner_id: ColumnElement[str]) -> Field:
    """Return the field of the ids of a resource's tags."""

    def within(that: Condition) -> Condition:
        is_of_tag = table.c.name == tables.tags.c.name
        return has_row(table.c.owner_id == owner_id, is_of_tag, that)

    return Field(Kind.TEXT, tables.tags.c.tag_id, within=within)
