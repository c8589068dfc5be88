"""Assets: the things that are telemetered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, or_, select, update

from sift_server.catalog import tables
from sift_server.catalog.attributes import Attributes, AttributeTables
from sift_server.catalog.chunks import chunks
from sift_server.catalog.fields import (
    Field,
    Filterable,
    Kind,
    MetadataField,
    tag_ids_field,
    tags_field,
    without_users,
)
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection, Row

    from sift_server.catalog.context import Context

_columns = tables.assets.c
_attributes = AttributeTables("an asset", tables.asset_tags, tables.asset_metadata)

ASSET_FIELDS = Filterable(
    "assets",
    {
        "asset_id": Field(Kind.TEXT, _columns.asset_id),
        "name": Field(Kind.TEXT, _columns.name),
        "name_lower": Field(Kind.TEXT, func.lower(_columns.name)),
        "organization_id": Field(Kind.TEXT, _columns.organization_id),
        "created_date": Field(Kind.TIME, _columns.created_ns),
        "modified_date": Field(Kind.TIME, _columns.modified_ns),
        "archived_date": Field(Kind.TIME, _columns.archived_ns, is_nullable=True),
        "is_archived": Field(Kind.BOOL, _columns.archived_ns.is_not(None)),
        "tag_id": tag_ids_field(tables.asset_tags, _columns.asset_id),
        "tag_name": tags_field(tables.asset_tags, _columns.asset_id),
        "metadata": MetadataField(tables.asset_metadata, _columns.asset_id),
    },
    missing=without_users("assets"),
)
_listing = Listing(ASSET_FIELDS, "created_date desc", (_columns.sequence,))


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset. Times are nanoseconds since 1970 in UTC.

    Attributes:
        archived_ns: When it was archived, or None.
    """

    asset_id: str
    name: str
    organization_id: str
    created_ns: int
    modified_ns: int
    archived_ns: int | None
    attributes: Attributes


class Assets:
    """The assets of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, asset_id: str) -> Asset:
        """Return an asset.

        Raises:
            NotFoundError: There is none of that id.
        """
        with self._context.database.read() as connection:
            return _get(connection, asset_id)

    def ids_of(self, ids_or_names: Iterable[str]) -> dict[str, str]:
        """Return the ids of assets by what each is called: its id, or else its name."""
        wanted = sorted(set(ids_or_names))
        by_name: dict[str, str] = {}
        by_id: dict[str, str] = {}
        with self._context.database.read() as connection:
            for some in chunks(wanted):
                rows = connection.execute(
                    select(_columns.asset_id, _columns.name).where(
                        or_(_columns.asset_id.in_(some), _columns.name.in_(some))
                    )
                )
                for row in rows:
                    by_name[row.name] = by_id[row.asset_id] = row.asset_id
        found = {**by_name, **by_id}
        return {one: found[one] for one in wanted if one in found}

    def list(self, request: ListRequest) -> Page[Asset]:
        """Return a page of the assets; the newest first, if not asked otherwise.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        with self._context.database.read() as connection:
            page = _listing.page(connection, select(tables.assets), request, self._context.now_ns())
            return Page(_assets(connection, page.items), page.next_token)

    def update(self, asset_id: str, change: Callable[[Asset], Asset]) -> Asset:
        """Replace `archived_ns` and `attributes` of an asset by what `change` makes of it.

        Raises:
            NotFoundError: There is no asset of that id.
            InvalidArgumentError: The attributes can't be stored.
        """
        with self._context.database.write() as connection:
            before = _get(connection, asset_id)
            asset = change(before)
            connection.execute(
                update(tables.assets)
                .where(_columns.asset_id == asset_id)
                .values(archived_ns=asset.archived_ns, modified_ns=self._context.now_ns())
            )
            _attributes.write(connection, self._context, asset_id, asset.attributes)
            if asset.attributes.tags != before.attributes.tags:
                self._context.rule_changes.count(connection)
            return _get(connection, asset_id)


def find_or_create(
    connection: Connection, context: Context, name: str, organization_id: str
) -> str:
    """Return the id of the asset of a name, within a transaction."""
    found = connection.execute(
        select(_columns.asset_id).where(_columns.name == name)
    ).scalar_one_or_none()
    if found is not None:
        return str(found)
    asset_id, now_ns = context.new_id(), context.now_ns()
    connection.execute(
        insert(tables.assets).values(
            asset_id=asset_id,
            name=name,
            organization_id=organization_id,
            created_ns=now_ns,
            modified_ns=now_ns,
        )
    )
    return asset_id


def _get(connection: Connection, asset_id: str) -> Asset:
    rows = connection.execute(select(tables.assets).where(_columns.asset_id == asset_id)).all()
    if not rows:
        raise NotFoundError(
            f"there is no asset with the id {asset_id!r}; list the assets to find it"
        )
    (asset,) = _assets(connection, rows)
    return asset


def _assets(connection: Connection, rows: Sequence[Row[Any]]) -> list[Asset]:
    attributes = _attributes.read(connection, [row.asset_id for row in rows])
    return [
        Asset(
            row.asset_id,
            row.name,
            row.organization_id,
            row.created_ns,
            row.modified_ns,
            row.archived_ns,
            attributes[row.asset_id],
        )
        for row in rows
    ]
