"""Tags: names that assets, runs, rules and annotations are found by, each with an id."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, not_, or_, select

from sift_server.catalog import tables, users
from sift_server.catalog.chunks import chunks
from sift_server.catalog.fields import Condition, Field, Filterable, Kind, has_row
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection, Row

    from sift_server.catalog.context import Context

_columns = tables.tags.c

TAG_FIELDS = Filterable(
    "tags",
    {
        "tag_id": Field(Kind.TEXT, _columns.tag_id),
        "name": Field(Kind.TEXT, _columns.name),
        "created_date": Field(Kind.TIME, _columns.created_ns),
        "created_by_user_id": Field(Kind.TEXT, _columns.created_by_user_id),
    },
)
_listing = Listing(TAG_FIELDS, "created_date", (_columns.sequence,))


class TagUse(enum.Enum):
    """What a tag can be on."""

    ASSET = tables.asset_tags
    RUN = tables.run_tags
    ANNOTATION = tables.annotation_tags
    REPORT = tables.report_tags
    REPORT_TEMPLATE = tables.report_template_tags


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag. Its name is unique; `created_ns` is nanoseconds since 1970 in UTC."""

    tag_id: str
    name: str
    created_by_user_id: str
    created_ns: int


class Tags:
    """The tags of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, name: str) -> Tag:
        """Return the tag of a name, which is made if there is none.

        Raises:
            InvalidArgumentError: The name is blank.
        """
        if not name.strip():
            raise InvalidArgumentError("a tag needs a name that is not blank")
        with self._context.database.write() as connection:
            find_or_create(connection, self._context, [name])
            row = connection.execute(select(tables.tags).where(_columns.name == name)).one()
        return _tag(row)

    def names_of(self, tag_ids: Iterable[str]) -> list[str]:
        """Return the names of tags.

        Raises:
            NotFoundError: There is no tag of an id.
        """
        wanted = list(dict.fromkeys(tag_ids))
        with self._context.database.read() as connection:
            check_known(connection, wanted)
            names = known_names(connection, wanted)
        return [names[tag_id] for tag_id in wanted]

    def list(self, request: ListRequest, use: TagUse | None = None) -> Page[Tag]:
        """Return a page of the tags; in the order of their creation, if not asked otherwise.

        Args:
            request: What is asked for.
            use: Only those that are on something of this kind, or on nothing yet; None for all.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        query = select(tables.tags)
        if use is not None:
            others = [not_(_is_on(other)) for other in TagUse]
            query = query.where(or_(_is_on(use), and_(*others)))
        scope = "" if use is None else use.name
        with self._context.database.read() as connection:
            page = _listing.page(connection, query, request, self._context.now_ns(), scope)
        return Page([_tag(row) for row in page.items], page.next_token)


def find_or_create(
    connection: Connection, context: Context, names: Iterable[str]
) -> dict[str, str]:
    """Return the ids of tags by name, which are made if need be, within a transaction."""
    wanted = list(dict.fromkeys(names))
    rows = _rows(connection, _columns.name, wanted)
    tag_ids: dict[str, str] = {row.name: row.tag_id for row in rows}
    missing = {name: context.new_id() for name in wanted if name not in tag_ids}
    if missing:
        owner_id, now_ns = users.owner_id(connection, context), context.now_ns()
        connection.execute(
            insert(tables.tags),
            [
                {
                    "tag_id": tag_id,
                    "name": name,
                    "created_by_user_id": owner_id,
                    "created_ns": now_ns,
                }
                for name, tag_id in missing.items()
            ],
        )
    return {**tag_ids, **missing}


def known_names(connection: Connection, tag_ids: Iterable[str]) -> dict[str, str]:
    """Return the names of those tags that are there, by id."""
    rows = _rows(connection, _columns.tag_id, list(dict.fromkeys(tag_ids)))
    return {row.tag_id: row.name for row in rows}


def check_known(connection: Connection, tag_ids: Iterable[str]) -> None:
    """Check that there is a tag of each id.

    Raises:
        NotFoundError: There is not.
    """
    wanted = list(dict.fromkeys(tag_ids))
    names = known_names(connection, wanted)
    for tag_id in wanted:
        if tag_id not in names:
            raise NotFoundError(
                f"there is no tag with the id {tag_id!r}; create the tag by its name, which also"
                " gives the id of one that is there"
            )


def _rows(connection: Connection, column: Any, values: list[str]) -> Iterator[Row[Any]]:  # noqa: ANN401 - a column
    for some in chunks(values):
        yield from connection.execute(select(tables.tags).where(column.in_(some)))


def _is_on(use: TagUse) -> Condition:
    return has_row(use.value.c.name == _columns.name)


def _tag(row: Row[Any]) -> Tag:
    return Tag(row.tag_id, row.name, row.created_by_user_id, row.created_ns)
