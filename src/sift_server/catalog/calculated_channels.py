"""Calculated channels: expressions over channels of assets that read like channels.

Every change of what one says makes a version of it, and old versions stay: rules and other
calculated channels are about a version. Those that are not archived have different names.

Nothing in here reads expressions: `sift_server.calculated` checks them before they come here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, or_, select, update

from sift_server.catalog import (
    calculated_rows,
    calculated_writing,
    rule_rows,
    tables,
    users,
)
from sift_server.catalog.chunks import chunks
from sift_server.catalog.fields import Field, Filterable, Kind, MetadataField, has_row
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.catalog.rule_conditions import assets_by_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from sift_server.catalog.calculated_content import CalculatedContent
    from sift_server.catalog.calculated_rows import CalculatedChannel
    from sift_server.catalog.context import Context
    from sift_server.catalog.fields import Condition
    from sift_server.catalog.rule_rows import Rule

_channels = tables.calculated_channels.c
_versions = tables.calculated_channel_versions.c
_assets = tables.calculated_channel_assets.c
_tags = tables.calculated_channel_asset_tags.c
_of_asset = _assets.calculated_channel_id == _channels.calculated_channel_id
_of_tag = _tags.calculated_channel_id == _channels.calculated_channel_id


def _of_assets(that: Condition) -> Condition:
    """The condition that an asset for which something is true has the calculated channel."""
    asset = tables.assets.c
    tagged = exists().where(
        _of_tag,
        tables.tags.c.tag_id == _tags.tag_id,
        tables.asset_tags.c.name == tables.tags.c.name,
        tables.asset_tags.c.owner_id == asset.asset_id,
    )
    named = exists().where(_of_asset, _assets.asset_id == asset.asset_id)
    # Both are about a row of each of these around them, not about tables of their own.
    around = (tables.calculated_channels, tables.assets)
    has_it = or_(_channels.has_all_assets, named.correlate(*around), tagged.correlate(*around))
    return has_row(that, has_it)


CALCULATED_CHANNEL_FIELDS = Filterable(
    "calculated channels",
    {
        "calculated_channel_id": Field(Kind.TEXT, _channels.calculated_channel_id),
        "calculated_channel_version_id": Field(Kind.TEXT, _versions.version_id),
        "organization_id": Field(Kind.TEXT, _channels.organization_id),
        "client_key": Field(Kind.TEXT, _channels.client_key, is_nullable=True),
        "name": Field(Kind.TEXT, _channels.name),
        "description": Field(Kind.TEXT, _channels.description),
        "units": Field(Kind.TEXT, _channels.units, is_nullable=True),
        "version": Field(Kind.NUMBER, _versions.number),
        "asset_id": Field(Kind.TEXT, tables.assets.c.asset_id, within=_of_assets),
        "asset_name": Field(Kind.TEXT, tables.assets.c.name, within=_of_assets),
        "tag_id": Field(Kind.TEXT, _tags.tag_id, within=lambda that: has_row(_of_tag, that)),
        "tag_name": Field(
            Kind.TEXT,
            tables.tags.c.name,
            within=lambda that: has_row(_of_tag, tables.tags.c.tag_id == _tags.tag_id, that),
        ),
        "created_date": Field(Kind.TIME, _channels.created_ns),
        "modified_date": Field(Kind.TIME, _channels.modified_ns),
        "archived_date": Field(Kind.TIME, _channels.archived_ns, is_nullable=True),
        "is_archived": Field(Kind.BOOL, _channels.archived_ns.is_not(None)),
        "created_by_user_id": Field(Kind.TEXT, _channels.created_by_user_id),
        "modified_by_user_id": Field(Kind.TEXT, _channels.modified_by_user_id),
        "metadata": MetadataField(
            tables.calculated_channel_metadata, _channels.calculated_channel_id
        ),
    },
    missing={
        "folders": "this server has no folders",
        "run_id": "the catalog does not say which assets have data of a run; filter by asset_id, or"
        " resolve the calculated channel for the run",
    },
)
_listing = Listing(CALCULATED_CHANNEL_FIELDS, "created_date desc", (_channels.sequence,))

_VERSION_FIELDS = Filterable(
    "versions of a calculated channel",
    {
        **CALCULATED_CHANNEL_FIELDS.fields,
        "user_notes": Field(Kind.TEXT, _versions.notes),
        "change_message": Field(Kind.TEXT, _versions.change_message),
        "created_date": Field(Kind.TIME, _versions.created_ns),
    },
    CALCULATED_CHANNEL_FIELDS.missing,
)
_version_listing = Listing(_VERSION_FIELDS, "created_date", (_versions.sequence,))


class CalculatedChannels:
    """The calculated channels of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, calculated_channel_id: str = "", client_key: str = "") -> CalculatedChannel:
        """Return a calculated channel by its id, or by its client key; also one that is archived.

        Raises:
            NotFoundError: There is none.
        """
        with self._context.database.read() as connection:
            return calculated_rows.get(connection, calculated_channel_id, client_key)

    def versions(self, version_ids: Sequence[str]) -> list[CalculatedChannel]:
        """Return calculated channels as they were in some versions, in the order of the ids.

        Raises:
            NotFoundError: There is no version of one of the ids.
        """
        with self._context.database.read() as connection:
            return calculated_rows.versions(connection, version_ids)

    def known_versions(self, version_ids: Iterable[str]) -> Sequence[CalculatedChannel]:
        """Return those versions of calculated channels that there are, in no particular order."""
        with self._context.database.read() as connection:
            return list(calculated_rows.known_versions(connection, version_ids).values())

    def named(self, names: Iterable[str]) -> dict[str, CalculatedChannel]:
        """Return the calculated channels of some names that are not archived, by name."""
        with self._context.database.read() as connection:
            return calculated_rows.named(connection, names)

    def list(
        self, request: ListRequest, only_of_asset_id: str | None = None
    ) -> Page[CalculatedChannel]:
        """Return a page of the calculated channels; the newest first, if not asked otherwise.

        Args:
            request: What is asked for.
            only_of_asset_id: Only those that an asset has; None for all.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        query = calculated_rows.query()
        if only_of_asset_id is not None:
            query = query.where(_of_assets(tables.assets.c.asset_id == only_of_asset_id))
        with self._context.database.read() as connection:
            page = _listing.page(
                connection, query, request, self._context.now_ns(), scope=only_of_asset_id or ""
            )
        return Page([calculated_rows.channel_of(row) for row in page.items], page.next_token)

    def list_versions(
        self, calculated_channel_id: str, client_key: str, request: ListRequest
    ) -> Page[CalculatedChannel]:
        """Return a page of the versions of a calculated channel; the oldest first.

        Raises:
            NotFoundError: There is no such calculated channel.
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        with self._context.database.read() as connection:
            channel = calculated_rows.get(connection, calculated_channel_id, client_key)
            channel_id = channel.calculated_channel_id
            query = calculated_rows.version_query().where(
                _channels.calculated_channel_id == channel_id
            )
            page = _version_listing.page(
                connection, query, request, self._context.now_ns(), scope=channel_id
            )
        return Page([calculated_rows.channel_of(row) for row in page.items], page.next_token)

    def assets_of(self, content: CalculatedContent) -> tuple[str, ...]:
        """Return the ids of the assets that have a calculated channel, each once."""
        with self._context.database.read() as connection:
            if content.has_all_assets:
                assets = tables.assets.c
                query = select(assets.asset_id).where(assets.archived_ns.is_(None))
                return tuple(connection.execute(query.order_by(assets.sequence)).scalars())
            by_tag = assets_by_tag(connection, content.tag_ids)
        tagged = (one for tag_id in content.tag_ids for one in by_tag.get(tag_id, ()))
        return tuple(dict.fromkeys([*content.asset_ids, *tagged]))

    def create(
        self,
        content: CalculatedContent,
        *,
        notes: str = "",
        client_key: str | None = None,
        organization_id: str = "",
    ) -> CalculatedChannel:
        """Create a calculated channel.

        Raises:
            AlreadyExistsError: Another one has the client key, or the name and is not archived.
            NotFoundError: An asset or tag does not exist.
            InvalidArgumentError: It has no name or no assets, or can't be stored.
            ResourceExhaustedError: There are too many.
        """
        with self._context.database.write() as connection:
            channel_id = calculated_writing.write(
                connection, self._context, None, content, notes, client_key, organization_id
            )
            return calculated_rows.get(connection, channel_id, "")

    def update(
        self,
        before: CalculatedChannel,
        content: CalculatedContent,
        *,
        notes: str | None = None,
        is_archived: bool | None = None,
    ) -> CalculatedChannel | None:
        """Make a calculated channel what a content says; as a next version, if that is new.

        Args:
            before: What it was when the content was made.
            content: What it is to be.
            notes: What to keep with the version; a next one if it is new. None for nothing new.
            is_archived: Whether it is to be archived; None to leave that.

        Returns:
            What it is then; None if it is another version than `before` already, and nothing
            was changed.

        Raises:
            As for `create`.
        """
        channel_id = before.calculated_channel_id
        with self._context.database.write() as connection:
            now = calculated_rows.get(connection, channel_id, "")
            if now.version_id != before.version_id:
                return None
            if is_archived is not None and is_archived != (now.archived_ns is not None):
                self._set_archived(connection, now, is_archived)
                now = calculated_rows.get(connection, channel_id, "")
            if content != now.content or (notes is not None and notes != now.notes):
                calculated_writing.write(connection, self._context, now, content, notes or "")
            return calculated_rows.get(connection, channel_id, "")

    def dependents(
        self, calculated_channel_id: str = "", version_id: str = ""
    ) -> tuple[Sequence[CalculatedChannel], Sequence[Rule]]:
        """Return what names a calculated channel in its newest version, not what is deleted.

        Args:
            calculated_channel_id: Which one, in any of its versions; or empty.
            version_id: Otherwise, in which version.

        Raises:
            NotFoundError: There is no such calculated channel, or version.
        """
        with self._context.database.read() as connection:
            if calculated_channel_id:
                calculated_rows.get(connection, calculated_channel_id, "")
                of_channel = _versions.calculated_channel_id == calculated_channel_id
                version_ids = connection.execute(
                    select(_versions.version_id).where(of_channel)
                ).scalars()
                wanted = set(version_ids)
            else:
                calculated_rows.versions(connection, [version_id])
                wanted = {version_id}
            channels: dict[str, CalculatedChannel] = {}
            rules: dict[str, Rule] = {}
            for some in chunks(sorted(wanted), _SEARCHED_AT_ONCE):
                says = [_versions.content_json.contains(one, autoescape=True) for one in some]
                for row in connection.execute(calculated_rows.query().where(or_(*says))):
                    channel = calculated_rows.channel_of(row)
                    if wanted.intersection(channel.content.version_ids):
                        channels[channel.calculated_channel_id] = channel
                of_rule = tables.rule_versions.c.content_json
                says = [of_rule.contains(one, autoescape=True) for one in some]
                is_there = tables.rules.c.deleted_ns.is_(None)
                for row in connection.execute(rule_rows.query().where(is_there, or_(*says))):
                    rule = rule_rows.rule_of(row)
                    if wanted.intersection(rule.content.calculated_version_ids):
                        rules[rule.rule_id] = rule
        return list(channels.values()), list(rules.values())

    def _set_archived(
        self, connection: Connection, channel: CalculatedChannel, is_archived: bool
    ) -> None:
        if not is_archived:
            calculated_writing.check_free(connection, channel.content.name)
        now_ns = self._context.now_ns()
        connection.execute(
            update(tables.calculated_channels)
            .where(_channels.calculated_channel_id == channel.calculated_channel_id)
            .values(
                archived_ns=now_ns if is_archived else None,
                modified_ns=now_ns,
                modified_by_user_id=users.owner_id(connection, self._context),
            )
        )


_SEARCHED_AT_ONCE = 50
"""How many ids are searched for in documents by one query."""
