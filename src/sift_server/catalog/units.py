"""Units: the words that channels are measured in.

A unit is what a channel config says of a channel, or somebody who knows better; its id is the word
itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, union_all

from sift_server.catalog import tables
from sift_server.catalog.fields import Field, Filterable, Kind
from sift_server.catalog.paging import Listing, ListRequest, Page

if TYPE_CHECKING:
    from sift_server.catalog.context import Context

_channels = tables.channels.c
_said = union_all(
    select(_channels.unit, _channels.created_ns),
    select(_channels.display_unit, _channels.created_ns),
).subquery()
_used = (
    select(_said.c.unit, func.min(_said.c.created_ns).label("created_ns"))
    .where(_said.c.unit != "")
    .group_by(_said.c.unit)
    .subquery()
)

UNIT_FIELDS = Filterable(
    "units",
    {
        "unit_id": Field(Kind.TEXT, _used.c.unit),
        "abbreviated_name": Field(Kind.TEXT, _used.c.unit),
        "created_date": Field(Kind.TIME, _used.c.created_ns),
    },
)
_listing = Listing(UNIT_FIELDS, "created_date", (_used.c.unit,))


class Units:
    """The units that channels have. Safe from many threads."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, request: ListRequest) -> Page[str]:
        """Return a page of the units; in the order in which channels first had them.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        with self._context.database.read() as connection:
            page = _listing.page(connection, select(_used), request, self._context.now_ns())
        return Page([row.unit for row in page.items], page.next_token)
